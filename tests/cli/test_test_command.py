"""`hookcell test`: a folder of hooks and cases, for a person and for a CI server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

HOOK = "def hook(user, context, cb):\n    print('hi \\x1b')\n    cb(None, user.email)\n"
CASES = """
point: post-change-password
cases:
  - name: passes
    expect: {result: user1@foo.com}
  - name: fails
    expect: {status: denied}
"""


@pytest.fixture
def folder(write: Any) -> str:
    """One hook with a case that passes and one that fails."""
    write("hooks/greet.py", HOOK)
    write("hooks/greet.cases.yaml", CASES)
    return "hooks"


def test_a_folder_that_passes_is_status_0(hookcell: Any, write: Any) -> None:
    """Each case has its line, then the sum."""
    write("hooks/greet.py", HOOK)
    write("hooks/greet.cases.yaml", CASES.partition("  - name: fails")[0])
    ran = hookcell("test", "hooks")

    assert (0, "") == (ran.status, ran.err)
    assert ran.out.splitlines()[0].startswith("passed  hooks/greet.py  passes  (")
    assert ran.out.splitlines()[-1] == "1 passed, 0 failed"


def test_a_failed_case_is_status_1_with_what_differed(hookcell: Any, folder: str) -> None:
    """The others are run all the same."""
    ran = hookcell("test", folder)

    assert 1 == ran.status
    assert "failed  hooks/greet.py  fails" in ran.out
    assert "        status: expected 'denied', found 'ok'" in ran.out
    assert ran.out.splitlines()[-1] == "1 passed, 1 failed"


def test_json_lists_every_verdict_with_its_outcome(hookcell: Any, folder: str) -> None:
    """Nothing but JSON on standard output."""
    ran = hookcell("test", "--json", folder)
    first, second = json.loads(ran.out)

    assert (1, "") == (ran.status, ran.err)
    assert ("hooks/greet.py", "passes", [], "ok") == (
        first["file"],
        first["case"],
        first["faults"],
        first["outcome"]["status"],
    )
    assert ["status: expected 'denied', found 'ok'"] == second["faults"]


def test_junit_is_xml_that_a_ci_server_reads(hookcell: Any, folder: str, tmp_path: Path) -> None:
    """One suite; the failed case carries its faults."""
    ran = hookcell("test", folder, "--junit", "report.xml")
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()

    assert 1 == ran.status
    assert ("testsuite", "2", "1") == (suite.tag, suite.get("tests"), suite.get("failures"))
    assert [("passes", 0), ("fails", 1)] == [(case.get("name"), len(case)) for case in suite]
    assert suite[1][0].get("message") == "status: expected 'denied', found 'ok'"
    assert all(float(case.get("time", "")) >= 0 for case in suite)


def test_junit_is_xml_whatever_a_case_is_called(hookcell: Any, write: Any, tmp_path: Path) -> None:
    """Markup and control characters of a name or a message must not break the report."""
    write("hooks/greet.py", "def hook(user, context, cb):\n    cb(Error('<&\\x00\\x1b\\ufffe>'))\n")
    write("hooks/greet.cases.yaml", 'point: post-change-password\ncases: [{name: "<a&b> \\x1b \\uFFFE"}]\n')
    ran = hookcell("test", "hooks", "--junit", "report.xml")
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()

    assert 1 == ran.status
    assert "<a&b>" in (suite[0].get("name") or "")


CALLER = """import requests
def hook(user, context, cb):
    try:
        cb(None, requests.get("https://a.example/", timeout=2).text)
    except requests.RequestException:
        cb()
"""
MOCKED = """
point: post-change-password
cases:
  - name: answered
    http: [{when: {method: GET, url: "https://a.example/"}, reply: {text: hi}}]
    expect: {result: hi}
  - name: not answered
    http: [{when: {method: GET, url: "https://b.example/"}}]
