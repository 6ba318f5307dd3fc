"""Classes: metaclasses, builders, descriptors, decorators, and what of them is shared."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

REFUSED = {
    "metaclass": "class A(metaclass=Error):\n    pass\n",
    "metaclass in stars": "class A(**{'metaclass': Error}):\n    pass\n",
    "init_subclass": "class A:\n    def __init_subclass__(cls):\n        pass\n",
    "class_getitem": "class A:\n    def __class_getitem__(cls, x):\n        pass\n",
    "getattribute": "class A:\n    def __getattribute__(self, x):\n        pass\n",
    "getattr": "class A:\n    def __getattr__(self, x):\n        pass\n",
    "reduce": "class A:\n    def __reduce__(self):\n        return (cb, ())\n",
    "del": "class A:\n    def __del__(self):\n        pass\n",
    "exit": "class A:\n    def __exit__(self, *a):\n        pass\n",
    "hash": "class A:\n    def __hash__(self):\n        return 1\n",
    "slots": "class A:\n    __slots__ = ()\n",
    "class attribute": "class A:\n    __class__ = Error\n",
    "annotations": "class A:\n    __annotations__ = {}\n",
    "set_name": "class A:\n    def __set_name__(self, owner, name):\n        pass\n",
    "lambda as a method": "class A:\n    __eq__ = lambda self, other: True\n",
    "magic method outside a class": "def __eq__(a, b):\n    pass\n",
    "private class name": "class _A:\n    pass\n",
    "build_class": "A = __build_class__(cb, 'A')\n",
    "super": "class A(Error):\n    def f(self):\n        return super().f\n",
}
SHARED = {
    "Error": "Error.stash = 1",
    "a subclass of Error": "InvalidScopeError.message = 1",
    "the class of a document": "type(user).stash = 1",
    "the class of a facade": "type(require('json')).offered = 1",
    "the class of the console": "type(console).log = print",
    "the class of module": "type(module).exports = hook",
    "Template": "require('string').Template.delimiter = '!'",
    "UUID": "require('uuid').UUID.stash = 1",
    "Counter": "require('collections').Counter.stash = 1",
    "Enum": "require('enum').Enum.stash = 1",
    "setattr": "setattr(Error, 'stash', 1)",
    "delattr": "delattr(Error, 'stash')",
    "del": "del Error.stash",
    "augmented": "Error.stash += 1",
    "annotated": "Error.stash: int = 1",
    "for target": "for Error.stash in [1]:\n    pass",
    "with target": "with require('decimal').localcontext() as Error.stash:\n    pass",
    "comprehension target": "[1 for Error.stash in [1]]",
    "unpacking": "Error.stash, x = 1, 2",
    "starred unpacking": "[*Error.stash] = [1]",
    "chained": "x = Error.stash = 1",
    "a shared function": "require('json').dumps.stash = 1",
    "require": "require.stash = 1",
    "cb": "cb.stash = 1",
    "an own alias": "own = Error\nown.stash = 1",
}


@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED.keys())
def test_a_class_that_changes_how_classes_work_is_refused(reach: Callable[..., Outcome], lines: str) -> None:
    """The policy knows which magic methods a class may have; a metaclass it may not."""
    outcome = reach("1", before=lines) if lines.startswith("def __eq__") else reach("1", lines)

    assert outcome.status == "rejected"


@pytest.mark.parametrize("line", SHARED.values(), ids=SHARED.keys())
def test_a_write_to_what_is_shared_is_refused(reach: Callable[..., Outcome], line: str) -> None:
    """Every form of assignment passes the write guard, and the guard knows what is the job's own."""
    outcome = reach("1", line)

    assert outcome.status == "raised"
    assert outcome.message.startswith(
        ("TypeError: a hook may not change", "TypeError: cannot set", "TypeError: type() does not tell")
    )


@pytest.mark.parametrize(
    "name", ["InvalidScopeError", "Error", "type(user)", "type(console)", "type(module)", "Template"]
)
def test_the_dataclass_decorator_does_not_change_a_shared_class(
    attack: Callable[..., Outcome],
    hook_of: Callable[..., str],
    run_hook: Callable[..., Outcome],
    tenant: str,
    name: str,
) -> None:
    """`dataclass(Shared)` would write __init__ and __eq__ into a class that the next job uses. 2026-11-22."""
    attack(hook_of(f"try:\n    dataclass({name})\nexcept TypeError:\n    pass\ncb()", _DATACLASS))
    outcome = run_hook(hook_of("cb(None, [InvalidScopeError('x').message, Error('a') == Error('a')])"), tenant=tenant)

    assert ("ok", ["x", False]) == (outcome.status, outcome.value())


