"""Facades that the map cannot describe: those with a state of their own, made afresh for each job, and our versions.

A leaf: a hook may hold these functions, so nothing dangerous stands in this file's globals.
"""

from __future__ import annotations

import collections
import decimal
import functools
import random
import zoneinfo
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import yaml

_RANDOM_NAMES = (
    "random uniform triangular randint randrange getrandbits randbytes choice choices shuffle sample seed gauss "
    "normalvariate lognormvariate expovariate vonmisesvariate gammavariate betavariate paretovariate weibullvariate"
).split()
_ZONES: dict[str, bytes] = {}  # zone name → its TZif data, read by the zygote while it still has files


def load_zones(zones: dict[str, bytes]) -> None:
    """Keep the data of the zones that a hook may ask for. In the zygote, once."""
    _ZONES.update(zones)


def make_random(seed: int) -> dict[str, Any]:
    """A generator of this job's own: nothing is shared, and a fixed seed repeats."""
    generator = random.Random(seed)  # noqa: S311 - the hook's own; `secrets` is beside it
    return {name: getattr(generator, name) for name in _RANDOM_NAMES}


def make_decimal(_: int) -> dict[str, Any]:
    """The arithmetic context starts at its defaults in every job."""
    decimal.setcontext(decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN))
    return {}


def make_collections(_: int) -> dict[str, Any]:
    """Namedtuple is the standard one behind a check: it builds source text from its field names."""
    return {"namedtuple": named_tuple}


def named_tuple(name: str, fields: str | Iterable[str]) -> type:
    """collections.namedtuple for plain identifiers. Raises TypeError, ValueError."""
    listed = fields.replace(",", " ").split() if type(fields) is str else list(fields)
    if type(name) is not str or not all(type(field) is str and field.isascii() for field in listed):
        raise TypeError("namedtuple takes plain texts")  # SECURITY: a str subclass could answer isidentifier() itself
    return collections.namedtuple(name, listed)  # noqa: PYI024 - the whole point


def make_functools(_: int) -> dict[str, Any]:
    """`wraps` copies a function's name and text only: the standard one copies whatever attributes it is told to."""
    return {"wraps": wraps}


def wraps(wrapped: Callable[..., Any]) -> Callable[[Any], Any]:
    """A decorator that names its function after `wrapped`."""

    def name_it(wrapper: Any) -> Any:
        return functools.update_wrapper(wrapper, wrapped, ("__name__", "__qualname__", "__doc__"), ())

    return name_it


def make_zoneinfo(_: int) -> dict[str, Any]:
    """Zones come from memory: a worker has no file system."""
    return {"ZoneInfo": zone, "available_timezones": lambda: set(_ZONES)}


def zone(key: str) -> zoneinfo.ZoneInfo:
    """The zone of that name, as `zoneinfo.ZoneInfo(key)`. Raises ZoneInfoNotFoundError."""
    data = _ZONES.get(key)
    if data is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return zoneinfo.ZoneInfo.from_file(BytesIO(data), key)


yaml.SafeDumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)  # a hook's arguments are a kind of dict


MAKERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "collections": make_collections,
    "decimal": make_decimal,
    "functools": make_functools,
    "random": make_random,
    "zoneinfo": make_zoneinfo,
}
