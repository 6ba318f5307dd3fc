"""`str.format` whose fields pass the guard."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import guards
from sandbox.document import Document
from sandbox.formats import formatting


class Text(str):
    """A text that is not exactly one."""

    __slots__ = ()

    def __str__(self) -> str:
        return "nothing"


@pytest.fixture
def own() -> guards.Guards:
    return guards.Guards({})


@given(st.text(max_size=20), st.integers() | st.text() | st.floats(allow_nan=False))
def test_a_format_without_attributes_is_python_s(text: str, value: Any) -> None:
    try:
        expected: Any = text.format(value, value, a=value)
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        expected = type(error)
    try:
        got: Any = formatting("format", getattr)(text, value, value, a=value)
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        got = type(error)

    assert expected == got


@pytest.mark.parametrize(
    "field",
    ["{0.__globals__}", "{0.real.__code__}", "{a.__mro__}", "{0[0].__self__}", "{0.gi_frame}", "{0:{1.__closure__}}"],
)
def test_format_reads_no_attribute_that_is_refused(own: Any, field: str) -> None:
    for formatted in (own.read(field, "format"), lambda *a, **k: own.read(str, "format")(field, *a, **k)):
        with pytest.raises(AttributeError):
            formatted([1], 1, a=1)
    with pytest.raises((AttributeError, KeyError, IndexError, ValueError)):
        own.read(field, "format_map")({"0": [1], "a": 1})


def test_format_does_what_it_always_does(own: Any) -> None:
    text = "{0} {name!r:>6} {1:{width}.2f} {{}} {2[key]} {3.real}"
    arguments = ("a", 1.234, {"key": "v"}, 5)
    expected = text.format(*arguments, name="n", width=8)

    assert expected == own.read(text, "format")(*arguments, name="n", width=8)
    assert expected == own.read(str, "format")(text, *arguments, name="n", width=8)
    assert own.read("{} {}", "format")(1, 2) == "1 2"
    assert own.read("{a}", "format_map")({"a": 1}) == "1"
    assert own.read("{text}{self}", "format")(text=1, self=2) == "12"


@pytest.mark.parametrize("text", ["{:>{}}|{}", "{.real:>{}}{.imag}", "{0:{1}}{2}", "{:{}}{:{}}"])
def test_fields_without_a_number_are_counted_as_python_counts_them(own: Any, text: str) -> None:
    assert text.format(1, 5, 2, 4) == own.read(text, "format")(1, 5, 2, 4)


def test_format_of_a_subclass_formats_its_real_text(own: Any) -> None:
    with pytest.raises(AttributeError):
        own.read(Text("{0.__globals__}"), "format")(1)
    with pytest.raises(TypeError, match="a format is a text, not a int"):
        own.read(str, "format")(1)


def test_a_format_of_something_else_is_an_attribute_like_any_other(own: Any) -> None:
    assert own.read(Document(format="csv"), "format") == "csv"
