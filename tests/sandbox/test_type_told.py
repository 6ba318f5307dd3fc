"""`type` as a hook has it."""

from __future__ import annotations

import marshal
from typing import Any

import pytest

from sandbox import compiler, guards


def run(source: str) -> dict[str, Any]:
    """The namespace after a hook's source."""
    own = guards.Guards({"__name__": "hook"})
    guards.install(own, lambda *_: None, lambda *_: None)
    checked = compiler.check(source, ())
    assert checked.code is not None, checked.diagnostics
    exec(marshal.loads(checked.code), own.namespace)
    return own.namespace


def test_type_tells_a_class_and_makes_none() -> None:
    told = run(
        "class A: pass\n"
        "a = [type(1), type(A()), type(A), type(type), isinstance(A, type), isinstance(1, type), issubclass(A, type)]\n"
        "b = [str(type), str(type[int]), type(1) is int, type(type) is type]\n",
    )

    assert [int, told["A"]] == told["a"][:2]
    assert [True, False, False] == told["a"][4:]
    assert ["<class 'type'>", "<class 'type'>", True, True] == told["b"]
    assert type not in told["a"]
    for code in (
        "type('A', (), {})",
        "type[int]('A', (), {})",
        "type()",
    ):
        with pytest.raises(TypeError):
            run(code)


@pytest.mark.parametrize("made", ["len", "(lambda: 1)", "[].append", "(x for x in [])", "list[int]", "super(A, A())"])
def test_for_the_class_of_what_is_no_value_another_stands(made: str) -> None:
    told = run(
        f"class A: pass\nx = {made}\nkind = type(x)\nsame = [kind is type(x), isinstance(x, kind), isinstance(1, kind)]\n"
    )

    assert [True, True, False] == told["same"]
    assert type(told["x"]).__name__ == told["kind"].__name__
    assert told["kind"] is not type(told["x"])
    for code in ("kind()", "kind(1, 2)", "class B(kind): pass", "kind.x = 1", "object.__new__(kind)"):
        with pytest.raises(TypeError):
            run(f"class A: pass\nkind = type({made})\n{code}\n")
