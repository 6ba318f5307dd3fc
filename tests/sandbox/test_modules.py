"""The facades with a state of their own, and our versions of what would be a way out."""

from __future__ import annotations

import decimal
import functools
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import require
from sandbox.modules import makers
from sandbox.modules.facade import Facade

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
    point = makers.named_tuple("Point", "x, y")(1, y=2)

    assert (1, 2, "Point(x=1, y=2)", (1, 2)) == (point.x, point.y, repr(point), tuple(point))
    assert makers.named_tuple("P", ["a", "b"])(1, 2) == (1, 2)


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
        makers.named_tuple(name, fields)


@pytest.mark.parametrize("fields", ["a-b", "a a", "class", "_a", "1", "a;b"])
def test_namedtuple_refuses_what_the_standard_one_refuses(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"[Ff]ield|[Tt]ype names|duplicate"):
        makers.named_tuple("P", fields)


def test_wraps_names_a_function_after_another_and_copies_nothing_else() -> None:
    def inner() -> None:
        """Text."""

    inner.secret = 1

    @makers.make_functools(a_job())["wraps"](inner)
    def outer() -> None:
        pass

    assert ("inner", "Text.") == (outer.__name__, outer.__doc__)
    assert not hasattr(outer, "secret")
    assert "secret" not in vars(outer)


def test_wraps_takes_no_list_of_attributes() -> None:
    """functools.update_wrapper(f, g, ["__globals__"]) copies whatever it is told to."""
    with pytest.raises(TypeError):
        makers.make_functools(a_job())["wraps"](len, ("__globals__",))
    assert "update_wrapper" not in require.names_of("functools")
    assert functools.wraps is not require.Importer(a_job()).require("functools").wraps


def test_a_facade_reads_like_a_module_and_cannot_be_changed() -> None:
    made = Facade("json", {"dumps": len})

    assert (len, ["dumps"], "<module 'json'>") == (made.dumps, made.offered(), repr(made))
    with pytest.raises(AttributeError, match="a hook's json does not offer 'loads'"):
        _ = made.loads
    with pytest.raises(TypeError, match="may not change the module json"):
        made.dumps = 1
    with pytest.raises(TypeError, match="may not change the module json"):
        del made.dumps
    with pytest.raises(TypeError, match="cannot be copied"):
        made.__reduce__()
    assert not hasattr(made, "__name__")


@pytest.mark.parametrize("target", ["type(user)", "type(require('json'))", "Error", "require('uuid').UUID"])
def test_a_decorator_of_a_facade_changes_no_class_that_other_jobs_share(
    run_hook: Callable[..., Any], target: Any
) -> None:
    """dataclass() writes into the class that it is given, past the guard of writes."""
    source = f"from dataclasses import dataclass\ndef hook(user, context, cb):\n    dataclass({target})\n    cb(None, 'changed')\n"

    outcome = run_hook(source, mode="invocation")  # in a worker that no other test sees

    assert ("raised", 3) == (outcome.status, outcome.line)
