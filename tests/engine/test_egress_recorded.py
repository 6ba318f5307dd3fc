"""Answers that are there already: which call gets which, how they fail, and what is remembered of those without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from engine.egress.broker import Broker
from engine.egress.policy import EgressPolicy
from engine.egress.record import Mask
from engine.egress.recorded import Mock, Recorded
from engine.egress.refusals import Refused, Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.egress.urls import Target
from engine.errors import BadInput
from engine.outcome import Exchange, Kept
from sandbox import wire

pytestmark = pytest.mark.asyncio

URL = "https://api.example.com/mail"
TARGET = Target(
    scheme="https", host="api.example.com", port=443, authority="api.example.com", path="/mail", address=None
)


def mocks(*made: dict[str, Any]) -> Recorded:
    """A transport of mocks as a case file has them."""
    return Recorded(msgspec.convert(made, tuple[Mock, ...]))


async def ask(hosts: Recorded, method: str = "GET", url: str = URL, **fields: Any) -> Response:
    """One call, with ten seconds to go."""
    usual: dict[str, Any] = {"headers": (), "body": b"", "connect_s": 10.0, "read_s": 10.0, "response_bytes": 1000}
    end = asyncio.get_running_loop().time() + fields.pop("left_s", 10.0)
    request = Request(method=method, url=url, target=TARGET, end=end, **usual | fields)
    return await hosts.fetch(request, Timings())


async def refusal(hosts: Recorded, **call: Any) -> Unanswered:
    """Why a call has no answer."""
    with pytest.raises(Unanswered) as caught:
        await ask(hosts, **call)
    return caught.value


def get(url: str = URL, **reply: Any) -> dict[str, Any]:
    return {"when": {"method": "GET", "url": url}, "reply": reply}


async def test_a_mock_answers_with_what_it_was_given() -> None:
    """Headers follow the body; those that are given go before."""
    hosts = mocks(get(status=202, json={"a": [1, True, None]}, headers={"content-type": "application/hal+json"}))
    response = await ask(hosts)

    assert (202, "Accepted", b'{"a":[1,true,null]}', 19) == (
        response.status,
        response.reason,
        response.body,
        response.received_bytes,
    )
    assert (("Content-Length", "19"), ("content-type", "application/hal+json")) == response.headers


async def test_a_header_may_stand_more_than_once() -> None:
    """As cookies do; each stands in its place."""
    response = await ask(mocks(get(headers={"Set-Cookie": ["a=1", "b=2"], "X-One": "1"})))

    assert (("Content-Length", "0"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-One", "1")) == response.headers


@pytest.mark.parametrize(
    ("reply", "kind", "body"),
    [
        ({"json": None}, "application/json", b"null"),
        ({"text": "é"}, "text/plain; charset=utf-8", "é".encode()),
        ({"base64": "AAH/"}, "application/octet-stream", b"\x00\x01\xff"),
        ({}, None, b""),
    ],
)
async def test_a_body_has_the_type_of_how_it_is_written(reply: dict[str, Any], kind: str | None, body: bytes) -> None:
    """And none where there is no body."""
    response = await ask(mocks(get(**reply)))

    assert (200, "OK", body) == (response.status, response.reason, response.body)
    assert kind == dict(response.headers).get("Content-Type")


async def test_a_status_without_a_name_has_no_reason() -> None:
    """Servers answer such."""
    assert "" == (await ask(mocks(get(status=599)))).reason


async def test_mocks_that_match_answer_in_their_order_and_once_each() -> None:
    """The next of the same call is the next of the list."""
    hosts = mocks(get(status=503), get(URL + "?b", status=500), get(status=200))

    assert [503, 200] == [(await ask(hosts)).status for _ in range(2)]
    assert [f"GET {URL}?b was never called"] == hosts.unused
    assert [] == hosts.unmatched


async def test_a_mock_for_several_calls_must_have_them_all() -> None:
    """Fewer is told with how many there were."""
    hosts = mocks(get(status=503) | {"times": 3})
    await ask(hosts)
    await ask(hosts)

    assert [f"GET {URL} was called 2 of 3 times"] == hosts.unused
    await ask(hosts)
    assert [] == hosts.unused
    assert "connection" == (await refusal(hosts)).kind


async def test_a_call_that_nothing_matches_has_no_connection_and_is_remembered() -> None:
    """With the mocks that are left, those used up not among them."""
    hosts = mocks(get(), get("https://other.example.com/"))
    await ask(hosts)
    said = (await refusal(hosts, method="POST")).said

    assert f"no mock of this case answers POST {URL}" == said
    assert [f"POST {URL} matches no mock; the mocks left are: GET https://other.example.com/"] == hosts.unmatched


async def test_a_call_by_another_method_is_another_call() -> None:
    """A HEAD is no GET."""
    hosts = mocks(get())
    await refusal(hosts, method="HEAD")

    assert [f"GET {URL} was never called"] == hosts.unused


async def test_without_mocks_no_call_is_answered() -> None:
    """A case reaches no host."""
    hosts = Recorded()
    await refusal(hosts)

    assert [f"GET {URL} matches no mock; no mock is left"] == hosts.unmatched


@pytest.mark.parametrize(
    ("written", "called", "matches"),
    [
        (URL, URL, True),
        (URL, URL + "#part", True),
        (URL, URL + "?a=1", False),
        (URL, URL + "/", False),
        (URL, "http://api.example.com/mail", False),
        (URL + "?a=1", URL + "?a=1", True),
        (URL + "?a=1&b=2", URL + "?b=2&a=1", False),
        (URL + "*", URL, True),
        (URL + "*", URL + "?a=1", True),
        (URL + "?*", URL, False),
        ("https://api.example.com/*", URL, True),
    ],
)
async def test_a_url_matches_exactly_or_up_to_its_star(written: str, called: str, *, matches: bool) -> None:
    """The fragment of a URL is never sent."""
    hosts = mocks(get(written))
    if matches:
        assert 200 == (await ask(hosts, url=called)).status
    else:
        await refusal(hosts, url=called)


@pytest.mark.parametrize(
    ("when", "body", "matches"),
    [
        ({"json": {"a": 1, "b": [2, None]}}, b'{"b": [2, null],\n "a": 1}', True),
        ({"json": {"a": 1}}, b'{"a": true}', False),
        ({"json": {"a": 1}}, b'{"a": 1.0}', False),
        ({"json": {"a": 1}}, b'{"a": 1, "b": 2}', False),
        ({"json": None}, b"null", True),
        ({"json": None}, b"", False),
        ({"json": "a"}, b"a", False),
        ({"json": {}}, b"\xff", False),
        ({"json": []}, b"[" * 100_000, False),
        ({"text": "a=1&b=%C3%A9"}, b"a=1&b=%C3%A9", True),
        ({"text": "é"}, "é".encode(), True),
        ({"text": ""}, b"", True),
        ({"text": "a"}, b"a\n", False),
        ({"text": "a"}, b"\xff", False),
        ({}, b"anything", True),
    ],
)
async def test_a_body_is_compared_as_json_or_as_text(when: dict[str, Any], body: bytes, *, matches: bool) -> None:
    """JSON by what it says, text to the last character; without either any body will do."""
    hosts = mocks({"when": {"method": "POST", "url": URL} | when})
    if matches:
        assert 200 == (await ask(hosts, "POST", body=body)).status
    else:
        await refusal(hosts, method="POST", body=body)


async def test_headers_are_looked_for_among_those_of_the_call() -> None:
    """In whatever case; each with its whole value."""
    wanted = {"authorization": "Bearer a", "X-One": "1"}
    hosts = mocks({"when": {"method": "GET", "url": URL, "headers": wanted}})
    await refusal(hosts, headers=(("Authorization", "Bearer a"),))
    await refusal(hosts, headers=(("Authorization", "Bearer ab"), ("x-one", "1")))

    assert 200 == (await ask(hosts, headers=(("Authorization", "Bearer a"), ("x-one", "1"), ("Two", "2")))).status


@pytest.mark.parametrize(
    ("when", "difference"),
    [
        ({"json": {"a": 1}}, 'json: expected {"a":1}, sent {"a": 2}'),
        ({"text": "b"}, "text: expected 'b', sent '{\"a\": 2}'"),
        ({"headers": {"X-Key": "1"}}, "X-Key: expected '1', sent '2'"),
        ({"headers": {"X-Other": "1"}}, "X-Other: expected '1', sent None"),
    ],
)
async def test_a_mock_of_the_same_url_tells_what_differs(when: dict[str, Any], difference: str) -> None:
    """Otherwise the author sees the same line twice."""
    hosts = mocks({"when": {"method": "POST", "url": URL} | when})
    await refusal(hosts, method="POST", body=b'{"a": 2}', headers=(("x-key", "2"),))

    assert [f"POST {URL} matches no mock; the mocks left are: POST {URL} ({difference})"] == hosts.unmatched


@pytest.mark.parametrize("how", ["json", "text"])
async def test_what_is_told_of_a_call_is_bounded(how: str) -> None:
    """A hook may call with a megabyte."""
    hosts = mocks({"when": {"method": "POST", "url": URL + "*", how: "b" * 100_000}})
    said = (await refusal(hosts, method="POST", url=URL + "a" * 8000, body=b"a" * (1 << 20))).said

    assert len(said) < 600
    assert len(hosts.unmatched[0]) < 2_500


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("timeout", "read_timeout"),
        ("connect_timeout", "connect_timeout"),
        ("connection", "connection"),
        ("tls", "tls"),
    ],
)
async def test_a_mock_may_fail_instead(error: str, kind: str) -> None:
    """It is used up all the same, and the call was matched."""
    hosts = mocks(get(error=error))

    assert kind == (await refusal(hosts)).kind
    assert ([], []) == (hosts.unmatched, hosts.unused)


async def test_a_delay_is_waited_for() -> None:
    """By the clock of the loop, as far as a call may last."""
    loop = asyncio.get_running_loop()
    hosts = mocks(get(delay=0.05))
    begun = loop.time()
    await ask(hosts)

    assert 0.05 <= loop.time() - begun < 5


@pytest.mark.parametrize("bound", [{"read_s": 0.02}, {"left_s": 0.02}])
async def test_a_delay_over_the_bounds_of_a_call_is_a_timeout_when_they_end(bound: dict[str, float]) -> None:
    """Of reading, or of the whole call; nobody waits for the rest."""
    loop = asyncio.get_running_loop()
    hosts = mocks(get(delay=600))
    begun = loop.time()

    assert "read_timeout" == (await refusal(hosts, **bound)).kind
    assert loop.time() - begun < 5
    assert [] == hosts.unused


async def test_a_delay_is_the_time_to_the_first_byte() -> None:
    """So that the record of a case looks like any."""
    timings = Timings()
    end = asyncio.get_running_loop().time() + 10
    request = Request(
        method="GET",
        url=URL,
        target=TARGET,
        headers=(),
        body=b"",
        connect_s=10,
        read_s=10,
        end=end,
        response_bytes=100,
    )
    await mocks(get(delay=0.001)).fetch(request, timings)

    assert 1 == timings.first_byte_ms
    assert (None, None, None) == (timings.dns_ms, timings.connect_ms, timings.tls_ms)


async def test_a_response_over_the_bound_is_refused_as_it_is_from_a_server() -> None:
    """By the rule's name."""
    hosts = mocks(get(text="a" * 1000), get(text="a" * 1001))

    assert 1000 == len((await ask(hosts)).body)
    with pytest.raises(Refused) as caught:
        await ask(hosts)
    assert "response-size" == caught.value.rule


