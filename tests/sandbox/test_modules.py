"""The facades with a state of their own, and our versions of what would be a way out."""

from __future__ import annotations

import _strptime
import copy
import dataclasses
import decimal
import functools
import re
import time
import zlib
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import require
from sandbox.modules import decorators, kinds, makers
from sandbox.modules.facade import Facade, offered_by

pytestmark = pytest.mark.usefixtures("facades")


def a_job(seed: int = 0) -> makers.Job:
    """A job to which every class and function belongs."""
    return makers.Job(seed, lambda _: True, lambda _: None)


def test_a_seed_repeats_and_another_does_not() -> None:
    first, again, other = (makers.make_random(a_job(seed)) for seed in (1, 1, 2))
    drawn = [[made["random"]() for _ in range(5)] for made in (first, again, other)]

    assert drawn[0] == drawn[1] != drawn[2]


def test_generators_share_no_state() -> None:
    first, second = makers.make_random(a_job(1)), makers.make_random(a_job(1))
    first["seed"](99)

    assert makers.make_random(a_job(1))["random"]() == second["random"]()


def test_random_offers_functions_and_no_class() -> None:
    assert all(callable(value) and not isinstance(value, type) for value in makers.make_random(a_job(1)).values())


def test_the_decimal_context_starts_at_its_defaults_in_every_job() -> None:
    with decimal.localcontext():
        require.Importer(a_job()).require("decimal").getcontext().prec = 3
        made = require.Importer(a_job()).require("decimal")

        assert made.getcontext().prec == 28
        assert made.getcontext().rounding == made.ROUND_HALF_EVEN
        assert str(made.Decimal(1) / made.Decimal(3)) == "0." + "3" * 28


@pytest.mark.parametrize("key", ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC", "Etc/GMT+5"])
def test_a_zone_is_the_one_of_that_name(key: str) -> None:
    made = makers.zone(key)

    assert (key, zoneinfo.ZoneInfo) == (made.key, type(made))


@pytest.mark.parametrize("key", ["Nowhere/Land", "", "../../etc/passwd", "/etc/localtime", "Europe", "tzdata.zi"])
def test_a_zone_that_is_not_is_said_to_be_missing(key: str) -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        makers.zone(key)


def test_the_names_of_the_zones_are_a_copy() -> None:
    names = makers.make_zoneinfo(a_job())["available_timezones"]
    names().clear()

    assert "Europe/Berlin" in names()


def test_namedtuple_is_the_standard_one() -> None:
    point = makers.namedtuple("Point", "x, y")(1, y=2)

    assert (1, 2, "Point(x=1, y=2)", (1, 2)) == (point.x, point.y, repr(point), tuple(point))
    assert makers.namedtuple("P", ["a", "b"])(1, 2) == (1, 2)


class Identifier(str):
    """A text that calls itself an identifier."""

    __slots__ = ()

    def isidentifier(self) -> bool:
        return True

    def replace(self, *_: object) -> str:
        return self

    def split(self, *_: object) -> list:
        return [self]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (Identifier("P"), ["a"]),
        ("P", [Identifier("a=print(1)")]),
        ("P", ["é"]),
        (5, ["a"]),
        ("P", [5]),
    ],
)
def test_namedtuple_takes_plain_texts_only(name: str, fields: Any) -> None:
    """It builds source text of its field names and evaluates that."""
    with pytest.raises(TypeError):
        makers.namedtuple(name, fields)


@pytest.mark.parametrize("fields", ["a-b", "a a", "class", "_a", "1", "a;b"])
def test_namedtuple_refuses_what_the_standard_one_refuses(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"[Ff]ield|[Tt]ype names|duplicate"):
        makers.namedtuple("P", fields)


def test_wraps_names_a_function_after_another_and_copies_nothing_else() -> None:
    def inner() -> None:
        """Text."""

    inner.secret = 1

    @decorators.make_functools(a_job())["wraps"](inner)
    def outer() -> None:
        pass

    assert ("inner", "Text.") == (outer.__name__, outer.__doc__)
    assert not hasattr(outer, "secret")
    assert "secret" not in vars(outer)


