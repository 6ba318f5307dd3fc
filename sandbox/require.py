"""The module map, and what `import` and `require()` do with it.

Facades without state are built once, in the zygote, and are immutable; the others are built in the job that asks.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import yaml

from sandbox.modules.facade import Facade
from sandbox.modules.makers import MAKERS, Job, load_zones

HOOK_NAME = "hookcell-hook"  # of a job's namespace; the module of that name is empty
_FROM_C = frozenset(
    {"time", "_strptime", "datetime", "re", "decimal", "numbers", "_pylong"}
)  # what C code imports by itself
_NOBODY = Job(seed=0, made=lambda _: False, adopt=lambda _: None)  # asks only which names there are
_SHARED: dict[str, Facade] = {}  # module name → facade without state


def _read_map() -> dict[str, dict[str, Any]]:
    text = Path(__file__).with_name("modules").joinpath("modules.yaml").read_text(encoding="utf-8")
    mapped: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return mapped


MODULE_MAP = _read_map()


def load_facades() -> None:
    """Import every mapped module and build the shared facades, and read the time zones. In the zygote, once."""
    for name, entry in MODULE_MAP.items():
        offered = _offered(name, entry)
        if "make" not in entry:
            _SHARED[name] = Facade(name, offered)
    load_zones(_read_zones())


def _read_zones() -> dict[str, bytes]:
    """Zone name → TZif data, of the package tzdata. Not importlib.resources: its imports make every fork dearer."""
    spec = importlib.util.find_spec("tzdata")
    assert spec is not None, "tzdata is a dependency of ours"
    folder = Path(str(spec.origin)).parent
    names = folder.joinpath("zones").read_text(encoding="ascii").split()
    return {name: folder.joinpath("zoneinfo", name).read_bytes() for name in names}


def names_of(module: str) -> frozenset[str]:
    """The names a hook finds in a mapped module."""
    entry = MODULE_MAP[module]
    made = MAKERS[entry["make"]](_NOBODY) if "make" in entry else {}
    return frozenset(_offered(module, entry)) | frozenset(made)


def check_import(module: str, name: str | None) -> tuple[str, str] | None:
    """What is wrong with `import module` or `from module import name`: (message, hint), or None."""
    if module not in MODULE_MAP:
        if name is not None and f"{module}.{name}" in MODULE_MAP:
            return None
        return f"the module {module!r} is not available to hooks", _nearest_module(module)
    if name is None or name in names_of(module):
        return None
    if name == "*":
        return "a star import hides where names come from", f"name what you need: from {module} import …"
    offered = ", ".join(sorted(names_of(module)))
    return f"a hook's {module} does not offer {name!r}", f"it offers {offered}"


class Importer:
    """`import` and `require()` of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._made: dict[str, Facade] = {}

    def require(self, module: str) -> Facade:
        """The facade of a mapped module. Raises ModuleNotFoundError."""
        if type(module) is not str or module not in MODULE_MAP:
            raise ModuleNotFoundError(
                f"the module {module!r:.100} is not available to hooks. {_nearest_module(module)}"
            )
        facade = _SHARED.get(module) or self._made.get(module)
        if facade is None:
            entry = MODULE_MAP[module]
            facade = Facade(module, _offered(module, entry) | MAKERS[entry["make"]](self._job))
            self._made[module] = facade
        return facade

    def import_(self, name: str, _globals: Any = None, _locals: Any = None, names: Any = (), level: int = 0) -> Any:
        """The builtin `__import__`.

        C code (strftime, Decimal's str) calls it with an empty list and takes the module from the interpreter itself:
        it gets None, so nothing is handed to the hook. Source: PyImport_Import.
        """
        if type(names) is list and not names and name in _FROM_C:
            return None
        if name == "__future__":
            return Facade(name, dict.fromkeys(names))  # the compiler has read it already
        if level:
            raise ImportError("a hook is one file: there is nothing to import relative to it")
        package, dot, rest = name.partition(".")
        if names and name in MODULE_MAP:
            return self.require(name)
        if names:  # from urllib import parse
            inside = {part: self.require(f"{name}.{part}") for part in names if f"{name}.{part}" in MODULE_MAP}
            return Facade(name, inside) if inside else self.require(name)
        return Facade(package, {rest: self.require(name)}) if dot else self.require(name)


def _offered(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(name)  # by the map, never by a hook; a name this Python lacks is not offered
    return {key: _bare(getattr(module, key)) for key in entry["names"] if hasattr(module, key)}


def _bare(value: Any) -> Any:
    """A function without the cache around it, which would tell what others have asked."""
    return value.__wrapped__ if hasattr(value, "cache_info") else value


def _nearest_module(module: object) -> str:
    near = difflib.get_close_matches(str(module)[:50], MODULE_MAP, 1, 0.75)
    offer = ", ".join(MODULE_MAP)
    return f"did you mean {near[0]!r}?" if near else f"available: {offer}"
