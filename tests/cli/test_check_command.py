"""`hookcell check`: what the policy refuses, where, and what to write instead."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from engine.cli.check import _dependency
from engine.cli.show import show_findings
from engine.outcome import Finding


def test_an_accepted_file_is_status_0(hookcell: Any, write_hook: Any) -> None:
    """And nothing of it is run."""
    ran = hookcell("check", write_hook("raise Error('never run')"))

    assert (0, "hook.py: accepted\n", "") == (ran.status, ran.out, ran.err)


def test_a_refused_file_is_status_2_with_place_rule_reason_and_caret(hookcell: Any, write_hook: Any) -> None:
    """Every finding, in the order of the source."""
    ran = hookcell("check", write_hook("x = user.__mro__\neval('1')\ncb()"))

    assert (2, "hook.py: line 2, column 9: ") == (ran.status, ran.out[:27])
    lines = ran.err.splitlines()
    assert lines[0].startswith("hook.py:2:9: attribute: ")
    assert ["        x = user.__mro__", "            ^^^^^^^^^^^^"] == lines[1:3]
    assert any(line.startswith("hook.py:3:5: builtin: eval") for line in lines)


def test_a_caret_stands_under_the_finding_after_tabs_and_wide_letters(hookcell: Any, write: Any) -> None:
    """Columns are characters; a tab is shown as one."""
    ran = hookcell("check", write("hook.py", "if True:\n\tx = 'čřž'; import os\ncb()\n"))
    place, shown, mark = ran.err.splitlines()[:3]

    assert place.startswith("hook.py:2:13: import")
    assert shown.index("import") == mark.index("^")
    assert mark.count("^") == len("import os")


def test_the_hint_is_shown(hookcell: Any, write: Any) -> None:
    """A misspelt module has a nearest one."""
    ran = hookcell("check", write("hook.py", "import jsn\n"))

    assert "did you mean 'json'?" in ran.err


def test_several_files_are_checked_and_one_refused_is_enough(hookcell: Any, write: Any, write_hook: Any) -> None:
    """Each has its line."""
    names = write_hook("cb()", "a.py"), write("b.py", "import os\n"), write_hook("cb()", "c.py")
    ran = hookcell("check", *names)

    assert 2 == ran.status
    assert ["a.py: accepted", "c.py: accepted"] == [line for line in ran.out.splitlines() if "accepted" in line]
    assert any(line.startswith("b.py: line 1") for line in ran.out.splitlines())
    assert 0 == hookcell("check", names[0], names[2]).status


def test_json_lists_every_file_with_its_findings(hookcell: Any, write: Any, write_hook: Any) -> None:
    """For editors and CI; nothing but JSON on standard output."""
    ran = hookcell("check", "--json", write_hook("cb()", "a.py"), write("b.py", "import os\n"))
    good, bad = json.loads(ran.out)

    assert (2, "") == (ran.status, ran.err)
    assert {"file": "a.py", "ok": True, "diagnostics": [], "warnings": []} == good
    assert ("b.py", False) == (bad["file"], bad["ok"])
    assert ("import", 1, 1, 10) == tuple(bad["diagnostics"][0][key] for key in ("rule", "line", "column", "end"))


def test_a_file_from_standard_input_is_checked(hookcell: Any) -> None:
    """As `-`."""
    assert 0 == hookcell("check", "-", stdin=b"cb()\n").status
    assert 2 == hookcell("check", "-", stdin=b"import os\n").status


def test_a_point_decides_about_the_parameters(hookcell: Any, write: Any) -> None:
    """The same file fits one and not the other."""
    name = write("hook.py", "def hook(client, scope, audience, context, cb):\n    cb()\n")

    assert 0 == hookcell("check", name, "--point", "credentials-exchange").status
    ran = hookcell("check", name)
    assert (2, True) == (ran.status, "write def hook(user, context, cb):" in ran.err)


def test_what_stands_in_a_source_cannot_steer_the_terminal(hookcell: Any, write: Any) -> None:
    """The source line is shown with its control characters escaped."""
    ran = hookcell("check", write("hook.py", "x = '\x1b[2J'; import os\n"))

    assert 2 == ran.status
    assert "\x1b" not in ran.out + ran.err


def test_no_file_at_all_is_a_mistake(hookcell: Any) -> None:
    """The usage says what is missing."""
    ran = hookcell("check")

    assert (2, True, False) == (ran.status, "FILE" in ran.err, "Traceback" in ran.err)


def test_a_warning_is_marked_and_fails_nothing(hookcell: Any, write_hook: Any) -> None:
    """It has a place, a caret and a hint like a refusal, and the file is accepted."""
    ran = hookcell("check", write_hook("if user.emial:\n    return\ncb()"))

    assert (0, "hook.py: accepted, 2 warnings\n") == (ran.status, ran.out)
    assert [
        "hook.py:2:8: warning: unknown-field: this point passes no 'user.emial'",
        "        if user.emial:",
        "           ^^^^^^^^^^",
        "    did you mean 'email'?",
    ] == ran.err.splitlines()[:4]
    assert "hook.py:3:9: warning: no-cb: " in ran.err


def test_a_warning_is_yellow_on_a_terminal(capsys: Any) -> None:
    """And what is refused is not."""
    finding = Finding(rule="no-cb", line=1, column=1, end=2, message="m", hint="")
    with click.Context(click.Command("check"), color=True):
        show_findings([finding], "x", "hook.py", warnings=[finding])
    refused, _, _, doubtful, *_ = capsys.readouterr().err.splitlines()

    assert "\x1b[33mwarning\x1b[0m" in doubtful
    assert "warning" not in refused


def test_refusals_and_warnings_come_in_the_order_of_the_source(hookcell: Any, write_hook: Any) -> None:
    """One list of marks, as an editor shows it."""
    ran = hookcell("check", write_hook("print(usr)\nimport os\nprint(user.emial)\ncb()"))
    places = [line.split(": ")[:2] for line in ran.err.splitlines() if line.startswith("hook.py:")]

    assert 2 == ran.status
    assert [["hook.py:2:11", "warning"], ["hook.py:3:5", "import"], ["hook.py:4:11", "warning"]] == places


def test_strict_fails_on_warnings(hookcell: Any, write_hook: Any) -> None:
    """And on nothing else that is accepted."""
    good, doubtful = write_hook("cb()", "a.py"), write_hook("print(usr)\ncb()", "b.py")

    assert 0 == hookcell("check", "--strict", good).status
    ran = hookcell("check", "--strict", good, doubtful)

    assert (2, True) == (ran.status, "b.py: refused by --strict" in ran.out)
    assert 0 == hookcell("check", good, doubtful).status


def test_json_lists_the_warnings_apart(hookcell: Any, write_hook: Any) -> None:
    """The same fields as a refusal has."""
    ran = hookcell("check", "--json", write_hook("print(usr)\ncb()"))
    (file,) = json.loads(ran.out)

    assert (0, "", True, []) == (ran.status, ran.err, file["ok"], file["diagnostics"])
    assert [
        {
            "rule": "undefined-name",
            "line": 2,
            "column": 11,
            "end": 14,
            "message": "nothing defines the name 'usr'",
            "hint": "did you mean 'user'?",
        }
    ] == file["warnings"]


def test_secrets_are_looked_at_when_their_names_are_given(hookcell: Any, write_hook: Any) -> None:
    """Without them nobody knows which there are."""
    name = write_hook("print(context.webtask.secrets.MAIL_FORM)\ncb()")

    assert "" == hookcell("check", name).err
    assert "" == hookcell("check", name, "--secret", "OTHER", "--secret", "MAIL_FORM").err
    ran = hookcell("check", name, "--secret", "MAIL_FROM")
    assert (0, True) == (ran.status, "unknown-secret" in ran.err and "did you mean 'MAIL_FROM'?" in ran.err)


def test_a_dependency_must_be_a_mapped_module(hookcell: Any, write_hook: Any) -> None:
    """With or without a version."""
    name = write_hook("cb()")

    assert 0 == hookcell("check", name, "--dependency", "json", "--dependency", "yaml@6.0").status
    ran = hookcell("check", name, "--dependency", "lodash@4.17.21")
    assert (2, True) == (ran.status, ran.err.startswith("hook.py:1:1: dependency: "))
    assert "lodash" in ran.err.splitlines()[0]
    assert "4.17" not in ran.err


@pytest.mark.parametrize(
    ("option", "value"), [("--secret", "KEY=hunter2"), ("--secret", ""), ("--dependency", ""), ("--dependency", "@")]
)
def test_a_secret_or_dependency_that_is_no_name_is_a_mistake(
    hookcell: Any, write_hook: Any, option: str, value: str
) -> None:
    """A value given by mistake is not printed."""
    ran = hookcell("check", write_hook("cb()"), option, value)

    assert (2, True, False) == (ran.status, option in ran.err, "Traceback" in ran.err)
    assert "hunter2" not in ran.err


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [("json", "json", ""), ("json@", "json", ""), ("a@1", "a", "1"), ("@s/a", "@s/a", ""), ("@s/a@1", "@s/a", "1")],
)
def test_a_dependency_is_a_name_and_perhaps_a_version(text: str, name: str, version: str) -> None:
    """As npm writes them."""
    assert (name, version) == _dependency(text)
