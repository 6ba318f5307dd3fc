"""One request after the other on a connection: where each ends, what belongs to it, and which of them are answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from listening import ASKED, BODY, is_alive, rest, servers
from serving import PATIENCE_S, serving

from engine import connections

CHUNKED = b"POST /headers HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = ASKED + b"connection: close\r\n\r\n"
NO_HTTP = b"\0no request\r\n\r\n"


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def start(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with servers(monkeypatch, request.param) as begin:
        yield begin


def _statuses(answers: bytes) -> list[int]:
    return [int(each[:3]) for each in answers.split(b"HTTP/1.1 ")[1:]]


def _early(client: socket.socket) -> bytes:
    """The whole answer that does not wait for a body."""
    received = b""
    while not received.endswith(b"\r\n\r\n0"):
        received += client.recv(1_000)
    return received


def _until_idle(running: Any) -> None:
    while running.server._uvicorn.server_state.tasks:
        assert is_alive(running, "127.0.0.2")


def test_a_trailer_is_no_header(start: Any) -> None:
    """The app sees those that came before the body, however late it looks."""
    running = start()
    answer = running.ask(CHUNKED + b"1\r\na\r\n0\r\nauthorization: Bearer x\r\nx: y\r\n\r\n")

    assert answer.endswith(b"\r\n\r\n3")


def test_trailers_without_end_are_refused(start: Any) -> None:
    """However small each is."""
    running = start()
    with running.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(CHUNKED.replace(b"/headers", b"/") + b"0\r\n" + b"a:\r\n" * (1 << 18))

        assert [] == [status for status in _statuses(rest(client)) if status != 431]


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
def test_so_many_headers_are_taken_and_no_more(start: Any, more: int, status: int) -> None:
    sent = b"GET /headers HTTP/1.1\r\nconnection: close\r\n" + b"a: b\r\n" * (99 + more) + b"\r\n"

    assert [status] == _statuses(start().ask(sent))


@pytest.mark.parametrize("wish", [b"websocket", b"h2c", b"TLS/1.0, HTTP/1.1"])
@pytest.mark.parametrize(
    "framing", [b"content-length: %d\r\n\r\n%s", b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_body_is_no_request_whatever_protocol_is_wished_for(
    start: Any, wish: bytes, framing: bytes, pieces: int
) -> None:
    """The wish is not heard: the request is answered as it is, and so is the next."""
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nUpgrade: " + wish + b"\r\n"
    sent = head + framing % (len(LAST), LAST) + LAST
    with start().connect() as client:
        for at in range(0, len(sent), -(-len(sent) // pieces)):
            client.sendall(sent[at : at + -(-len(sent) // pieces)])
        answers = rest(client)

    assert [200, 200] == _statuses(answers)
    assert answers.split(b"HTTP/1.1 ")[1].endswith(b"\r\n\r\n%d" % len(LAST))


def test_requests_without_a_body_may_wish_for_a_protocol_too(start: Any) -> None:
    wished = ASKED + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n"

    assert [200, 200, 200] == _statuses(start().ask(wished + wished + LAST))


def test_it_is_no_proxy(start: Any) -> None:
    assert [400] == _statuses(start().ask(b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n" + LAST))


def test_curl_that_offers_http_2_sends_a_body(start: Any) -> None:
    """`--http2` without TLS is the wish that an honest client makes."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here; the raw requests beside this one say the same")
    url = f"http://127.0.0.1:{start().port}/"
    said = subprocess.run([curl, "-s", "--http2", "-d", "0123456789", url], capture_output=True, check=True)

    assert b"10" == said.stdout


@pytest.mark.parametrize(
    "garbage", [NO_HTTP, BODY.replace(b"content-length: 10", b"transfer-encoding: chunked") + b"x"]
)
def test_whole_requests_are_answered_before_the_refusal_of_what_follows(start: Any, garbage: bytes) -> None:
    """In order: nobody takes the refusal for the answer to something that was done."""
    running = start()

    assert [200, 400] == _statuses(running.ask(ASKED + b"\r\n" + garbage + LAST))
    assert [200, 200, 200, 400] == _statuses(running.ask((ASKED + b"\r\n") * 3 + garbage + LAST))


