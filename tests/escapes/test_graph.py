"""What a hook can reach from the facades by reading: nothing of the interpreter's, and nothing shared that takes items.

Items are written without a guard, so no object that two jobs share may take one. The walk reads as a hook does, through
the guards, and makes an instance of each class that needs no argument.
"""

from __future__ import annotations

import abc
import ast
import builtins
import contextlib
import enum
import importlib.machinery
import io
import json
import os
import sys
import types
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox import classes, guards, require, telling
from sandbox import vocabulary as words
from sandbox.modules import makers
from sandbox.modules.facade import Facade

DEPTH = 6
TOLD = sorted(words.READABLE - words.METHODS)  # what special names tell
ALIKE = frozenset(  # all that an object of these leads to, its class does
    {int, float, complex, bool, str, bytes, type(None), types.BuiltinFunctionType, types.MethodWrapperType}
    | {types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType}
    | {types.GetSetDescriptorType, types.MemberDescriptorType}
)
LIVE_KINDS = (
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    types.CellType,
    importlib.machinery.ModuleSpec,
    ast.AST,
)
LIVE = {
    id(thing): name
    for name, thing in {
        **{name: getattr(builtins, name) for name in ("eval", "exec", "compile", "open", "__import__", "type")},
        **{name: getattr(builtins, name) for name in ("globals", "locals", "input", "breakpoint", "memoryview")},
        "ABCMeta": abc.ABCMeta,
        "EnumMeta": enum.EnumMeta,
        "os.environ": os.environ,
        "sys.modules": sys.modules,
        "io.open_code": io.open_code,
    }.items()
}
LISTED = {  # module → its classes that a hook may hold
    "_blake2": "blake2b blake2s",
    "_csv": "Error",
    "_io": "BytesIO StringIO",
    "abc": "ABC",
    "binascii": "Error",
    "builtins": "NoneType bool bytes dict float int list mappingproxy property set str tuple type",
    "collections": "ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque",
    "collections.abc": "Callable Collection Container Generator Hashable ItemsView Iterable Iterator KeysView Mapping MutableMapping MutableSequence MutableSet Reversible Sequence Set Sized ValuesView",
    "contextlib": "AbstractContextManager ExitStack closing nullcontext suppress",
    "csv": "DictReader DictWriter",
    "dataclasses": "FrozenInstanceError InitVar _KW_ONLY_TYPE _MISSING_TYPE",
    "datetime": "date datetime time timedelta timezone tzinfo",
    "decimal": "Context Decimal DecimalException DivisionByZero FloatOperation Inexact InvalidOperation Overflow Rounded Underflow",
    "difflib": "Differ SequenceMatcher",
    "enum": "Enum Flag IntEnum IntFlag StrEnum _auto_null auto",
    "fractions": "Fraction",
    "functools": "cached_property partial",
    "http": "HTTPMethod HTTPStatus",
    "ipaddress": "AddressValueError IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network NetmaskValueError",
    "itertools": "accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse groupby islice pairwise permutations product repeat starmap takewhile zip_longest",
    "json.decoder": "JSONDecodeError",
    "json.encoder": "JSONEncoder",
    "numbers": "Complex Integral Number Rational Real",
    "operator": "itemgetter",
    "re": "Match Pattern PatternError error",
    "http.cookiejar": "Cookie",
    "requests": "PreparedRequest Response Session",
    "requests.auth": "HTTPBasicAuth",
    "requests.cookies": "RequestsCookieJar",
    "requests.exceptions": """
        ChunkedEncodingError ConnectTimeout ConnectionError ContentDecodingError EgressRefused HTTPError InvalidHeader
        InvalidJSONError InvalidProxyURL InvalidSchema InvalidURL JSONDecodeError MissingSchema ProxyError ReadTimeout
        RequestException RetryError SSLError StreamConsumedError Timeout TooManyRedirects UnrewindableBodyError
        URLRequired
    """,
    "requests.status_codes": "LookupDict",
    "requests.structures": "CaseInsensitiveDict",
    "statistics": "StatisticsError",
    "string": "Template",
    "struct": "error",
    "time": "struct_time",
    "types": "SimpleNamespace",
    "typing": "Annotated Any Generic NewType ParamSpec Protocol Type TypeVar TypeVarTuple _CallableType _LiteralSpecialForm _SpecialForm _SpecialGenericAlias _TupleType _TypedCacheSpecialForm",
    "uuid": "SafeUUID UUID",
    "yaml.error": "YAMLError",
    "zlib": "error",
    "zoneinfo._common": "ZoneInfoNotFoundError",
}
OBJECTS = "builtin_function_or_method builtin_method function getset_descriptor member_descriptor method method_descriptor module"  # builtin classes whose objects a hook may hold, but not they themselves


