"""A server that is asked too often for a moment: the command waits as long as it says, and asks again."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pty
import subprocess
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from serving import HOOKCELL, PATIENCE_S, Serving, environment

from engine import follow
from engine.cli import connection

POINT = "post-change-password"
TOO_OFTEN = "Global limit has been reached"
VERSIONS = ("hooks", "a hook", "--versions", "--json")


@dataclass(frozen=True, slots=True)
class Said:
    """One answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def refusal(after: str | None = "1", code: str = "too_many_requests", message: str = TOO_OFTEN) -> Said:
    """As the API's, unless told otherwise."""
    body = {"statusCode": 429, "error": "Too Many Requests", "message": message, "errorCode": code}
    return Said(429, body, {} if after is None else {"Retry-After": after})


NONE = Said(200, {"versions": []})


class Busy:
    """A server that says what it was given to say, one after the other."""

    def __init__(self, *answers: Said) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        answering, asked = iter(answers), self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                asked.append((self.command, self.path.removeprefix("/v1/tenants/t/"), self.rfile.read(length)))
                said = next(answering)
                body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
                self.send_response(said.status)
                for name, value in {"Content-Length": str(len(body)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.told = {
            "HOOKCELL_SERVER": f"http://127.0.0.1:{self._server.server_address[1]}",
            "HOOKCELL_TOKEN": "t",
            "HOOKCELL_TENANT": "t",
        }
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def busy() -> Iterator[Callable[..., Busy]]:
    """`busy(*answers)`: a server."""
    with contextlib.ExitStack() as stack:

        def start(*answers: Said) -> Busy:
            server = Busy(*answers)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seconds of each wait of a command in this process, which go by at once."""
    seconds: list[int] = []
    monkeypatch.setattr(connection, "time", types.SimpleNamespace(sleep=seconds.append))
    return seconds


def test_a_refusal_is_waited_out(command: Any, busy: Any, waited: list[int]) -> None:
    """As long as the server says. A script is told nothing of it."""
    server = busy(refusal("1"), refusal("2"), NONE)
    ran = command(*VERSIONS, **server.told)

    assert (0, "[]\n", "") == (ran.status, ran.out, ran.err)
    assert [1, 2] == waited
    assert [("GET", "hooks/a%20hook/versions", b"")] * 3 == server.asked


def test_the_sixth_refusal_of_a_request_is_told(command: Any, busy: Any, waited: list[int]) -> None:
    server = busy(*[refusal()] * 6, NONE)

    assert f"hookcell: {TOO_OFTEN} (429)" == command(*VERSIONS, **server.told).fault
    assert ([1] * 5, 6) == (waited, len(server.asked))


def test_each_request_is_waited_for_anew(command: Any, busy: Any, waited: list[int]) -> None:
    """A command of three requests, each refused five times, and each answered."""
    row = {"id": "01KACT8J9R0Q2T7Y4W5E6D8F1G", "name": "t", "settings": {}, "revision": 1, "created_at": "now"}
    pages = [Said(200, {"tenants": [row] * number}) for number in (2, 1, 0)]
    server = busy(*(said for page in pages for said in (*[refusal()] * 5, page)))
    ran = command("tenant", "list", "--json", **server.told)

    assert 3 == len(json.loads(ran.out))
    assert [1] * 15 == waited


def test_a_call_is_sent_again_as_it_was(command: Any, busy: Any, write: Any, waited: list[int]) -> None:
    """What was refused for that was not run."""
    server = busy(refusal(), Said(202, {"execution_id": "x", "status": "queued"}))
    ran = command("trigger", POINT, "--arguments", write("call.json", '{"user": 1}'), **server.told)

    assert (0, "queued: x\n") == (ran.status, ran.out)
    assert [("POST", f"triggers/{POINT}", b'{"user": 1}')] * 2 == server.asked
    assert [1] == waited


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(refusal("3"), id="three seconds"),
        pytest.param(refusal("60"), id="a minute"),
        pytest.param(refusal("0"), id="none"),
        pytest.param(refusal("-1"), id="less than none"),
        pytest.param(refusal("1.5"), id="no whole number"),
        pytest.param(refusal("1, 2"), id="two of them"),
        pytest.param(refusal("²"), id="no digit of ours"),
        pytest.param(refusal("Wed, 21 Oct 2026 07:28:00 GMT"), id="a date"),
        pytest.param(refusal(""), id="empty"),
        pytest.param(refusal(None), id="missing"),
        pytest.param(refusal(code="jobs_at_once"), id="jobs_at_once"),
        pytest.param(refusal(code="calls_per_minute"), id="calls_per_minute"),
        pytest.param(refusal(code="queued_jobs"), id="queued_jobs"),
        pytest.param(refusal(code="too_many_followers"), id="too_many_followers"),
        pytest.param(
            refusal(message="Too many failed authentications from this address; try again later"), id="bad tokens"
        ),
        pytest.param(Said(503, refusal().body, {"Retry-After": "1"}), id="another status"),
        pytest.param(Said(429, b"<p>slow down</p>", {"Retry-After": "1"}), id="no server of ours"),
    ],
)
def test_any_other_refusal_is_told_at_once(command: Any, busy: Any, waited: list[int], said: Said) -> None:
    server = busy(said, NONE)

    assert f"({said.status})" in command(*VERSIONS, **server.told).fault
    assert ([], 1) == (waited, len(server.asked))


def test_a_person_is_told_and_standard_output_is_not(busy: Any) -> None:
    """Standard error is a terminal here, and JSON goes to a pipe. The second is a real one."""
    server = busy(refusal("1"), NONE)
    ours, its = pty.openpty()
    told = environment(**server.told)
    with subprocess.Popen([HOOKCELL, *VERSIONS], stdout=subprocess.PIPE, stderr=its, env=told) as process:
        os.close(its)
        out, _ = process.communicate(timeout=PATIENCE_S)
    said = os.read(ours, 1 << 16).decode().replace("\x1b[0m", "")
    os.close(ours)

    assert (0, b"[]\n") == (process.returncode, out)
    assert ["hookcell: too many requests for the server; the next one in 1 s"] == said.splitlines()


def test_what_follows_waits_too(command: Any, busy: Any, waited: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has begun, where another refusal ends it; and between two connections."""
    monkeypatch.setattr(follow, "_FIRST_S", 0.01)
    line = {"hook": "h", "trigger_id": POINT, "level": "info", "text": "said", "at": "now"}
    stream = Said(200, f"event: log\ndata: {json.dumps(line)}\nid: 1\n\n".encode())
    server = busy(refusal("1"), stream, refusal("2"), Said(401, {"message": "Invalid token"}))
    ran = command("logs", "-f", "--json", **server.told)

    assert [{"event": "log"} | line] == [json.loads(each) for each in ran.out.splitlines()]
    assert ["hookcell: the server has ended the connection; connecting again", "hookcell: Invalid token (401)"] == (
        ran.err.splitlines()
    )
    assert ([1, 2], 4) == (waited, len(server.asked))


def test_a_listing_of_more_pages_than_a_second_allows_passes(ask: Any, served: Serving, tenant: str) -> None:
    """Of a tenant that may ask once a second; its server tells of refusals in the tenant's log."""
    place = f"/v1/tenants/{tenant}"
    names = [f"hook {number}" for number in range(201)]
    hooks = [{"name": name, "trigger_id": POINT, "script": "cb()", "enabled": False} for name in names]
    for changed in (
        served.ask("PATCH", place, json={"settings": {"api_per_second": 1, "most_hooks": 201}}),
        served.ask("PUT", f"{place}/deployment", json={"hooks": hooks, "delete_others": False}),
    ):
        assert 200 == changed.status_code, changed.text
    ran = ask("hooks", "--json")

    assert (0, "") == (ran.status, ran.err)
    assert names == [each["name"] for each in json.loads(ran.out)]
    assert 1 == len(served.ask("GET", f"{place}/logs", params={"q": "type:api_limit"}).json())
