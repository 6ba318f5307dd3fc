"""Module facades: no live module behind them, and nothing to spoil for the tenant's next job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.outcome import Outcome

LIVE = [
    "json.codecs",
    "json.decoder",
    "json.encoder",
    "re.enum",
    "re.sys",
    "base64.re",
    "base64.struct",
    "datetime.sys",
    "uuid.os",
    "uuid.getnode",
    "typing.sys",
    "typing.get_type_hints",
    "functools.update_wrapper",
    "functools.singledispatch",
    "random.Random",
    "random.SystemRandom",
    "copy.dispatch_table",
    "decimal.setcontext",
    "dataclasses.make_dataclass",
    "string.Formatter",
    "statistics.sys",
    "zoneinfo.reset_tzpath",
    "time.tzset",
    "yaml.load",
    "yaml.UnsafeLoader",
    "hmac.HMAC",
    "itertools.nothing",
    "enum.EnumType",
    "abc.ABCMeta",
    "types.FunctionType",
    "types.CodeType",
    "typing.get_overloads",
    "typing.runtime_checkable",
    "csv.field_size_limit",
    "csv.register_dialect",
    "calendar.setfirstweekday",
    "contextlib.redirect_stdout",
    "email.utils.make_msgid",
    "io.open",
    "operator.setitem",
    "zlib.decompressobj",
    "struct.Struct",
    "collections.abc.sys",
]
ABSENT = "os sys subprocess socket threading ctypes pickle marshal inspect gc importlib builtins weakref".split()
THIEF = "class Thief:\n    def __ror__(self, other):\n        self.loot = other\n"
STATE_BY_WRITE = {
    "a flag of re": ("re.A.stash = 'PW' + 'NED'", "re.A.stash"),
    "a cached function": ("urlsplit.stash = 'PW' + 'NED'", "urlsplit.stash"),
    "an abstract class through typing": ("typing.Mapping.stash = 'PW' + 'NED'", "typing.Mapping.stash"),
    "typing.Callable": ("typing.Callable.stash = 'PW' + 'NED'", "typing.Callable.stash"),
    "the safety of a uuid": ("uuid.uuid4().is_safe.stash = 'PW' + 'NED'", "uuid.uuid4().is_safe.stash"),
    "a cached prefix length": (
        "class P(int):\n    pass\np = P(25)\np.stash = 'PW' + 'NED'\nipaddress.ip_network(('10.0.0.0', p))",
        "ipaddress.ip_network(('10.0.0.0', 25)).prefixlen.stash",
    ),
    "the name of a function": (
        "def stash():\n    pass\nuser['__qualname__'] = user['__name__'] = 'PW' + 'NED'\nfunctools.wraps(user)(json.dumps)",
        "json.dumps",
    ),
    "a module": ("json.stash = 'PW' + 'NED'", "json.stash"),
    "module.exports": ("module.exports.stash = 'PW' + 'NED'", "module.exports.stash"),
    "an argument": ("user.stash = 'PW' + 'NED'", "user.stash"),
    "the secrets": ("context.webtask.secrets.stash = 'PW' + 'NED'", "context.webtask.secrets.stash"),
}
POISON = {
    "Mapping.items": (
        "typing.Mapping.items = lambda self: 'PW' + 'NED'",
        "list(collections.ChainMap({1: 2}).items())",
        [[1, 2]],
    ),
    "a text as a Mapping": ("typing.Mapping.register(str)", "collections.Counter('aab')", {"a": 2, "b": 1}),
    "a list as a Sequence of its own": ("typing.Sequence.register(dict)", "statistics.mean([1, 3])", 2),
    "the name of Error": (
        "def evil():\n    pass\nfunctools.wraps(evil)(Error)",
        "str(type(Error('x'))).count('evil')",
        0,
    ),
    "the random seed": ("random.seed(1)", "random.random() == 0.13436424411240122", False),
    "the decimal precision": (
        "decimal.getcontext().prec = 2",
        "str(decimal.Decimal(1) / decimal.Decimal(3))",
        "0." + "3" * 28,
    ),
    "a decimal trap": (
        "c = decimal.getcontext()\nc.Emax = 1\nc.rounding = decimal.ROUND_UP",
        "str(decimal.Decimal('1e9') * 10)",
        "1.0E+10",
    ),
    "a memo of copies": ("copy.deepcopy([1], {})", "copy.deepcopy([1])", [1]),
    "the cache of patterns": ("class S(str):\n    pass\nre.compile(S('a'))", "re.sub('a', 'b', 'cat')", "cbt"),
    "an order for Error": (
        "try:\n    functools.total_ordering(Error)\nexcept ValueError:\n    pass",
        "Error('a') == Error('a')",
        False,
    ),
    "a template of re": (
        "class T(str):\n    def __getitem__(self, place):\n        return 'xyz'[place]\nre.compile('(a)').sub(T(r'<\\1>'), 'a')",
        "re.sub('(a)', r'<\\1>', 'a')",
        "<a>",
    ),
    "a pattern with flags that answer": (
        (
            "class F(int):\n    def __and__(self, other):\n        return 0\n    def __or__(self, other):\n        return 2\n"
            "re.search('zq', 'zq', F(0))"
        ),
        "re.search('zq', 'ZQ') is None",
        True,
    ),
    "flags that are equal to all": (
        (
            "class F:\n    def __hash__(self):\n        return 0\n    def __eq__(self, other):\n        return True\n"
            "    def __and__(self, other):\n        return 0\n    def __or__(self, other):\n        return 2\n    __ror__ = __or__\n"
            "try:\n    re.compile('zqq', F())\nexcept TypeError:\n    pass"
        ),
        "re.search('zqq', 'ZQQ') is None",
        True,
    ),
    "the table of quote, by a number that formats itself": (
        (
            "class I(int):\n    def __format__(self, spec):\n        return '<script>'\n"
            "class B(bytes):\n    def __iter__(self):\n        yield I(60)\n"
            "class S(str):\n    def encode(self, *given):\n        return B(b'<')\nquote(S('<'))"
        ),
        "quote('<')",
        "%3C",
    ),
    "the table of quote, by what is safe": (
        (
            "class B(bytes):\n    def __iter__(self):\n        yield from range(128)\n"
            "class S(str):\n    def encode(self, *given):\n        return B(b'!')\nquote('<', S('!'))"
        ),
        "quote('<', '!')",
        "%3C",
    ),
    "the hash of a Fraction": (
        (
            "class H:\n    def __hash__(self):\n        return 1\n    def __eq__(self, other):\n        return other == 1\n"
            "    def __index__(self):\n        return 1\n    def __mul__(self, other):\n        return self\n"
            "    def __floordiv__(self, other):\n        return self\n    def __abs__(self):\n        return 5\n"
            "    def __lt__(self, other):\n        return False\n    __gt__ = __ge__ = __lt__\n"
            "class N(int):\n    @property\n    def numerator(self):\n        return H()\n"
            "{fractions.Fraction(N(1), 2)}"
        ),
        "fractions.Fraction(1, 2) in {0.5: 1}",
        True,
    ),
    "a property of a network": (
        (
            "class X(ipaddress.IPv4Network):\n    broadcast_address = ipaddress.IPv4Address('8.8.8.8')\n"
            "    @property\n    def network_address(self):\n        return ipaddress.IPv4Address('10.0.0.0')\n"
            "    @network_address.setter\n    def network_address(self, value):\n        pass\n"
            "X('10.0.0.0/8').is_global"
        ),
        "ipaddress.ip_network('10.0.0.0/8').is_global",
        False,
    ),
    "the metadata of fields": (
        (
            f"{THIEF}thief = Thief()\ndataclasses.field().metadata | thief\ntry:\n    thief.loot['a'] = 1\n"
            "except TypeError:\n    pass"
        ),
        "dict(dataclasses.field().metadata)",
        {},
    ),
    "the members of an Enum": (
        f"{THIEF}thief = Thief()\nhttp.HTTPStatus.__members__ | thief\nthief.loot.clear()",
        "[http.HTTPStatus['OK'].phrase, len(http.HTTPStatus.__members__) > 50]",
        ["OK", True],
    ),
    "the members of flags": (
        "class I(int):\n    pass\nre.A | I(1 << 20)\nstring.Template.flags | I(1 << 20)",
        "[str(type(re.A | (1 << 20)).__name__), str(type(string.Template.flags | (1 << 20)).__name__)]",
        ["int", "int"],
    ),
}
IMPORTS = """
import collections, copy, dataclasses, decimal, fractions, functools, http, ipaddress, json, random, re, statistics
import string, time, typing, uuid
from urllib.parse import quote, urlsplit
"""


@pytest.mark.parametrize("path", LIVE)
def test_a_name_that_the_map_does_not_offer_is_refused_at_import(reach: Callable[..., Outcome], path: str) -> None:
    """`from json import codecs` is a finding; the interpreter's own table of modules is not asked."""
    module, _, name = path.rpartition(".")
    outcome = reach(name, before=f"from {module} import {name}\n")

    assert ("rejected", "import") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("path", LIVE)
