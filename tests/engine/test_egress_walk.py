"""The whole way: a hook in a locked worker, the broker, and the hostile loopback world."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import Authority, Peer, ok, once, replying, serving

from engine.app import Engine
from engine.config import Config
from engine.egress.policy import EgressPolicy
from engine.hook import Hook, Limits
from engine.outcome import Outcome

OPEN = EgressPolicy(exceptions=("127.0.0.1",))
SAMPLE = {"user": {"id": "a"}, "context": {"connection": {}}}


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine(Config(workers=8, wall_ms=30_000)) as made:
        yield made


async def call(engine: Engine, body: str, url: str = "", **hook: Any) -> Outcome:
    """What comes of a hook with that body; it finds `url`, and may call 127.0.0.1."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = f"import requests, time\nurl = {url!r}\ndef hook(user, context, cb):\n{lines}"
    return await engine.run(Hook(source, **{"trigger_id": "post-change-password", "egress": OPEN} | hook), SAMPLE)


def redirecting(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def test_a_hook_calls_and_the_outcome_has_the_record(engine: Engine) -> None:
    async with serving(replying(ok(b'{"a": 1}'))) as server:
        outcome = await call(engine, "cb(None, requests.post(url, json={'b': 2}, timeout=5).json())", server.url("/p"))
    (exchange,) = outcome.egress

    assert ("ok", {"a": 1}) == (outcome.status, outcome.value())
    assert ("POST", server.url("/p"), 200, 8, 8) == (
        exchange.method,
        exchange.url,
        exchange.status,
        exchange.sent_bytes,
        exchange.received_bytes,
    )
    assert exchange.timings.connect_ms is not None
    assert (None, None) == (exchange.timings.dns_ms, exchange.timings.tls_ms)
    assert 0 < (exchange.timings.first_byte_ms or 0) <= exchange.ms


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("http://169.254.169.254/latest/meta-data/", "metadata-address"),
        ("http://[::ffff:169.254.169.254]/", "metadata-address"),
        ("http://0x7f.1/", "address-spelling"),
        ("http://10.0.0.1/", "private-address"),
        ("//10.0.0.1/", "private-address"),
        ("file:///etc/passwd", "scheme"),
        ("ftp://127.0.0.1/", "scheme"),
        ("gopher://127.0.0.1:6379/_INFO", "scheme"),
        ("http://127.0.0.1:22/", "port"),
        ("http://user:pass@127.0.0.1/", "userinfo"),
    ],
)
async def test_a_redirect_is_a_call_of_its_own(engine: Engine, location: str, rule: str) -> None:
    async with serving(replying(redirecting(location))) as server:
        outcome = await call(engine, "requests.get(url)", server.url())

    assert "raised" == outcome.status
    assert outcome.message.startswith(f"EgressRefused: rule {rule}: ")
    assert [(302, None), (None, rule)] == [(each.status, each.refused) for each in outcome.egress]


async def test_a_hook_cannot_catch_a_refusal_as_something_to_try_again(engine: Engine) -> None:
    body = (
        "try:\n    requests.get('http://10.0.0.1/')\n"
        "except (requests.ConnectionError, requests.Timeout):\n    cb(None, 'again')\n"
        "except requests.exceptions.EgressRefused as error:\n    cb(None, error.rule)\n"
    )

    assert "private-address" == (await call(engine, body)).value()


@pytest.mark.parametrize("url", ["http://localhost:{}/", "http://127.0.0.1:{}/", "http://[::1]:{}/"])
async def test_loopback_is_refused_without_an_exception(engine: Engine, url: str) -> None:
    async with serving(replying(ok())) as server:
        outcome = await call(engine, "requests.get(url)", url.format(server.port), egress=None)

    assert outcome.message.startswith("EgressRefused: rule private-address: ")
    assert 0 == server.connections


