"""`hookcell run`: a hook on a call, and what a person or a script learns of its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from engine.cli.show import show_outcome
from engine.outcome import Exchange, Outcome


def test_a_hook_runs_on_the_sample_and_its_result_is_shown(hookcell: Any, write_hook: Any) -> None:
    """No server, no store, no arguments needed."""
    ran = hookcell("run", write_hook("cb(None, {'mail': user.email})"))

    assert (0, "") == (ran.status, ran.err)
    assert ran.out.startswith("ok ")
    assert json.loads(ran.out.split("\n", 1)[1]) == {"mail": "user1@foo.com"}


def test_the_log_is_shown_with_file_line_and_level(hookcell: Any, write_hook: Any) -> None:
    """On standard error, so that the result can be piped on."""
    ran = hookcell("run", write_hook("print('a')\nconsole.error('b')\ncb()"))

    assert ran.status == 0
    assert ["hook.py:2  info   a", "hook.py:3  error  b"] == ran.err.splitlines()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("cb(Error('no'))", "denied", "no"),
        ("user.nothing", "raised", "there is no field 'nothing'"),
        ("pass", "no_callback", "call cb()"),
        ("cb(None, {1})", "bad_result", "is a set"),
        ("x = 'a' * (1 << 31)", "out_of_memory", "more memory"),
    ],
)
def test_a_hook_that_does_not_end_ok_is_status_1(
    hookcell: Any, write_hook: Any, body: str, status: str, said: str
) -> None:
    """With its status, its reason and, where there is one, its line."""
    ran = hookcell("run", write_hook(body))

    assert (1, "") == (ran.status, ran.err)
    assert ran.out.startswith(f"{status} ")
    assert said in ran.out
    if status != "no_callback":
        assert f"  hook.py:2: {body}" in ran.out


def test_the_way_of_an_error_and_its_causes_are_shown_like_a_traceback(hookcell: Any, write: Any) -> None:
    """With the hook's own lines and functions, and nothing else."""
    source = (
        "def send(user):\n    try:\n        return {}[user.email]\n    except KeyError as error:\n"
        "        raise ValueError('no address') from error\n\ndef hook(user, context, cb):\n    send(user)\n"
    )
    ran = hookcell("run", write("hook.py", source))

    assert (1, "") == (ran.status, ran.err)
    assert ran.out.startswith("raised ")
    assert ran.out.splitlines()[0].endswith("ms  ValueError: no address")
    assert [
        "  hook.py:8 in hook: send(user)",
        "  hook.py:5 in send: raise ValueError('no address') from error",
        "caused by KeyError: 'user1@foo.com'",
        "  hook.py:3: return {}[user.email]",
    ] == ran.out.splitlines()[1:]


def test_an_error_passed_to_cb_is_shown_with_where_it_was_raised(hookcell: Any, write_hook: Any) -> None:
    """The call of cb first."""
    ran = hookcell("run", write_hook("try:\n    1 / 0\nexcept Exception as error:\n    cb(error)"))

    assert [
        "  hook.py:5: cb(error)",
        "caused by ZeroDivisionError: division by zero",
        "  hook.py:3: 1 / 0",
    ] == ran.out.splitlines()[1:]


def test_a_hook_out_of_time_is_status_1_with_its_line(hookcell: Any, write_hook: Any) -> None:
    """The deadline is a setting like any other."""
    ran = hookcell("run", write_hook("while True:\n    pass"), HOOKCELL_WALL_MS="1000")

    assert ran.status == 1
    assert ran.out.startswith("timeout ")
    assert "hook.py:" in ran.out


def test_a_rejected_hook_is_status_2_with_a_caret(hookcell: Any, write: Any) -> None:
    """Nothing of it ran; the finding is shown as `check` shows it."""
    ran = hookcell("run", write("hook.py", "import os\n"))

    assert (2, "") == (ran.status, ran.out)
    assert ran.err.splitlines()[:3] == [
        "hook.py:1:1: import: the module 'os' is not available to hooks: it tells of the machine, and a hook sees none",
        "    import os",
        "    ^^^^^^^^^",
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"), [("cb(None, [1])", "ok", 0), ("cb('no')", "denied", 1), ("import os", "rejected", 2)]
)
def test_json_is_the_whole_outcome(hookcell: Any, write_hook: Any, body: str, status: str, code: int) -> None:
    """For scripts: one object on standard output, the same exit status."""
    ran = hookcell("run", "--json", write_hook(f"print('x')\n{body}"))
    outcome = json.loads(ran.out)

    assert (code, status) == (ran.status, outcome["status"])
    assert {"message", "line", "source", "result", "error", "logs", "egress", "usage", "diagnostics", "causes"} < set(
        outcome
    )
    assert bool(outcome["logs"]) == (status != "rejected")


def test_a_hook_may_come_from_standard_input(hookcell: Any) -> None:
    """As `-`; places in it are told as <stdin>."""
    ran = hookcell("run", "-", stdin=b"print('a')\ncb(None, 1)\n")

    assert (0, "<stdin>:1  info   a\n") == (ran.status, ran.err)
    assert ran.out.endswith("\n1\n")