async def test_a_head_is_answered_without_a_body() -> None:
    """Its headers tell of the one that a GET would have."""
    response = await ask(mocks({"when": {"method": "HEAD", "url": URL}, "reply": {"text": "abc"}}), "HEAD")

    assert (b"", 0, "3") == (response.body, response.received_bytes, dict(response.headers)["Content-Length"])


@pytest.mark.parametrize(
    ("mock", "said"),
    [
        ({"when": {"method": "get", "url": URL}}, "Invalid enum value 'get' - at `$[0].when.method`"),
        ({"when": {"method": "GET"}}, "missing required field `url`"),
        ({"when": {"method": "GET", "url": "https://api.example.com"}}, "'https://api.example.com' is no URL as"),
        ({"when": {"method": "GET", "url": "/mail"}}, "'/mail' is no URL as"),
        ({"when": {"method": "GET", "url": URL + "#a"}}, "without a fragment"),
        ({"when": {"method": "GET", "url": "ftp://a/"}}, "'ftp://a/' is no URL as"),
        ({"when": {"method": "GET", "url": "*"}}, "'*' is no URL as"),
        (get("https://*.example.com/"), "a star stands at the end of a URL - at `$[0].when`"),
        (get("https://api.example.com/*/x"), "'https://api.example.com/*/x' never matches; a star stands at the end"),
        (get("https://api.example.com/**"), "a star stands at the end"),
        ({"when": {"method": "GET", "url": URL, "body": 1}}, "unknown field `body` - at `$[0].when`"),
        ({"when": {"method": "POST", "url": URL, "json": 1, "text": "1"}}, "json and text both say"),
        ({"when": {"method": "POST", "url": URL, "json": {1: object()}}}, "this is no JSON"),
        (get(statu=200), "unknown field `statu` - at `$[0].reply`"),
        (get(status=100), ">= 200 - at `$[0].reply.status`"),
        (get(status=600), "<= 599 - at `$[0].reply.status`"),
        (get(json=1, text="1"), "json and text each say"),
        (get(base64="%"), "'%' is not base64"),
        (get(error="slow"), "Invalid enum value 'slow' - at `$[0].reply.error`"),
        (get(error="timeout", status=200), "there is no response"),
        (get(error="timeout", json=None), "there is no response"),
        (get(error="timeout", headers={}), "there is no response"),
        (get(delay=-1), ">= 0"),
        (get(delay=601), "<= 600"),
        (get(headers={"A b": "1"}), "'A b': '1' is no header"),
        (get(headers={"A": "1\r\nB: 2"}), "is no header"),
        (get(headers={"A": "€"}), "is no header"),
        (get(headers={"A": 1}), "Expected `str | array`, got `int`"),
        (get(headers={"A": []}), "Expected `array` of length >= 1"),
        (get(headers={"A": ["1", 2]}), "Expected `str`, got `int`"),
        (get(headers={"A": ["1", "2\n"]}), "'A': '2\\n' is no header"),
        (get() | {"times": 0}, ">= 1"),
        (get() | {"time": 1}, "unknown field `time`"),
    ],
)
async def test_a_mock_that_cannot_be_used_says_what_is_wrong_and_where(mock: dict[str, Any], said: str) -> None:
    """The case file names the rest."""
    with pytest.raises(msgspec.ValidationError) as caught:
        mocks(mock)

    assert said in str(caught.value)
    assert "at `$[0]" in str(caught.value)


