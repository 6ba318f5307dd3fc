"""What classes of ours are called where they stand for the library's: in errors, in `repr`, and by `type`. A leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from sandbox.naming import final

Kind = TypeVar("Kind", bound=type)


def published(module: str, name: str, *, derivable: bool = False) -> Callable[[Kind], Kind]:
    """Decorator of a class: it, and what it defines, is told as `name` of `module`."""

    def rename(kind: Kind) -> Kind:
        kind.__module__, kind.__name__, kind.__qualname__ = module, name, name
        if not derivable:
            final(kind)
        for value in vars(kind).values():
            for function in _functions(value):
                function.__module__, function.__qualname__ = module, f"{name}.{function.__name__}"
        return kind

    return rename


def _functions(value: Any) -> Iterator[Any]:
    if isinstance(value, property):
        yield from (each for each in (value.fget, value.fset) if each is not None)
    elif isinstance(value, classmethod | staticmethod):
        yield value.__func__
    elif hasattr(value, "__code__"):
        yield value


class Held:
    """What a hook holds in the place of something of the library's.

    SECURITY: what it leads to stands in slots with names of Python's own shape. The guards refuse these everywhere, and
    a dataclass has no such field: what it generates reads past the guards, also of a class that it derives from. A slot
    is written by its own descriptor: that takes no object of another class, and goes past a `__setattr__` of the
    hook's. `copy` would hand slots out.
    """

    __slots__ = ()

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be copied")


Thing = TypeVar("Thing")


def put(thing: Thing, kind: type, **slots: Any) -> Thing:
    """`thing`, an object of `kind`, with its slots filled."""
    for name, value in slots.items():
        vars(kind)[name].__set__(thing, value)
    return thing
