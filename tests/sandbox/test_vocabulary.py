"""Names of a hook: how each is treated, and that none of Python's is forgotten."""

from __future__ import annotations

import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import vocabulary as words


@pytest.mark.parametrize("guard", sorted(words.GUARDS | {words.MARK}))
def test_no_hook_can_spell_the_name_of_a_guard(guard: str) -> None:
    assert not guard.isidentifier()


@given(st.text().filter(lambda name: not name.startswith("_") and name not in words.REFUSED_ATTRIBUTES))
def test_a_name_without_an_underscore_in_front_is_public(name: str) -> None:
    assert words.kind_of(name) == ("watched" if name in words.WATCHED else "public")


@given(st.text().map(lambda name: "_" + name))
def test_a_name_with_one_never_is(name: str) -> None:
    assert words.kind_of(name) in ("private", "special", "refused")


@given(st.text().map(lambda name: f"__{name}__"))
def test_a_special_name_is_refused_unless_it_is_listed(name: str) -> None:
    assert (words.kind_of(name) != "refused") == (name in words.READABLE or not words.is_dunder(name))


@pytest.mark.parametrize("name", ["tb_frame", "f_globals", "f_builtins", "gi_frame", "cr_frame", "ag_frame", "mro"])
def test_the_ways_out_that_are_known_are_among_them(name: str) -> None:
    assert name in words.REFUSED_ATTRIBUTES


def test_every_builtin_of_this_python_is_offered_or_left_out() -> None:
    assert {name for name in vars(builtins) if name[0] != "_" or name == "__debug__"} == set(words.BUILTIN_NAMES) | (
        set(words.LEFT_OUT) & set(vars(builtins))
    )
    assert len(set(words.BUILTIN_NAMES)) == len(words.BUILTIN_NAMES)
    assert not set(words.BUILTIN_NAMES) & set(words.LEFT_OUT)