def kept(body: str = "", **fields: Any) -> Kept:
    return Kept(headers=(("Content-Type", "text/plain"),), body=body, reason="Fine", **fields)


async def test_an_execution_is_answered_again_as_it_was() -> None:
    """Status, reason, headers and body; texts and bytes; each once, those of one URL in their order."""
    replayed = Recorded.replaying(
        [
            Exchange(method="GET", url=URL, status=200, response=kept("é")),
            Exchange(method="POST", url=URL, status=500, response=kept("AAH/", base64=True)),
            Exchange(method="GET", url=URL, status=404, response=kept()),
        ]
    )
    first, third, second = [await ask(replayed, method) for method in ("GET", "GET", "POST")]

    assert (200, "Fine", (("Content-Type", "text/plain"),), "é".encode()) == (
        first.status,
        first.reason,
        first.headers,
        first.body,
    )
    assert (500, b"\x00\x01\xff", 404, b"") == (second.status, second.body, third.status, third.body)
    assert "connection" == (await refusal(replayed)).kind
    assert ([f"GET {URL} matches no mock; no mock is left"], []) == (replayed.unmatched, replayed.unused)


async def test_a_failure_is_replayed_as_the_same_failure() -> None:
    """By kind or by rule, with what the hook was told; a call that was given up has lost its connection."""
    replayed = Recorded.replaying(
        [
            Exchange(method="GET", url=URL, error="tls", message="the certificate is not valid"),
            Exchange(method="GET", url=URL, refused="private-address", message="its address is private"),
            Exchange(method="GET", url=URL, error="abandoned", message="the job ended before the answer came"),
            Exchange(method="GET", url=URL),
        ]
    )
    failed = await refusal(replayed)
    with pytest.raises(Refused) as refused:
        await ask(replayed)

    assert ("tls", "the certificate is not valid") == (failed.kind, failed.said)
    assert ("private-address", "its address is private") == (refused.value.rule, refused.value.said)
    assert ["connection", "connection"] == [(await refusal(replayed)).kind for _ in range(2)]


