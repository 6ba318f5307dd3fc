"""From source to code or to findings; whatever a source does to the compiler is a finding about it."""

from __future__ import annotations

import marshal
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import wire
from sandbox.compiler import HOOK_FILENAME, check
from sandbox.wire import Advice

PARAMETERS = ("user", "context", "cb")
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")  # of a source's own


def test_a_good_source_becomes_code() -> None:
    checked = check("def hook(user, context, cb):\n    cb()\n", PARAMETERS)
    code = marshal.loads(checked.code)

    assert checked.diagnostics == ()
    assert isinstance(code, types.CodeType)
    assert code.co_filename == HOOK_FILENAME


def test_compiling_runs_nothing(capsys: Any) -> None:
    assert check("print('ran')\n1 / 0\ndef f(x=1 / 0): pass\n", PARAMETERS).code is not None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "entry",
    [
        "def hook(a, b, c): pass",
        "def hook(a, b, c=1): pass",
        "def hook(*a): pass",
        "def hook(a, *b): pass",
        "def hook(a, b, c, d=1): pass",
        "def hook(a, b, /, c): pass",
        "def hook(a, b, c, **k): pass",
        "def hook(a, b, c, *, d=1): pass",
        "x = 1",
        "hook = print",
        "def other(): pass",
        "def f():\n    def hook(a): pass",
        "class A:\n    def hook(self): pass",
    ],
)
def test_an_entry_that_takes_the_arguments_of_the_point_is_accepted(entry: str) -> None:
    assert check(entry, PARAMETERS).diagnostics == ()


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        ("def hook(): pass", 0),
        ("def hook(a, b): pass", 2),
        ("def hook(a, b, c, d): pass", 4),
        ("def hook(a, b, c, d, *e): pass", 4),
        ("def hook(a, b, c, *, d): pass", 3),
        ("def hook(a, b, **c): pass", 2),
    ],
)
def test_an_entry_that_does_not_is_told_what_to_write(entry: str, count: int) -> None:
    (found,) = check("\n" + entry, PARAMETERS).diagnostics

    assert ("arity", 2, 1, "write def hook(user, context, cb):") == (found.rule, found.line, found.column, found.hint)
    assert f"hook takes {count} arguments; this point passes 3" == found.message


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("x = (", 1, 5),
        ("x = 1\ny = = 2", 2, 5),
        ("def f(:\n    pass", 1, 7),
        ("if x:\npass", 2, 1),
        ("x = 'abc", 1, 5),
        ("é = = 1", 1, 5),
        ("return 1", 1, 1),
        ("break", 1, 1),
        ("def f():\n    x = 1\n    global x", 3, 5),
        ("await x", None, None),
    ],
)
def test_a_fault_of_syntax_is_told_with_its_place(source: str, line: Any, column: Any) -> None:
    checked = check(source, PARAMETERS)
    found = checked.diagnostics[0]

    assert checked.code is None
    assert found.end > found.column
    if line:
        assert ("syntax", line, column) == (found.rule, found.line, found.column)


@pytest.mark.parametrize("source", ["x = 1\0", "\0", "x = '\ud800'", "# coding: nonsense\nx = 1", "\ufeffx ="])
def test_a_source_that_cannot_be_read_is_a_finding(source: str) -> None:
    checked = check(source, PARAMETERS)

    assert checked.diagnostics or checked.code is not None
    wire.parse(wire.pack(checked)[wire.PREFIX_BYTES :], wire.replies)


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000 + ")" * 5000,
        "x" + ".a" * 50_000,
        "x = " + "-" * 50_000 + "1",
        "lambda: " * 20_000 + "1",
        "".join(" " * n + "if x:\n" for n in range(200)) + " " * 200 + "pass",
        "".join(" " * n + "for x in y:\n" for n in range(30)) + " " * 30 + "pass",
    ],
    ids=["parentheses", "attributes", "minus", "lambdas", "ifs", "loops"],
)
def test_what_is_nested_too_deeply_is_a_finding_or_compiles(source: str) -> None:
    checked = check(source, PARAMETERS)

    assert (checked.code is None) == bool(checked.diagnostics)
    wire.parse(wire.pack(checked)[wire.PREFIX_BYTES :], wire.replies)


@pytest.mark.parametrize("depth", [25, 150])
def test_nested_comprehensions_do_not_crash_the_worker(worker: Any, depth: int) -> None:
    """CPython 3.12 and 3.13 compile them into one function, and die of more than twenty (signal 11)."""
    source = "x = " + "[" * depth + "1" + "".join(f" for a{n} in b]" for n in range(depth))
    checked, _ = worker.finish(wire.Check(source, PARAMETERS))

    assert (checked.code is None) == bool(checked.diagnostics)


def test_code_that_is_too_large_is_a_finding() -> None:
    checked = check("x = " + repr([f"a{n}" for n in range(300_000)]), PARAMETERS)

    assert (None, "too-complex") == (checked.code, checked.diagnostics[0].rule)


def test_code_and_findings_exclude_each_other() -> None:
    checked = check("import os", PARAMETERS)

    assert checked.code is None
    assert len(checked.diagnostics) == 1