async def drip(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    ended = asyncio.create_task(peer.gone())
    while not ended.done():
        await peer.send(b"x")
        await asyncio.wait([ended], timeout=0.02)


@pytest.mark.parametrize("script", [silent, drip])
async def test_a_timeout_bounds_the_whole_answer_and_the_hook_goes_on(
    engine: Engine, script: Callable[[Peer], Any]
) -> None:
    body = "try:\n    requests.get(url, timeout=0.3)\nexcept requests.Timeout as error:\n    cb(None, type(error).__name__)\n"
    async with serving(script) as server:
        outcome = await call(engine, body, server.url())

    assert ("ok", "ReadTimeout", ["read_timeout"]) == (
        outcome.status,
        outcome.value(),
        [each.error for each in outcome.egress],
    )
    assert 300 <= outcome.egress[0].ms < 5_000


@pytest.mark.parametrize("given", ["", ", timeout=3600"])
async def test_a_call_without_an_end_is_given_up_while_there_is_time_to_handle_it(engine: Engine, given: str) -> None:
    body = f"try:\n    requests.get(url{given})\nexcept requests.Timeout:\n    cb(None, 'too slow')\n"
    async with serving(silent) as server:
        outcome = await call(engine, body, server.url(), limits=Limits(wall_ms=1_000))

    assert ("ok", "too slow") == (outcome.status, outcome.value())
    assert outcome.usage.wall_ms < 1_000


async def test_a_hook_that_handles_nothing_is_told_what_took_too_long(engine: Engine) -> None:
    async with serving(silent) as server:
        outcome = await call(engine, "requests.get(url)", server.url(), limits=Limits(wall_ms=800))

    assert ("raised", 4) == (outcome.status, outcome.line)
    assert outcome.message.startswith("ReadTimeout: ")


async def test_a_bomb_stops_at_the_bound(engine: Engine) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(bomb), bomb)
    async with serving(once(answer)) as server:
        outcome = await call(engine, "requests.get(url)", server.url())

    assert outcome.message.startswith("EgressRefused: rule response-size: ")


async def test_a_job_makes_so_many_calls_and_no_more(engine: Engine) -> None:
    body = "for _ in range(30):\n    requests.get(url)\n"
    async with serving(replying(ok())) as server:
        outcome = await call(engine, body, server.url())

    assert outcome.message.startswith("EgressRefused: rule call-count: ")
    assert (20, 21) == (len(server.asked), len(outcome.egress))


async def test_a_loop_of_redirects_ends_as_in_the_library(engine: Engine) -> None:
    async with serving(replying(redirecting("/again"))) as server:
        outcome = await call(engine, "requests.get(url)", server.url())

    assert "TooManyRedirects: Exceeded 10 redirects." == outcome.message


async def test_credentials_do_not_follow_a_redirect_to_another_host(engine: Engine) -> None:
    """The same server by two of its addresses: two hosts."""
    policy = EgressPolicy(exceptions=("127.0.0.0/8",))
    body = "requests.get(url, headers={'Authorization': 'Bearer x', 'Cookie': 'a=b', 'X-Trace': '1'})\ncb()"
    async with serving(replying(ok()), host="127.0.0.2") as there:
        location = there.url("/", host="127.0.0.2")
        async with serving(replying(redirecting(location))) as here:
            await call(engine, body, here.url(), egress=policy)
    first, second = here.asked[0], there.asked[0]

    assert (["Bearer x"], ["a=b"], ["1"]) == tuple(
        first.values(name) for name in ("Authorization", "Cookie", "X-Trace")
    )
    assert ([], [], ["1"]) == tuple(second.values(name) for name in ("Authorization", "Cookie", "X-Trace"))


async def test_secrets_are_in_the_call_and_not_in_the_record(engine: Engine) -> None:
    body = "requests.get(url + context.webtask.secrets.KEY, params={'k': context.webtask.secrets.KEY})\ncb()"
    async with serving(replying(ok())) as server:
        outcome = await call(engine, body, server.url("/"), secrets={"KEY": "hush/hush"})

    assert "GET /hush/hush?k=hush%2Fhush HTTP/1.1" == server.asked[0].line
    assert server.url("/***?k=***") == outcome.egress[0].url
    assert b"hush" not in outcome.json()


async def test_bodies_are_kept_when_the_policy_says_so(engine: Engine) -> None:
    policy = EgressPolicy(exceptions=("127.0.0.1",), keep_bodies="all")
    async with serving(replying(ok(b"pong"))) as server:
        outcome = await call(engine, "requests.post(url, data='ping')\ncb()", server.url(), egress=policy)
    (exchange,) = outcome.egress
    assert exchange.request is not None
    assert exchange.response is not None

    assert ("ping", "pong") == (exchange.request.body, exchange.response.body)


