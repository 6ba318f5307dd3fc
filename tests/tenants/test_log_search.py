"""A search of a tenant's log finds what it says, on both databases alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.search import parse_search
from tenants import log_events, log_search
from tenants.log_search import Bound, Every, Not, Order, Range, Search, Some, Text, Wild
from tenants.records import Tenant
from tenants.rows import Rows

DAY_MS = 86_400_000
JANUARY_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z

EVENTS: list[dict[str, Any]] = [
    {"type": "sapi", "description": "Create a Hook", "ip": "10.0.0.1", "client_name": "deploy", "date_ms": JANUARY_MS},
    {"type": "fcph", "description": "100% of _all_ hooks failed!", "ip": "10.0.0.2", "date_ms": JANUARY_MS + DAY_MS},
    {"type": "fpurh", "description": "Ünlü said \\ and *", "user_id": "auth0|1", "date_ms": JANUARY_MS + 2 * DAY_MS},
    {"type": "fs", "description": "1000 of xallx", "ip": "::1", "user_name": "Ann", "date_ms": JANUARY_MS + 3 * DAY_MS},
]

FOUND = [
    ("type:sapi", "0"),
    ("type:SAPI", "0"),
    ("type:sap", ""),
    ("type:sap?", "0"),
    ("type:f*", "123"),
    ("type:*", "0123"),
    ("type:?", ""),
    ("description:hook", "01"),
    ("description:HOOKS", "1"),
    ("description:creat*hook", "0"),
    ('description:"a hook"', "0"),
    ('description:"hook a"', ""),
    ("description:100%", "1"),
    ("description:_all_", "1"),
    ("description:failed!", "1"),
    ("description:!", "1"),
    ("description:?all?", "13"),
    ("description:\\\\", "2"),
    ("description:\\*", "2"),
    ("description:Ünlü", "2"),
    ("ip:10.0.*", "01"),
    ("ip:*", "013"),
    ("-ip:*", "2"),
    ("ip:::1", "3"),
    ("user_id:auth0|1", "2"),
    ("organization_id:*", ""),
    ("-organization_id:x", "0123"),
    ("ann", "3"),
    ("sapi", "0"),
    ("hook", "01"),
    ("hook -type:sapi", "1"),
    ("sapi ann", "03"),
    ("+sapi ann", "0"),
    ("type:(fcph OR fpurh)", "12"),
    ("type:fcph AND ip:10.0.0.1", ""),
    ("NOT (type:sapi OR type:fs)", "12"),
    ("date:2026-01-02", "1"),
    ("date:[2026-01-02 TO *]", "123"),
    ("date:[2026-01-01 TO 2026-01-03}", "01"),
    ("date:>2026-01-02", "23"),
    ("date:*", "0123"),
    ("log_id:90020260102*", ""),
    ("log_id:[9 TO *]", "0123"),
    ("log_id:<9", ""),
    ("", "0123"),
]


@pytest.fixture
def logged(asked: Any, acme: Tenant) -> Tenant:
    """A tenant that has the EVENTS; another one has the same."""
    for tenant in (acme, asked.tenant("other")):
        for event in EVENTS:
            asked.write(tenant, log_events.append, **event)
    return acme


def types(rows: Rows, search: Search | None) -> tuple[list[str], int]:
    """Of the events that are found, the oldest first; and how many there are."""
    oldest_first = Order(field="date", ascending=True)
    found = log_search.found(rows, search, order=oldest_first, start=0, limit=100)
    return [event.type for event in found], log_search.number(rows, search)


def test_a_search_finds(asked: Any, logged: Tenant) -> None:
    expected = {written: [EVENTS[int(number)]["type"] for number in numbers] for written, numbers in FOUND}
    found = {written: asked.read(logged, types, parse_search(written)) for written, _ in FOUND}

    assert expected == {written: names for written, (names, _) in found.items()}
    assert all(len(names) == number for names, number in found.values())


@pytest.mark.parametrize("field", sorted(log_search.SORTED))
def test_a_log_is_sorted_by_each_field_both_ways(asked_sqlite: Any, field: str) -> None:
    acme = asked_sqlite.tenant("acme")
    for event in EVENTS:
        asked_sqlite.write(acme, log_events.append, **event)

    def question(rows: Rows, *, ascending: bool) -> list[Any]:
        found = log_search.found(rows, None, order=Order(field=field, ascending=ascending), start=0, limit=100)
        return [getattr(event, "date_ms" if field == "date" else field) for event in found]

    up, down = (asked_sqlite.read(acme, question, ascending=ascending) for ascending in (True, False))
    assert len(EVENTS) == len(up)
    assert up == sorted(up)
    assert down == sorted(up, reverse=True)


FIELDS = st.sampled_from(sorted(log_search.FIELDS - {"date"}))
PIECES = st.lists(st.text("ab %_\\!*?'é", min_size=1, max_size=5) | st.sampled_from(Wild), min_size=1, max_size=4)
MOMENTS = st.none() | st.builds(Bound, st.integers(0, 2**62), st.booleans())
LEAVES = st.builds(Text, FIELDS, PIECES.map(tuple)) | st.builds(Range, st.just("date"), MOMENTS, MOMENTS)


def compound(parts: st.SearchStrategy[Search]) -> st.SearchStrategy[Search]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.builds(Every, several) | st.builds(Some, several) | st.builds(Not, parts)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=st.recursive(LEAVES, compound, max_leaves=6))
def test_what_a_search_does_not_find_its_contrary_does(asked: Any, logged: Tenant, tree: Search) -> None:
    found = asked.read(logged, log_search.number, tree)

    assert len(EVENTS) == found + asked.read(logged, log_search.number, Not(tree))