async def test_whatever_is_replayed_is_a_frame_that_the_worker_knows() -> None:
    """An error that is no kind of failure, as of a call that was given up, would be a broken frame to it."""
    given_up = Exchange(method="GET", url=URL, error="abandoned", message="the job ended before the answer came")
    broker = Broker(EgressPolicy(), lambda: Recorded.replaying([given_up]))
    answer = await broker.answer(wire.Http("GET", URL, (), b""), asyncio.get_running_loop().time() + 10)

    frame = wire.pack(answer)[wire.PREFIX_BYTES :]
    assert wire.Failed("connection", "", "the job ended before the answer came") == wire.parse(frame, wire.answers)


async def test_a_replay_looks_for_urls_as_the_record_masks_them() -> None:
    """A star in them is not any end."""
    mask: Callable[[str], str] = lambda url: url.replace("s3cret", "***")  # noqa: E731 - two names would be one too many
    kept_one = Exchange(method="GET", url="https://a.example/***", status=200, response=kept("a"))
    replayed = Recorded.replaying([kept_one], mask)
    await refusal(replayed, url="https://a.example/other")

    assert b"a" == (await ask(replayed, url="https://a.example/s3cret")).body


@pytest.mark.parametrize("response", [None, kept("a", truncated=True)], ids=["none", "a part"])
async def test_what_was_not_kept_whole_cannot_be_replayed(response: Kept | None) -> None:
    """The error names the exchange and what to set."""
    exchange = Exchange(method="GET", url=URL, status=200, response=response)
    with pytest.raises(BadInput, match=rf"exchange 2, GET {URL} cannot be replayed.*keep_bodies"):
        Recorded.replaying([Exchange(method="GET", url=URL, error="tls"), exchange])


