"""`hookcell check`: what the policy refuses, where, and what to write instead."""

from __future__ import annotations

import json
from typing import Any


def test_an_accepted_file_is_status_0(hookcell: Any, write_hook: Any) -> None:
    """And nothing of it is run."""
    ran = hookcell("check", write_hook("raise Error('never run')"))

    assert (0, "hook.py: accepted\n", "") == (ran.status, ran.out, ran.err)


def test_a_refused_file_is_status_2_with_place_rule_reason_and_caret(hookcell: Any, write_hook: Any) -> None:
    """Every finding, in the order of the source."""
    ran = hookcell("check", write_hook("x = user.__class__\neval('1')\ncb()"))

    assert (2, "hook.py: line 2, column 9: ") == (ran.status, ran.out[:27])
    lines = ran.err.splitlines()
    assert lines[0].startswith("hook.py:2:9: attribute: ")
    assert ["        x = user.__class__", "            ^^^^^^^^^^^^^^"] == lines[1:3]
    assert any(line.startswith("hook.py:3:5: builtin: eval") for line in lines)


def test_a_caret_stands_under_the_finding_after_tabs_and_wide_letters(hookcell: Any, write: Any) -> None:
    """Columns are characters; a tab is shown as one."""
    ran = hookcell("check", write("hook.py", "if True:\n\tx = 'čřž'; import os\n"))
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
    assert {"file": "a.py", "ok": True, "diagnostics": []} == good
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
