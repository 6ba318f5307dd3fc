"""What restricted code meets at run time: attributes, writes, classes, builtins."""

from __future__ import annotations

import builtins
import collections
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import guards
from sandbox.document import Document
from sandbox.modules.facade import Facade

REFUSED = sorted(guards.REFUSED_ATTRIBUTES)


class Name(str):
    """A name that answers for itself."""

    __slots__ = ()

    def startswith(self, *_: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __eq__(self, _: object) -> bool:
        return False


@pytest.fixture
def namespace() -> dict:
    """The namespace of a job, with guards and builtins in it."""
    made: dict = {"__name__": "hook"}
    guards.install(guards.Own(made), lambda *_: None, lambda *_: None)
    return made


def run(code: str, namespace: dict, **names: object) -> dict:
    """Run code that was not rewritten, among those builtins."""
    namespace.update(names)
    exec(code, namespace)
    return namespace


@given(st.text().filter(lambda name: not name.startswith("_") and name not in guards.REFUSED_ATTRIBUTES))
def test_a_name_of_the_hook_s_own_passes(name: str) -> None:
    assert guards.check_attribute(name) is name


@given(st.text().map(lambda name: "_" + name))
def test_a_name_with_an_underscore_in_front_does_not(name: str) -> None:
    with pytest.raises(AttributeError):
        guards.check_attribute(name)


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_leads_to_the_interpreter_does_not(name: str) -> None:
    with pytest.raises(AttributeError, match=f"a hook may not use the attribute '{name}'"):
        guards.check_attribute(name)


@pytest.mark.parametrize("name", ["tb_frame", "f_globals", "f_builtins", "gi_frame", "cr_frame", "ag_frame", "mro"])
def test_the_ways_out_that_are_known_are_among_them(name: str) -> None:
    assert name in guards.REFUSED_ATTRIBUTES


@pytest.mark.parametrize("name", [Name("__class__"), Name("name"), 1, None, b"name"])
def test_a_name_must_be_a_plain_text(name: str) -> None:
    with pytest.raises(TypeError, match="plain str"):
        guards.check_attribute(name)


def test_an_attribute_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError):
        guards.get_attribute(object(), "missing")


def test_getattr_has_a_default_for_what_is_missing_and_not_for_what_is_refused() -> None:
    assert guards.get_attribute_or(1, "missing", 7) == 7
    assert guards.get_attribute_or(1, "real") == 1
    with pytest.raises(AttributeError):
        guards.get_attribute_or(1, "missing")
    with pytest.raises(AttributeError):
        guards.get_attribute_or(1, "__class__", None)
    with pytest.raises(TypeError):
        guards.get_attribute_or(1, "a", 2, 3)


def test_hasattr_says_no_to_what_is_refused() -> None:
    assert guards.has_attribute(1, "real")
    assert not guards.has_attribute(1, "missing")
    assert not guards.has_attribute(1, "__class__")


@pytest.mark.parametrize(
    "field",
    ["{0.__class__}", "{0.real.__class__}", "{a.__dict__}", "{0[0].__init__}", "{0.gi_frame}", "{0:{1.__class__}}"],
)
def test_format_reads_no_attribute_that_is_refused(field: str) -> None:
    with pytest.raises(AttributeError):
        guards.get_attribute(field, "format")([1], 1, a=1)
    with pytest.raises((AttributeError, KeyError, IndexError, ValueError)):
        guards.get_attribute(field, "format_map")({"0": [1], "a": 1})


def test_format_does_what_it_always_does() -> None:
    text = "{0} {name!r:>6} {1:{width}.2f} {{}} {2[key]} {3.real}"
    arguments = ("a", 1.234, {"key": "v"}, 5)

    assert text.format(*arguments, name="n", width=8) == guards.get_attribute(text, "format")(
        *arguments, name="n", width=8
    )
    assert guards.get_attribute("{} {}", "format")(1, 2) == "1 2"
    assert guards.get_attribute("{a}", "format_map")({"a": 1}) == "1"