def test_arguments_may_come_from_a_file_or_standard_input(hookcell: Any, write: Any, write_hook: Any) -> None:
    """The hook or its arguments, not both."""
    hook = write_hook("cb(None, user.n)")
    raw = b'{"user": {"n": 7}, "context": {"connection": {}}}'
    from_file = hookcell("run", hook, "--arguments", write("call.json", raw))
    from_input = hookcell("run", hook, "--arguments", "-", stdin=raw)
    from_both = hookcell("run", "-", "--arguments", "-", stdin=raw)

    assert [(0, True)] * 2 == [(ran.status, ran.out.endswith("\n7\n")) for ran in (from_file, from_input)]
    assert "only one of" in from_both.fault


def test_secrets_are_given_by_name(hookcell: Any, write_hook: Any) -> None:
    """Repeatable; a value may hold an equals sign or nothing."""
    hook = write_hook("s = context.webtask.secrets\ncb(None, [s.A, s.B, s.C])")
    ran = hookcell("run", "--json", hook, "--secret", "A=1", "--secret", "B=x=y", "--secret", "C=")

    assert json.loads(ran.out)["result"] == ["1", "x=y", ""]


def test_a_secret_without_a_value_is_refused(hookcell: Any, write_hook: Any) -> None:
    """The message says how to write it."""
    ran = hookcell("run", write_hook("cb()"), "--secret", "KEY")

    assert (2, "") == (ran.status, ran.out)
    assert "NAME=VALUE" in ran.err
    assert "Traceback" not in ran.err


def test_another_point_brings_its_own_parameters_and_sample(hookcell: Any, write: Any) -> None:
    """Chosen by its id."""
    source = "def hook(recipient, text, context, cb):\n    cb(None, recipient)\n"
    ran = hookcell("run", write("sms.py", source), "--point", "send-phone-message")

    assert (0, True) == (ran.status, '"1-808-555-5555"' in ran.out)


def test_what_a_hook_says_cannot_steer_the_terminal(hookcell: Any, write_hook: Any) -> None:
    """Escape sequences in log, message and result are shown, not obeyed."""
    ran = hookcell("run", write_hook("print('\\x1b[2J\\r\\u202e')\ncb(Error('\\x1b]0;owned\\x07'))"))

    assert ran.status == 1
    assert "\x1b" not in ran.out + ran.err
    assert "\r" not in ran.err
    assert "\\x1b[2J" in ran.err
    assert "\\x1b]0;owned\\x07" in ran.out


def test_a_windows_file_with_a_byte_order_mark_is_read(hookcell: Any, write: Any) -> None:
    """What editors save."""
    ran = hookcell("run", write("hook.py", "\ufeffdef hook(user, context, cb):\r\n    cb(None, 1)\r\n"))

    assert (0, "") == (ran.status, ran.err)


def test_a_file_name_that_is_no_utf8_can_be_used(hookcell: Any, tmp_path: Any) -> None:
    """Linux allows any bytes; the name is told somehow, never a traceback."""
    (tmp_path / "h\udcff.py").write_bytes(b"print('a')\ncb(Error('no'))\n")
    ran = hookcell("run", b"h\xff.py", LC_ALL="C.UTF-8", PYTHONIOENCODING="utf-8:strict")

    assert (1, True) == (ran.status, ran.out.startswith("denied "))
    assert "Traceback" not in ran.err


class _Greeter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Say hello."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on 127.0.0.1 that says hello."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Greeter)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def calling(write: Any, port: int) -> str:
    """A hook that calls that server."""
    source = "import requests\ndef hook(user, context, cb):\n"
    saved: str = write(
        "hook.py", f"{source}    cb(None, requests.get('http://127.0.0.1:{port}/a?b', timeout=5).text)\n"
    )
    return saved


def test_a_private_host_can_be_allowed(hookcell: Any, calling: str, port: int) -> None:
    """By host and port; the call is shown after the log."""
    ran = hookcell("run", calling, "--allow-host", "db.internal", "--allow-host", f"127.0.0.1:{port}")

    assert (0, '"hello"') == (ran.status, ran.out.splitlines()[-1])
    (line,) = ran.err.splitlines()
    assert line.startswith(f"GET http://127.0.0.1:{port}/a?b  200  ")
    assert line.endswith(" ms")


def test_a_private_host_is_refused_by_its_rule_unless_it_is_allowed(hookcell: Any, calling: str, port: int) -> None:
    """Another port is not this one."""
    for options in ([], ["--allow-host", "127.0.0.1:1"]):
        ran = hookcell("run", calling, *options)

        assert 1 == ran.status
        assert "EgressRefused: rule private-address: 127.0.0.1 is not a public address" in ran.out
        assert [f"GET http://127.0.0.1:{port}/a?b  refused: private-address"] == ran.err.splitlines()


