"""Rows that a statement is given, as JSON or listed: what is stored comes back; what no database takes is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from queue_rows import Queue, ended, execution, new
from sqlalchemy import Text, type_coerce
from ulid import ULID

from tenants import executions, schema
from tenants.errors import Unstorable
from tenants.executions import Recorded
from tenants.given_rows import Given
from tenants.prepared import Prepared
from tenants.records import Execution, Tenant
from tenants.rows import Rows

_COLUMNS = schema.executions.c
_STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_TEXTS = _STORABLE | st.sampled_from(['"', "\\", "\\u0000", '{"a":"\\u0000"}', "\x01\x7f\u2028", "null", "1.0", "[1]"])
_NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_EXECUTIONS = st.builds(
    execution,
    trigger_id=_TEXTS,
    blocking=st.booleans(),
    hook_ids=st.lists(_TEXTS, max_size=3).map(tuple),
    arguments=_TEXTS,
    response=_TEXTS,
    status=st.sampled_from(["success", "error", "dead"]),
    attempt=_NUMBERS,
    position=_NUMBERS,
    run_at_ms=_NUMBERS,
    created_ms=_NUMBERS,
    ended_ms=st.none() | _NUMBERS,
    request_sha256=st.none() | _TEXTS,
    outcome=_JSON,
)


def as_stored(rows: Rows, execution_id: str) -> dict[str, Any]:
    """What stands in the columns, JSON as text."""
    columns = [type_coerce(_COLUMNS[name], Text()).label(name) for name in ("arguments", "outcome", "brief")]
    chosen = rows.select(schema.executions, *columns).where(_COLUMNS.execution_id == execution_id)
    return dict(rows.execute(chosen).mappings().one())


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.lists(_EXECUTIONS, min_size=1, max_size=4))
def test_executions_come_back_as_they_were_recorded(asked: Any, kept: list[Execution]) -> None:
    tenant = asked.tenant(f"t-{ULID()}".lower())
    kept = [replace(one, id=str(ULID())) for one in kept]
    asked.write_all(executions.record, [Recorded(tenant.id, one) for one in kept])

    assert kept == [asked.read(tenant, executions.get, one.id) for one in kept]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_JSON, between=st.sampled_from([",", ", "]))
def test_an_outcome_that_is_json_already_is_stored_as_it_is(asked: Any, value: Any, between: str) -> None:
    """Byte for byte; and it is read as any other one."""
    tenant = asked.tenant(f"t-{ULID()}".lower())
    text = json.dumps(value, separators=(between, ":"), ensure_ascii=True)
    kept = execution(status="success", ended_ms=1, outcome=msgspec.Raw(text.encode()))
    asked.write_all(executions.record, [Recorded(tenant.id, kept)])

    assert text == asked.read(tenant, as_stored, kept.id)["outcome"]
    assert value == asked.read(tenant, executions.get, kept.id).outcome


_LONG = "m" * 1_001


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (
            {"status": "error", "message": _LONG, "timings": {"run_ms": 1.5}, "hooks": [{"outcome": {}}]},
            {"status": "error", "message": _LONG[:1_000], "timings": {"run_ms": 1.5}},
        ),
        ({"status": "a", "message": "\ud800" + _LONG}, {"status": "a", "message": "\ud800" + _LONG[:999]}),
        ({"status": "success", "message": "", "error": None}, {"status": "success", "message": ""}),
        ({"message": None}, {"message": None}),
        ({"message": "a\0b"}, {"message": "a\0b"}),
        ({}, {}),
        ([1], None),
        ("text", None),
    ],
)
def test_lists_show_the_same_of_json_as_of_what_it_says(asked: Any, acme: Tenant, outcome: Any, shown: Any) -> None:
    for told in (outcome, msgspec.Raw(json.dumps(outcome).encode())):
        kept = execution(status="error", ended_ms=1, outcome=told)
        asked.write_all(executions.record, [Recorded(acme.id, kept)])

    assert [shown, shown] == [one.outcome for one in asked.read(acme, executions.page)]


def test_ends_and_their_events_are_stored_as_they_are(asked: Any, acme: Tenant) -> None:
    queue = Queue(asked)
    queue.put(new(acme))
    (right,) = queue.started()
    outcome = b'{"status":"error","message":"a\\u0000\\ud83d","n":[1,1.0,1e2]}'
    details = msgspec.Raw(b'{"b":"\\u0000", "a":[null,true]}')
    event = {"type": "fcpro", "description": 'a\0"\\u0000\ud800', "details": details}
    queue.finish(ended(right, "error", outcome=msgspec.Raw(outcome), response='{"a":"\\u0000"}', log_event=event))
    (kept,) = asked.events(acme)

    assert outcome.decode() == asked.read(acme, as_stored, right.id)["outcome"]
    assert '{"a":"\\u0000"}' == queue.get(acme, right.id).response
    assert {"b": "\0", "a": [None, True]} == kept.details
    assert 'a\ufffd"\\u0000?' == kept.description


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\udfff"])
@pytest.mark.parametrize("field", ["trigger_id", "arguments", "response", "idempotency_key"])
def test_a_text_that_no_database_takes_is_refused(asked: Any, acme: Tenant, field: str, text: str) -> None:
    with pytest.raises(Unstorable, match="a text has"):
        asked.write_all(executions.enqueue, [new(acme), new(acme, **{field: text})])
    if field != "idempotency_key":
        with pytest.raises(Unstorable, match="a text has"):
            asked.write_all(executions.record, [Recorded(acme.id, execution(status="success", **{field: text}))])

    assert [] == asked.read(acme, executions.page)


@pytest.mark.parametrize("field", ["run_at_ms", "created_ms", "position"])
@pytest.mark.parametrize("number", [2**63, 2**64, -(2**64)])
def test_a_number_that_is_too_long_is_refused(
    acme: Tenant, field: str, number: int, change: Callable[..., Any]
) -> None:
    """SQLite would make a number with a fraction of it."""
    with pytest.raises(Unstorable, match="a number is too long"):
        change(new(acme, **{field: number}))


@pytest.fixture(params=["enqueue", "record"])
def change(request: pytest.FixtureRequest, asked: Any) -> Callable[..., Any]:
    """Stores what is to be queued, in one way or the other."""

    def store(made: executions.New) -> Any:
        if request.param == "enqueue":
            return asked.write_all(executions.enqueue, [made])
        return asked.write_all(executions.record, [Recorded(made.tenant_id, made.execution)])

    return store


def test_an_outcome_that_cannot_be_written_down_is_refused(asked: Any, acme: Tenant) -> None:
    for outcome in ({"a": object()}, msgspec.Raw(b'"\xff"')):
        with pytest.raises(Unstorable):
            asked.write_all(executions.record, [Recorded(acme.id, execution(status="success", outcome=outcome))])


_SMALLEST = -(2**63)
_ROWS = Given(
    "rows", _COLUMNS.tenant_id, _COLUMNS.execution_id, _COLUMNS.position, _COLUMNS.hook_ids, _COLUMNS.arguments
)
_BIG = 'é"\\\u2028\U0001f600' * 2_000


@pytest.mark.parametrize("text", ["", _BIG])
def test_the_smallest_number_is_stored(asked: Any, acme: Tenant, text: str) -> None:
    kept = execution(status="success", ended_ms=1, position=_SMALLEST, created_ms=2**63 - 1, arguments=text)
    asked.write_all(executions.record, [Recorded(acme.id, kept)])

    assert kept == asked.read(acme, executions.get, kept.id)


def test_postgresql_is_given_a_large_row_by_itself_and_small_ones_a_megabyte_at_a_time() -> None:
    """What it has a limit for stays small."""
    small = [("t", f"e{number}", number, '["h","é"]', "a" * 4_000) for number in range(1_000)]
    parts = _ROWS.parts(_ROWS.checked([("t", "large", 1, '["h","é"]', _BIG), *small]))

    assert [{"rows_0": "t", "rows_1": "large", "rows_2": 1, "rows_3": '["h","é"]', "rows_4": _BIG}] == parts.large
    assert 4 <= len(parts.texts) <= 5
    assert max(map(len, parts.texts)) < 1_100_000
    assert [list(row) for row in small] == [row for text in parts.texts for row in json.loads(text)]
    assert [] == _ROWS.parts(_ROWS.checked([])).texts


def test_sqlite_is_given_64_rows_at_most_in_one_step_and_few_texts(
    asked_sqlite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each text is compiled once by it, and kept."""
    acme, running = asked_sqlite.tenant("acme"), Prepared.run
    listed: list[int] = []

    def listen(prepared: Prepared[Any], asking: Any, values: Any, listing: Any = None) -> Any:
        listed.extend([len(listing.rows)] if listing else [])
        return running(prepared, asking, values, listing)

    monkeypatch.setattr(Prepared, "run", listen)
    kept = [execution(status="success", ended_ms=1, created_ms=number) for number in range(64 + 64 + 32 + 2 + 1)]
    asked_sqlite.write_all(executions.record, [Recorded(acme.id, one) for one in kept])

    assert [64, 64, 32, 2, 1] == listed


