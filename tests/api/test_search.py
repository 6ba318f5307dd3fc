"""engine/search.py: any text is a tree or BadSearch. What a tree finds: tests/tenants/test_log_search.py."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.search import BadSearch, parse_search
from tenants import log_search
from tenants.log_search import BARE, Bound, Every, Not, Range, Search, Some, Text, Wild

DAY_MS = 86_400_000
JANUARY_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def text(field: str, *pieces: str | Wild) -> Text:
    return Text(field, pieces)


def bare(*pieces: str | Wild) -> Some:
    return Some(tuple(Text(field, pieces) for field in BARE))


def between(first: int, last: int) -> Range:
    return Range("date", Bound(first, included=True), Bound(last, included=True))


A, B, C = text("type", "a"), text("type", "b"), text("type", "c")

MEANINGS: list[tuple[str, Search | None]] = [
    ("", None),
    (" \t\n", None),
    ("type:sapi", text("type", "sapi")),
    ("type: sapi", text("type", "sapi")),
    ("hook", bare("hook")),
    ('"create a hook"', bare("create a hook")),
    ('description:"say \\"hi\\" *"', text("description", 'say "hi" *')),
    ("ip:10.0.*", text("ip", "10.0.", Wild.ANY)),
    ("user_name:?nn**", text("user_name", Wild.ONE, "nn", Wild.ANY)),
    ("description:50\\%\\*", text("description", "50%*")),
    ("description:100%_", text("description", "100%_")),
    ("user_id:auth0|abc-1/x", text("user_id", "auth0|abc-1/x")),
    ("ip:2001:db8::1", text("ip", "2001:db8::1")),
    ("type:a AND type:b OR type:c", Some((Every((A, B)), C))),
    ("type:a OR type:b AND type:c", Some((A, Every((B, C))))),
    ("type:a && type:b || type:c", Some((Every((A, B)), C))),
    ("NOT type:a", Not(A)),
    ("NOT NOT type:a", Not(Not(A))),
    ("-type:a", Not(A)),
    ("!type:a", Not(A)),
    ("type:a type:b", Some((A, B))),
    ("type:a -type:b", Every((A, Not(B)))),
    ("type:a NOT type:b", Every((A, Not(B)))),
    ("+type:a type:b -type:c", Every((A, Not(C)))),
    ("(type:a OR type:b) AND NOT (type:c)", Every((Some((A, B)), Not(C)))),
    ("type:(a OR b)", Some((A, B))),
    ("type:(a b -c)", Every((Some((A, B)), Not(C)))),
    ("type:(a OR ip:b)", Some((A, text("ip", "b")))),
    ("NOTHING", bare("NOTHING")),
    ("ANDROID", bare("ANDROID")),
    ("date:2026-01-01", between(JANUARY_MS, JANUARY_MS + DAY_MS - 1)),
    ("date:2026-01", between(JANUARY_MS, JANUARY_MS + 31 * DAY_MS - 1)),
    ("date:2026", between(JANUARY_MS, JANUARY_MS + 365 * DAY_MS - 1)),
    ("date:2025-12", between(JANUARY_MS - 31 * DAY_MS, JANUARY_MS - 1)),
    ("date:2026-01-01T00", between(JANUARY_MS, JANUARY_MS + 3_600_000 - 1)),
    ("date:2026-01-01T00:00:00.005Z", between(JANUARY_MS + 5, JANUARY_MS + 5)),
    ("date:*", Range("date", None, None)),
    ("date:[2026-01-01 TO 2026-01-02]", between(JANUARY_MS, JANUARY_MS + 2 * DAY_MS - 1)),
    (
        "date:{2026-01-01 TO 2026-01-02}",
        Range("date", Bound(JANUARY_MS + DAY_MS - 1, included=False), Bound(JANUARY_MS + DAY_MS, included=False)),
    ),
    ("date:[2026-01-01T00:00 TO *]", Range("date", Bound(JANUARY_MS, included=True), None)),
    ("date:>=2026-01-01", Range("date", Bound(JANUARY_MS, included=True), None)),
    ("date:> 2026-01-01", Range("date", Bound(JANUARY_MS + DAY_MS - 1, included=False), None)),
    ("date:<2026-01-01", Range("date", None, Bound(JANUARY_MS, included=False))),
    ('date:<="2026-01-01"', Range("date", None, Bound(JANUARY_MS + DAY_MS - 1, included=True))),
    ("log_id:[900 TO 901}", Range("log_id", Bound("900", included=True), Bound("901", included=False))),
    ("log_id:900*", text("log_id", "900", Wild.ANY)),
]

REFUSED = [
    ("type:", "A term is missing, at character 6"),
    ("type:a AND", "A term is missing, at character 11"),
    ("AND type:a", "A term is missing"),
    ("OR", "A term is missing"),
    ("NOT", "A term is missing, at character 4"),
    ("()", "A term is missing, at character 2"),
    ("type:()", "A term is missing"),
    ("(type:a", "The group is not closed, at character 1"),
    ("type:a)", "Unexpected ), at character 7"),
    ("]", "Unexpected ]"),
    ('"a', "The quotation is not closed, at character 1"),
    ("a\\", "A backslash stands at the end, at character 2"),
    ("colour:red", "colour is no field that can be searched; they are client_id, client_name"),
    ("details.x:1", "details.x is no field"),
    ("type:[a TO b]", "A range is of date or log_id only, at character 6"),
    ("[a TO b]", "A range is of date or log_id only"),
    ("date:[2026-01-01 2026-01-02]", "A range is written [least TO most]"),
    ("date:[2026-01-01 TO", "A range is written"),
    ("date:yesterday", "yesterday is not a date: YYYY-MM-DD"),
    ("date:2026-02-30", "2026-02-30 is not a date"),
    ("date:2026-1-1", "2026-1-1 is not a date"),
    ("date:0000", "0000 is not a date"),
    ("date:9999", "9999 is not a date"),
    ("date:2026-*", "2026-* is not a date"),
    ("date:>", "A term is missing"),
    ("date:[x TO *]", "x is not a date"),
    ("date:٢٠٢٦", "is not a date"),
    ("a~2", "Unexpected ~; a backslash before it takes its meaning away, at character 2"),
    ("a^2", "Unexpected ^"),
    ("/x/", "Regular expressions are not supported"),
    ("type:/x/", "Regular expressions are not supported"),
    ("a\0b", "A character that no text may have, at character 2"),
    ("a\ud800", "A character that no text may have"),
    ("(" * 21 + "a" + ")" * 21, "The search is nested deeper than 20"),
    ("NOT " * 21 + "a", "The search is nested deeper than 20"),
    ("(" * 2_000, "The search is nested deeper than 20"),
    ("a " * 11, "There are too many terms"),
    ("type:a " * 71, "There are too many terms"),
    ("a" * 2_001, "The search is longer than 2000 characters"),
]


@pytest.mark.parametrize(("written", "meaning"), MEANINGS)
def test_a_search_means(written: str, meaning: Search | None) -> None:
    assert meaning == parse_search(written)


@pytest.mark.parametrize(("written", "said"), REFUSED, ids=[repr(case[0][:30]) for case in REFUSED])
def test_a_search_that_is_none_is_refused_with_where_and_what(written: str, said: str) -> None:
    with pytest.raises(BadSearch) as refused:
        parse_search(written)

    assert (400, "invalid_query_string") == (refused.value.status, refused.value.code)
    assert said in str(refused.value)
    assert str(refused.value).startswith("Query validation error: '")


@settings(deadline=None, max_examples=500)
@given(st.text(alphabet=st.sampled_from('ab:"()[]{}*?\\~^/+-!&|<>= .\0é1') | st.characters(), max_size=60))
def test_any_text_is_a_tree_or_refused(written: str) -> None:
    """Nothing else is ever raised."""
    with contextlib.suppress(BadSearch):
        parse_search(written)


PARTS = [
    "type:",
    "date:",
    "(",
    ")",
    " AND ",
    " OR ",
    " NOT ",
    "a",
    '"b c"',
    "[2026 TO *]",
    ">=2026",
    "-",
    "+",
    " ",
    "*",
]


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_any_row_of_parts_is_a_tree_or_refused(written: str) -> None:
    with contextlib.suppress(BadSearch):
        parse_search(written)


FIELDS = st.sampled_from(sorted(log_search.FIELDS - {"date"}))
PIECES = st.lists(st.text('ab %_\\*?"é:()', min_size=1, max_size=5) | st.sampled_from(Wild), min_size=1, max_size=4)
MOMENTS = st.integers(min_value=0, max_value=4_000_000_000_000).map(lambda ms: Bound(ms, included=True))


def normal(field: str, pieces: list[str | Wild]) -> Text:
    """As the parser makes it: texts joined, one wildcard for several."""
    made: list[str | Wild] = []
    for piece in pieces:
        if made and isinstance(piece, str) and isinstance(made[-1], str):
            made[-1] += piece
        elif not (piece is Wild.ANY and made[-1:] == [Wild.ANY]):
            made.append(piece)
    return Text(field, tuple(made))


LEAVES = st.builds(normal, FIELDS, PIECES) | st.builds(Range, st.just("date"), st.none() | MOMENTS, st.none() | MOMENTS)


def compound(parts: st.SearchStrategy[Search]) -> st.SearchStrategy[Search]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(Every, several) | st.builds(Some, several) | st.builds(Not, parts)


TREES = st.recursive(LEAVES, compound, max_leaves=6)


def printed(search: Search) -> str:
    match search:
        case Every(parts):
            return "(" + " AND ".join(map(printed, parts)) + ")"
        case Some(parts):
            return "(" + " OR ".join(map(printed, parts)) + ")"
        case Not(part):
            return f"NOT {printed(part)}"
        case Range(field, lower, upper):
            return f"{field}:[{moment(lower)} TO {moment(upper)}]"
        case Text(field, pieces):
            return field + ":" + "".join(map(word, pieces))


def moment(bound: Bound | None) -> str:
    if bound is None:
        return "*"
    assert isinstance(bound.value, int)
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=bound.value)).isoformat(timespec="milliseconds")


def word(piece: str | Wild) -> str:
    return piece.value if isinstance(piece, Wild) else "".join("\\" + character for character in piece)


@settings(deadline=None)
@given(TREES)
def test_a_tree_that_is_written_is_read_again(tree: Search) -> None:
    assert tree == parse_search(printed(tree))
