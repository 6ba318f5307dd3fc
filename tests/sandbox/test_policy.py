"""What a hook may be written in: each form that differs from Python or from RestrictedPython, with rule, place and hint."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import vocabulary as words
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
    return ast.unparse(_Spell().visit(tree))


# The guards' names hold spaces; here each stands under a name that can be written.
SPELLED = {
    words.READ: "READ",
    words.WRITE: "WRITE",
    words.WRITE_PRIVATE: "WRITE_PRIVATE",
    words.SUPER: "SUPER",
    words.NAMES: "NAMES",
    words.TYPE: "TYPE",
    words.OWN: "OWN",
    words.PLAIN: "PLAIN",
    words.GETATTR: "GETATTR",
    words.NEW: "NEW",
    words.TOKEN: "TOKEN",
    words.MARK: "MARK",
}


class _Spell(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(SPELLED.get(node.id, node.id), node.ctx)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.b", "a.b"),
        ("a.b.c(d)", "a.b.c(d)"),
        ("a.format", "READ(a, 'format')"),
        ("a.b.register(c)", "READ(a.b, 'register')(c)"),
        ("a._b", "READ(a, '_b')"),
        ("lambda a: a._b", "lambda a: a._b if TYPE(a) in PLAIN else READ(a, '_b')"),
        ("a.b._c", "READ(a.b, '_c')"),
        ("a().__name__", "READ(a(), '__name__')"),
        ("a.__class__.__name__", "READ(READ(a, '__class__'), '__name__')"),
        ("f'{a.__doc__}'", "f\"{READ(a, '__doc__')}\""),
        ("a.b = c", "WRITE(a).b = c"),
        ("a.b.c = d", "WRITE(a.b).c = d"),
        ("def f(a):\n    a.b = a._c", "def f(a):\n    (a if TYPE(a) in OWN else WRITE(a)).b = a._c if TYPE(a) in PLAIN else READ(a, '_c')"),
        ("def f(*, a):\n    a._b += 1", "def f(*, a):\n    (a if TYPE(a) in OWN else WRITE_PRIVATE(a))._b += 1"),
        ("def f(*a):\n    a.b = 1", "def f(*a):\n    WRITE(a).b = 1"),
        ("def f(a):\n    b.c = 1", "def f(a):\n    WRITE(b).c = 1"),
        ("def f(a):\n    [a._b for x in y]", "def f(a):\n    [READ(a, '_b') for x in y]"),
        ("def f(a):\n    def g():\n        a.b = 1", "def f(a):\n    def g():\n        WRITE(a).b = 1"),
        ("def f(a):\n    def g():\n        nonlocal a\n    a.b = 1", "def f(a):\n    def g():\n        nonlocal a\n    WRITE(a).b = 1"),
        ("def f(a):\n    ((a := b) for x in y)\n    a.b = 1", "def f(a):\n    ((a := b) for x in y)\n    WRITE(a).b = 1"),
        ("class A:\n    @b\n    def __getattr__(me, name): pass", "class A:\n    @GETATTR\n    @b\n    def __getattr__(me, name): pass\n    MARK = TOKEN"),
        ("a._b = c", "WRITE_PRIVATE(a)._b = c"),
        ("a()._b = c", "WRITE_PRIVATE(a())._b = c"),
        ("del a.b", "del WRITE(a).b"),
        ("a().b += c", "WRITE(a()).b += c"),
        ("a().b: int = c", "WRITE(a()).b: int = c"),
        ("a[b]", "a[b]"),
        ("a[b] = c", "a[b] = c"),
        ("a[b:c] += d", "a[b:c] += d"),
        ("del a[b]", "del a[b]"),
        ("a._b[c] = d", "READ(a, '_b')[c] = d"),
        ("(a().b, c[d], *e().f) = g", "(WRITE(a()).b, c[d], *WRITE(e()).f) = g"),
        ("for a().b in c:\n    pass", "for WRITE(a()).b in c:\n    pass"),
        ("with a as b().c:\n    pass", "with a as WRITE(b()).c:\n    pass"),
        ("[a for b().c in d]", "[a for WRITE(b()).c in d]"),
        ("(a, b) = (c, d) = f()", "(a, b) = (c, d) = f()"),
        ("class A(b.c, d=e):\n    'text'", "class A(b.c, d=e):\n    'text'\n    MARK = TOKEN"),
        ("class A:\n    __slots__ = b", "class A:\n    __slots__ = NAMES('__slots__', b)\n    MARK = TOKEN"),
        ("class A:\n    __match_args__ = ('b',)", "class A:\n    __match_args__ = NAMES('__match_args__', ('b',))\n    MARK = TOKEN"),
        ("class A:\n    __hash__ = None", "class A:\n    __hash__ = None\n    MARK = TOKEN"),
        ("class A:\n    def f(me):\n        super().f()", "class A:\n    def f(me):\n        SUPER(__class__, me).f()\n    MARK = TOKEN"),
        ("class A:\n    f = lambda me, /: super().f", "class A:\n    f = lambda me, /: SUPER(__class__, me).f\n    MARK = TOKEN"),
        ("class A:\n    def f(me):\n        super(A, me).f()", "class A:\n    def f(me):\n        super(A, me).f()\n    MARK = TOKEN"),
        ("class A:\n    def f(*all):\n        super()", "class A:\n    def f(*all):\n        super()\n    MARK = TOKEN"),
        ("def f(me):\n    super()", "def f(me):\n    super()"),
        ("class __A:\n    def f(me):\n        return me().__b", "class __A:\n    def f(me):\n        return READ(me(), '_A__b')\n    MARK = TOKEN"),
        ("class __:\n    def f(me):\n        return me().__b", "class __:\n    def f(me):\n        return READ(me(), '__b')\n    MARK = TOKEN"),
        ("match a:\n    case b.C(x=1, y=[d, *_]) | {'k': v, **w} if w._x:\n        v.y", "match a:\n    case b.C(x=1, y=[d, *_]) | {'k': v, **w} if READ(w, '_x'):\n        v.y"),
    ],
)  # fmt: skip
def test_a_guard_stands_where_the_language_cannot_decide_and_nowhere_else(source: str, expected: str) -> None:
    assert ast.unparse(ast.parse(expected)) == rewritten(source)


ACCEPTED = {  # by the node of the syntax tree
    "AnnAssign": ["x: int = 1", "x: list[int]", "x: 'text'", "class A:\n    x: int = 1"],
    "AugAssign": ["x += 1", "x[0] += 1", "x[1:2] += [1]", "x.y += 1", "x._y @= 1"],
    "Assign": ["a = b = 1", "a, b = t", "[a, *b] = t", "a.b = 1", "_ = 1", "_x = 1", "__x = 1", "__all__ = ['hook']"],
    "NamedExpr": ["x = (y := 1)", "(_x := 1)"],
    "Call": ["print(1)", "f(*a, **k)", "f(_x=1)", "super()", "f(__x=1)"],
    "Set": ["{*a}"],
    "Dict": ["{**a}", "{'__x__': 1}"],
    "Lambda": ["lambda x, *y, z=1, **k: x", "lambda _x, /: 1"],
    "IfExp": ["x if y else z"],
    "Yield": ["def g():\n    x = yield 1\n    yield from h()"],
    "Try": ["try:\n    pass\nexcept E as _e:\n    raise F from _e\nelse:\n    pass\nfinally:\n    pass"],
    "TryStar": ["try:\n    pass\nexcept* E as e:\n    pass"],
    "While": ["while a:\n    break\nelse:\n    pass"],
    "For": ["for _ in a:\n    continue", "for _x in a:\n    pass"],
    "With": ["with a as b, c as d: pass"],
    "Global": ["global x", "def f():\n    global _x"],
    "Nonlocal": ["def f():\n    x = 1\n    def g():\n        nonlocal x"],
    "Delete": ["del x", "del x.y", "del x[1:2]"],
    "Assert": ["assert a, b"],
    "FunctionDef": ["@staticmethod\ndef f(a, /, b: int, *, c=1) -> int: pass", "def _f(_a, *_b, **_c): pass"],
    "ClassDef": [
        "class A:\n    def __init__(self):\n        self._x = 2\n    def __enter__(self): pass\n    __radd__ = __add__ = len",
        "class _A(B, key=1, **more): pass",
        "class A:\n    @property\n    def x(self): pass\n    @x.setter\n    def x(self, v): pass",
        "class A:\n    def f(self):\n        return self.__class__.__name__, super().__init__()",
    ],
    "JoinedStr": ["x = f'{a!r:>{b}} {c=}'"],
    "Import": ["import json", "import urllib.parse as p", "import json as _j"],
    "ImportFrom": ["from urllib import parse", "from json import dumps as d", "from datetime import datetime, timezone"],
    "Match": [
        "match x:\n    case 1 | 'a' | None | -1 | 1+2j: pass\n    case [a, *b]: pass\n    case _: pass",
        "match x:\n    case {'a': 1, **_rest}: pass\n    case A(1, b=_c) as d: pass\n    case b.C: pass",
    ],
    "Name": ["__name__ == '__main__'", "__doc__", "__debug__", "_getattr_"],
    "Compare": ["a < b < c is d not in e"],
    "BinOp": ["a @ b"],
    "Constant": ["..."],
}  # fmt: skip
NEWER = {
    "TypeAlias": ["type X = int", "type X[T: int, *Ts, **P] = list[T]"],
    "TypeVar": ["def f[T](x: T) -> T: pass", "class A[T, *_Ts, **P](B): pass"],
}


@pytest.mark.parametrize("source", [source for sources in ACCEPTED.values() for source in sources])
def test_ordinary_python_is_accepted(source: str) -> None:
    assert findings(source) == []


@needs_312
@pytest.mark.parametrize("source", [source for sources in NEWER.values() for source in sources])
def test_so_is_what_is_new_in_python_312(source: str) -> None:
    assert findings(source) == []


@pytest.mark.parametrize("name", sorted(words.METHODS))
def test_an_ordinary_special_method_is_accepted_in_a_class_and_nowhere_else(name: str) -> None:
    assert findings(f"class A:\n    def {name}(self): pass\n") == []
    assert findings(f"class A:\n    {name} = f\n") == [] or name in words.BY_DEF
    assert ["special-name"] == [found.rule for found in findings(f"def {name}(self): pass\n")]
    assert ["special-name"] == [found.rule for found in findings(f"class A:\n    def f(self):\n        {name} = 1\n")]


@pytest.mark.parametrize(
    "name", sorted(name for name in words.REASONS if words.is_dunder(name) and name not in words.METHODS)
)
def test_a_special_name_that_is_refused_says_why(name: str) -> None:
    (found,) = findings(f"class A:\n    def {name}(self): pass\n")
    (used,) = findings(f"x.{name} = 1\n")

    assert ("special-name", words.REASONS[name]) == (found.rule, found.hint)
    assert ("attribute", words.REASONS[name]) == (used.rule, used.hint)


@pytest.mark.parametrize(
    ("source", "rule", "line", "column", "end", "message"),
    [
        ("x\ny.__globals__", "attribute", 2, 1, 14, "'__globals__'"),
        ("x = y.__code__", "attribute", 1, 5, 15, "'__code__'"),
        ("y.__class__ = 1", "attribute", 1, 1, 12, "'__class__'"),
        ("del y.__doc__", "attribute", 1, 5, 14, "'__doc__'"),
        ("y.__dict__ += 1", "attribute", 1, 1, 11, "'__dict__'"),
        ("y.__dict__['a'] = 1", "attribute", 1, 1, 16, "give a copy"),
        ("vars(y)['a'] = 1", "attribute", 1, 1, 13, "give a copy"),
        ("vars(y).update(a=1)", "attribute", 1, 1, 15, "give a copy"),
        ("y.__dict__.update(a=1)", "attribute", 1, 1, 18, "give a copy"),
        ("y.gi_frame", "attribute", 1, 1, 11, "'gi_frame'"),
        ("y.mro()", "attribute", 1, 1, 6, "'mro'"),
        ("x.format += 1", "attribute", 1, 1, 9, "may not change the attribute 'format' in place"),
        ("x.format_map += 1", "attribute", 1, 1, 13, "may not change the attribute 'format_map' in place"),
        ("f'{y.__globals__}'", "attribute", 1, None, None, "'__globals__'"),
        ("match x:\n    case A(__class__=c): pass", "attribute", 2, 10, 24, "a pattern may not use the attribute '__class__'"),
        ("match x:\n    case A(obj=c): pass", "attribute", 2, 10, 18, "a pattern may not use the attribute 'obj'"),
        ("match x:\n    case A(_x=c): pass", "attribute", 2, 10, 17, "a pattern may not use the attribute '_x'"),
        ("match x:\n    case a.__globals__: pass", "attribute", 2, 10, 23, "'__globals__'"),
        ("match x:\n    case {a.gi_frame: b}: pass", "attribute", 2, 11, 21, "'gi_frame'"),
        ("match x:\n    case a.mro.B(): pass", "attribute", 2, 10, 15, "'mro'"),
        ("match x:\n    case __builtins__: pass", "special-name", 2, 10, 22, "'__builtins__'"),
        ("match x:\n    case [*__import__]: pass", "special-name", 2, 11, 22, "'__import__'"),
        ("match x:\n    case {**__class__}: pass", "special-name", 2, 10, 23, "'__class__'"),
        ("match x:\n    case __builtins__(): pass", "special-name", 2, 10, 22, "'__builtins__'"),
        ("__builtins__", "special-name", 1, 1, 13, "'__builtins__'"),
        ("__class__", "special-name", 1, 1, 10, "'__class__'"),
        ("__name__ = 1", "special-name", 1, 1, 9, "'__name__'"),
        ("(__import__ := 1)", "special-name", 1, 2, 12, "'__import__'"),
        ("def __build_class__(): pass", "special-name", 1, 1, 28, "'__build_class__'"),
        ("def f(__import__): pass", "special-name", 1, 1, 24, "'__import__'"),
        ("def f(__import__, /): pass", "special-name", 1, 1, 27, "'__import__'"),
        ("def f(*__import__): pass", "special-name", 1, 1, 25, "'__import__'"),
        ("def f(**__import__): pass", "special-name", 1, 1, 26, "'__import__'"),
        ("def f(*, __import__): pass", "special-name", 1, 1, 27, "'__import__'"),
        ("lambda __import__: 1", "special-name", 1, 1, 21, "'__import__'"),
        ("class __builtins__: pass", "special-name", 1, 1, 25, "'__builtins__'"),
        ("class A:\n    __slots__ = x = ()", "special-name", 2, 5, 14, "'__slots__'"),
        ("class A:\n    for __match_args__ in x: pass", "special-name", 2, 9, 23, "'__match_args__'"),
        ("class A:\n    __getattr__ = f", "special-name", 2, 5, 16, "'__getattr__'"),
        ("class A:\n    def __slots__(self): pass", "special-name", 2, 5, 30, "'__slots__'"),
        ("import json as __builtins__", "special-name", 1, 1, 28, "'__builtins__'"),
        ("from json import dumps as __import__", "special-name", 1, 1, 37, "'__import__'"),
        ("try:\n    pass\nexcept E as __class__:\n    pass", "special-name", 3, 1, None, "'__class__'"),
        ("def f():\n    global __builtins__", "special-name", 2, 5, 24, "'__builtins__'"),
        ("[__builtins__ for __builtins__ in y]", "special-name", 1, None, None, "'__builtins__'"),
        ("import os", "import", 1, 1, 10, "'os'"),
        ("import json, os", "import", 1, 1, 16, "'os'"),
        ("from json import decoder", "import", 1, 1, 25, "does not offer 'decoder'"),
        ("from json import *", "import", 1, 1, 19, "star import"),
        ("from . import x", "import", 1, 1, 16, "a hook is one file"),
        ("from .json import dumps", "import", 1, 1, 24, "a hook is one file"),
        ("eval('1')", "builtin", 1, 1, 5, "eval is not available in a hook"),
        ("exec('1')", "builtin", 1, 1, 5, "exec is not available in a hook"),
        ("compile('1')", "builtin", 1, 1, 8, "compile is not available in a hook"),
        ("open('x')", "builtin", 1, 1, 5, "open is not available in a hook"),
        ("globals()", "builtin", 1, 1, 8, "globals is not available in a hook"),
        ("class A(metaclass=M): pass", "metaclass", 1, 1, 27, "metaclass"),
        ("async def f(): pass", "statement", 1, 1, 20, "async def is not available in a hook"),
        pytest.param("type __builtins__ = int", "special-name", 1, 6, 18, "'__builtins__'", marks=needs_312),
        pytest.param("def f[__import__](x): pass", "special-name", 1, 7, 17, "'__import__'", marks=needs_312),
        pytest.param("type X = a.__globals__", "attribute", 1, 10, 23, "'__globals__'", marks=needs_312),
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
        ("x.__traceback__", "it holds frames; the report of an error names the lines anyway"),
        ("x.__weird__", "it leads into the interpreter"),
        ("async def f(): pass", "a hook is one synchronous call: write def"),
        ("async def f():\n    await x", "a hook is one synchronous call: write def"),
        ("class A(metaclass=M): pass", "derive it from ABC or Enum"),
        ("import jsn", "did you mean 'json'?"),
        ("from json import dump", "a hook has no files; use dumps"),
        ("from hmac import sign", "it offers compare_digest, digest, new"),
    ],
)
def test_a_refusal_says_what_to_write_instead(source: str, hint: str) -> None:
    assert hint == findings(source)[0].hint


def test_columns_count_characters_and_not_bytes() -> None:
    """The syntax tree counts bytes of UTF-8."""
    (found,) = findings('x = "éé€"; y.__a__')

    assert (12, 19) == (found.column, found.end)


def test_findings_come_in_the_order_of_the_source() -> None:
    places = [(found.line, found.column) for found in findings("a.__b__; c.__d__\nimport os\n__x__ = 1\ny.__z__")]

    assert places == sorted(places)
    assert len(places) == 5


def test_there_are_at_most_a_hundred_findings() -> None:
    assert len(findings("x.__a__\n" * 500)) == MOST_FINDINGS == 100


def test_a_long_name_fits_into_a_finding() -> None:
    (found,) = findings("x.__" + "a" * 10_000 + "__")

    assert len(found.message) <= MESSAGE_CHARS


@pytest.mark.parametrize(
    "name",
    ["__globals__", "__subclasses__", "__mro__", "__code__", "__closure__", "__bases__", "__reduce_ex__", "__self__"],
)
def test_no_attribute_of_the_interpreter_can_be_spelled(name: str) -> None:
    for source in (f"x.{name}", f"x.{name} = 1", f"del x.{name}", f"x.{name} += 1", f"for x.{name} in y: pass", f"with a as x.{name}: pass", f"f'{{x.{name}}}'", f"[1 for x.{name} in y]", f"@x.{name}\ndef f(): pass", f"def f(a: x.{name}): pass"):  # fmt: skip
        assert findings(source), source


@pytest.mark.parametrize("name", ["ﬁle", "ｘ"])  # noqa: RUF001 - on purpose
def test_names_are_checked_as_python_reads_them(name: str) -> None:
    """Python folds compatible characters (NFKC) in identifiers."""
    assert findings(f"{name} = 1") == []


@pytest.mark.parametrize("source", ["x.＿＿globals__", "x.﹍﹍code__", "＿＿builtins__ = 1", "x.__ｇlobals__"])  # noqa: RUF001 - on purpose
def test_a_folded_name_is_what_python_reads(source: str) -> None:
    assert findings(source)


def test_a_future_import_is_accepted_only_by_its_plain_name() -> None:
    assert findings("from __future__ import annotations") == []
    assert findings("from __future__ import annotations as __builtins__")


def test_a_future_import_that_the_policy_accepts_also_runs(run_here: Callable[..., Any]) -> None:
    done, _ = run_here("from __future__ import annotations\ndef hook(user, context, cb):\n    cb(None, 1)\n")

    assert ("ok", "") == (done.status, done.message)
