"""A server, or a tenant of it, whose texts are commands to a terminal: nobody who looks at them obeys."""

from __future__ import annotations

import ast
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import HOOKCELL, environment

import engine.cli
from engine.cli.terminal import give_json, plain_line

EVIL = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202eabc\rover\nforged"
HOOK: dict[str, Any] = {
    "id": EVIL,
    "name": EVIL,
    "trigger_id": EVIL,
    "enabled": True,
    "order": 0,
    "mode": None,
    "retry": {"attempts": 1, "on": [], "first_ms": 1, "most_ms": 1},
    "version": 1,
    "source_sha256": EVIL,
    "dependencies": {},
    "secrets": [EVIL],
    "created_at": EVIL,
    "updated_at": EVIL,
    "source": EVIL,
}
TOKEN = {"id": EVIL, "name": EVIL, "scopes": [EVIL], "created_at": EVIL, "expires_at": EVIL, "token": EVIL}
TENANT = {"id": EVIL, "name": EVIL, "settings": {EVIL: EVIL, "mode": EVIL}, "revision": 1, "created_at": EVIL}
VERSION = {"number": 2, "live": True, "created_at": EVIL, "created_by": EVIL, "dependencies": {}, "source_sha256": EVIL}
CHANGE = {"action": "update", "name": EVIL, "trigger_id": EVIL, "fields": [EVIL], "diff": f"+{EVIL}\n"}
OUTCOME = {
    "status": "raised",
    "message": EVIL,
    "line": 1,
    "source": EVIL,
    "logs": [{"level": "info", "text": EVIL, "line": 1, "at": EVIL}],
    "egress": [{"method": EVIL, "url": EVIL, "error": EVIL}],
    "causes": [{"message": EVIL, "steps": []}, {"message": EVIL, "steps": [{"line": 1, "function": EVIL}]}],
}
EXECUTION: dict[str, Any] = {
    "id": EVIL,
    "trigger_id": EVIL,
    "blocking": False,
    "status": "error",
    "attempt": 1,
    "hooks": [EVIL],
    "idempotency_key": EVIL,
    "created_at": EVIL,
    "started_at": EVIL,
    "ended_at": EVIL,
    "run_at": EVIL,
    "arguments": {EVIL: EVIL},
    "outcome": {
        "status": "error",
        "message": EVIL,
        "error": EVIL,
        "hooks": [{"hook_id": EVIL, "name": EVIL, "version": 1, "lease_ms": 1, "outcome": OUTCOME}],
        "timings": {EVIL: 1.0},
    },
}
ANSWERS: dict[str, Any] = {  # by the end of the path
    "export": {"hooks": [HOOK]},
    "hooks": {"hooks": [HOOK]},
    "hooks/h": HOOK,
    "source": EVIL,
    "versions": {"versions": [VERSION, VERSION | {"number": 1, "live": False}]},
    "versions/1": VERSION | {"source": EVIL},
    "versions/1/deploy": HOOK,
    "tokens": {"tokens": [TOKEN]},
    "tenants": {"tenants": [TENANT]},
    "tenants/t": TENANT,
    "rotation": {"master_key_id": EVIL, "data_keys": 1, "unreadable": [EVIL], "complete": False},
    "logs": [dict.fromkeys(("date", "type", "description", "client_name", "ip"), EVIL)],
    "points": {"points": [{"id": "post-change-password", "sample": {}}]},
    "log-events": None,  # see FOLLOWED
    "triggers/p": {"execution_id": EVIL, "status": "error", "data": {"name": EVIL, EVIL: EVIL}, "fail": EVIL},
    "triggers/q": {"execution_id": EVIL, "status": "queued"},
    "executions": {"executions": [EXECUTION], "next": EVIL},
    "executions/e": EXECUTION,
    "executions/e/redrive": EXECUTION,
    "deployment": {"applied": False, "revision": 1, "changes": [CHANGE], "live": [EVIL]},
}
LINE = {"hook": EVIL, "trigger_id": EVIL, "level": EVIL, "text": EVIL, "line": EVIL, "at": EVIL}
FOLLOWED = "".join(
    f"event: {kind}\ndata: {json.dumps(told)}\nid: 1\n\n"
    for kind, told in (
        ("log", LINE),
        ("end", LINE | {"status": EVIL, "execution_id": EVIL}),
        ("missed", {"message": EVIL}),
    )
)
COMMANDS = {
    "hooks": ("hooks",),
    "hooks json": ("hooks", "--json"),
    "source": ("hooks", "h"),
    "old source": ("hooks", "h", "--version", "1"),
    "versions": ("hooks", "h", "--versions"),
    "rollback": ("rollback", "h"),
    "secrets": ("secret", "list", "h"),
    "logs": ("logs",),
    "logs json": ("logs", "--json"),
    "follow": ("logs", "-f"),
    "follow json": ("logs", "-f", "--json"),
    "error": ("trigger", "p", "--arguments", "call.json"),
    "error json": ("trigger", "p", "--arguments", "call.json", "--json"),
    "queued": ("trigger", "q", "--arguments", "call.json"),
    "executions": ("executions", "--limit", "2"),
    "executions json": ("executions", "--limit", "2", "--json"),
    "execution": ("executions", "show", "e"),
    "execution json": ("executions", "show", "e", "--json"),
    "redrive": ("executions", "redrive", "e"),
    "token": ("token", "create", "x"),
    "token json": ("token", "create", "x", "--json"),
    "token file": ("token", "create", "x", "--to", "made.token"),
    "tokens": ("token", "list"),
    "tenants": ("tenant", "list"),
    "tenant": ("tenant", "show", "t"),
    "tenant made": ("tenant", "create", "t"),
    "tenant set": ("tenant", "set", "t", "mode=tenant"),
    "export": ("tenant", "export", "t"),
    "rotation": ("rotate-master-key",),
    "rotation json": ("rotate-master-key", "--json"),
    "plan": ("deploy", "."),
    "pull": ("pull", "elsewhere"),
    "refused": ("hooks", "--tenant", "refused"),
    "no answer of ours": ("hooks", "--tenant", "other"),
}


