"""The module map as the API shows it agrees with what a hook finds."""

from __future__ import annotations

import sys

import pytest

from engine import modules
from engine.errors import BadInput
from sandbox import require

NEWER = {"batched", "sumprod", "QUOTE_NOTNULL", "QUOTE_STRINGS"}  # than the oldest Python that we run on


@pytest.fixture(scope="module", autouse=True)
def _facades() -> None:
    require.load_facades()


def test_every_module_that_a_hook_may_import_is_shown_in_order_of_name() -> None:
    assert sorted(require.MODULE_MAP) == list(modules.all_modules())


@pytest.mark.parametrize("name", require.MODULE_MAP)
def test_the_names_shown_are_those_that_a_hook_finds(name: str) -> None:
    """But for the modules within it, which are shown by themselves, and what only a newer Python has."""
    shown = set(modules.all_modules()[name].names)
    within = {other.rpartition(".")[2] for other in require.MODULE_MAP if other.rpartition(".")[0] == name}
    found = set(require.names_of(name)) - within

    assert found == shown - NEWER if sys.version_info < (3, 12) else found == shown


def test_what_is_left_out_of_a_module_is_shown_with_its_reason() -> None:
    assert "it can call anything; use safe_load" == modules.all_modules()["yaml"].without["load"]


def test_what_is_left_out_of_the_map_is_shown_with_what_serves_instead() -> None:
    shown = {each.name: (each.why, each.instead) for each in modules.left_out()}

    assert require.LEFT_OUT_MODULES == shown
    assert sorted(shown) == [each.name for each in modules.left_out()]


def test_a_choice_of_modules_is_kept_once_each_and_in_order() -> None:
    assert ("json", "requests") == modules.chosen(["requests", "json", "requests"])
    assert () == modules.chosen([])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("os", "'os' is not in the module map; GET /v1/modules lists it"),
        ("jsn", "'jsn' is not in the module map; did you mean 'json'?"),
        ("urllib", "'urllib' is not in the module map; did you mean 'urllib.parse'?"),
        ("", "'' is not in the module map; GET /v1/modules lists it"),
        ("requests.auht", "'requests.auht' is not in the module map; did you mean 'requests.auth'?"),
    ],
)
def test_a_choice_of_what_is_not_mapped_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        modules.chosen(["json", name])

    assert hint in str(caught.value)


def test_nobody_changes_the_map_through_what_is_shown() -> None:
    modules.all_modules().clear()

    assert "json" in modules.all_modules()