def test_a_name_that_the_map_does_not_offer_is_no_attribute(reach: Callable[..., Outcome], path: str) -> None:
    """The facade has what the map says, and no module behind it."""
    module, _, name = path.rpartition(".")
    outcome = reach(f"{module}.{name}", before=f"import {module}\n")

    assert "raised" == outcome.status
    assert outcome.message.startswith(f"AttributeError: a hook's {module} does not offer {name!r}")


@pytest.mark.parametrize("name", ABSENT)
@pytest.mark.parametrize("statement", ["import {}", "from {} import x", "import {}.x as y", "import json, {} as z"])
def test_a_module_that_reaches_the_machine_is_refused(reach: Callable[..., Outcome], statement: str, name: str) -> None:
    """Every form of import asks the map."""
    outcome = reach("1", statement.format(name) + "\n")

    assert ("rejected", "import") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("name", ["os", "sandbox.hook", "json.decoder", "builtins", "__main__", "_io", "json\\0", ""])
def test_require_asks_the_map_too(reach: Callable[..., Outcome], name: str) -> None:
    """`require` gives facades only."""
    outcome = reach(f"require(str('{name}'))")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("ModuleNotFoundError"))


def test_require_takes_an_exact_text(reach: Callable[..., Outcome]) -> None:
    """A str subclass could equal a name of the map for one reader and not for the next."""
    outcome = reach(
        "require(Name('os'))", before="class Name(str):\n    def __eq__(self, other):\n        return True\n"
    )

    assert outcome.status == "raised"


