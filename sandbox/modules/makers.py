"""What the map cannot describe: facades with a state of their own, made afresh for each job, and our versions.

Leaves: a hook may hold these functions, so nothing dangerous stands in the globals of their files. What they are called
in errors is what they stand for.
"""

from __future__ import annotations

import calendar
import collections
import copy
import decimal
import random
import zlib
import zoneinfo
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import yaml

from sandbox.modules import decorators, http, kinds
from sandbox.modules.job import HOOK_MODULE, Job
from sandbox.naming import stands_for

__all__ = ["MAKERS", "Job", "load_zones"]

_RANDOM_NAMES = (
    "random uniform triangular randint randrange getrandbits randbytes choice choices shuffle sample seed gauss "
    "normalvariate lognormvariate expovariate vonmisesvariate gammavariate betavariate paretovariate weibullvariate"
).split()
_DAYS = "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY".split()
_MOST_INFLATED = 16 << 20  # bytes
_ZONES: dict[str, bytes] = {}  # zone name → its TZif data, read by the zygote while it still has files


def load_zones(zones: dict[str, bytes]) -> None:
    """Keep the data of the zones that a hook may ask for. In the zygote, once."""
    _ZONES.update(zones)


def make_calendar(_: Job) -> dict[str, Any]:
    """The names of days and months as plain tuples: the standard ones ask the locale each time."""
    names = {name: tuple(getattr(calendar, name)) for name in ("day_name", "day_abbr", "month_name", "month_abbr")}
    return names | {day: number for number, day in enumerate(_DAYS)}


def make_collections(_: Job) -> dict[str, Any]:
    """Namedtuple is the standard one behind a check: it builds source text from its field names."""
    return {"namedtuple": namedtuple}


@stands_for("namedtuple")
def namedtuple(
    typename: str, field_names: str | Iterable[str], *, rename: bool = False, defaults: Iterable[Any] | None = None
) -> type:
    """collections.namedtuple for plain identifiers. Raises TypeError, ValueError."""
    listed = field_names.replace(",", " ").split() if type(field_names) is str else list(field_names)
    if type(typename) is not str or not all(type(field) is str and field.isascii() for field in listed):
        raise TypeError("namedtuple takes plain texts")  # SECURITY: a str subclass could answer isidentifier() itself
    make: Any = collections.namedtuple  # noqa: PYI024 - the whole point
    made: type = make(typename, listed, rename=bool(rename), defaults=defaults, module=HOOK_MODULE)
    return made


class _Memo:
    """What deepcopy has copied, by address. A dict in all that deepcopy does with it; a hook reads no address in it."""

    __slots__ = ("_copies",)
    __iter__ = None

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}

    def get(self, key: int, default: Any = None) -> Any:
        return self._copies.get(key, default)

    def __getitem__(self, key: int) -> Any:
        return self._copies[key]

    def __setitem__(self, key: int, value: Any) -> None:
        self._copies[key] = value


stands_for("memo")(_Memo)


def make_copy(_: Job) -> dict[str, Any]:
    """Deepcopy without its other parameters: one of them is a list that all calls share."""
    return {"deepcopy": deepcopy}


@stands_for("deepcopy")
def deepcopy(x: Any) -> Any:
    """copy.deepcopy."""
    memo: Any = _Memo()
    return copy.deepcopy(x, memo)


def make_decimal(_: Job) -> dict[str, Any]:
    """The arithmetic context starts at its defaults in every job."""
    decimal.setcontext(decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN))
    return {}


def make_operator(job: Job) -> dict[str, Any]:
    """Attrgetter and methodcaller read as the hook may: the standard ones read anything."""

    @stands_for("attrgetter")
    def attrgetter(attr: str, /, *attrs: str) -> Callable[[Any], Any]:
        paths = [path.split(".") if type(path) is str else [path] for path in (attr, *attrs)]

        def follow(value: Any, path: list[str]) -> Any:
            for name in path:
                value = job.read(value, name)
            return value

        @stands_for("attrgetter")
        def getter(obj: Any, /) -> Any:
            found = tuple(follow(obj, path) for path in paths)
            return found if attrs else found[0]

        return getter

    @stands_for("methodcaller")
    def methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        @stands_for("methodcaller")
        def caller(obj: Any, /) -> Any:
            return job.read(obj, name)(*args, **kwargs)

        return caller

    return {"attrgetter": attrgetter, "methodcaller": methodcaller}


def make_random(job: Job) -> dict[str, Any]:
    """A generator of this job's own: nothing is shared, and a fixed seed repeats."""
    generator = random.Random(job.seed)  # noqa: S311 - the hook's own; `secrets` is beside it
    return {name: getattr(generator, name) for name in _RANDOM_NAMES}


def make_zlib(_: Job) -> dict[str, Any]:
    """Decompress with a bound: a kilobyte can become a megabyte."""
    return {"decompress": decompress}


@stands_for("decompress")
def decompress(data: Any, /, wbits: int = zlib.MAX_WBITS) -> bytes:
    """zlib.decompress, up to sixteen megabytes. Raises zlib.error."""
    inflating = zlib.decompressobj(wbits)
    inflated = inflating.decompress(data, _MOST_INFLATED + 1)
    if len(inflated) > _MOST_INFLATED:
        raise zlib.error(f"the data decompresses to more than {_MOST_INFLATED} bytes")
    if not inflating.eof:
        raise zlib.error("Error -5 while decompressing data: incomplete or truncated stream")
    return inflated


def make_zoneinfo(_: Job) -> dict[str, Any]:
    """Zones come from memory: a worker has no file system."""
    return {"ZoneInfo": zone, "available_timezones": available_timezones}


@stands_for("ZoneInfo")
def zone(key: str) -> zoneinfo.ZoneInfo:
    """The zone of that name, as `zoneinfo.ZoneInfo(key)`. Raises ZoneInfoNotFoundError."""
    data = _ZONES.get(key)
    if data is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return zoneinfo.ZoneInfo.from_file(BytesIO(data), key)


@stands_for("available_timezones")
def available_timezones() -> set[str]:
    """zoneinfo.available_timezones."""
    return set(_ZONES)


yaml.SafeDumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)  # a hook's arguments are a kind of dict

MAKERS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "abc": decorators.make_abc,
    "calendar": make_calendar,
    "collections": make_collections,
    "contextlib": decorators.make_contextlib,
    "copy": make_copy,
    "dataclasses": decorators.make_dataclasses,
    "decimal": make_decimal,
    "enum": kinds.make_enum,
    "functools": decorators.make_functools,
    "operator": make_operator,
    "random": make_random,
    "requests": http.make_requests,
    "requests.auth": http.make_auth,
    "requests.exceptions": http.make_exceptions,
    "requests.structures": http.make_structures,
    "types": kinds.make_types,
    "typing": decorators.make_typing,
    "zlib": make_zlib,
    "zoneinfo": make_zoneinfo,
}