def test_wraps_takes_no_list_of_attributes() -> None:
    """functools.update_wrapper(f, g, ["__globals__"]) copies whatever it is told to."""
    with pytest.raises(TypeError):
        decorators.make_functools(a_job())["wraps"](len, ("__globals__",))
    assert "update_wrapper" not in require.names_of("functools")
    assert functools.wraps is not require.Importer(a_job()).require("functools").wraps


def test_a_facade_reads_like_a_module_and_cannot_be_changed() -> None:
    made = Facade("json", {"dumps": len})

    assert (len, ["dumps"], "<module 'json'>") == (made.dumps, offered_by(made), repr(made))
    with pytest.raises(AttributeError, match="a hook's json does not offer 'loads'"):
        _ = made.loads
    with pytest.raises(TypeError, match="may not change the module json"):
        made.dumps = 1
    with pytest.raises(TypeError, match="may not change the module json"):
        del made.dumps
    with pytest.raises(TypeError, match="cannot be copied"):
        made.__reduce__()
    assert not hasattr(made, "__name__")
    with pytest.raises(AttributeError, match="a hook's json does not offer 'offered'"):
        _ = made.offered
    with pytest.raises(TypeError, match=r"^'module' object is not callable$"):
        made()


class Text(str):
    """A text of a hook's own class."""

    __slots__ = ()


def test_what_the_standard_library_keeps_is_exact() -> None:
    """A class of a hook's in a cache outlives its job."""
    re.compile(Text("kept exact"))
    re.sub(Text("(k)ept"), Text(r"\1"), Text("kept"))
    time.strptime(Text("2026"), Text("%Y"))

    assert Text not in {key[0] for key in re._cache}
    assert Text not in {type(key) for key in _strptime._regex_cache}


def test_a_pattern_takes_flags_that_are_numbers() -> None:
    assert re.search("A", "a", re.IGNORECASE).group() == "a"
    assert re.search("A", "a", int(re.IGNORECASE)).group() == "a"
    with pytest.raises(TypeError, match="flags of a pattern are an int"):
        re.compile("a", flags=2.0)


def test_a_dataclass_takes_private_fields_and_abstract_classes() -> None:
    dataclass = decorators.make_dataclasses(a_job())["dataclass"]

    @dataclass(frozen=True)
    class Point(require.Importer(a_job()).require("abc").ABC):
        _x: int
        y: int = 2

    assert ("_x", "y") == tuple(field.name for field in dataclasses.fields(Point))
    assert Point(1) == Point(_x=1, y=2)


def test_a_dataclass_has_no_field_of_two_leading_underscores() -> None:
    decorate = decorators.make_dataclasses(a_job())["dataclass"]
    with pytest.raises(TypeError, match="a dataclass cannot have the field '__x__'"):
        decorate(type("Point", (), {"__annotations__": {"__x__": int}}))


def test_a_cached_property_asks_once_and_keeps_the_value_with_the_object() -> None:
    asked = []

    class Shop:
        @kinds.cached_property
        def goods(self) -> list:
            asked.append(self)
            return ["bread"]

    shop = Shop()

    assert ["bread"] == shop.goods == shop.goods
    assert [shop] == asked
    assert {"goods": ["bread"]} == vars(shop)


def test_a_cached_property_has_one_name_and_no_special_one() -> None:
    with pytest.raises((TypeError, RuntimeError)):
        type("Shop", (), {"__deepcopy__": kinds.cached_property(len)})
    nameless = kinds.cached_property(len)
    Shop = type("Shop", (), {})  # noqa: N806 - a class
    Shop.goods = nameless
    with pytest.raises(TypeError, match="stands in a class statement"):
        _ = Shop().goods
    nameless.__set_name__(Shop, "goods")
    with pytest.raises(TypeError, match="cannot be both 'goods' and 'wares'"):
        nameless.__set_name__(Shop, "wares")


