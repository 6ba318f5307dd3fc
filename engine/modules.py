"""The module map as the API shows it: what a hook may import, and what serves instead of what it may not.

The map is the sandbox's own file, read as data; what a module of it does is nothing to the engine.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from engine.compiler import sandbox_folder
from engine.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module that hooks may import."""

    name: str  # as a hook writes it: "urllib.parse"
    names: tuple[str, ...]  # what it offers, in order; a few come with a newer Python only
    without: Mapping[str, str]  # name that authors look for → why it is not there, or what serves instead


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One module that authors look for, of Python's, of npm or of others, and that hooks may not import."""

    name: str
    why: str
    instead: str


def all_modules() -> dict[str, Module]:
    """The whole map, by name."""
    return dict(_modules())


def left_out() -> tuple[LeftOut, ...]:
    """What is not in it, with reasons, in order of name."""
    return tuple(
        LeftOut(name=name, why=group["why"], instead=group["instead"])
        for name, group in sorted((name, group) for group in _read()["left_out"] for name in group["modules"])
    )


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """What a tenant is left of the map, each once, in order. A module brings those within it: requests.auth.

    Raises BadInput for a name that is not in the map.
    """
    asked = sorted(set(names))
    for name in asked:
        if name not in _modules():
            raise BadInput(f"modules: {name!r:.100} is not in the module map{_hint(name)}")
    return tuple(asked)


def _hint(name: str) -> str:
    within = [known for known in _modules() if known.startswith(f"{name}.")]
    near = within or difflib.get_close_matches(name[:50], _modules(), 1, 0.75)
    return f"; did you mean {near[0]!r}?" if near else "; GET /v1/modules lists it"


@functools.cache
def _modules() -> dict[str, Module]:
    return {name: _module(name, entry) for name, entry in sorted(_read()["offered"].items())}


def _module(name: str, entry: Mapping[str, Any]) -> Module:
    names = {*entry["names"], *entry.get("made", ())}
    return Module(name=name, names=tuple(sorted(names)), without=entry.get("without", {}))


@functools.cache
def _read() -> dict[str, Any]:
    path = sandbox_folder() / "modules" / "modules.yaml"
    read: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _FastLoader)  # noqa: S506 - a safe loader
    return read


_FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
