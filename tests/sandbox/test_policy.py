"""What a hook may be written in: each form that differs from Python or from RestrictedPython, with rule, place and hint."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.compiler import check
from sandbox.policy import MOST_FINDINGS, Policy
from sandbox.wire import MESSAGE_CHARS

needs_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="new in Python 3.12")


def findings(source: str) -> list:
    """What the policy refuses of a source, without the check of the entry."""
    return list(check(source, ()).diagnostics)


def rewritten(source: str) -> str:
    """The source after the policy, which must accept it."""
    tree = ast.parse(source)
    policy = Policy(source)
    tree = policy.visit(tree)
    assert policy.findings == []
    return ast.unparse(tree)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.b", "_getattr_(a, 'b')"),
        ("a.b.c", "_getattr_(_getattr_(a, 'b'), 'c')"),
        ("a.b(c)", "_getattr_(a, 'b')(c)"),
        ("a.b = c", "_write_(a).b = c"),
        ("a.b.c = d", "_write_(_getattr_(a, 'b')).c = d"),
        ("del a.b", "del _write_(a).b"),
        ("a.b += c", "_write_(a).b += c"),
        ("a.b: int = c", "_write_(a).b: int = c"),
        ("a[b]", "a[b]"),
        ("a[b] = c", "_write_(a)[b] = c"),
        ("a[b:c] = d", "_write_(a)[b:c] = d"),
        ("del a[b]", "del _write_(a)[b]"),
        ("a[b] += c", "_write_(a)[b] += c"),
        ("a.b[c.d] = e", "_write_(_getattr_(a, 'b'))[_getattr_(c, 'd')] = e"),
        ("(a.b, c[d], *e.f) = g", "(_write_(a).b, _write_(c)[d], *_write_(e).f) = g"),
        ("for a.b in c:\n    pass", "for _write_(a).b in c:\n    pass"),
        ("with a as b.c:\n    pass", "with a as _write_(b).c:\n    pass"),
        ("[a for b.c in d]", "[a for _write_(b).c in d]"),
        ("f'{a.b}'", "f\"{_getattr_(a, 'b')}\""),
        ("@a.b\ndef f(x: c.d=e.f) -> g.h:\n    pass", "@_getattr_(a, 'b')\ndef f(x: _getattr_(c, 'd')=_getattr_(e, 'f')) -> _getattr_(g, 'h'):\n    pass"),
        ("class A(b.c):\n    pass", "class A(_getattr_(b, 'c')):\n    pass"),
    ],
)  # fmt: skip
def test_guards_stand_at_attribute_reads_and_at_every_write(source: str, expected: str) -> None:
    assert ast.dump(ast.parse(expected)) == ast.dump(ast.parse(rewritten(source)))


@pytest.mark.parametrize(
    "source",
    [
        "x: int = 1", "x: list[int]", "x += 1", "a = b = 1", "a, b = t", "[a, *b] = t", "x = (y := 1)", "print(1)",
        "f(*a, **k)", "[*a, *b]", "{**a}", "lambda x, *y, z=1, **k: x", "x if y else z", "a < b < c", "a @ b",
        "def g():\n    yield 1\n    yield from h()", "try:\n    pass\nexcept E as e:\n    raise F from e\nelse:\n    pass\nfinally:\n    pass",
        "while a:\n    break\nelse:\n    pass", "for _ in a:\n    continue", "_ = 1", "assert a, b", "global x", "del x",
        "class A:\n    x: int = 1\n    def __init__(self):\n        self.x = 2\n    def __eq__(self, other):\n        return True",
        "@staticmethod\ndef f(a, /, b, *, c): pass", "with a as b, c as d: pass", "d['__x__']", "x = f'{a!r:>{b}}'",
        "import json", "import urllib.parse as p", "from urllib import parse", "from json import dumps as d", "...",
        "from datetime import datetime, timezone",
    ],
)  # fmt: skip
def test_ordinary_python_is_accepted(source: str) -> None:
    assert findings(source) == []


@pytest.mark.parametrize(
    ("source", "rule", "line", "column", "end", "message"),
    [
        ("x\ny.__class__", "attribute", 2, 1, 12, "'__class__'"),
        ("x = y._a", "attribute", 1, 5, 9, "'_a'"),
        ("y._a = 1", "attribute", 1, 1, 5, "'_a'"),
        ("del y._a", "attribute", 1, 5, 9, "'_a'"),
        ("y._a += 1", "attribute", 1, 1, 5, "'_a'"),
        ("y.gi_frame", "attribute", 1, 1, 11, "'gi_frame'"),
        ("y.mro()", "attribute", 1, 1, 6, "'mro'"),
        ("x.format += 1", "attribute", 1, 1, 9, "may not change the attribute 'format'"),
        ("x.format_map += 1", "attribute", 1, 1, 13, "may not change the attribute 'format_map'"),
        ("f'{y.__class__}'", "attribute", 1, None, None, "'__class__'"),
        ("_x = 1", "underscore-name", 1, 1, 3, "'_x'"),
        ("_getattr_", "underscore-name", 1, 1, 10, "'_getattr_'"),
        ("__builtins__", "underscore-name", 1, 1, 13, "'__builtins__'"),
        ("(_x := 1)", "underscore-name", 1, 2, 4, "'_x'"),
        ("def _f(): pass", "underscore-name", 1, 1, 15, "'_f'"),
        ("def f(_a): pass", "underscore-name", 1, 1, 16, "'_a'"),
        ("def f(_a, /): pass", "underscore-name", 1, 1, 19, "'_a'"),
        ("def f(*_a): pass", "underscore-name", 1, 1, 17, "'_a'"),
        ("def f(**_a): pass", "underscore-name", 1, 1, 18, "'_a'"),
        ("def f(*, _a): pass", "underscore-name", 1, 1, 19, "'_a'"),
        ("lambda _a: 1", "underscore-name", 1, 1, 13, "'_a'"),
        ("class _A: pass", "underscore-name", 1, 1, 15, "'_A'"),
        ("import json as _j", "underscore-name", 1, 1, 18, "'_j'"),
        ("from json import dumps as _d", "underscore-name", 1, 1, 29, "'_d'"),
        ("try:\n    pass\nexcept E as _e:\n    pass", "underscore-name", 3, 1, None, "'_e'"),
        ("def f():\n    global _write_", "underscore-name", 2, 5, 19, "'_write_'"),
        ("def __init__(self): pass", "underscore-name", 1, 1, 25, "'__init__'"),
        ("class A:\n    def __getattr__(self): pass", "underscore-name", 2, 5, 32, "'__getattr__'"),
        ("[_x for _x in y]", "underscore-name", 1, None, None, "'_x'"),
        ("import os", "import", 1, 1, 10, "the module 'os'"),
        ("import json, os", "import", 1, 1, 16, "the module 'os'"),
        ("from json import decoder", "import", 1, 1, 25, "does not offer 'decoder'"),
        ("from json import *", "import", 1, 1, 19, "star import"),
        ("from . import x", "import", 1, 1, 16, "'.'"),
        ("from .json import dumps", "import", 1, 1, 24, "'.json'"),
        ("eval('1')", "builtin", 1, 1, 5, "eval is not available in a hook"),
        ("exec('1')", "builtin", 1, 1, 5, "exec is not available in a hook"),
        ("compile('1')", "builtin", 1, 1, 8, "compile is not available in a hook"),
        ("open('x')", "builtin", 1, 1, 5, "open is not available in a hook"),
        ("globals()", "builtin", 1, 1, 8, "globals is not available in a hook"),
        ("vars()", "builtin", 1, 1, 5, "vars is not available in a hook"),
        ("class A(metaclass=M): pass", "metaclass", 1, 1, 27, "metaclass"),
        ("class A(**k): pass", "metaclass", 1, 1, 19, "metaclass"),
        ("try:\n    pass\nexcept* E:\n    pass", "statement", 1, 1, 2, "TryStar"),
        ("match x:\n    case 1:\n        pass", "statement", 1, 1, 2, "Match"),
        ("async def f(): pass", "statement", 1, 1, 20, "AsyncFunctionDef"),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x", "statement", 4, 9, 19, "Nonlocal"),
        pytest.param("type X = int", "statement", 1, 1, 13, "TypeAlias", marks=needs_312),
        pytest.param("def f[T](x): pass", "statement", 1, 7, 8, "TypeVar", marks=needs_312),
        pytest.param("class A[T]: pass", "statement", 1, 9, 10, "TypeVar", marks=needs_312),
    ],
)  # fmt: skip
def test_a_form_is_refused_by_its_rule_and_at_its_place(
    source: str, rule: str, line: Any, column: Any, end: Any, message: str
) -> None:
    found = findings(source)[0]

    assert (rule, line) == (found.rule, found.line)
    assert column in (None, found.column)
    assert end in (None, found.end)
    assert message in found.message


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("_helper = 1", "call it 'helper'"),
        ("__ = 1", "call it 'something'"),
        ("async def f(): pass", "a hook is one synchronous call: write def"),
        ("match x:\n    case 1: pass", "write if/elif"),
        ("try: pass\nexcept* E: pass", "write try/except"),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x", "keep the value in a dict or a list and change that"),
        ("import jsn", "did you mean 'json'?"),
        ("from json import dump", "it offers JSONDecodeError, dumps, loads"),
    ],
)
def test_a_refusal_says_what_to_write_instead(source: str, hint: str) -> None:
    assert hint == findings(source)[0].hint


def test_columns_count_characters_and_not_bytes() -> None:
    """The syntax tree counts bytes of UTF-8."""
    (found,) = findings('x = "éé€"; y._a')

    assert (12, 16) == (found.column, found.end)


def test_findings_come_in_the_order_of_the_source() -> None:
    places = [(found.line, found.column) for found in findings("a._b; c._d\nimport os\n_x = 1\ny.__z__")]

    assert places == sorted(places)
    assert len(places) == 5


def test_there_are_at_most_a_hundred_findings() -> None:
    assert len(findings("x._a\n" * 500)) == MOST_FINDINGS == 100


def test_a_long_name_fits_into_a_finding() -> None:
    (found,) = findings("x._" + "a" * 10_000)

    assert len(found.message) <= MESSAGE_CHARS


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "__globals__",
        "__subclasses__",
        "__mro__",
        "__dict__",
        "__code__",
        "__init_subclass__",
        "__reduce_ex__",
    ],
)
def test_no_attribute_of_the_interpreter_can_be_spelled(name: str) -> None:
    for source in (f"x.{name}", f"x.{name} = 1", f"del x.{name}", f"x.{name} += 1", f"for x.{name} in y: pass", f"with a as x.{name}: pass", f"f'{{x.{name}}}'", f"[1 for x.{name} in y]", f"@x.{name}\ndef f(): pass", f"def f(a: x.{name}): pass"):  # fmt: skip
        assert findings(source), source


@pytest.mark.parametrize("name", ["ﬁle", "ｘ"])  # noqa: RUF001 - on purpose
def test_names_are_checked_as_python_reads_them(name: str) -> None:
    """Python folds compatible characters (NFKC) in identifiers."""
    assert findings(f"{name} = 1") == []


@pytest.mark.parametrize("source", ["x.﹍a", "︳x = 1", "x.＿a", "＿x = 1"])  # noqa: RUF001 - on purpose
def test_a_folded_underscore_is_an_underscore(source: str) -> None:
    assert findings(source)


def test_a_future_import_is_accepted_only_by_its_plain_name() -> None:
    assert findings("from __future__ import annotations") == []
    assert findings("from __future__ import annotations as _getattr_")


def test_a_future_import_that_the_policy_accepts_also_runs(run_here: Callable[..., Any]) -> None:
    done, _ = run_here("from __future__ import annotations\ndef hook(user, context, cb):\n    cb(None, 1)\n")

    assert ("ok", "") == (done.status, done.message)
