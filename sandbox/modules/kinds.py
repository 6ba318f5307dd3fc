"""Classes in our version: they do what the standard ones do, for what a hook's classes and objects may be."""

from __future__ import annotations

import enum
import types
from typing import Any

from sandbox.modules.job import Job
from sandbox.naming import final


class _ByClassAlone(enum.EnumType):
    """The call form `Enum("E", …)` makes classes with any attribute at all: a class statement cannot."""

    def __call__(cls, value: Any, *more: Any, **named: Any) -> Any:
        if more or named:
            raise TypeError("write an Enum as a class")
        return super().__call__(value)


_ByClassAlone.__name__ = _ByClassAlone.__qualname__ = "EnumType"
_ByClassAlone.__call__.__qualname__ = "EnumType.__call__"
_ByClassAlone.__module__ = _ByClassAlone.__call__.__module__ = "enum"


class Enum(enum.Enum, metaclass=_ByClassAlone):
    """enum.Enum."""

    __module__ = "enum"


class IntEnum(enum.IntEnum, metaclass=_ByClassAlone):
    """enum.IntEnum."""

    __module__ = "enum"


class StrEnum(enum.StrEnum, metaclass=_ByClassAlone):
    """enum.StrEnum."""

    __module__ = "enum"


class Flag(enum.Flag, metaclass=_ByClassAlone):
    """enum.Flag."""

    __module__ = "enum"


class IntFlag(enum.IntFlag, metaclass=_ByClassAlone):
    """enum.IntFlag."""

    __module__ = "enum"


def make_enum(_: Job) -> dict[str, Any]:
    """The kinds of Enum, each by a class statement alone."""
    return {kind.__name__: kind for kind in (Enum, IntEnum, StrEnum, Flag, IntFlag)}


class SimpleNamespace(types.SimpleNamespace):
    """types.SimpleNamespace without special names: `copy` would call what stands under them, on the object itself."""

    __module__ = "types"

    def __init__(self, values: Any = (), /, **named: Any) -> None:
        fields = {**dict(values), **named}
        for name in fields:
            if type(name) is not str or str.startswith(name, "__"):
                raise TypeError(f"a SimpleNamespace cannot have the attribute {name!r:.60}")
        super().__init__(**fields)

    def __replace__(self, /, **changes: Any) -> SimpleNamespace:
        return type(self)({**vars(self), **changes})

    def __repr__(self) -> str:
        return "namespace" + super().__repr__().removeprefix("SimpleNamespace")


def make_types(_: Job) -> dict[str, Any]:
    """SimpleNamespace in our version."""
    return {"SimpleNamespace": SimpleNamespace}


@final
class cached_property:  # noqa: N801 - the name it stands for
    """functools.cached_property that nobody can rename: it writes into objects under its name."""

    __module__ = "functools"
    __slots__ = ("_function", "_name")

    def __init__(self, function: Any, /) -> None:
        self._function = function
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        if name.startswith("__"):
            raise TypeError(f"a cached property cannot be called {name!r}")
        if self._name not in ("", name):
            raise TypeError(f"a cached property cannot be both {self._name!r} and {name!r}")
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if not self._name:
            raise TypeError("a cached property stands in a class statement")
        kept = vars(instance)
        if self._name not in kept:
            kept[self._name] = self._function(instance)
        return kept[self._name]


@final
class Type:
    """typing.Type, for annotations: the standard one leads a class statement to `type`, which makes classes."""

    __module__ = "typing"

    def __class_getitem__(cls, _: Any) -> type[Type]:
        return cls  # an alias would write itself into what it is called for
