"""The module map, and what `import` and `require()` do with it.

Facades without state are built once, in the zygote, and are immutable; the others are built in the job that asks.
"""

from __future__ import annotations

import difflib
import enum
import functools
import importlib
import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from sandbox.modules.caches import bare, harden
from sandbox.modules.facade import Facade
from sandbox.modules.job import HOOK_MODULE, Job
from sandbox.modules.makers import MAKERS, load_zones
from sandbox.naming import stands_for

HOOK_NAME = HOOK_MODULE  # of a job's namespace; the module of that name is empty
_FROM_C = frozenset(
    {"time", "_strptime", "datetime", "re", "decimal", "numbers", "_pylong"}
)  # what C code imports by itself
_NOBODY = Job(seed=0, made=lambda _: False, read=getattr)  # asks only which names there are
_ONE_FILE = "a hook is one file: there is nothing to import relative to it"
_HOW_TO_FIND = "docs/hooks.md lists the modules that a hook may import"

_BASES: dict[str, dict[str, Any]] = {}  # module name → what all jobs share of it
_SHARED: dict[str, Facade] = {}  # module name → facade without state


def _read_map() -> tuple[dict[str, dict[str, Any]], dict[str, tuple[str, str]]]:
    text = Path(__file__).with_name("modules").joinpath("modules.yaml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text)
    without = {name: (each["why"], each["instead"]) for each in listed["left_out"] for name in each["modules"]}
    return listed["offered"], without


def _packages() -> dict[str, tuple[str, ...]]:
    """Package → the mapped modules within it, by their last names."""
    packages = sorted({name.rpartition(".")[0] for name in MODULE_MAP} - {""})
    return {
        package: tuple(name.rpartition(".")[2] for name in MODULE_MAP if name.rpartition(".")[0] == package)
        for package in packages
    }


MODULE_MAP, LEFT_OUT_MODULES = _read_map()  # name → its entry; name → (why, instead)
_INSIDE = _packages()
_ONLY_PACKAGES = _INSIDE.keys() - MODULE_MAP.keys()  # they offer nothing but the modules within: urllib
Modules = tuple[str, ...] | None  # as `wire.Check.modules`: what an operator leaves a tenant of the map; None: all


@functools.lru_cache(8)  # a worker has one tenant, whose settings seldom change
def permitted(modules: Modules) -> Collection[str]:
    """The names of the map that a tenant may import: those it is left, and what stands within them."""
    if modules is None:
        return MODULE_MAP
    return tuple(name for name in MODULE_MAP if not modules_above(name).isdisjoint(modules))


def modules_above(name: str) -> frozenset[str]:
    """The name itself, and its packages: "requests.auth", "requests"."""
    parts = name.split(".")
    return frozenset(".".join(parts[:count]) for count in range(1, len(parts) + 1))


def load_facades() -> None:
    """Import every mapped module and build the shared facades, and read the time zones. In the zygote, once."""
    harden()
    for name, entry in MODULE_MAP.items():
        _BASES[name] = _offered(name, entry)
        if "make" not in entry and name not in _INSIDE:
            _SHARED[name] = Facade(name, _BASES[name], _without(name))
    load_zones(_read_zones())


def _read_zones() -> dict[str, bytes]:
    """Zone name → TZif data, of the package tzdata. Not importlib.resources: its imports make every fork dearer."""
    spec = importlib.util.find_spec("tzdata")
    assert spec is not None, "tzdata is a dependency of ours"
    folder = Path(str(spec.origin)).parent
    names = folder.joinpath("zones").read_text(encoding="ascii").split()
    return {name: folder.joinpath("zoneinfo", name).read_bytes() for name in names}


def _offered(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    if "ours" in entry:
        return {}
    module = importlib.import_module(name)  # by the map, never by a hook; a name this Python lacks is not offered
    return {key: _for_all(getattr(module, key)) for key in entry["names"] if hasattr(module, key)}


def _for_all(value: Any) -> Any:
    """What all jobs may share of `value`: a flag keeps the combinations it was asked for, so it is a number here."""
    return int(value) if isinstance(value, enum.IntFlag) else bare(value)


@functools.cache
def names_of(module: str) -> frozenset[str]:
    """The names a hook finds in a mapped module."""
    entry = MODULE_MAP[module]
    made = MAKERS[entry["make"]](_NOBODY) if "make" in entry else {}
    return frozenset([*_offered(module, entry), *made, *_INSIDE.get(module, ())])


def _without(module: str) -> dict[str, str]:
    """The names that authors look for in a mapped module, and why they are not there."""
    reasons: dict[str, str] = MODULE_MAP[module].get("without", {})
    return reasons


def missing_module(name: object, modules: Modules = None) -> tuple[str, str] | None:
    """What to tell of a module that a hook asks for and that is not mapped: (message, hint), or None."""
    if type(name) is not str:
        return f"the module {name!r:.100} is not available to hooks", "name it by a plain text"
    if name in MODULE_MAP:
        return None if name in permitted(modules) else _not_permitted(name, modules)
    message = f"the module {name!r:.100} is not available to hooks"
    why, instead = _reason(name)
    return (f"{message}: {why}", instead) if why else (message, _nearest(name, permitted(modules)))


def _not_permitted(name: str, modules: Modules) -> tuple[str, str]:
    rest = ", ".join(permitted(modules))
    return f"this tenant may not import the module {name!r}", f"it may import {rest or 'none'}; the operator decides"


def _reason(name: str) -> tuple[str, str]:
    """Why the module, or the package it belongs to, is left out."""
    while name:
        if name in LEFT_OUT_MODULES:
            return LEFT_OUT_MODULES[name]
        name = name.rpartition(".")[0]
    return "", ""


def _nearest(name: str, known: Collection[str]) -> str:
    package = name.partition(".")[0]
    within = [module for module in known if module.rpartition(".")[0] == name]
    if within:
        return f"write import {within[0]}"
    if package in known:
        return f"write import {package}: it offers {', '.join(sorted(names_of(package)))}"
    near = difflib.get_close_matches(name[:50], known, 1, 0.75)
    return f"did you mean {near[0]!r}?" if near else _HOW_TO_FIND


def check_import(module: str, name: str | None, modules: Modules = None) -> tuple[str, str] | None:
    """What is wrong with `import module` or `from module import name`: (message, hint), or None."""
    if module.startswith("."):
        return _ONE_FILE, "import the module by its name"
    if fault := missing_module(module, modules):
        within = name is not None and (name in _INSIDE.get(module, ()) or module in _ONLY_PACKAGES)
        return missing_module(f"{module}.{name}", modules) if within else fault
    if name is None or name in names_of(module):
        return None
    if name == "*":
        return "a star import hides where names come from", f"name what you need: from {module} import …"
    offered = ", ".join(sorted(names_of(module)))
    return f"a hook's {module} does not offer {name!r}", _without(module).get(name, f"it offers {offered}")


class Importer:
    """`import` and `require()` of one job."""

    def __init__(self, job: Job, modules: Modules = None) -> None:
        self._job = job
        self._modules = modules
        self._made: dict[str, Facade] = {}

    def __repr__(self) -> str:
        return "the hook"

    @stands_for("require")
    def require(self, module: str) -> Facade:
        """The facade of a mapped module that the tenant may import. Raises ModuleNotFoundError."""
        if fault := missing_module(module, self._modules):  # SECURITY: tests/escapes/test_module_map.py
            raise ModuleNotFoundError(". ".join(fault))
        return _SHARED.get(module) or self._made.get(module) or self._make(module)

    def _make(self, module: str) -> Facade:
        entry = MODULE_MAP[module]
        made = MAKERS[entry["make"]](self._job) if "make" in entry else {}
        offered = {**_BASES[module], **made, **self._modules_in(module)}
        facade = self._made[module] = Facade(module, offered, _without(module))
        return facade

    def _modules_in(self, package: str) -> dict[str, Facade]:
        within = ((part, f"{package}.{part}") for part in _INSIDE.get(package, ()))
        return {part: self.require(name) for part, name in within if name in permitted(self._modules)}

    def _package(self, name: str) -> Facade:
        """A package that is no module itself, or not for this tenant: what stands within it and no more."""
        return Facade(name, self._modules_in(name))

    @stands_for("__import__")
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
            raise ImportError(_ONE_FILE)
        known = permitted(self._modules)
        if names and name not in known and any(f"{name}.{part}" in known for part in _INSIDE.get(name, ())):
            return self._package(name)  # from urllib import parse
        package, dot, _ = name.partition(".")
        found = self.require(name)
        if names or not dot:
            return found
        return self.require(package) if package in known else self._package(package)
