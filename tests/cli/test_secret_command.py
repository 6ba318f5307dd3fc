"""`hookcell secret`: values go in by standard input, a file or a prompt, and never come out."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from typing import Any

import pytest
from serving import HOOKCELL, PATIENCE_S, Serving, environment

from engine.cli.secret import _value


@pytest.fixture
def hook(served: Serving, tenant: str) -> str:
    """A hook of the tenant that hands its secret KEY to cb; its name."""
    path = f"/v1/tenants/{tenant}/hooks/a%20hook/source"
    made = served.ask("PUT", path, params={"trigger_id": "post-change-password"}, content="cb()")
    assert 201 == made.status_code, made.text
    return "a hook"


def test_a_secret_is_set_from_standard_input_listed_and_taken_away(ask: Any, hook: str) -> None:
    ran = ask("secret", "set", hook, "KEY", stdin=b"s3cr3t\n")

    assert (0, "secret KEY of a hook is set\n", "") == (ran.status, ran.out, ran.err)
    assert ["KEY"] == json.loads(ask("secret", "list", hook, "--json").out)
    assert ["name", "KEY"] == ask("secret", "list", hook).out.split()
    assert 0 == ask("secret", "rm", hook, "KEY").status
    assert "a hook has no secrets\n" == ask("secret", "list", hook).out


def test_setting_it_again_replaces_it(ask: Any, hook: str) -> None:
    assert [0, 0] == [ask("secret", "set", hook, "KEY", stdin=value).status for value in (b"one", b"two")]
    assert ["KEY"] == json.loads(ask("secret", "list", hook, "--json").out)


@pytest.mark.parametrize(
    ("content", "options", "value"),
    [
        (b"v", [], "v"),
        (b"v\n", [], "v"),
        (b"v\r\n", [], "v"),
        (b"v\n\n", [], "v\n"),
        (b"v\n", ["--exact"], "v\n"),
        (" grün ✓ ".encode(), [], " grün ✓ "),
    ],
)
def test_one_line_end_is_taken_away_unless_it_is_wanted(
    content: bytes, options: list[str], value: str, write: Any, tmp_path: Any
) -> None:
    """Of a file and of standard input alike."""
    write("value", content)
    assert value == _value("KEY", str(tmp_path / "value"), exact=bool(options))


def test_a_secret_is_set_from_a_file(ask: Any, hook: str, write: Any) -> None:
    assert 0 == ask("secret", "set", hook, "KEY", "--from-file", write("value", "-----BEGIN\nkey\n")).status
    assert ["KEY"] == json.loads(ask("secret", "list", hook, "--json").out)


def test_at_a_terminal_the_value_is_asked_for_and_not_shown(served: Serving, tenant: str, hook: str) -> None:
    """On a pseudo-terminal: nothing of what is typed comes back."""
    ours, theirs = pty.openpty()
    told = {"HOOKCELL_SERVER": served.url, "HOOKCELL_TOKEN": served.token(tenant), "HOOKCELL_TENANT": tenant}
    with subprocess.Popen(
        [HOOKCELL, "secret", "set", hook, "KEY"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(**told),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = _read_until(ours, b"KEY: ")
        os.write(ours, b"typed-value\n")
        shown += _read_until(ours, b"is set")
        assert 0 == process.wait(PATIENCE_S)
    os.close(ours)

    assert b"typed-value" not in shown


def _read_until(terminal: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], PATIENCE_S)[0], shown
        shown += os.read(terminal, 4096)
    return shown


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff", "UTF-8"), (b"x" * 100_000, "larger than")]
)
def test_a_value_that_cannot_be_one_is_told(ask: Any, hook: str, content: bytes, said: str) -> None:
    assert said in ask("secret", "set", hook, "KEY", stdin=content).fault


def test_a_value_as_an_argument_is_refused(ask: Any, hook: str) -> None:
    """The process list would show it; so it is no argument, and is not printed."""
    ran = ask("secret", "set", hook, "KEY", "s3cr3t-value", stdin=b"")

    assert 2 == ran.status
    assert "unexpected extra argument" in ran.err
    assert "" == ask("secret", "list", hook, "--json").out.replace("[]\n", "")


def test_what_the_server_refuses_is_told_in_its_words(ask: Any, hook: str) -> None:
    """A hook that is not there; a name that is not allowed; a secret that is not there."""
    assert "(404)" in ask("secret", "set", "no such hook", "KEY", stdin=b"v").fault
    assert "(400)" in ask("secret", "set", hook, "auth0-extension-secret", stdin=b"v").fault
    assert "(404)" in ask("secret", "list", "no such hook").fault
