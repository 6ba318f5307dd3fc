"""Attribute walks from an innocent value to the interpreter's own objects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

WALKS = {
    "class": "user.__class__",
    "subclasses": "().__class__.__base__.__subclasses__()",
    "mro": "int.mro()",
    "dunder mro": "int.__mro__",
    "globals of the hook": "hook.__globals__",
    "globals of require": "require.__globals__",
    "func of a method": "console.log.__func__",
    "self of a builtin": "print.__self__",
    "builtins": "hook.__builtins__",
    "code": "hook.__code__",
    "closure of cb": "cb.__closure__",
    "dict of a class": "Error.__dict__",
    "init of a class": "Error.__init__",
    "private state": "console._send",
    "private channel of a facade": "require('json')._title",
    "module of a class": "Error.__module__",
    "loader": "require('json').__loader__",
    "spec": "require('json').__spec__",
    "reduce": "user.__reduce_ex__(2)",
    "one underscore in front": "user._private",
    "wide underscore": "user.﹍﹍class﹍﹍",  # noqa: RUF001 - read as __class__
    "full-width letters": "user.__ｃlass__",  # noqa: RUF001 - read as __class__
}
COMPUTED = {
    "getattr": "getattr(user, '__class__')",
    "getattr joined": "getattr(user, '__cla' + 'ss__')",
    "getattr with default": "['PW', getattr(user, '__class__', None).name][1]",
    "getattr reversed": "getattr(hook, '__slabolg__'[::-1])",
    "getattr of a code": "getattr(hook, '__code__')",
    "map": "list(map(getattr, [user], ['__class__']))",
    "partial": "require('functools').partial(getattr, user)('__class__')",
    "reduce": "require('functools').reduce(getattr, ['__class__', '__base__'], user)",
    "starmap": "list(require('itertools').starmap(getattr, [(user, '__class__')]))",
    "sort key": "sorted(['__class__'], key=lambda name: getattr(user, name))",
    "mro by name": "getattr(int, 'mro')()",
}
STR_SUBCLASSES = {
    "startswith": "def startswith(self, *a):\n        return False",
    "equal to a harmless name": "def __eq__(self, other):\n        return True",
    "contains nothing": "def __contains__(self, other):\n        return False",
    "nothing of its own": "pass",
}


@pytest.mark.parametrize("expression", WALKS.values(), ids=WALKS.keys())
def test_an_attribute_that_leads_inwards_is_refused_before_it_runs(
    reach: Callable[..., Outcome], expression: str
) -> None:
    """An attribute read written in the source is checked at compile time, whatever object it is read from."""
    outcome = reach(expression)

    assert outcome.status == "rejected"
    assert {found.rule for found in outcome.diagnostics} & {"attribute", "syntax"}


@pytest.mark.parametrize("expression", COMPUTED.values(), ids=COMPUTED.keys())
def test_a_computed_attribute_name_is_refused_at_run_time(reach: Callable[..., Outcome], expression: str) -> None:
    """Getattr is the guarded one, also when C code calls it."""
    outcome = reach(expression)

    assert outcome.status == "raised"
    assert outcome.message.startswith("AttributeError: a hook may not use the attribute")


@pytest.mark.parametrize("method", STR_SUBCLASSES.values(), ids=STR_SUBCLASSES.keys())
def test_a_name_of_a_str_subclass_does_not_pass_the_guard(reach: Callable[..., Outcome], method: str) -> None:
    """Only an exact str is a name: a subclass could lie about how it begins."""
    outcome = reach("getattr(user, Name('__class__'))", before=f"class Name(str):\n    {method}\n")

    assert ("raised", "TypeError: an attribute name is a plain str") == (outcome.status, outcome.message)


@pytest.mark.parametrize("setter", ["setattr(hook, '__code__', 1)", "delattr(Error, '__init__')"])
def test_a_computed_write_to_a_private_attribute_is_refused(reach: Callable[..., Outcome], setter: str) -> None:
    """Setattr and delattr take the names that getattr takes."""
    assert reach(setter).status == "raised"


def test_a_class_of_a_class_is_no_way_to_make_classes(reach: Callable[..., Outcome]) -> None:
    """The real `type` makes classes with any dunder method, and metaclasses: no hook gets hold of it. 2026-11-22."""
    outcome = reach("type(int)('X', (), {'__getattr__': lambda self, name: 'live ' + name})().field")

    assert outcome.status == "raised"


def test_a_metaclass_is_not_made_by_inheriting_from_the_class_of_a_class(reach: Callable[..., Outcome]) -> None:
    """`class M(type(int))` would be a metaclass of the hook's own. 2026-11-22."""
    outcome = reach("M('X', (), {}).made", "class M(type(int)):\n    made = 'M'\n")

    assert outcome.status in ("raised", "rejected")


def test_hasattr_says_no_to_what_is_hidden(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """An attribute a hook may not use is not there."""
    outcome = attack(hook_of("cb(None, [hasattr(user, '__class__'), hasattr(hook, '__globals__')])"))

    assert ("ok", [False, False]) == (outcome.status, outcome.value())


@pytest.mark.parametrize("name", ["globals", "locals", "vars", "dir", "eval", "exec", "compile", "open", "id", "hash"])
def test_a_builtin_that_reaches_out_is_not_there_under_another_name(reach: Callable[..., Outcome], name: str) -> None:
    """A builtin left out is refused where it is read, not only where it is called."""
    outcome = reach("f", f"f = {name}\n")

    assert ("rejected", ["builtin"]) == (outcome.status, [found.rule for found in outcome.diagnostics])


def test_the_builtins_do_not_come_out_of_a_private_name(reach: Callable[..., Outcome]) -> None:
    """Neither `__builtins__` nor `__import__` can be spelt."""
    outcome = reach("__builtins__['__import__']")

    assert ("rejected", "underscore-name") == (outcome.status, outcome.diagnostics[0].rule)
