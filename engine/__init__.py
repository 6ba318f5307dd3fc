"""Trusted: the engine, its settings, its pool of workers and its command line. The public names stand here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.app import Engine
    from engine.config import Config
    from engine.egress.policy import EgressPolicy
    from engine.errors import EngineError
    from engine.hook import Hook, Limits
    from engine.outcome import Outcome

__all__ = ["Config", "EgressPolicy", "Engine", "EngineError", "Hook", "Limits", "Outcome"]

_HOMES = {
    "Engine": "app",
    "Hook": "hook",
    "Limits": "hook",
    "Config": "config",
    "EgressPolicy": "egress.policy",
    "EngineError": "errors",
    "Outcome": "outcome",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `hookcell --help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - lazily, as everything here

    return getattr(importlib.import_module(f"engine.{_HOMES[name]}"), name)