def test_the_name_of_the_file_is_not_the_source_s_to_choose() -> None:
    """CPython would read lines of a file of that name into its messages."""
    checked = check("# /etc/passwd\nx = (", PARAMETERS)

    assert "root:" not in checked.diagnostics[0].message
    assert HOOK_FILENAME == "<hook>"


@pytest.mark.parametrize("nearest", ["jsn", "reqests", "a" * 5_000, "", "os", "é", "../json"])
def test_a_dependency_that_is_not_mapped_is_refused(nearest: str) -> None:
    checked = check("def hook(user, context, cb):\n    cb()\n", PARAMETERS, ("json", nearest))
    (found,) = checked.diagnostics

    assert ("dependency", 1, 1, 2) == (found.rule, found.line, found.column, found.end)
    assert found.hint
    assert checked.code is None
    wire.parse(wire.pack(checked)[wire.PREFIX_BYTES :], wire.replies)


def test_dependencies_that_are_mapped_are_no_finding() -> None:
    checked = check("def hook(user, context, cb):\n    cb()\n", PARAMETERS, ("json", "urllib.parse"))

    assert ((), True) == (checked.diagnostics, checked.code is not None)


@pytest.mark.parametrize(
    ("call", "places"),
    [
        ("x = require('lodash')", [(1, 5, 22)]),
        ("x = require('json').dumps(require('jsn'))", [(1, 27, 41)]),
        ("def f():\n    return require('os')", [(2, 12, 25)]),
        ("require('json')\nrequire('urllib.parse')", []),
        ("require(name)", []),
        ("require(b'os')", []),
        ("require('os', 1)", []),
        ("require()", []),
        ("x.require('os')", []),
        ("def require(name):\n    return name\nrequire('os')", []),
        ("for require in ():\n    require('os')", []),
    ],
)
def test_a_module_required_by_its_name_must_be_mapped(call: str, places: list[Any]) -> None:
    found = check(call, PARAMETERS).diagnostics

    assert places == [(finding.line, finding.column, finding.end) for finding in found]
    assert {"import"} >= {finding.rule for finding in found}


def test_findings_of_all_kinds_come_together_in_order() -> None:
    """Dependencies, the policy's, modules asked for, the entry's: one list."""
    source = "x = require('lodash')\nimport os\ndef hook(a):\n    eval('1')\n"
    found = check(source, PARAMETERS, ("lodash",), Advice(())).diagnostics

    assert ["dependency", "import", "import", "arity", "builtin"] == [finding.rule for finding in found]
    assert sorted(found, key=lambda finding: (finding.line, finding.column)) == list(found)


def test_no_more_findings_than_a_frame_takes() -> None:
    source = "\n".join(f"require('os{n}'); import os" for n in range(100))
    checked = check(source, PARAMETERS, tuple(f"none{n}" for n in range(100)), Advice(()))

    assert 100 == len(checked.diagnostics)
    wire.parse(wire.pack(checked)[wire.PREFIX_BYTES :], wire.replies)


def test_a_refused_source_has_warnings_too() -> None:
    checked = check("import os\ndef hook(user, context, cb):\n    pass\n", PARAMETERS, (), Advice(()))

    assert (["import"], ["unused-cb"]) == (
        [finding.rule for finding in checked.diagnostics],
        [finding.rule for finding in checked.warnings],
    )


def test_a_source_that_cannot_be_parsed_has_one_finding_and_no_warnings() -> None:
    checked = check("import os\nx = (", PARAMETERS, ("lodash",), Advice(()))

    assert (["syntax"], ()) == ([finding.rule for finding in checked.diagnostics], checked.warnings)


def test_a_worker_checks_with_all_that_it_is_told(worker: Any) -> None:
    source = "def hook(user, context, cb):\n    print(user.emial, context.webtask.secrets.B)\n    cb()\n"
    advice = Advice(("user.email", "context.*"), ("A",))
    checked, _ = worker.finish(wire.Check(source, PARAMETERS, ("json",), advice))
    refused, _ = worker.finish(wire.Check(source, PARAMETERS, ("lodash",)))

    assert ["unknown-field", "unknown-secret"] == [finding.rule for finding in checked.warnings]
    assert (True, ()) == (checked.code is not None, checked.diagnostics)
    assert (["dependency"], ()) == ([finding.rule for finding in refused.diagnostics], refused.warnings)


@given(st.text(max_size=60) | st.lists(st.sampled_from("def hook ( ) : \n \t x . _a __b = + [ ] { } ' \" f import os lambda yield await é \0 1 , * ** @ class if for".split(" ")), max_size=25).map(" ".join))  # fmt: skip
def test_any_text_is_code_or_findings_that_fit_a_frame(source: str) -> None:
    checked = check(source, PARAMETERS, (), Advice(("user.email",), ("KEY",)))

    assert (checked.code is None) == bool(checked.diagnostics)
    assert checked == wire.parse(wire.pack(checked)[wire.PREFIX_BYTES :], wire.replies)
