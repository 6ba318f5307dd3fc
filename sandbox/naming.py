"""What things of ours are called in the texts that a hook gets to see. A leaf: a hook holds what is named here."""

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