_DATACLASS = "from dataclasses import dataclass\nfrom string import Template\n"
_INJECTED = "x, 'PW' + 'NED', __import__('os').getpid()) or (self.x"


def test_a_dataclass_field_name_is_never_compiled_from_a_document(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """dataclass() of an object that answers any attribute compiles what it answers as field names. 2026-11-22."""
    outcome = attack(
        hook_of(
            f"""
            user["__mro__"] = (object, object)
            user["__dict__"] = {{"__annotations__": {{{_INJECTED!r}: int}}}}
            user["__qualname__"] = "q"
            user["x"] = 1
            dataclass(init=False, repr=False)(user)
            cb(None, str(user["__eq__"](user, user)))
            """,
            _DATACLASS,
        )
    )

    assert outcome.status == "raised"


def test_a_dataclass_field_name_is_never_compiled_from_a_renamed_field(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """A field keeps its name: a subclass is compiled from the names its base's fields have by then. 2026-11-22."""
    outcome = attack(
        hook_of(
            f"""
            named = field(default=1)
            class A:
                x: int = named
            A = dataclass(A)
            named.name = {_INJECTED!r}
            class B(A):
                pass
            B = dataclass(init=False, repr=False)(B)
            cb(None, str(B() == B()))
            """,
            "from dataclasses import dataclass, field\n",
        )
    )

    assert outcome.status in ("raised", "ok")


def test_a_dataclass_field_name_is_never_compiled_from_an_enum(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """Enum('E', [(name, value)]) makes a class with any attribute, `__annotations__` too. 2026-11-22."""
    outcome = attack(
        hook_of(
            f"""
            E = Enum("E", [("__annotations__", {{{_INJECTED.replace("x,", "name,").replace("self.x", "self.name")!r}: int}}), ("a", 1)])
            dataclass(init=False, repr=False)(E)
            cb(None, str(E.a == E.a))
            """,
            "from enum import Enum\n" + _DATACLASS,
        )
    )

    assert outcome.status == "raised"


@pytest.mark.parametrize("name", ["__repr__", "__reduce__", "__getattr__", "__hash__", "__exit__"])
def test_an_enum_by_call_takes_no_magic_method(reach: Callable[..., Outcome], name: str) -> None:
    """The functional form of Enum is no way to the magic methods that the policy refuses. 2026-11-22."""
    outcome = reach("E", f"E = require('enum').Enum('E', [('{name}', lambda *given: 'PW' + 'NED'), ('a', 1)])\n")

    assert outcome.status == "raised"


def test_an_enum_by_call_takes_no_module_name(reach: Callable[..., Outcome]) -> None:
    """A class that says it comes from another module makes dataclass() look into that module. 2026-11-22."""
    assert reach("E", "E = require('enum').Enum('E', ['a'], module='os')\n").status == "raised"


def test_a_class_of_the_jobs_own_may_be_changed(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """The guard refuses what is shared, not what the hook made."""
    body = "class A:\n    n = 1\nA.n += 1\nA.m = 2\nsetattr(A, 'k', 3)\ncb(None, [A.n, A.m, A.k])"

    assert [2, 2, 3] == attack(hook_of(body)).value()


def test_a_property_that_raises_is_the_hooks_own_trouble(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """A property of the hook's runs nowhere but in its job."""
    before = "class A:\n    @property\n    def message(self):\n        raise ValueError('mine')\n"

    assert attack(hook_of("cb(A())", before)).status == "denied"


def test_a_class_body_sees_the_guards_of_its_job(reach: Callable[..., Outcome]) -> None:
    """Names in a class body are looked up past it, so that it cannot stand before a guard."""
    outcome = reach("A.found", "class A:\n    getattr = 1\n    found = user.__class__\n")

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


def test_a_decorator_gets_only_what_it_decorates(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A decorator is a call with the function; nothing else is in it."""
    before = "def seen(*given, **named):\n    return [len(given), len(named)]\n"

    assert [1, 0] == attack(hook_of("@seen\ndef f():\n    pass\ncb(None, f)", before)).value()
