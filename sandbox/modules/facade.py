"""The facade: an immutable bag of the names that the map offers of one module. No module, no loader behind it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from sandbox.naming import stands_for

_NONE: Mapping[str, str] = MappingProxyType({})


@stands_for("module")
class Facade:
    """What a hook holds after `import json`.

    It has no `__name__`, so that `from json import x` cannot fall back to the interpreter's own table of modules when
    `x` is not offered. SECURITY: tests/escapes/test_facades.py
    """

    def __init__(self, title: str, offered: Mapping[str, Any], without: Mapping[str, str] = _NONE) -> None:
        self.__dict__.update(offered)
        self.__dict__["_title"] = title
        self.__dict__["_without"] = without  # name that authors look for → why it is not there

    def __getattr__(self, name: str) -> NoReturn:
        absent = f"a hook's {self.__dict__['_title']} does not offer {name!r}"
        if name in self.__dict__["_without"]:
            reason = self.__dict__["_without"][name]
            raise AttributeError(f"{absent}: {reason}", name=name)  # without its object: no other name is meant
        raise AttributeError(absent)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError(f"a hook may not change the module {self.__dict__['_title']}")

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError(f"a hook may not change the module {self.__dict__['_title']}")

    def __repr__(self) -> str:
        return f"<module {self.__dict__['_title']!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a module cannot be copied")


def offered_by(facade: Facade) -> list[str]:
    """The public names of a facade, sorted. No method: a hook would find it in every module."""
    return sorted(name for name in vars(facade) if not name.startswith("_"))