@pytest.mark.parametrize(
    "statement", ["from json import *", "from . import json", "from .json import x", "from .. import y"]
)
def test_star_and_relative_imports_are_refused(reach: Callable[..., Outcome], statement: str) -> None:
    """An import names one module of the map and its names."""
    assert "rejected" == reach("1", before=statement + "\n").status


@pytest.mark.parametrize("line", ["json.dumps = 1", "del json.dumps", "setattr(json, 'dumps', 1)", "json.dumps += 1"])
def test_a_facade_does_not_change(reach: Callable[..., Outcome], line: str) -> None:
    """Every form of write to a facade is refused, so the next import finds it as it was."""
    outcome = reach("1", line, before="import json\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("TypeError: a hook may not change"))


@pytest.mark.parametrize("module", ["json", "random", "decimal"])
def test_a_facade_is_not_copied(reach: Callable[..., Outcome], module: str) -> None:
    """A copy would be a facade that can be changed."""
    assert reach(f"copy.copy({module}).stash", before=f"import copy, {module}\n").status == "raised"


@pytest.mark.parametrize(("write", "read"), STATE_BY_WRITE.values(), ids=STATE_BY_WRITE.keys())
def test_what_a_job_writes_is_not_there_in_the_next(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    write: str,
    read: str,
) -> None:
    """No object that outlives the job takes an attribute of the hook's. 2026-11-22."""
    attack(hook_of(f"{write}\ncb()", IMPORTS))
    outcome = run_hook(hook_of(f"cb(None, str({read}))", IMPORTS), tenant=tenant)

    assert b"PWNED" not in outcome.json()


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_what_a_job_calls_changes_nothing_for_the_next(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    poison: tuple[str, str, Any],
) -> None:
    """No call changes what the tenant's next job computes. 2026-11-22."""
    call, read, expected = poison
    attack(hook_of(f"{call}\ncb()", IMPORTS))
    outcome = run_hook(hook_of(f"cb(None, {read})", IMPORTS), tenant=tenant)

    assert ("ok", expected) == (outcome.status, outcome.value() if outcome.status == "ok" else outcome.message)


def test_a_cache_does_not_tell_what_an_earlier_job_parsed(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """Urlsplit is cached: its counters would tell which addresses another hook has used. 2026-11-22."""
    before = "from urllib.parse import urlsplit\n"
    attack(hook_of("urlsplit('https://host/?token=s3cr3t')\ncb()", before))
    outcome = run_hook(
        hook_of("urlsplit('https://host/?token=s3cr3t')\ncb(None, urlsplit.cache_info())", before), tenant=tenant
    )

    assert outcome.status == "raised" or outcome.value()[0] == 0


@pytest.mark.parametrize(
    "fields",
    ["['x', Name('y')]", "[Name('x=1):\\n import os\\n#')]", "Name('x y')", "['x', '__class__']", "['ﬁeld＿']"],  # noqa: RUF001
)
def test_namedtuple_takes_plain_identifiers(reach: Callable[..., Outcome], fields: str) -> None:
    """Namedtuple builds source text from its field names."""
    before = "from collections import namedtuple\nclass Name(str):\n    def isidentifier(self):\n        return True\n"

    assert reach(f"namedtuple('T', {fields})", before=before).status == "raised"


def test_wraps_copies_names_and_text_only(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A wrapper does not become the function it names itself after."""
    before = "from functools import wraps\n"
    body = "@wraps(require)\ndef own():\n    return 'own'\ncb(None, own())"

    assert ("ok", "own") == ((out := attack(hook_of(body, before))).status, out.value())


def test_yaml_makes_plain_data_only(reach: Callable[..., Outcome]) -> None:
    """safe_load knows no tags that call."""
    outcome = reach("yaml.safe_load('!!python/object/apply:os.getpid []')", before="import yaml\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("ConstructorError"))


def test_yaml_takes_no_other_dumper(reach: Callable[..., Outcome]) -> None:
    """The class that represents objects is ours to choose."""
    assert reach("yaml.safe_dump({}, Dumper=Error)", before="import yaml\n").status == "raised"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "Europe/../../etc/passwd"])
def test_a_time_zone_is_no_file(reach: Callable[..., Outcome], name: str) -> None:
    """Zones come out of a table in memory."""
    outcome = reach(f"zoneinfo.ZoneInfo({name!r})", before="import zoneinfo\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("ZoneInfoNotFoundError"))


def test_the_real_zone_class_finds_no_file(reach: Callable[..., Outcome]) -> None:
    """Also the class behind the facade, found through `type`, sees an empty file system."""
    outcome = reach("type(zoneinfo.ZoneInfo('UTC')).no_cache('../../etc/passwd')", before="import zoneinfo\n")

    assert outcome.status == "raised"


def test_a_type_annotation_is_never_evaluated(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A text in an annotation stays a text."""
    before = "import typing\nx: typing.Optional['cb(1)'] = None\ndef f(a: 'cb(2)') -> 'cb(3)':\n    pass\n"

    assert ("ok", 1) == ((out := attack(hook_of("cb(None, 1)", before))).status, out.value())


@pytest.mark.parametrize(
    "call",
    [
        "abc.abstractmethod(json.dumps)",
        "contextlib.contextmanager(json.dumps)",
        "functools.lru_cache(json.dumps)",
        "functools.cache(uuid.UUID)",
        "functools.total_ordering(uuid.UUID)",
        "dataclasses.dataclass(uuid.UUID)",
        "dataclasses.dataclass(typing.Protocol)",
    ],
)
def test_a_decorator_that_writes_takes_the_hooks_own_things_only(reach: Callable[..., Outcome], call: str) -> None:
    """A mark on a function of a facade would be there in the next job."""
    outcome = reach(call, before="import abc, contextlib, dataclasses, functools, json, typing, uuid\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("TypeError: "))
    assert "hook's own" in outcome.message


@pytest.mark.parametrize("name", ["final", "no_type_check", "overload", "override"])
def test_a_mark_for_type_checkers_is_written_nowhere(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], name: str
) -> None:
    """typing.final sets an attribute of whatever it is given, and typing.overload keeps it."""
    before = f"import json\nfrom typing import {name}\n"

    assert attack(hook_of(f"cb(None, {name}(json.dumps) is json.dumps)", before)).value() is True


@pytest.mark.parametrize(
    "statement",
    [
        "class M(typing.Type):\n    pass",
        "class M(typing.Type[int]):\n    pass",
        "class M(type(dataclasses.field())):\n    pass",
        "class M(functools.cached_property):\n    pass",
        "class M(enum.IntEnum, typing.Type):\n    pass",
        "M = enum.Enum('M', {'__del__': 1})",
        "M = typing.Type('M', (), {})",
        "M = types.SimpleNamespace(**{'__reduce_ex__': 1})",
        "M = types.SimpleNamespace({'__deepcopy__': 1})",
        "class S(types.SimpleNamespace):\n    pass\nM = S().__replace__(**{'__reduce_ex__': 1})",
        "class S(str):\n    def startswith(self, *_):\n        return False\nM = types.SimpleNamespace(**{S('__copy__'): 1})",
    ],
)
def test_no_class_of_a_facade_makes_what_a_class_statement_cannot(
    reach: Callable[..., Outcome], statement: str
) -> None:
    """Classes of classes, source text out of field names, and objects with special names in them."""
    outcome = reach("M", statement, before="import dataclasses, enum, functools, types, typing\n")

    assert outcome.status in ("raised", "rejected")
    assert outcome.message.startswith(("TypeError: ", "AttributeError: ")) or outcome.status == "rejected"


def test_a_field_of_a_dataclass_comes_from_an_annotation(reach: Callable[..., Outcome]) -> None:
    """A TypedDict may have any text as a key, and dataclass makes source text of it."""
    before = "import dataclasses, typing\nT = typing.TypedDict('T', {'x=print(1)': int})\nclass D(T):\n    pass\n"

    assert "raised" == reach("dataclasses.dataclass(D)", before=before).status


@pytest.mark.parametrize(
    "expression",
    [
        "operator.attrgetter('__globals__')(json.dumps)",
        "operator.attrgetter('a', 'gi_frame')(x for x in [])",
        "operator.attrgetter('real.__class__.__mro__')(1)",
        "operator.attrgetter(Name('__globals__'))(json.dumps)",
        "operator.methodcaller('__subclasses__')(Error)",
        "operator.methodcaller('__reduce_ex__', 4)(Error('x'))",
        "operator.methodcaller('register', str)(typing.Mapping)",
        "operator.methodcaller('format', Error('x'))('{0.__class__.__mro__}')",
    ],
)
def test_operator_reads_as_the_hook_does(reach: Callable[..., Outcome], expression: str) -> None:
    """The standard attrgetter and methodcaller read past every guard."""
    outcome = reach(expression, before="import json, operator, typing\nclass Name(str):\n    pass\n")

    assert "raised" == outcome.status


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("json()", "'module' object is not callable"),
        ("require()", "require() missing 1 required positional argument: 'module'"),
        ("functools.wraps()", "wraps() missing 1 required positional argument: 'wrapped'"),
        ("functools.lru_cache(1, 2, 3)", "lru_cache() takes from 0 to 2 positional arguments but 3 were given"),
        ("operator.methodcaller('a')()", "methodcaller() missing 1 required positional argument: 'obj'"),
        (
            "collections.namedtuple()",
            "namedtuple() missing 2 required positional arguments: 'typename' and 'field_names'",
        ),
        ("enum.Enum()", "EnumType.__call__() missing 1 required positional argument: 'value'"),
        ("zoneinfo.ZoneInfo()", "ZoneInfo() missing 1 required positional argument: 'key'"),
        ("typing.final()", "final() missing 1 required positional argument: 'decorated'"),
    ],
)
def test_errors_tell_the_names_that_hooks_know(reach: Callable[..., Outcome], call: str, message: str) -> None:
    """What stands for a function is told by its name, without a path or a class of ours."""
    before = "import collections, enum, functools, json, operator, typing, zoneinfo\n"

    assert "TypeError: " + message == reach(call, before=before).message


def test_json_hooks_get_plain_values(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A callback of json gets the text or the pairs, nothing of the decoder."""
    body = "cb(None, json.loads('[1.5, {}]', parse_float=str, object_pairs_hook=list))"

    assert ["1.5", []] == attack(hook_of(body, "import json\n")).value()