@pytest.mark.parametrize("number", [1, 2, 3, 63, 64, 65, 130])
def test_however_many_there_are_each_is_stored_and_ended_once(asked: Any, acme: Tenant, number: int) -> None:
    queue = Queue(asked)
    ids = queue.put(*(new(acme, arguments=f'"{one}"') for one in range(number)))
    rights = sorted(queue.started(most=number, room={acme.id: number}), key=lambda right: ids.index(right.id))
    assert ids == [right.id for right in rights]
    ends = [ended(right, outcome={"n": one}) for one, right in enumerate(rights)]

    assert [True] * number == queue.finish(*ends)
    assert [False] * number == queue.finish(*ends)
    found = [queue.get(acme, id_) for id_ in ids]
    assert [(f'"{one}"', {"n": one}) for one in range(number)] == [(one.arguments, one.outcome) for one in found]


def test_large_and_small_ones_come_back_as_they_were_stored(asked: Any, acme: Tenant) -> None:
    """Recorded, queued, ended and logged in one batch each."""
    queue = Queue(asked)
    texts = ["null", f"{_BIG}", '"a"', f"{_BIG}b"]
    outcomes = [{"status": "success", "message": text} for text in texts]
    kept = [
        execution(status="success", ended_ms=1, arguments=text, hook_ids=("h", "i"), outcome=outcome)
        for text, outcome in zip(texts, outcomes, strict=True)
    ]
    asked.write_all(executions.record, [Recorded(acme.id, one) for one in kept])
    assert kept == [queue.get(acme, one.id) for one in kept]

    ids = queue.put(*(new(acme, arguments=text, idempotency_key=text[:9] + text[-1]) for text in texts))
    assert texts == [queue.get(acme, id_).arguments for id_ in ids]
    rights = sorted(queue.started(), key=lambda right: ids.index(right.id))
    ends = [
        ended(right, response=text, outcome=outcome, log_event={"type": "x", "description": text, "details": outcome})
        for right, text, outcome in zip(rights, texts, outcomes, strict=True)
    ]
    assert [True, True, True, True, False] == queue.finish(*ends, ends[1])
    assert list(zip(texts, outcomes, strict=True)) == [
        (found.response, found.outcome) for found in (queue.get(acme, id_) for id_ in ids)
    ]
    assert texts == [event.description for event in asked.events(acme)]
    assert outcomes == [event.details for event in asked.events(acme)]


@pytest.mark.parametrize("fields", [{"arguments": f"{_BIG}\0"}, {"arguments": _BIG, "position": 2**63}])
def test_what_no_database_takes_is_refused_in_a_large_row_too(
    acme: Tenant, fields: dict[str, Any], change: Callable[..., Any]
) -> None:
    with pytest.raises(Unstorable, match=r"a text has a NUL|a number is too long"):
        change(new(acme, **fields))


@pytest.mark.parametrize(
    "fields",
    [{"response": "\0"}, {"outcome": msgspec.Raw(b'"\xff"')}, {"outcome": {"a": object()}}, {"position": 2**63}],
)
def test_an_end_that_cannot_be_stored_matters_only_if_it_counts(
    asked: Any, acme: Tenant, fields: dict[str, Any]
) -> None:
    queue = Queue(asked)
    queue.put(new(acme), new(acme))
    one, other = queue.started()
    assert [True] == queue.finish(ended(one))
    assert [False, True] == queue.finish(ended(one, **fields), ended(other))

    queue.put(new(acme))
    (right,) = queue.started()
    with pytest.raises(Unstorable):
        queue.finish(ended(right, **fields))
    assert "running" == queue.get(acme, right.id).status
