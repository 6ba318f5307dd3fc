"""Proxies forward the attributes of what they stand for, and copiers carry them along (found by review, 2026-11-22)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

PROXIES = {
    "a method of a type": "type(A().m)(str, 1).format",
    "an alias of a builtin": "type(list[int])(str, (int,)).format",
    "an alias of typing": "type(typing.List[int])(str, (int,)).format",
    "a cache around str": "functools.cache(str).format",
    "a sized cache around str": "functools.lru_cache(maxsize=None)(str).format",
    "wraps of str": "functools.wraps(str)(lambda: 0).format",
    "a partial of str": "functools.partial(str).func.format",
    "an alias itself": "list[str].format",
    "str itself": "str.format",
    "a subclass": "S.format",
    "getattr": "getattr(str, 'format')",
    "map": "list(map(getattr, [str], ['format']))[0]",
}


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES.keys())
def test_no_proxy_hands_out_the_format_of_c(attack: Callable[..., Outcome], proxy: str) -> None:
    """`{0.__globals__}` through it would reach the sandbox's own modules."""
    source = (
        "import functools, typing\n"
        "class A:\n    def m(self):\n        pass\n"
        "class S(str):\n    pass\n"
        "def hook(user, context, cb):\n"
        f"    fmt = {proxy}\n"
        "    cb(None, fmt('{0.__globals__}', cb))\n"
    )
    outcome = attack(source)

    assert "raised" == outcome.status
    assert b"null" == bytes(outcome.result)


@pytest.mark.parametrize(
    "value", ["A().m", "hook", "cb", "console", "require", "len", "list[int]", "int | str", "typing.List[int]", "json"]
)
@pytest.mark.parametrize(
    "use",
    [
        "type({})(str, 1)",
        "type({})()",
        "object.__new__(type({}))",
        "type({}).__new__(type({}))",
        "type({}).__call__(str, (int,))",
        "{}.__class__(str, 1)",
        "type(type({}))('X', (), {{}})",
        "made(type({}))",
        "[0 for type({}).stash in [1]]",
        "setattr(type({}), 'stash', 1)",
    ],
)
def test_the_class_of_what_is_no_value_makes_nothing(attack: Callable[..., Outcome], value: str, use: str) -> None:
    """Their classes make proxies, and pieces of the engine: what `type` tells of them has the name alone."""
    source = (
        "import json, typing\nclass A:\n    def m(self):\n        pass\n"
        "def made(kind):\n    class B(kind):\n        pass\n    return B\n"
        f"def hook(user, context, cb):\n    cb(None, str({use.format(*[f'({value})'] * 2)}))\n"
    )
    outcome = attack(source)

    assert ("raised", True) == (outcome.status, outcome.message.startswith("TypeError: ")), outcome.message


@pytest.mark.parametrize(
    "value", ["1", "''", "[]", "{}", "None", "user", "A()", "ValueError()", "Error('')", "date.max"]
)
def test_type_tells_the_class_of_a_value(attack: Callable[..., Outcome], value: str) -> None:
    """An ordinary use."""
    source = (
        "from datetime import date\nclass A:\n    pass\n"
        f"def hook(user, context, cb):\n    cb(None, isinstance({value}, type({value})))\n"
    )

    assert True is attack(source).value()


def test_the_shared_default_of_deepcopy_cannot_be_had(attack: Callable[..., Outcome]) -> None:
    """copy.deepcopy hands one list, the same for all calls, to the memo's get."""
    source = (
        "import copy\nclass Memo:\n    def get(self, key, default):\n        default.append('left behind')\n        return default\n"
        "def hook(user, context, cb):\n    cb(None, copy.deepcopy([1], Memo()))\n"
    )

    assert "raised" == attack(source).status


def test_the_caches_of_typing_do_not_tell_what_an_earlier_job_asked(attack: Callable[..., Outcome]) -> None:
    """typing.List[True] and typing.List[1] share an entry."""
    source = "import typing\ndef hook(user, context, cb):\n    cb(None, repr(typing.Literal[{}]))\n"
    attack(source.format("True"))

    assert "typing.Literal[1]" == attack(source.format("1")).value()
