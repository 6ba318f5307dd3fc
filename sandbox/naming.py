"""What things of ours are called in the texts that a hook gets to see, and which classes it may not derive from.

A leaf: a hook holds what is named here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Thing = TypeVar("Thing", bound=Callable[..., Any])


def stands_for(name: str) -> Callable[[Thing], Thing]:
    """Decorator of a class or a function: it, and what the class defines, is told as `name`.

    Python puts `__qualname__` and `__module__` into messages about wrong calls: `sandbox.hook.cb() argument after *`.
    """

    def rename(thing: Thing) -> Thing:
        methods = [each for each in vars(thing).values() if callable(each)] if isinstance(thing, type) else []
        for method in methods:
            method.__qualname__ = f"{name}.{method.__name__}"
            method.__module__ = "builtins"
        thing.__name__ = thing.__qualname__ = name
        thing.__module__ = "builtins"
        return thing

    return rename


FINAL: dict[type, str] = {}  # class → why a hook's class may not derive from it; asked where the class is made
Kind = TypeVar("Kind", bound=type)


def final(kind: Kind) -> Kind:
    """Decorator of a class that a hook's may not derive from. Not by `__init_subclass__`: another base could answer."""
    FINAL[kind] = f"a hook's class may not derive from {kind.__name__}"
    return kind