"""


def test_calls_are_answered_by_mocks_and_by_nobody_else(hookcell: Any, write: Any, tmp_path: Path) -> None:
    """What was called without a mock, and which mock was not called, fails the case in every form of the verdict."""
    write("hooks/ask.py", CALLER)
    write("hooks/ask.cases.yaml", MOCKED)
    shown = hookcell("test", "hooks", "--junit", "report.xml")
    told = json.loads(hookcell("test", "hooks", "--json").out)
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()

    unmatched = "http: GET https://a.example/ matches no mock; the mocks left are: GET https://b.example/"
    unused = "http: the mock GET https://b.example/ was never called"
    assert (1, "1 passed, 1 failed") == (shown.status, shown.out.splitlines()[-1])
    assert [f"        {unmatched}", f"        {unused}"] == shown.out.splitlines()[2:4]
    assert [[], [unmatched, unused]] == [verdict["faults"] for verdict in told]
    assert [200, None] == [verdict["outcome"]["egress"][0]["status"] for verdict in told]
    assert [None, f"{unmatched}\n{unused}"] == [case.findtext("failure") for case in suite]


def test_the_settings_of_a_machine_change_no_verdict_on_a_call(hookcell: Any, write: Any) -> None:
    """A folder that passes here passes where hooks may call few hosts."""
    write("hooks/ask.py", CALLER)
    write("hooks/ask.cases.yaml", MOCKED.partition("  - name: not answered")[0])

    assert 0 == hookcell("test", "hooks", HOOKCELL_EGRESS_LISTED_ONLY="true", HOOKCELL_EGRESS_CALLS="0").status


def test_a_report_that_cannot_be_written_is_one_clear_error(hookcell: Any, folder: str) -> None:
    """Its place is named."""
    ran = hookcell("test", folder, "--junit", "no/such/folder/report.xml")

    assert 2 == ran.status
    assert "Traceback" not in ran.err
    assert "no/such/folder/report.xml" in ran.err


@pytest.mark.parametrize(
    "cases",
    [
        "cases: [",
        "- a\n",
        "point: post-change-password\ncases: [{nam: a}]\n",
        "point: post-change-pasword\ncases: [{name: a}]\n",
        "point: post-change-password\ncases: [{name: a, arguments: {}}]\n",
        "point: post-change-password\ncases: [{name: a, seed: 99999999999999999999999}]\n",
        "point: post-change-password\ncases: [{name: a, arguments: {at: 2020-99-99}}]\n",
        "point: post-change-password\ncases: [{name: a, http: [{when: {method: GET, url: a.example}}]}]\n",
        "point: post-change-password\ncases: " + "[" * 5_000,
        "\x00",
    ],
)
def test_a_broken_case_file_is_one_clear_error(hookcell: Any, write: Any, cases: str) -> None:
    """With the name of the file."""
    write("hooks/greet.py", HOOK)
    write("hooks/greet.cases.yaml", cases)

    assert "hooks/greet." in hookcell("test", "hooks").fault


def test_a_hook_without_cases_is_one_clear_error(hookcell: Any, folder: str, write: Any) -> None:
    """It says what to write."""
    write(f"{folder}/more/forgotten.py", HOOK)

    assert "forgotten.cases.yaml" in hookcell("test", folder).fault


def test_a_case_file_without_its_hook_is_one_clear_error(hookcell: Any, folder: str, tmp_path: Path) -> None:
    """The hook that is not there is named."""
    (tmp_path / folder / "greet.py").unlink()

    assert "greet.py" in hookcell("test", folder).fault


def test_a_case_file_that_is_no_utf8_is_one_clear_error(hookcell: Any, folder: str, write: Any) -> None:
    """Likewise a hook that is none."""
    write(f"{folder}/greet.py", b"# \xff\n")
    assert "greet.py" in hookcell("test", folder).fault

    write(f"{folder}/greet.cases.yaml", b"# \xff\n")
    assert "greet.cases.yaml" in hookcell("test", folder).fault


def test_a_folder_that_is_none_is_one_clear_error(hookcell: Any, folder: str, tmp_path: Path) -> None:
    """Missing, a file, or without any case."""
    (tmp_path / "empty").mkdir()

    for name in ("missing", f"{folder}/greet.py", "empty"):
        assert name in hookcell("test", name).fault
