"""`hookcell logs` and `hookcell hooks`: what has happened, and what there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serving import Serving

from engine.cli.logs import _query


@pytest.fixture(autouse=True)
def _hook(served: Serving, tenant: str) -> None:
    path = f"/v1/tenants/{tenant}/hooks/a%20hook/source"
    for source in ("cb()", "cb()  # two\r\n"):
        answer = served.ask("PUT", path, params={"trigger_id": "post-change-password"}, content=source)
        assert answer.status_code in (200, 201), answer.text


def test_the_newest_events_come_first(ask: Any) -> None:
    """As a table, and as JSON with their details."""
    events = json.loads(ask("logs", "--json").out)
    table = ask("logs").out.splitlines()

    assert len(events) >= 2
    assert sorted((event["log_id"] for event in events), reverse=True) == [event["log_id"] for event in events]
    assert {"sapi"} == {event["type"] for event in events}
    assert ["date", "type", "description", "token", "address"] == table[0].split()
    assert len(events) + 1 == len(table)


def test_they_are_chosen_by_type_time_and_query(ask: Any) -> None:
    def count(*options: str) -> int:
        return len(json.loads(ask("logs", "--json", *options).out))

    assert count("--type", "sapi") == count() == count("--since", "1h") == count("--query", "type:sapi")
    assert 0 == count("--type", "fcph")
    assert 0 == count("--since", "2099-01-01T00:00:00Z")
    assert 1 == count("--limit", "1")
    assert "there are no such events\n" == ask("logs", "--type", "fcph").out


def test_a_query_that_cannot_be_read_is_told(ask: Any) -> None:
    assert "(400)" in ask("logs", "--query", "type:(").fault


@pytest.mark.parametrize(
    ("query", "types", "since", "expected"),
    [
        (None, (), None, None),
        ("a OR b", ("sapi", "fcph"), None, "(a OR b) AND (type:sapi OR type:fcph)"),
        (None, (), "2026-11-23", "date:[2026-11-23 TO *]"),
        (None, ("sapi",), "2026-11-23T07:30:00.123Z", "(type:sapi) AND date:[2026-11-23T07:30:00.123Z TO *]"),
    ],
)
def test_the_options_make_one_query(
    query: str | None, types: tuple[str, ...], since: str | None, expected: str | None
) -> None:
    assert expected == _query(query, types, since)


@pytest.mark.parametrize("options", [("--since", "yesterday"), ("--type", "sapi OR *"), ("--limit", "0")])
def test_an_option_that_cannot_be_is_a_mistake(ask: Any, options: tuple[str, str]) -> None:
    ran = ask("logs", *options)

    assert (2, True, False) == (ran.status, options[0] in ran.err, "Traceback" in ran.err)


def test_hooks_are_listed(ask: Any) -> None:
    """With point, state and version."""
    (row,) = json.loads(ask("hooks", "--json").out)
    table = ask("hooks").out.splitlines()

    assert ("a hook", "post-change-password", 2) == (row["name"], row["trigger_id"], row["version"])
    assert ["a", "hook", "post-change-password", "yes", "0", "2"] == table[1].split()[:6]


def test_the_source_of_a_hook_is_printed_byte_for_byte(ask: Any) -> None:
    """Today's, or that of an earlier version."""
    assert "cb()  # two\r\n" == ask("hooks", "a hook").out
    assert "cb()" == ask("hooks", "a hook", "--version", "1").out
    assert 2 == json.loads(ask("hooks", "a hook", "--json").out)["version"]
    assert "cb()" == json.loads(ask("hooks", "a hook", "--version", "1", "--json").out)["source"]


def test_versions_are_listed_newest_first(ask: Any) -> None:
    versions = json.loads(ask("hooks", "a hook", "--versions", "--json").out)

    assert [(2, True), (1, False)] == [(each["number"], each["live"]) for each in versions]
    assert ["2", "1"] == [line.split()[0] for line in ask("hooks", "a hook", "--versions").out.splitlines()[1:]]


def test_what_is_not_there_is_told(ask: Any) -> None:
    assert "(404)" in ask("hooks", "no such hook").fault
    assert "(404)" in ask("hooks", "a hook", "--version", "3").fault
    assert "(404)" in ask("hooks", "--tenant", "no-such-tenant").fault


def test_a_version_of_no_hook_is_a_mistake(ask: Any) -> None:
    ran = ask("hooks", "--version", "1")

    assert (2, True) == (ran.status, "write its NAME" in ran.err)