@dataclass(frozen=True)
class Met:
    """One object, and the way that led there first."""

    path: str
    value: Any


class Thief:
    """Compared with a proxy, it is handed what the proxy stands for."""

    def __init__(self) -> None:
        self.loot: Any = None

    def __ror__(self, other: Any) -> Any:
        self.loot = other
        return self


def live(met: Met) -> str | None:
    """What of the interpreter's `met` is, if so."""
    value = met.value
    if isinstance(value, LIVE_KINDS) or "importlib" in str(type(value).__module__):
        return type(value).__name__
    if isinstance(value, type) and issubclass(value, type):
        return "a class of classes"
    is_namespace = type(value) is dict and any(value is vars(module) for module in list(sys.modules.values()))
    return "a module's namespace" if is_namespace else LIVE.get(id(value))


def takes_items(value: Any) -> bool:
    """Whether something can be put into `value` by an item or a method."""
    kind = type(value)
    takes = hasattr(kind, "__setitem__") or hasattr(kind, "__delitem__")
    return takes or any(hasattr(kind, name) for name in ("append", "add", "update", "write"))


class World:
    """What one fresh job reaches."""

    def __init__(self) -> None:
        self.own = guards.Guards({})
        self._importer = require.Importer(makers.Job(1, self.own.has, self.own.read))
        self.met: dict[int, Met] = {}
        self._alike: set[type] = set()

    def _seen_alike(self, value: Any) -> bool:
        """Whether another object of a class whose objects lead to the same has been met."""
        kind = type(value)
        seen = kind in self._alike
        if kind in ALIKE:
            self._alike.add(kind)
        return seen

    def facades(self) -> list[Met]:
        return [Met(name, self._importer.require(name)) for name in require.MODULE_MAP]

    def walk(self, roots: list[Met]) -> World:
        """Meet all that the roots lead to."""
        waiting = deque((root, 0) for root in roots)
        while waiting:
            met, depth = waiting.popleft()
            if id(met.value) in self.met:
                continue
            self.met[id(met.value)] = met
            if depth < DEPTH and not live(met) and not self._seen_alike(met.value):
                waiting.extend((Met(f"{met.path}{step}", value), depth + 1) for step, value in self._steps(met.value))
        return self

    def _steps(self, value: Any) -> Iterator[tuple[str, Any]]:
        for name in (*telling.dir_of(self.own, value), *TOLD):
            with contextlib.suppress(Exception):  # what cannot be read leads nowhere
                yield f".{name}", self.own.read(value, name)
        if isinstance(value, type):
            with contextlib.suppress(Exception):
                yield "()", value()
        yield from self._items(value)

    @staticmethod
    def _items(value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, types.MappingProxyType):
            thief = Thief()
            _ = value | thief
            yield " | …", thief.loot
        if isinstance(value, dict):
            yield from ((f"[{key!r:.20}]", inner) for key, inner in value.items())
            yield from ((f" key {key!r:.20}", key) for key in value)
        if isinstance(value, tuple | list | set | frozenset | deque):
            yield from ((" item", inner) for inner in value)