async def test_what_a_broker_has_kept_is_answered_again_by_it() -> None:
    """The record of one job is enough for the next: answers, failures, refusals, masked URLs."""
    secret = "s3cret/key"
    policy = EgressPolicy(keep_bodies="all", calls=5)
    calls = [
        wire.Http("POST", f"{URL}?key=s3cret%2Fkey", (), b'{"to": "s3cret/key"}'),
        wire.Http("GET", URL, (), b""),
        wire.Http("GET", "http://127.0.0.1/", (), b""),
        wire.Http("GET", URL, (), b""),
        wire.Http("GET", URL, (), b""),
        wire.Http("GET", URL, (), b""),
    ]
    hosts = mocks(
        {"when": {"method": "POST", "url": URL + "*"}, "reply": {"status": 202, "json": {"id": 7}}},
        get(base64="AAH/"),
        get(error="tls"),
        get(text="a" * ((2 << 20) + 1)),
    )

    async def answers(transport: Recorded) -> tuple[list[wire.Answer], list[Exchange]]:
        broker = Broker(policy, lambda: transport, Mask([secret]))
        end = asyncio.get_running_loop().time() + 10
        return [await broker.answer(call, end) for call in calls], broker.exchanges

    first, exchanges = await answers(hosts)
    second, again = await answers(Recorded.replaying(exchanges, Mask([secret]).url))

    assert [202, 200, "private-address", "tls", "response-size", "call-count"] == [
        answer.status if isinstance(answer, wire.Answered) else answer.rule or answer.kind for answer in first
    ]
    assert first == second
    assert [(call.status, call.refused, call.error) for call in exchanges] == [
        (call.status, call.refused, call.error) for call in again
    ]
