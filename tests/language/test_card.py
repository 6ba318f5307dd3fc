"""The language card of docs/hooks.md cannot lie: it is made from what the tests run."""

from __future__ import annotations

import pytest
from card import BEGIN, END, PAGE, THEMES, card, code_in, example, rows_in
from corpus import refusals, snippets

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_holds_the_card_that_the_policy_and_the_map_make_now() -> None:
    """`make card` writes it."""
    assert TEXT[TEXT.index(BEGIN) : TEXT.index(END) + len(END)] == card()


def test_each_example_on_the_card_is_among_those_that_are_run() -> None:
    run = {code.rstrip("\n") for code in (*(one.code for one in snippets()), *(one.code for one in refusals()))}
    shown, _ = card().split("### Modules left out")
    rows = [cells for cells in rows_in(shown) if len(cells) > 2]

    assert [] == [cells for cells in rows if not run & {code_in(cell) for cell in cells}]
    assert len(rows) > 300


def test_each_theme_is_on_the_card_or_is_one_of_whole_programs() -> None:
    assert {snippet.theme for snippet in snippets()} == THEMES.keys() | {"builtins", "modules", "idioms"}


@pytest.mark.parametrize(
    "code", ["a | b", "a\n  b | `c`\\d", "x = '*_[~<&>&#93;'\ny", "`", "a[0](1)", "http://a\nb@c.d"]
)
def test_a_cell_gives_back_the_code_that_was_put_into_it(code: str) -> None:
    cell = example(code)

    assert code == code_in(cell)
    assert "\n" not in cell