def test_a_body_that_is_none_is_refused_once(start: Any) -> None:
    """Also when the answer did not wait for it."""
    running = start()
    chunked = b"POST %s HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    with running.connect() as client:
        client.sendall(chunked % b"/early")
        early = _early(client)
        client.sendall(b"x" + LAST)

        assert [200] == _statuses(early + rest(client))
    assert [400] == _statuses(running.ask(chunked % b"/" + b"x" + LAST))


def test_too_many_requests_sent_ahead_are_left_for_another_connection(start: Any) -> None:
    """The last answer says that it closes, as HTTP has it; none is refused."""
    answers = start().ask((ASKED + b"\r\n") * 40).split(b"HTTP/1.1 ")[1:]

    assert [b"200"] * 17 == [each[:3] for each in answers]
    assert [16] == [place for place, each in enumerate(answers) if b"connection: close" in each]


@pytest.mark.parametrize("ending", [b"", NO_HTTP])
def test_clients_that_go_leave_no_answer_that_waits_and_no_line_in_the_log(
    start: Any, ending: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Several requests ahead, of which the first waits until it is told."""
    running = start()
    never = BODY.replace(b"POST /", b"POST /never") + b"0123456789"
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            with running.connect() as client:
                client.sendall(never * 3 + ending)
        _until_idle(running)

    assert [] == [each for each in caplog.records if each.name.startswith(("uvicorn", "asyncio"))]


def test_garbage_after_requests_leaves_a_server_quiet(tmp_path: Path, capfd: Any) -> None:
    """`hookcell serve` as it is, whose answers are made by tasks within tasks."""
    asked = ASKED.replace(b"GET /", b"GET /openapi.json") + b"\r\n"
    with serving(tmp_path / "data") as server:
        for ending in (NO_HTTP, b""):
            for _ in range(20):
                with _client(server.url) as client:
                    client.sendall(asked * 2 + ending)
                    if ending:
                        assert [200, 200, 400] == _statuses(rest(client))
        assert 200 == server.ask("GET", "/readyz").status_code
        assert 0 == server.stop()

    assert "" == capfd.readouterr().err


def _client(url: str) -> Any:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), PATIENCE_S)


def test_the_time_for_headers_begins_with_their_request(start: Any) -> None:
    """Not with the request before, whose body came long after its answer."""
    running = start()
    with running.connect() as client:
        client.sendall(BODY.replace(b"POST /", b"POST /early"))
        assert [200] == _statuses(_early(client))
        running.later(50)
        client.sendall(b"0123456789" + LAST[:9])
        _until_begun(running)
        running.later(9)
        client.sendall(LAST[9:])

        assert [200] == _statuses(rest(client))


@pytest.mark.parametrize("idle", [5, 9])
def test_the_time_before_a_request_is_not_its_headers(start: Any, idle: float) -> None:
    """A client that was silent for as long as it may be has all of it; and no more."""
    running = start()
    with running.connect() as client, running.connect() as slow:
        running.later(idle)
        client.sendall(LAST[:9])
        slow.sendall(LAST[:9])
        _until_begun(running, 2)
        running.later(9)
        client.sendall(LAST[9:])

        assert [200] == _statuses(rest(client))
        running.later(2)
        assert [408] == _statuses(rest(slow))


def test_an_answer_gives_its_body_no_more_time(start: Any) -> None:
    """Nor is a second answer written to it."""
    running = start()
    with running.connect() as client:
        client.sendall(BODY.replace(b"POST /", b"POST /early"))
        assert [200] == _statuses(_early(client))
        running.later(connections.BODY_S + 1)

        assert b"" == rest(client)


def _until_begun(running: Any, number: int = 1) -> None:
    """So many requests have begun, of which the headers are not complete."""
    there = running.server._uvicorn.server_state.connections
    while number > sum(each._begun and each._in_headers for each in list(there)):
        assert is_alive(running, "127.0.0.2")


def test_the_head_of_an_answer_does_not_wait_for_its_body(start: Any) -> None:
    """An answer without end begins at once."""
    running, received = start(), b""
    with running.connect() as client:
        client.sendall(b"GET /head HTTP/1.1\r\nhost: x\r\n\r\n")
        while not received.endswith(b"\r\n\r\n"):
            received += client.recv(1_000)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 1\r\n" in received


def test_the_answer_to_head_comes_before_what_is_said_of_the_next_request(start: Any) -> None:
    answers = start().ask(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n" + NO_HTTP)

    assert [200, 400] == _statuses(answers)