@pytest.mark.parametrize("kind", [str, Name])
def test_format_of_the_class_is_refused(kind: Any) -> None:
    for name in ("format", "format_map"):
        with pytest.raises(AttributeError):
            guards.get_attribute(kind, name)


def test_format_of_a_subclass_formats_its_real_text() -> None:
    with pytest.raises(AttributeError):
        guards.get_attribute(Name("{0.__class__}"), "format")(1)


def test_a_format_of_something_else_is_an_attribute_like_any_other() -> None:
    assert guards.get_attribute(Document(format="csv"), "format") == "csv"


@pytest.mark.parametrize("target", [int, str, Exception, Document, Facade, collections.Counter, guards.Own])
def test_a_class_that_is_shared_may_not_be_written(namespace: Any, target: Any) -> None:
    with pytest.raises(TypeError, match="a hook may not change"):
        namespace["_write_"](target)


@pytest.mark.parametrize("target", [len, math.sin, pytest.fixture, math, "".join, [].append, Document().copy])
def test_functions_and_modules_that_are_not_the_hook_s_may_not_be_written(namespace: Any, target: Any) -> None:
    with pytest.raises(TypeError, match="a hook may not change"):
        namespace["_write_"](target)


def test_what_a_hook_makes_it_may_write(namespace: Any) -> None:
    run("class A:\n    pass\ndef f():\n    pass\na = A()\n", namespace)
    for target in ({}, [], Document(), namespace["A"], namespace["a"], namespace["f"]):
        assert namespace["_write_"](target) is target


def test_setattr_and_delattr_pass_the_same_guards(namespace: Any) -> None:
    run("class A:\n    pass\nsetattr(A, 'x', 1)\ndelattr(A, 'x')\nsetattr(A, 'x', 2)\n", namespace)
    assert namespace["A"].x == 2
    for code in ("setattr(A, '__init__', 1)", "delattr(A, '__doc__')"):
        with pytest.raises(AttributeError):
            run(code, namespace)
    for code in ("setattr(int, 'x', 1)", "delattr(shared, 'items')"):
        with pytest.raises(TypeError):
            run(code, namespace, shared=Document)


def test_one_job_s_class_is_not_another_s(namespace: Any) -> None:
    run("class A:\n    pass\n", namespace)
    other: dict = {}
    guards.install(guards.Own(other), lambda *_: None, lambda *_: None)
    with pytest.raises(TypeError):
        other["_write_"](namespace["A"])


def test_a_class_may_not_choose_a_metaclass_by_any_spelling(namespace: Any) -> None:
    with pytest.raises(TypeError, match="metaclass"):
        run("class A(**{'metaclass': type}):\n    pass\n", namespace)


def test_type_tells_a_class_and_makes_none(namespace: Any) -> None:
    assert run("x = type(1)", namespace)["x"] is int
    with pytest.raises(TypeError):
        run("type('A', (), {})", namespace)


LEFT_OUT = (
    "eval exec compile open input breakpoint globals locals vars dir id hash memoryview help exit quit copyright "
    "credits license BaseException SystemExit KeyboardInterrupt GeneratorExit super aiter anext"
).split()


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_builtin_that_is_left_out_is_not_there(namespace: Any, name: str) -> None:
    with pytest.raises(NameError):
        run(name, namespace)


def test_every_builtin_that_is_offered_exists_once() -> None:
    assert len(set(guards.BUILTIN_NAMES)) == len(guards.BUILTIN_NAMES)
    assert all(hasattr(builtins, name) for name in guards.BUILTIN_NAMES)
    assert not set(guards.BUILTIN_NAMES) & set(LEFT_OUT)


def test_the_dangerous_builtins_are_guarded_versions(namespace: Any) -> None:
    offered = namespace["__builtins__"]
    for name in ("getattr", "hasattr", "setattr", "delattr", "type", "__build_class__", "__import__", "print"):
        assert offered[name] is not getattr(builtins, name)


def test_a_job_cannot_change_the_builtins_of_another(namespace: Any) -> None:
    other: dict = {}
    guards.install(guards.Own(other), lambda *_: None, lambda *_: None)
    namespace["__builtins__"]["len"] = None

    assert other["__builtins__"]["len"] is len