def class_of(value: Any) -> str:
    """The class that `value` is or belongs to."""
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def unlisted(world: World) -> list[str]:
    """The classes that are on no list. One that stands for another makes nothing."""
    held = {f"{module}.{name}" for module, names in LISTED.items() for name in names.split()}
    of_objects = held | {f"builtins.{name}" for name in OBJECTS.split()}
    met = [each for each in world.met.values() if not isinstance(each.value, classes._Told)]
    lists = [held if isinstance(each.value, type) else of_objects for each in met]
    return [
        f"{each.path}: {class_of(each.value)}"
        for each, listed in zip(met, lists, strict=True)
        if class_of(each.value) not in listed
    ]


def shared(one: World, other: World) -> list[Met]:
    """What both reach and takes items."""
    return [met for key, met in one.met.items() if key in other.met and takes_items(met.value)]


@pytest.fixture(scope="module")
def world() -> World:
    """All that a fresh job reaches from its facades."""
    require.load_facades()
    made = World()
    return made.walk(made.facades())


def test_the_walk_reaches_what_the_map_offers(world: World) -> None:
    reached = {met.path for met in world.met.values()}

    assert len(world.met) > 2_000
    assert {"json.dumps", "datetime.datetime.now", "http.HTTPStatus.OK", "random.choice"} <= reached


def test_nothing_of_the_interpreter_is_reached(world: World) -> None:
    assert [] == [f"{met.path}: {found}" for met in world.met.values() if (found := live(met))]


def test_every_class_that_is_reached_is_on_the_list(world: World) -> None:
    assert [] == unlisted(world)


def test_the_classes_that_make_code_and_methods_are_on_no_list() -> None:
    facade = Facade("planted", {"function": types.FunctionType, "method": types.MethodType, "own": World})
    planted = World().walk([Met("planted", facade)])

    assert {"planted.function: builtins.function", "planted.method: builtins.method"} <= set(unlisted(planted))
    assert f"planted.own: {World.__module__}.World" in unlisted(planted)


def test_nothing_that_two_jobs_reach_takes_items(world: World) -> None:
    other = World()
    other.walk(other.facades())

    assert [] == [f"{met.path}: {type(met.value).__name__}" for met in shared(world, other)]


def test_nothing_that_is_reached_tells_of_our_files(world: World) -> None:
    """A name, a class and a module are what errors are told with."""
    told = [
        (met.path, met.value.__module__, met.value.__qualname__)
        for met in world.met.values()
        if isinstance(met.value, type | types.FunctionType | types.MethodType)
    ]

    assert [] == [each for each in told if "sandbox" in str(each[1]) or "make_" in each[2]]


PLANTED = {
    "a module": (json, "module"),
    "a namespace of a module": (vars(json), "a module's namespace"),
    "eval in a tuple": ((eval,), "eval"),
    "type itself": (type, "a class of classes"),
    "a class of classes": (abc.ABCMeta, "a class of classes"),
    "the environment behind a proxy": (types.MappingProxyType({"inner": os.environ}), "os.environ"),
    "a loader": (json.__loader__, "SourceFileLoader"),
    "code": ((lambda: 0).__code__, "code"),
    "a module under a property": (type("Odd", (), {"__init__": lambda self: setattr(self, "inner", json)}), "module"),
}


@pytest.mark.parametrize(("value", "told"), PLANTED.values(), ids=PLANTED.keys())
def test_the_walk_finds_what_is_planted(value: Any, told: str) -> None:
    """A walk that cannot go red proves nothing."""
    planted = World().walk([Met("planted", Facade("planted", {"thing": value}))])

    assert told in [live(met) for met in planted.met.values()]


@pytest.mark.parametrize("value", [[], {}, set(), bytearray(), deque(), types.MappingProxyType({}), io.StringIO()])
def test_the_walk_finds_what_jobs_share(value: Any) -> None:
    """Two jobs that hold the same container."""
    facade = Facade("planted", {"thing": value})
    one, other = (World().walk([Met("planted", facade)]) for _ in range(2))

    assert len(shared(one, other)) == 1
