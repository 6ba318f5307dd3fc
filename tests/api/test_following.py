"""GET …/log-events: server-sent events of what hooks print and how invocations end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from engine import live
from engine.api import events
from engine.api.route import Caller
from engine.outcome import LogEvent
from tenants import register
from tenants.records import Token

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
TELLING = "def hook(client, scope, audience, context, cb):\n    print('hello')\n    console.warn('beware')\n    cb()\n"


class Stream:
    """What a client hears: events as (kind, data, id)."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id = ""
        self.lines = answer.iter_lines()

    def __iter__(self) -> Iterator[tuple[str, Any, str]]:
        kind, data = "", ""
        for line in self.lines:
            name, _, value = line.partition(": ")
            self.last_id = value if name == "id" else self.last_id
            kind = value if name == "event" else kind
            data = value if name == "data" else data
            if not line and data:
                yield kind, json.loads(data), self.last_id
                kind, data = "", ""

    def begun(self) -> None:
        """Until the first id is here: from then on everything is told."""
        while not next(self.lines).startswith("id: "):
            pass


@contextlib.contextmanager
def following(server: Any, tenant: Any, token: str | None = None, **headers: str) -> Iterator[Stream]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {"Authorization": f"Bearer {token or tenant.token}", "Accept": "text/event-stream"}
    with (
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
        client.stream("GET", f"/v1/tenants/{tenant.name}/log-events", headers=sent) as answer,
    ):
        stream = Stream(answer)
        if answer.status_code == 200:
            stream.begun()
        yield stream


def heard(stream: Stream, ends: int = 1) -> list[tuple[str, Any, str]]:
    """What is told until so many invocations have ended."""
    found = []
    for told in stream:
        found.append(told)
        ends -= told[0] == "end"
        if not ends:
            break
    return found


def test_lines_are_told_as_they_come_and_then_the_end(server: Any, acme: Any) -> None:
    acme.hook("telling", TELLING, EXCHANGE)
    with following(server, acme) as stream:
        execution_id = acme.trigger(EXCHANGE).json()["execution_id"]
        told = heard(stream)
    lines = [data for kind, data, _ in told if kind == "log"]

    assert "text/event-stream; charset=utf-8" == stream.answer.headers["content-type"]
    assert [("info", "hello", 2), ("warn", "beware", 3)] == [(d["level"], d["text"], d["line"]) for d in lines]
    for _, data, _ in told:
        assert (execution_id, EXCHANGE) == (data["execution_id"], data["trigger_id"])
    assert {"telling"} == {data["hook"] for data in lines}
    assert ("end", "success") == (told[-1][0], told[-1][1]["status"])


def test_a_line_is_told_before_its_hook_has_ended(server: Any, acme: Any) -> None:
    acme.hook("slow", TELLING.replace("    cb()", "    while True:\n        pass"), EXCHANGE)
    calling = threading.Thread(target=acme.trigger, args=(EXCHANGE,))
    with following(server, acme) as stream:
        calling.start()
        kind, data, _ = next(iter(stream))
        assert calling.is_alive()
        assert ("log", "hello") == (kind, data["text"])
        calling.join()


def test_a_queued_invocation_is_told_too(server: Any, acme: Any) -> None:
    acme.hook("failing", "def hook(user, context, cb):\n    print('hello')\n    cb('no')\n", CHANGED)
    with following(server, acme) as stream:
        execution_id = acme.trigger(CHANGED).json()["execution_id"]
        told = heard(stream)

    assert ["log", "end"] == [kind for kind, _, _ in told]
    assert (execution_id, "error", "failing") == tuple(told[-1][1][name] for name in ("execution_id", "status", "hook"))
    assert "no" in told[-1][1]["message"]


def test_who_comes_again_hears_what_was_missed(server: Any, acme: Any) -> None:
    acme.hook("telling", TELLING, EXCHANGE)
    with following(server, acme) as stream:
        acme.trigger(EXCHANGE)
        first = heard(stream)
    missed = acme.trigger(EXCHANGE).json()["execution_id"]
    with following(server, acme, Last_Event_ID=first[-1][2]) as again:
        told = heard(again)

    assert 3 == len(told)
    assert {missed} == {data["execution_id"] for _, data, _ in told}


def test_a_secret_is_never_told(server: Any, acme: Any) -> None:
    telling = TELLING.replace("'hello'", "'key', context.webtask.secrets.KEY")
    acme.hook("telling", telling, EXCHANGE)
    acme.ask("PUT", "hooks/telling/secrets/KEY", json={"value": "correct horse"})
    with following(server, acme) as stream:
        acme.trigger(EXCHANGE)
        told = heard(stream)

    assert told[0][1]["text"].startswith("key ")
    assert "correct horse" not in json.dumps(told)


