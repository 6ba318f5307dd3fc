"""`hookcell logs -f`: what hooks print, as they run; over a connection that may break."""

from __future__ import annotations

import http.server
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import HOOKCELL, PATIENCE_S, Serving, environment

from engine import follow

POINT = "post-change-password"


@pytest.fixture
def followed(served: Serving, tenant: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`followed(*options)`: the command at work."""
    told = environment(HOOKCELL_SERVER=served.url, HOOKCELL_TOKEN=served.token(tenant), HOOKCELL_TENANT=tenant)
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [HOOKCELL, "logs", "-f", *options]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=told))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def triggered_until(served: Serving, tenant: str, process: subprocess.Popen[str]) -> str:
    """Calls the point until the follower has said something: when it has connected, nobody is told."""
    assert process.stdout is not None
    said: list[str] = []
    reading = threading.Thread(target=lambda: said.append(process.stdout.readline()))  # type: ignore[union-attr]
    reading.start()
    late = threading.Timer(PATIENCE_S, process.kill)
    late.start()
    while reading.is_alive():
        called = served.ask(
            "POST", f"/v1/tenants/{tenant}/triggers/{POINT}", json={"user": {}, "context": {"connection": {}}}
        )
        assert 202 == called.status_code
        reading.join(0.1)
    late.cancel()
    return said[0]


def test_lines_and_ends_come_as_they_happen_and_ctrl_c_ends_it(served: Serving, tenant: str, followed: Any) -> None:
    source = "def hook(user, context, cb):\n    console.warn('seen\\x1b[31m')\n    cb()\n"
    served.ask("PUT", f"/v1/tenants/{tenant}/hooks/watched/source?trigger_id={POINT}", content=source)
    process = followed()
    first = triggered_until(served, tenant, process).split()
    second = process.stdout.readline().split()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)

    kinds = {tuple(words[1:3]) for words in (first, second)}
    assert {("watched:2", "warn")} <= kinds
    assert r"seen\x1b[31m" in {words[-1] for words in (first, second)}
    assert (0, "") == (process.returncode, err)


def test_json_has_each_event_in_a_line(served: Serving, tenant: str, followed: Any) -> None:
    served.ask("PUT", f"/v1/tenants/{tenant}/hooks/watched/source?trigger_id={POINT}", content="cb()")
    process = followed("--json")
    told = json.loads(triggered_until(served, tenant, process))

    assert ("end", POINT, "success") == tuple(told[name] for name in ("event", "trigger_id", "status"))


@pytest.mark.parametrize("option", ["--query", "--type", "--since"])
def test_what_chooses_from_the_log_follows_nothing(ask: Any, option: str) -> None:
    ran = ask("logs", "-f", option, "1h")

    assert (2, True) == (ran.status, "are of the log" in ran.err)


class _Breaking(http.server.BaseHTTPRequestHandler):
    """Says an event and hangs up; is away; says another one; then knows the token no more."""

    protocol_version = "HTTP/1.1"
    asked: list[str | None] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Last-Event-ID"))
        number = len(self.asked)
        status = {2: 503, 4: 401}.get(number, 200)
        event = {"hook": "h", "trigger_id": POINT, "level": "info", "text": f"event {number}", "at": "now"}
        body = f"id: before-{number}\n\nevent: log\ndata: {json.dumps(event)}\nid: {number}\n\n" * (status == 200)
        self.send_response(status)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body.encode() or b'{"message": "not now"}')

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address; a client waits for it for a moment only."""
    monkeypatch.setattr(follow, "_FIRST_S", 0.01)
    monkeypatch.setattr(_Breaking, "asked", [])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Breaking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_connection_that_breaks_is_made_again_behind_the_last_event(command: Any, breaking: str) -> None:
    """Until the server refuses for good: then it says so, and ends."""
    ran = command("logs", "-f", "--server", breaking, "--tenant", "t", HOOKCELL_TOKEN="t")

    assert [None, "1", "1", "3"] == _Breaking.asked
    assert ["now  h  info   event 1", "now  h  info   event 3"] == ran.out.splitlines()
    assert (2, 4) == (ran.status, len(ran.err.splitlines()))
    assert ran.err.splitlines()[0].endswith("; connecting again")
    assert "(401)" in ran.err.splitlines()[-1]


def test_a_server_that_never_was_there_is_one_line(command: Any) -> None:
    ran = command("logs", "-f", "--server", "http://127.0.0.1:9", "--tenant", "t", HOOKCELL_TOKEN="t")

    assert "cannot be reached" in ran.fault