def test_a_namespace_is_the_standard_one_without_special_names() -> None:
    made = kinds.SimpleNamespace(a=1)
    made.b = 2

    assert "namespace(a=1, b=2)" == repr(made)
    assert kinds.SimpleNamespace({"a": 1}, b=2) == made == copy.copy(made)
    assert kinds.SimpleNamespace(a=3, b=2) == made.__replace__(a=3)
    with pytest.raises(TypeError, match="cannot have the attribute '__reduce_ex__'"):
        made.__replace__(__reduce_ex__=1)


def test_operator_reads_through_the_guard_and_joins_what_it_reads() -> None:
    asked = []

    def read(value: Any, name: str) -> Any:
        asked.append(name)
        return getattr(value, name)

    made = makers.make_operator(makers.Job(0, lambda _: True, read))

    assert (1, 2) == made["attrgetter"]("real.real", "imag")(complex(1, 2))
    assert "ab" == made["methodcaller"]("replace", "x", "b")("ax")
    assert ["real", "real", "imag", "replace"] == asked


def test_what_decompresses_without_end_is_refused() -> None:
    assert b"text" == makers.decompress(zlib.compress(b"text"))
    assert 16 << 20 == len(makers.decompress(zlib.compress(bytes(16 << 20))))
    with pytest.raises(zlib.error, match="more than 16777216 bytes"):
        makers.decompress(zlib.compress(bytes((16 << 20) + 1)))
    with pytest.raises(zlib.error, match="incomplete"):
        makers.decompress(zlib.compress(b"text")[:-1])


def test_a_copy_keeps_what_is_the_same_the_same() -> None:
    inner: list = []
    copied = makers.deepcopy({"a": inner, "b": inner, "c": (inner,)})

    assert copied["a"] is copied["b"] is copied["c"][0]
    assert copied["a"] is not inner


def test_what_is_copied_cannot_list_what_has_been_copied() -> None:
    """The memo of a copy is kept by address, and an object's own method is given it."""
    given = []

    class Spy:
        def __deepcopy__(self, memo: Any) -> None:
            given.append(memo)

    makers.deepcopy([[], Spy()])

    with pytest.raises(TypeError):
        list(given[0])
    assert not isinstance(given[0], dict)


def test_marks_for_type_checkers_change_nothing() -> None:
    made = decorators.make_typing(a_job())

    def function() -> None:
        pass

    for name in ("final", "no_type_check", "overload", "override"):
        assert made[name](function) is function
    assert {} == vars(function)


def test_what_the_makers_give_tells_the_names_that_it_stands_for() -> None:
    job = a_job()
    given = [
        decorators.make_functools(job)["lru_cache"](5),
        decorators.make_functools(job)["wraps"](len),
        decorators.make_dataclasses(job)["dataclass"](),
        makers.make_operator(job)["attrgetter"]("a"),
        makers.make_operator(job)["methodcaller"]("a"),
    ]

    assert ["lru_cache", "wraps", "dataclass", "attrgetter", "methodcaller"] == [each.__qualname__ for each in given]
    assert {"builtins"} == {each.__module__ for each in given}


@pytest.mark.parametrize("target", ["type(user)", "type(require('json'))", "Error", "require('uuid').UUID"])
def test_a_decorator_of_a_facade_changes_no_class_that_other_jobs_share(
    run_hook: Callable[..., Any], target: Any
) -> None:
    """dataclass() writes into the class that it is given, past the guard of writes."""
    source = f"from dataclasses import dataclass\ndef hook(user, context, cb):\n    dataclass({target})\n    cb(None, 'changed')\n"

    outcome = run_hook(source, mode="invocation")  # in a worker that no other test sees

    assert ("raised", 3) == (outcome.status, outcome.line)