def test_an_allowed_host_is_listed_where_only_listed_ones_may_be_called(hookcell: Any, calling: str, port: int) -> None:
    """What the settings list stays as it is; what a person names here may be called."""
    listed = {"HOOKCELL_EGRESS_LISTED_ONLY": "true", "HOOKCELL_EGRESS_HOSTS": '["api.example.com"]'}
    refused = hookcell("run", calling, **listed)
    allowed = hookcell("run", calling, "--allow-host", f"127.0.0.1:{port}", **listed)

    assert (1, True) == (refused.status, "rule host-not-allowed" in refused.out)
    assert (0, '"hello"') == (allowed.status, allowed.out.splitlines()[-1])


def test_json_has_every_call_with_its_figures(hookcell: Any, calling: str, port: int) -> None:
    """The record is that of any execution."""
    ran = hookcell("run", "--json", calling, "--allow-host", f"127.0.0.1:{port}")
    (call,) = json.loads(ran.out)["egress"]

    assert ("GET", f"http://127.0.0.1:{port}/a?b", 200, None, None) == tuple(
        call[name] for name in ("method", "url", "status", "refused", "error")
    )
    assert (0, 5) == (call["sent_bytes"], call["received_bytes"])
    assert 0 < call["timings"]["first_byte_ms"] <= call["ms"]


def test_a_call_without_an_answer_is_shown_with_how_it_failed(hookcell: Any, write: Any) -> None:
    """Nobody listens on port 1."""
    call = "requests.get('http://127.0.0.1:1/', timeout=5)"
    source = f"import requests\ntry:\n    {call}\nexcept requests.ConnectionError:\n    cb()\n"
    ran = hookcell("run", write("hook.py", source), "--allow-host", "127.0.0.1:1")

    assert 0 == ran.status
    assert ran.err.startswith("GET http://127.0.0.1:1/  connection  ")


def test_a_network_can_be_allowed_and_is_never_listed(hookcell: Any, calling: str, port: int) -> None:
    """Only hosts are listed; one that is may then lead to the network."""
    strict = {"HOOKCELL_EGRESS_LISTED_ONLY": "true"}
    listed = strict | {"HOOKCELL_EGRESS_HOSTS": '["127.0.0.1"]'}

    assert 0 == hookcell("run", calling, "--allow-host", "127.0.0.0/8").status
    assert 0 == hookcell("run", calling, "--allow-host", f"127.0.0.0/8:{port}", **listed).status
    assert "rule host-not-allowed" in hookcell("run", calling, "--allow-host", "127.0.0.0/8", **strict).out


def test_the_help_says_what_may_be_allowed(hookcell: Any) -> None:
    """Hosts and networks, with a port or without."""
    shown = " ".join(hookcell("run", "--help").out.split())

    assert "--allow-host HOST|NETWORK[:PORT]" in shown
    assert "127.0.0.1:8080 or 10.1.0.0/16" in shown


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("", "found '': no host is named; write \"db.internal\""),
        ("127.1", "found '127.1': 127.1 is no plain IPv4 address"),
        ("169.254.169.254", "found '169.254.169.254': no exception opens a cloud's metadata service"),
    ],
)
@pytest.mark.parametrize("listed_only", ["false", "true"])
def test_a_host_that_cannot_be_allowed_is_told_by_the_option(
    hookcell: Any, write_hook: Any, host: str, said: str, listed_only: str
) -> None:
    """In the words of the command line, not of the settings."""
    ran = hookcell("run", write_hook("cb()"), "--allow-host", host, HOOKCELL_EGRESS_LISTED_ONLY=listed_only)

    assert 2 == ran.status
    assert f"Invalid value for --allow-host: {said}" in ran.err
    assert "exceptions has" not in ran.err
    assert "http://host/path" not in ran.err


@pytest.mark.parametrize("host", ["", "a b", "http://127.0.0.1/", "127.0.0.1:0", "127.0.0.1:x", "*", "127.1", "[::1"])
@pytest.mark.parametrize("listed_only", ["false", "true"])
def test_a_host_that_is_none_is_refused(hookcell: Any, write_hook: Any, host: str, listed_only: str) -> None:
    """Before anything runs; the message names the option and what was found."""
    ran = hookcell("run", write_hook("cb()"), "--allow-host", host, HOOKCELL_EGRESS_LISTED_ONLY=listed_only)

    assert (2, "") == (ran.status, ran.out)
    assert "--allow-host" in ran.err
    assert repr(host) in ran.err
    assert "Traceback" not in ran.err


def test_what_a_hook_calls_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor write a line of its own: a hostile worker may ask for any URL by any method."""
    calls = (
        Exchange(method="\x1b[2J", url="http://a/\nok  1 ms\r\u202e", refused="url"),
        Exchange(method="GET", url="http://a/", error="read_timeout", ms=12.34),
        Exchange(method="GET", url="http://a/"),
    )
    show_outcome(Outcome(status="ok", message="", egress=calls), "hook.py")

    assert [
        "\\x1b[2J http://a/\\x0aok  1 ms\\x0d\\x202e  refused: url",
        "GET http://a/  read_timeout  12.3 ms",
        "GET http://a/  given up  0.0 ms",
    ] == capsys.readouterr().err.splitlines()
