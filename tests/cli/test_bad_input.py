"""Whatever is handed to the command line, what is wrong with it is one line, status 2, and never a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

BAD_SOURCES = [
    ("not UTF-8", b"x = 1\n# \xff\xfe\n"),
    ("NUL", b"x = 1\ny = '\0'\n"),
    ("empty", b""),
    ("empty", b" \n\n"),
    ("larger than", b"#" * 10_000_000),
    ("larger than", b"x = " + b"(" * 100_000 + b")" * 100_000 + b"\n"),
]
IDS = ["no utf-8", "nul", "empty", "blank", "10 MB", "100,000 parentheses"]
SAMPLE = b'{"user": {}, "context": {"connection": {}}}'


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(("part", "source"), BAD_SOURCES, ids=IDS)
def test_a_source_that_cannot_be_a_hook(hookcell: Any, write: Any, command: str, part: str, source: bytes) -> None:
    """From a file and from standard input alike."""
    from_file = hookcell(command, write("hook.py", source))
    from_input = hookcell(command, "-", stdin=source)

    assert part in from_file.fault
    assert part in from_input.fault


@pytest.mark.parametrize("command", ["run", "check"])
def test_deep_nesting_within_the_allowed_size_is_a_finding(hookcell: Any, write: Any, command: str) -> None:
    """The worker's compiler may fall over it; the command does not."""
    ran = hookcell(command, write("hook.py", b"x = " + b"(" * 49_000 + b")" * 49_000 + b"\n"))

    assert 2 == ran.status
    assert "Traceback" not in ran.err
    assert "hook.py:1:" in ran.err
    assert all(len(line) <= 1_000 for line in ran.err.splitlines())


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("name", "part"), [("missing.py", "no such file"), (".", "directory"), ("a" * 300, "cannot be read"), ("", "")]
)
def test_a_file_that_is_none(hookcell: Any, command: str, name: str, part: str) -> None:
    """Missing, a folder, a name too long, no name at all."""
    assert part in hookcell(command, name).fault


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_point_that_does_not_exist(hookcell: Any, write_hook: Any, command: str) -> None:
    """The nearest one is named."""
    fault = hookcell(command, write_hook("cb()"), "--point", "post-change-pasword").fault

    assert "did you mean 'post-change-password'?" in fault


@pytest.mark.parametrize(
    ("part", "raw"),
    [
        ("not JSON", b""),
        ("not JSON", b"{"),
        ("not JSON", b'{"user": NaN}'),
        ("not JSON", b"\xff"),
        ("object with user, context", b"[]"),
        ("context", b'{"user": {}}'),
        ("['user']", b'{"user": 1, "context": {"connection": {}}}'),
        ("too deep", b"[" * 10_000 + b"]" * 10_000),
        ("larger than", b'"' + b"x" * 10_000_000 + b'"'),
    ],
)
def test_arguments_that_do_not_fit(hookcell: Any, write: Any, write_hook: Any, part: str, raw: bytes) -> None:
    """From a file and from standard input alike."""
    hook = write_hook("cb()")

    assert part in hookcell("run", hook, "--arguments", write("call.json", raw)).fault
    assert part in hookcell("run", hook, "--arguments", "-", stdin=raw).fault


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_an_arguments_file_that_is_none(hookcell: Any, write_hook: Any, name: str) -> None:
    """Told as the arguments file, by name."""
    assert f"arguments file '{name}'" in hookcell("run", write_hook("cb()"), "--arguments", name).fault


def test_a_secret_that_is_no_utf8(hookcell: Any, write_hook: Any) -> None:
    """No frame can carry it."""
    fault = hookcell("run", write_hook("cb()"), "--secret", b"KEY=\xff", LC_ALL="C.UTF-8").fault

    assert "KEY" in fault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOOKCELL_WALL_MS", "soon"),
        ("HOOKCELL_WALMS", "5"),
        ("HOOKCELL_CONFIG", "missing.yaml"),
        ("HOOKCELL_ALLOW_MISSING_LAYERS", "moat"),
    ],
)
def test_a_setting_that_cannot_be_used(hookcell: Any, write_hook: Any, name: str, value: str) -> None:
    """Named, before anything is started."""
    assert name.removeprefix("HOOKCELL_").lower() in hookcell("run", write_hook("cb()"), **{name: value}).fault.lower()


def test_a_name_that_is_no_setting_is_told_by_commands_that_ask_a_server(command: Any) -> None:
    """Before any server is asked."""
    fault = command("hooks", HOOKCELL_TOKEN="t", HOOKCELL_TENNANT="acme").fault

    assert "HOOKCELL_TENNANT, which is no setting; did you mean HOOKCELL_TENANT?" in fault


def test_a_broken_settings_file(hookcell: Any, write: Any, write_hook: Any) -> None:
    """One line, although YAML's own messages have several."""
    assert "settings.yaml" in hookcell("doctor", HOOKCELL_CONFIG=write("settings.yaml", "a: [\nb: {")).fault
    assert "settings.yaml" in hookcell("run", write_hook("cb()"), HOOKCELL_CONFIG="settings.yaml").fault


@pytest.mark.parametrize("arguments", [["run", "-"], ["check", "-"]])
def test_standard_input_that_is_closed(executable: Path, tmp_path: Path, arguments: list[str]) -> None:
    """As some schedulers start their jobs."""
    ran = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", executable, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )

    assert (2, "", 1) == (ran.returncode, ran.stdout, len(ran.stderr.splitlines()))
    assert "Traceback" not in ran.stderr


def test_the_sample_of_this_file_is_a_good_one(hookcell: Any, write: Any, write_hook: Any) -> None:
    """So that the faults above are those they claim to be."""
    assert 0 == hookcell("run", write_hook("cb()"), "--arguments", write("call.json", SAMPLE)).status