class _Hostile(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = 200, json.dumps(self._body(path, query)).encode()
        if path.endswith("/source"):
            body = EVIL.encode()
        if path.endswith("/log-events"):  # two events, then the token is no longer valid
            body = FOLLOWED.encode()
            status = 401 if self.headers.get("Last-Event-ID") else 200
        if "/refused" in path:
            status, body = 400, json.dumps({"message": EVIL, "errorCode": EVIL}).encode()
        elif "/other" in path:
            body = json.dumps({"hooks": [{EVIL: EVIL}], EVIL: EVIL}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self, path: str, query: str) -> Any:
        if self.command == "POST" and path.endswith(("/tokens", "/tenants")):
            return TOKEN if path.endswith("/tokens") else TENANT
        if "start=1" in query:
            return {path.rpartition("/")[2]: []}
        return ANSWERS[max((end for end in ANSWERS if path.endswith(f"/{end}")), key=len)]

    do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815 - the names that the library looks for

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def hostile() -> Iterator[str]:
    """Its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a hook to deploy."""
    (tmp_path / "hook.py").write_text("cb()\n")
    (tmp_path / "call.json").write_text("{}")
    (tmp_path / "tenant.yaml").write_text("hooks:\n- {name: h, point: post-change-password, source: hook.py}\n")
    return tmp_path


@pytest.mark.parametrize("which", COMMANDS)
def test_a_terminal_is_given_no_command_of_a_server(at_terminal: Any, hostile: str, folder: Path, which: str) -> None:
    """Neither escape sequences of either kind, nor a bell, nor text turned round, nor a line written over."""
    told = environment(HOOKCELL_SERVER=hostile, HOOKCELL_TOKEN="t", HOOKCELL_TENANT="t")
    text = at_terminal(folder, told, *COMMANDS[which], columns=400)

    assert "Traceback" not in text
    assert "title" in text or which in ("token file", "pull", "no answer of ours")
    assert set() == {bad for bad in ("\x1b]", "\x1b[31mred", "\x07", "\x9b", "\u202e", "\rover") if bad in text}
    if which not in ("source", "old source", "token", "export"):  # those print what may have lines
        assert "forged" not in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("which", ["source", "old source", "token", "export"])
def test_a_pipe_is_given_every_byte(hostile: str, folder: Path, which: str) -> None:
    told = environment(HOOKCELL_SERVER=hostile, HOOKCELL_TOKEN="t", HOOKCELL_TENANT="t")
    ran = subprocess.run([HOOKCELL, *COMMANDS[which]], capture_output=True, env=told, cwd=folder, check=True)
    end = "" if "source" in which else "\n"
    wanted = json.dumps(ANSWERS["export"]) if which == "export" else EVIL

    assert f"{wanted}{end}".encode() == ran.stdout


@pytest.mark.parametrize("text", [EVIL, "\ud83d\ude00 é ✓", "\U000e0001", "a\tb", ""])
def test_json_says_the_same_and_is_printable(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    give_json({"a": text})
    said = capsys.readouterr().out

    assert {"a": text} == json.loads(said)
    assert said.removesuffix("\n").isprintable()


def test_one_line_stays_one() -> None:
    assert r"a\x0ab\x1b" == plain_line("a\nb\x1b")


def test_no_command_that_asks_a_server_prints_past_that_place() -> None:
    """Those that import the client print through engine.cli.terminal alone."""
    faults = []
    for path in sorted(Path(engine.cli.__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "engine.cli.connection" not in text and path.name != "connection.py":
            continue
        called = [ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        faults += [f"{path.name}: {name}" for name in called if name in ("click.echo", "click.secho", "print")]

    assert [] == faults