@pytest.mark.parametrize("mode", ["tenant", "invocation"])
async def test_connections_are_kept_for_a_tenant_and_never_for_another(engine: Engine, mode: str) -> None:
    async with serving(replying(ok())) as server:
        for tenant in ("acme", "acme", "globex", "acme"):
            await call(engine, "requests.get(url)\ncb()", server.url(), tenant=tenant, mode=mode)

    assert [1, 1, 2, 1] == [asked.connection for asked in server.asked]


async def test_one_tenants_cookies_are_not_anothers_nor_the_next_jobs(engine: Engine) -> None:
    """A connection is kept; who logged in over it is not."""
    body = "session = requests.Session()\nsession.get(url)\nsession.get(url)\ncb()"
    async with serving(replying(ok(b"ok", "Set-Cookie: id=1"))) as server:
        for tenant in ("acme", "acme", "globex"):
            await call(engine, body, server.url(), tenant=tenant)

    assert [[], ["id=1"]] * 3 == [asked.values("Cookie") for asked in server.asked]


async def test_the_environment_chooses_no_proxy(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    async with serving(replying(ok(b"proxy"))) as proxy, serving(replying(ok(b"server"))) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.setenv("HOME", str(tmp_path))
        outcome = await call(engine, "cb(None, requests.get(url).text)", server.url())

    assert ("server", 0, []) == (outcome.value(), proxy.connections, server.asked[0].values("Authorization"))


async def test_https_is_checked_against_the_name_and_the_operators_authorities(tmp_path: Path) -> None:
    authority = Authority()
    authority.write(tmp_path / "ca.pem")
    config = Config(egress_ca_file=str(tmp_path / "ca.pem"), egress_exceptions=("127.0.0.1", "localhost"))
    body = "try:\n    cb(None, requests.get(url).text)\nexcept requests.exceptions.SSLError as error:\n    cb(None, 'ssl')\n"
    async with Engine(config) as trusting, serving(replying(ok()), authority.server("localhost")) as server:
        good = await call(trusting, body, server.url(host="localhost", scheme="https"), egress=None)
        bad = await call(trusting, body, server.url(host="127.0.0.1", scheme="https"), egress=None)

    assert ("ok", "ssl") == (good.value(), bad.value())
    assert good.egress[0].timings.tls_ms is not None
    assert "tls" == bad.egress[0].error


async def test_an_authority_that_nobody_named_is_not_trusted(engine: Engine) -> None:
    policy = EgressPolicy(exceptions=("localhost",))
    async with serving(replying(ok()), Authority().server("localhost")) as server:
        outcome = await call(engine, "requests.get(url)", server.url(host="localhost", scheme="https"), egress=policy)

    assert outcome.message.startswith("SSLError: ")


async def test_many_slow_servers_of_one_tenant_do_not_hold_up_another(engine: Engine) -> None:
    """One tenant's calls all wait; another's is answered while they do."""
    policy = EgressPolicy(exceptions=("127.0.0.1",), at_once=2)
    waiting = asyncio.Semaphore(0)

    async def hold(peer: Peer) -> None:
        await peer.request()
        waiting.release()
        await peer.gone()

    async with serving(hold) as slow, serving(replying(ok())) as quick:
        runs = [
            asyncio.create_task(call(engine, "requests.get(url)", slow.url(), tenant="slow", egress=policy))
            for _ in range(4)
        ]
        await waiting.acquire()
        await waiting.acquire()
        outcome = await call(engine, "cb(None, requests.get(url).text)", quick.url(), tenant="quick", egress=policy)
        connected = slow.connections
        for run in runs:
            run.cancel()
        await asyncio.wait(runs)

    assert ("ok", 2) == (outcome.value(), connected)


async def test_an_outcome_with_calls_is_json(engine: Engine) -> None:
    async with serving(replying(ok())) as server:
        shown = json.loads((await call(engine, "requests.get(url)\ncb()", server.url())).json())

    assert {"method", "url", "status", "refused", "error", "ms", "timings"} <= set(shown["egress"][0])