def test_a_tenant_hears_nothing_of_another(server: Any, acme: Any) -> None:
    other = server.tenant()
    for tenant in (acme, other):
        tenant.hook("telling", TELLING, EXCHANGE)
    with following(server, acme) as stream:
        other.trigger(EXCHANGE)
        mine = acme.trigger(EXCHANGE).json()["execution_id"]
        told = heard(stream)

    assert {mine} == {data["execution_id"] for _, data, _ in told}


@pytest.mark.parametrize("scope", ["read:hooks", "run:triggers"])
def test_it_needs_its_scope(server: Any, acme: Any, scope: str) -> None:
    with following(server, acme, server.token(acme.name, [scope])) as stream:
        assert 403 == stream.answer.status_code


def test_anothers_tenant_is_not_there(server: Any, acme: Any) -> None:
    with following(server, server.tenant(), acme.token) as stream:
        assert 404 == stream.answer.status_code


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats that a test can wait for."""
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.05)


@pytest.mark.usefixtures("quick")
def test_a_quiet_stream_has_a_heartbeat(server: Any, acme: Any) -> None:
    acme.hook("telling", TELLING, EXCHANGE)
    with following(server, acme) as stream:
        beats = itertools.islice((line for line in stream.lines if line), 3)
        assert [":", ":", ":"] == [line.strip() for line in beats]
        acme.trigger(EXCHANGE)
        assert "end" == heard(stream)[-1][0]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("way", ["revoke", "remove the tenant"])
def test_a_token_that_has_ended_hears_nothing_more(server: Any, way: str) -> None:
    tenant = server.tenant()
    made = server.ask("POST", f"/v1/tenants/{tenant.name}/tokens", json={"name": "t", "scopes": ["read:logs"]}).json()
    with following(server, tenant, made["token"]) as stream:
        above = f"/v1/tenants/{tenant.name}"
        server.ask("DELETE", f"{above}/tokens/{made['id']}" if way == "revoke" else above)

        assert ["closed"] == [kind for kind, _, _ in stream]


def test_a_reader_for_whom_something_always_waits_is_asked_for_its_token_too(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.0)
    tenant, services = server.tenant(), server.services
    logged = LogEvent(level="info", text="hello", line=1, at="2026-11-18T07:30:00.000Z")

    async def heard_by(token: str) -> list[bytes]:
        request = Request({"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())]})
        found = await services.read_all(register.named, tenant.name)
        none = Token(id="1", tenant_id=found.id, name="t", scopes=frozenset(), created_ms=1, expires_ms=None)
        caller = Caller(token=none, tenant=found, address="", user_agent="", method="GET", path="")
        follower = services.live.follow(found.id)
        for _ in range(3):
            services.live.publish(found.id, live.line(execution_id="1", trigger_id=CHANGED, hook="it", logged=logged))
        return [piece async for piece in events._events(services, request, caller, follower)]

    told = asyncio.run_coroutine_threadsafe(heard_by("one that is no longer"), server._loop).result(60)

    assert [b"retry", b"event: closed"] == [told[0][:5], *(piece.splitlines()[0] for piece in told[1:])]


def test_a_reader_that_does_not_read_slows_no_hook(server: Any, acme: Any) -> None:
    """And hears, when it reads again, that it was let go."""
    acme.hook(
        "chatty", TELLING.replace("    cb()", "    for _ in range(300):\n        print('x' * 200)\n    cb()"), EXCHANGE
    )
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 60) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        head = (
            f"GET /v1/tenants/{acme.name}/log-events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {acme.token}\r\n\r\n"
        )
        client.sendall(head.encode())
        received = b""
        while b"id: " not in received:
            received += client.recv(4096)
        ring = server.services.live._rings[server.ask("GET", f"/v1/tenants/{acme.name}").json()["id"]]
        statuses = set()
        while ring.followers:  # the kernel keeps megabytes for a slow reader
            statuses.add(acme.trigger(EXCHANGE).json()["status"])
        while b"event: dropped" not in received[-2_000:] and (chunk := client.recv(1 << 16)):
            received += chunk

    assert {"success"} == statuses
    assert b"event: dropped" in received[-2_000:]


def test_a_server_that_stops_ends_the_streams(new_server: Callable[..., Any]) -> None:
    server = new_server()
    tenant = server.tenant()
    with following(server, tenant) as stream:
        server._loop.call_soon_threadsafe(server._stop.set)

        assert [] == list(stream)
