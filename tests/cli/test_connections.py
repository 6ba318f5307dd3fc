"""Connections without a token: bounded in number, in bytes and in time, over TLS as well, and the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from listening import ASKED, BODY, is_alive, rest, servers
from serving import PATIENCE_S, Serving, serving

from engine import connections


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def start(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with servers(monkeypatch, request.param) as begin:
        yield begin


@pytest.mark.parametrize(
    "sent",
    [
        ASKED + b"x-a: " + b"a" * (1 << 20) + b"\r\n\r\n",
        ASKED + b"".join(b"x%d: b\r\n" % number for number in range(20_000)) + b"\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"a:\r\n" * (1 << 18),
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: " + b"a" * (1 << 20),
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"a" * (1 << 20),
        b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
        BODY + b"0123456789" + ASKED + b"x-a: " + b"a" * (1 << 20),
    ],
    ids=["one", "many", "trailers", "trailer", "extension", "path", "second"],
)
def test_headers_over_the_bound_are_refused_and_not_read(start: Any, sent: bytes) -> None:
    """However they are made up, in one piece or in many; the connection is closed."""
    running = start()
    with running.connect() as client:
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(sent), 10_000):
                client.sendall(sent[at : at + 10_000])

        assert rest(client).count(b"HTTP/1.1 200 ") <= sent.count(b"POST ")  # the request before it may be answered
    assert is_alive(running)


def test_the_refusal_of_headers_says_why(start: Any) -> None:
    """As JSON, as every error of the API; just below the bound they are taken."""
    running = start()
    line = ASKED + b"connection: close\r\nx-a: "
    below, above = (
        running.ask(line + b"a" * (connections.HEADERS_BYTES - len(line) - 4 + more) + b"\r\n\r\n") for more in (0, 1)
    )

    assert below.startswith(b"HTTP/1.1 200 ")
    assert above.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    told = json.loads(above.partition(b"\r\n\r\n")[2])
    assert (431, "headers_too_large") == (told["statusCode"], told["errorCode"])


def test_what_is_no_http_is_refused_as_json(start: Any) -> None:
    answer = start().ask(b"\x16\x03\x01 no request\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "invalid_request" == json.loads(answer.partition(b"\r\n\r\n")[2])["errorCode"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", b""),
        (b"GET /he", b"HTTP/1.1 408 "),
        (BODY + b"01234", b"HTTP/1.1 408 "),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n", b"HTTP/1.1 408 "),
    ],
    ids=["silent", "headers", "body", "chunked"],
)
def test_what_does_not_arrive_in_time_is_given_up(start: Any, sent: bytes, told: bytes) -> None:
    """Silence, half of the headers, half of a body."""
    running = start(HEADERS_S=0.2, BODY_S=0.2)

    assert told == running.ask(sent)[:13]


def test_progress_is_no_reason_to_wait_for_ever(start: Any) -> None:
    """A byte now and then: the deadline is of all the headers, and of all the body."""
    running = start(HEADERS_S=0.2, BODY_S=0.2)
    for beginning in (ASKED + b"x: ", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n"):
        with running.connect() as client:
            client.sendall(beginning)
            client.settimeout(0.01)

            assert not _drips(client)


def _drips(client: socket.socket) -> bool:
    """Whether so slow a client is still heard after this machine's patience."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            client.sendall(b"a")
            if not client.recv(1_000):
                return False
        except TimeoutError:
            continue
        except ConnectionError:
            return False
    return True


