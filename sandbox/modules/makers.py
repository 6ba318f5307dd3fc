"""Facades that the map cannot describe: those with a state of their own, made afresh for each job, and our versions.

A leaf: a hook may hold these functions, so nothing dangerous stands in this file's globals.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import decimal
import enum
import functools
import ipaddress
import random
import typing
import zoneinfo
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Job:
    """What a maker may know of the job that asks."""

    seed: int  # of its `random`
    made: Callable[[Any], bool]  # whether a class or function is the hook's own
    adopt: Callable[[type], None]  # take a class for the hook's own


def make_random(job: Job) -> dict[str, Any]:
    """A generator of this job's own: nothing is shared, and a fixed seed repeats."""
    generator = random.Random(job.seed)  # noqa: S311 - the hook's own; `secrets` is beside it
    return {name: getattr(generator, name) for name in _RANDOM_NAMES}


def make_decimal(_: Job) -> dict[str, Any]:
    """The arithmetic context starts at its defaults in every job."""
    decimal.setcontext(decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN))
    return {}


def make_ipaddress(_: Job) -> dict[str, Any]:
    """The cache of netmasks keeps what it was asked with, a hook's own objects among it: it starts empty."""
    kinds: tuple[Any, ...] = (ipaddress.IPv4Network, ipaddress.IPv6Network)
    for kind in kinds:
        kind._netmask_cache.clear()  # noqa: SLF001 - nobody else empties it
    return {}


def make_collections(_: Job) -> dict[str, Any]:
    """Namedtuple is the standard one behind a check: it builds source text from its field names."""
    return {"namedtuple": named_tuple}


def named_tuple(name: str, fields: str | Iterable[str]) -> type:
    """collections.namedtuple for plain identifiers. Raises TypeError, ValueError."""
    listed = fields.replace(",", " ").split() if type(fields) is str else list(fields)
    if type(name) is not str or not all(type(field) is str and field.isascii() for field in listed):
        raise TypeError("namedtuple takes plain texts")  # SECURITY: a str subclass could answer isidentifier() itself
    return collections.namedtuple(name, listed)  # noqa: PYI024 - the whole point


def make_dataclasses(job: Job) -> dict[str, Any]:
    """`dataclass` for the hook's own classes: it changes the class, and builds source text from its field names."""

    def decorate(target: Any, options: dict[str, bool]) -> type:
        if type(target) is not type or not job.made(target):
            raise TypeError("dataclass decorates a class of the hook's own, and no Enum")
        for base in target.__mro__:
            for field in getattr(base, "__annotations__", {}):
                if type(field) is not str or not field.isidentifier() or field.startswith("_"):
                    raise TypeError(f"a dataclass cannot have the field {field!r:.60}")  # SECURITY: becomes source text
        made: type = dataclasses.dataclass(**options)(target)
        job.adopt(made)  # another class, with slots=True
        return made

    def dataclass(target: Any = None, /, **options: bool) -> Any:
        return (lambda later: decorate(later, options)) if target is None else decorate(target, options)

    return {"dataclass": dataclass}


def make_functools(job: Job) -> dict[str, Any]:
    """Decorators that change what they are given take the hook's own things only.

    `wraps` copies a function's name and text: the standard one copies whatever attributes it is told to.
    """

    def total_ordering(target: Any) -> Any:
        if not (isinstance(target, type) and job.made(target)):
            raise TypeError("total_ordering decorates a class of the hook's own")
        return functools.total_ordering(target)

    def wraps(wrapped: Any) -> Callable[[Any], Any]:
        texts = {name: getattr(wrapped, name, None) for name in ("__name__", "__qualname__", "__doc__")}

        def name_it(wrapper: Any) -> Any:
            for name, text in texts.items():
                if job.made(wrapper) and type(text) is str:
                    setattr(wrapper, name, text)
            return wrapper

        return name_it

    return {"total_ordering": total_ordering, "wraps": wraps, **_caches(job)}


def _caches(job: Job) -> dict[str, Any]:
    """`cache` and `lru_cache`, for functions of the hook's own: they copy whatever the function carries."""

    def cached(function: Any, maxsize: Any, typed: Any) -> Any:
        if isinstance(function, type) or not job.made(function):
            raise TypeError("a cache is for a function of the hook's own")
        return functools.lru_cache(maxsize, typed)(function)

    def lru_cache(maxsize: Any = 128, typed: Any = False) -> Any:  # noqa: FBT002 - the standard signature
        if callable(maxsize):
            return cached(maxsize, 128, typed)
        return lambda function: cached(function, maxsize, typed)

    def cache(function: Any) -> Any:
        return cached(function, None, None)

    return {"lru_cache": lru_cache, "cache": cache}


def make_copy(_: Job) -> dict[str, Any]:
    """Deepcopy without its other parameters: one of them is a list that all calls share."""

    def deepcopy(value: Any) -> Any:
        return copy.deepcopy(value)

    return {"deepcopy": deepcopy}


def make_typing(_: Job) -> dict[str, Any]:
    """The caches of subscriptions keep what they were asked with: they start empty."""
    for forget in typing._cleanups:  # type: ignore[attr-defined]  # noqa: SLF001 - nobody else empties them
        forget()
    return {}


class _ByClassAlone(enum.EnumType):
    """The call form `Enum("E", …)` makes classes with any attribute at all: a class statement cannot."""

    def __call__(cls, value: Any, *more: Any, **named: Any) -> Any:
        if more or named:
            raise TypeError("write an Enum as a class")
        return super().__call__(value)


class Enum(enum.Enum, metaclass=_ByClassAlone):
    """enum.Enum."""


class IntEnum(enum.IntEnum, metaclass=_ByClassAlone):
    """enum.IntEnum."""


class StrEnum(enum.StrEnum, metaclass=_ByClassAlone):
    """enum.StrEnum."""


class Flag(enum.Flag, metaclass=_ByClassAlone):
    """enum.Flag."""


class IntFlag(enum.IntFlag, metaclass=_ByClassAlone):
    """enum.IntFlag."""


def make_enum(_: Job) -> dict[str, Any]:
    """The kinds of Enum, each by a class statement alone."""
    return {kind.__name__: kind for kind in (Enum, IntEnum, StrEnum, Flag, IntFlag)}


def make_zoneinfo(_: Job) -> dict[str, Any]:
    """Zones come from memory: a worker has no file system."""
    return {"ZoneInfo": zone, "available_timezones": lambda: set(_ZONES)}


def zone(key: str) -> zoneinfo.ZoneInfo:
    """The zone of that name, as `zoneinfo.ZoneInfo(key)`. Raises ZoneInfoNotFoundError."""
    data = _ZONES.get(key)
    if data is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return zoneinfo.ZoneInfo.from_file(BytesIO(data), key)


yaml.SafeDumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)  # a hook's arguments are a kind of dict


MAKERS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "collections": make_collections,
    "copy": make_copy,
    "dataclasses": make_dataclasses,
    "decimal": make_decimal,
    "enum": make_enum,
    "functools": make_functools,
    "ipaddress": make_ipaddress,
    "random": make_random,
    "typing": make_typing,
    "zoneinfo": make_zoneinfo,
}
