"""`type` as a hook has it: it tells classes that a hook can name, and makes none."""

from __future__ import annotations

import builtins
from typing import Any, NoReturn

from sandbox import errors
from sandbox import vocabulary as words
from sandbox.document import Document
from sandbox.modules.kinds import SimpleNamespace
from sandbox.naming import final, stands_for
from sandbox.require import HOOK_NAME, MODULE_MAP


@stands_for("type")
class _Type(type):
    """The class of `type` as a hook has it: it tells classes, and makes none."""

    def __call__(cls, *values: Any) -> Any:
        if len(values) != 1:
            raise TypeError("type() takes one argument here: write a class statement to make a class")
        return type_of(values[0])

    def __instancecheck__(cls, value: Any) -> bool:
        return issubclass(type(value), type)

    def __subclasscheck__(cls, kind: Any) -> bool:
        return issubclass(kind, type)

    def __repr__(cls) -> str:
        return "<class 'type'>"


@final
@stands_for("type")
class Tells(metaclass=_Type):
    """`type`: `type(x)`, `isinstance(x, type)`, `type[int]` in annotations."""

    def __class_getitem__(cls, _: Any) -> type[Tells]:
        return cls  # an alias would write itself into what it is called for


def type_of(value: Any) -> Any:
    """The builtin type with one argument: the class, where a hook can name it.

    For functions, methods, aliases, generators and what is ours another class stands, of the same name: theirs make
    proxies and pieces of the engine.
    """
    kind = type(value)
    if issubclass(kind, type):
        return Tells
    if _is_nameable(kind):
        return kind
    if kind.__name__ not in _TOLD:
        _TOLD[kind.__name__] = final(_Told(kind.__name__, (), dict(_OF_A_TOLD)))
    return _TOLD[kind.__name__]


def _is_nameable(kind: type) -> bool:
    return kind in _NAMEABLE or kind.__module__ in _NAMEABLE_MODULES


@stands_for("type")
class _Told(type):
    """Of what stands for a class in a hook's hands: it has the name and knows the instances, and makes none."""

    def __instancecheck__(cls, value: Any) -> bool:
        kind = type(value)
        return kind.__name__ == cls.__name__ and not _is_nameable(kind)


@stands_for("type")
def _make_none(cls: type, *_: Any, **__: Any) -> NoReturn:
    raise TypeError(f"cannot make a {cls.__name__} by its class")


_OF_A_TOLD = {"__module__": "builtins", "__new__": _make_none}
_TOLD: dict[str, _Told] = {}  # name → what stands for the classes of that name


_NAMEABLE_MODULES = frozenset(  # of mapped modules, but for makers of proxies
    {HOOK_NAME, *(MODULE_MAP.keys() - {"typing", "functools", "operator", "types", "contextlib"})}
)
_NAMEABLE = frozenset(
    {type(None), type(NotImplemented), type(...), Document, SimpleNamespace}
    | {getattr(builtins, name) for name in words.FUNCTIONS if isinstance(getattr(builtins, name), type)}
    | {getattr(builtins, name) for name in words.EXCEPTIONS}
    | set(errors.SCOPE.values())
)