def test_an_answer_that_nobody_reads_is_given_up(start: Any) -> None:
    """64 MB, of which the client takes nothing: what is not in the kernel's buffers yet never comes."""
    running = start(SENDING_S=0.2)
    with running.connect() as client:
        client.sendall(b"GET /64000000 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(12, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        assert is_alive(running, "127.0.0.2")
        while running.server._uvicorn.server_state.connections:  # until it has let go of both
            assert is_alive(running, "127.0.0.2")

        assert 64_000_000 > len(rest(client))


def test_requests_sent_ahead_are_answered_in_order_and_are_not_too_many(start: Any) -> None:
    running = start()
    few = running.ask((ASKED + b"\r\n") * 10 + ASKED + b"connection: close\r\n\r\n")
    many = running.ask((ASKED + b"\r\n") * 5_000)

    assert 11 == few.count(b"HTTP/1.1 200 ")
    assert 100 > many.count(b"HTTP/1.1 200 ")
    assert is_alive(running)


def test_one_address_has_so_many_connections_and_others_are_let_in(start: Any) -> None:
    """One more is closed at once; when one has gone, another may come."""
    running = start(PER_ADDRESS=5)
    held = [running.connect() for _ in range(5)]
    assert b"" == running.ask(ASKED)
    assert is_alive(running, "127.0.0.2")
    held[0].close()
    while not is_alive(running):
        pass
    for each in held:
        each.close()


def test_there_are_so_many_connections_in_all(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.server.most_connections", lambda _: 5)
    running = start()
    held = [running.connect(f"127.0.0.{number}") for number in range(2, 7)]

    assert b"" == running.ask(ASKED)
    for each in held:
        each.close()
    while not is_alive(running):
        pass


def test_tls_that_is_not_agreed_on_counts_and_ends(start: Any, tmp_path: Path) -> None:
    """Silence before the handshake takes a place like any other, and not for long."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    running = start(tls_cert=str(tmp_path / "both.pem"), HEADERS_S=0.3, PER_ADDRESS=5)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    held = [running.connect() for _ in range(5)]
    assert b"" == running.ask(ASKED)
    assert [b""] * 5 == [rest(each) for each in held]
    for each in held:
        each.close()
    assert b"" == running.ask(ASKED)
    with context.wrap_socket(running.connect(), server_hostname="127.0.0.1") as client:
        client.sendall(ASKED + b"connection: close\r\n\r\n")

        assert client.recv(12) == b"HTTP/1.1 200"


def test_when_no_descriptor_is_left_it_waits_and_goes_on(start: Any) -> None:
    """Whoever has taken them: no error, no busy loop, and a place again as soon as there is one."""
    running = start(_PAUSE_S=0.05)
    client = socket.socket()
    client.settimeout(PATIENCE_S)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
    try:
        client.connect(("127.0.0.1", running.port))
        client.sendall(ASKED + b"connection: close\r\n\r\n")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    client.settimeout(PATIENCE_S)

    assert rest(client).startswith(b"HTTP/1.1 200")
    client.close()


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1", True),
    ],
)
def test_what_counts_as_one_address(left: str, right: str, same: bool) -> None:  # noqa: FBT001 - a case of the table
    assert same == (connections._client_of(left) == connections._client_of(right))


@pytest.mark.parametrize(
    ("soft", "hard", "most"), [(1_024, 1_024, 640), (200, 200, 50), (1_024, 3_000, 2_616), (256, 100_000, 4_096)]
)
def test_the_bound_in_all_leaves_descriptors_for_the_rest(
    soft: int, hard: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many are asked for as the system gives."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))

    assert most == connections.most_connections(32)
    assert asked == ([(min(hard, 65_536), hard)] if soft < hard else [])


def test_a_flood_of_silence_leaves_a_server_quiet_and_others_served(tmp_path: Path, capfd: Any) -> None:
    """`hookcell serve` as it is: 400 connections of one address, half of a body, garbage; a third party is served."""
    with serving(tmp_path / "data") as server, contextlib.ExitStack() as stack:
        held = [_connected(server, "127.0.0.1", stack) for _ in range(400)]
        held[0].sendall(b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        held[1].sendall(b"\x16\x03garbage\r\n\r\n")
        assert held[1].recv(12) == b"HTTP/1.1 400"
        other = _connected(server, "127.0.0.7", stack)
        other.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert rest(other).startswith(b"HTTP/1.1 200")
        assert b"" == rest(held[-1])
        held[0].close()
        files = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        assert 0 == server.stop()

    assert connections.PER_ADDRESS <= files < connections.PER_ADDRESS + 100
    assert "" == capfd.readouterr().err


def _connected(server: Serving, host: str, stack: contextlib.ExitStack) -> socket.socket:
    port = int(server.url.rpartition(":")[2])
    client = socket.create_connection(("127.0.0.1", port), PATIENCE_S, source_address=(host, 0))
    return stack.enter_context(client)
