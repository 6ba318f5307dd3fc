"""/api/v2/logs, as AUTH0.md sections 5.1 and 5.2 have it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tenants import log_events, register

LOGS = "/api/v2/logs"
DAY_MS = 86_400_000
JANUARY_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def log(server: Any, tenant: Any, events: list[dict[str, Any]]) -> None:
    """Append to the tenant's log."""
    store = server.services.store
    tenant_id = store.read_all(register.named, tenant.name).result().id

    def change(rows: Any) -> None:
        for event in events:
            log_events.append(rows, **event)

    store.write(tenant_id, change).result()


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"type": "fcph", "description": f"event {n}", "date_ms": JANUARY_MS + n * 1000} for n in range(count)]


def descriptions(answer: Any) -> list[str]:
    assert 200 == answer.status_code, answer.text
    read = answer.json()
    return [event["description"] for event in (read["logs"] if isinstance(read, dict) else read)]


def test_an_event_has_what_auth0_says_it_has(server: Any, acme: Any) -> None:
    """Empty properties are left out, but for those that the catalogue requires."""
    details = {"error": {"message": "no"}, "list": [1, None]}
    log(server, acme, [{"type": "fcph", "date_ms": JANUARY_MS + 7, "details": details, "user_id": "auth0|1"}])

    (event,) = acme.ask("GET", LOGS, params={"q": "type:fcph"}).json()
    assert re.fullmatch(r"900\d{53}", event["log_id"])
    expected = {
        "log_id": event["log_id"],
        "date": "2026-01-01T00:00:00.007Z",
        "type": "fcph",
        "description": "",
        "client_name": "",
        "ip": "",
        "strategy": "",
        "strategy_type": "",
        "user_id": "auth0|1",
        "isMobile": False,
        "details": details,
        "tenant_name": acme.name,
        "environment_name": "hookcell",
    }
    assert expected == event
    assert event == acme.ask("GET", f"{LOGS}/{event['log_id']}").json()
    assert {"type": "fcph"} == acme.ask("GET", f"{LOGS}/{event['log_id']}", params={"fields": "type"}).json()


def test_a_search_with_totals_is_an_object(server: Any, acme: Any) -> None:
    log(server, acme, numbered(5))

    asked = {"q": "type:fcph", "include_totals": "true", "per_page": 2, "page": 2}
    answer = acme.ask("GET", LOGS, params=asked)
    shape = {name: value for name, value in answer.json().items() if name != "logs"}
    assert {"start": 4, "limit": 2, "length": 1, "total": 5} == shape
    assert ["event 0"] == descriptions(answer)
    past = acme.ask("GET", LOGS, params=asked | {"page": 3}).json()
    assert {"start": 6, "limit": 2, "length": 0, "total": 5, "logs": []} == past


def test_a_log_is_newest_first_unless_it_is_sorted(server: Any, acme: Any) -> None:
    log(server, acme, numbered(3))

    only = {"q": "type:fcph"}
    assert ["event 2", "event 1", "event 0"] == descriptions(acme.ask("GET", LOGS, params=only))
    for field in ("date", "description", "log_id"):
        up = acme.ask("GET", LOGS, params=only | {"sort": f"{field}:1"})
        assert ["event 0", "event 1", "event 2"] == descriptions(up)
        down = acme.ask("GET", LOGS, params=only | {"sort": f"{field}:-1"})
        assert ["event 2", "event 1", "event 0"] == descriptions(down)


def test_a_search_narrows_by_q_and_by_search(server: Any, acme: Any) -> None:
    log(server, acme, numbered(12))

    assert ["event 7"] == descriptions(acme.ask("GET", LOGS, params={"q": 'type:fcph AND "event 7"'}))
    assert ["event 7"] == descriptions(acme.ask("GET", LOGS, params={"search": 'type:fcph AND "event 7"'}))
    both = {"q": "type:fcph", "search": "date:[2026-01-01T00:00:10 TO *] -type:sapi", "sort": "date:1"}
    assert ["event 10", "event 11"] == descriptions(acme.ask("GET", LOGS, params=both))
    assert [] == descriptions(acme.ask("GET", LOGS, params={"q": "organization_id:x"}))


def test_fields_choose_what_is_shown_or_left_out(server: Any, acme: Any) -> None:
    log(server, acme, numbered(1))

    only = {"q": "type:fcph"}
    shown = acme.ask("GET", LOGS, params=only | {"fields": "type,date"}).json()
    assert [{"type": "fcph", "date": "2026-01-01T00:00:00.000Z"}] == shown
    (rest,) = acme.ask("GET", LOGS, params=only | {"fields": "type,date", "include_fields": "false"}).json()
    assert {"type", "date"}.isdisjoint(rest)
    assert "description" in rest


def test_a_thousand_events_can_be_reached_by_paging_and_all_from_a_checkpoint(server: Any, acme: Any) -> None:
    log(server, acme, numbered(1_050))

    only = {"q": "type:fcph", "per_page": 100, "include_totals": "true"}
    pages = [acme.ask("GET", LOGS, params=only | {"page": page}).json() for page in range(12)]
    assert [100] * 10 + [0, 0] == [page["length"] for page in pages]
    assert 1_050 == pages[0]["total"]
    assert 40 == len(acme.ask("GET", LOGS, params={"q": "type:fcph", "page": 16, "per_page": 60}).json())
    assert 1_050 == sum(description.startswith("event") for description in followed(acme, f"{LOGS}?from=0&take=100"))


def followed(tenant: Any, url: str) -> list[str]:
    """Descriptions of all events from a checkpoint on: the first URL is made by hand, the rest are followed."""
    found: list[str] = []
    for _ in range(100):
        answer = tenant.ask("GET", url.removeprefix(tenant.url))
        found += (page := descriptions(answer))
        url, asked = answer.links["next"]["url"], url
        if not page:
            assert asked.endswith(url.removeprefix(tenant.url))
            return found
    raise AssertionError("there is no end")


def test_a_checkpoint_link_is_absolute_and_stays_at_the_end(server: Any, acme: Any) -> None:
    log(server, acme, numbered(3))
    ids = [event["log_id"] for event in acme.ask("GET", LOGS, params={"q": "type:fcph", "sort": "log_id:1"}).json()]

    answer = acme.ask("GET", LOGS, params={"from": ids[0], "take": 1})
    assert ["event 1"] == descriptions(answer)
    assert f'<{acme.url}{LOGS}?from={ids[1]}&take=1>; rel="next"' == answer.headers["link"]
    named = acme.client.get(
        f"{LOGS}?from={ids[2]}&take=7", headers={"Authorization": f"Bearer {acme.token}", "Host": "logs.example:8443"}
    )
    assert [] == named.json()
    assert f'<http://logs.example:8443{LOGS}?from={ids[2]}&take=7>; rel="next"' == named.headers["link"]


def test_beside_a_checkpoint_only_take_counts(server: Any, acme: Any) -> None:
    log(server, acme, numbered(2))

    ignored = {"from": "0", "take": "100", "q": "((", "page": "x", "sort": "nonsense", "fields": "nope", "foo": "bar"}
    answer = acme.ask("GET", LOGS, params=ignored)
    assert ["event 0", "event 1"] == descriptions(answer)[-2:]
    assert isinstance(answer.json(), list)


def test_a_log_shows_nothing_of_another_tenant(server: Any, acme: Any) -> None:
    other = server.tenant()
    log(server, acme, numbered(1))
    (event,) = acme.ask("GET", LOGS, params={"q": "type:fcph"}).json()

    theirs = other.ask("GET", f"{LOGS}/{event['log_id']}")
    nobodys = other.ask("GET", f"{LOGS}/{'9' * 56}")
    assert (404, nobodys.content) == (theirs.status_code, theirs.content)
    assert [] == other.ask("GET", LOGS, params={"q": "type:fcph OR NOT type:sapi"}).json()
    assert "event 0" not in followed(other, f"{LOGS}?from=0&take=10")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=foo:bar", "foo is no field that can be searched"),
        ("q=(", "A term is missing, at character 2"),
        ("q=%00", "A character that no text may have"),
        ("q=" + "a" * 3000, "The search is longer than 2000 characters"),
        ("search=date:x", "x is not a date"),
        ("sort=date", "String does not match pattern"),
        ("sort=details:1", "String does not match pattern"),
        ("sort=date:-1%0a", "String does not match pattern"),
        ("fields=nope", "String does not match pattern"),
        ("page=-1", "Value -1 is less than minimum 0"),
        ("page=1.5", "Expected type integer but found type string"),
        ("page=99999999999999999999999", "Expected type integer but found type string"),
        ("per_page=101", "Value 101 is greater than maximum 100"),
        ("include_totals=1", "Expected type boolean but found type string"),
        ("from=x", "String does not match pattern"),
        ("from=0&take=0", "Value 0 is less than minimum 1"),
        ("from=0&take=101", "Value 101 is greater than maximum 100"),
        ("foo=bar", "Additional properties not allowed: foo"),
    ],
)
def test_a_bad_query_is_400(acme: Any, query: str, said: str) -> None:
    refused = acme.ask("GET", f"{LOGS}?{query}")

    assert (400, "invalid_query_string") == (refused.status_code, refused.json()["errorCode"])
    assert refused.json()["message"].startswith("Query validation error: '")
    assert said in refused.json()["message"]


def test_a_url_that_is_too_long_is_414(acme: Any) -> None:
    refused = acme.ask("GET", f"{LOGS}?q={'a' * 8000}")

    assert (414, "uri_too_long") == (refused.status_code, refused.json()["errorCode"])


def test_the_log_is_the_same_under_v1(server: Any, acme: Any) -> None:
    log(server, acme, numbered(2))

    asked = {"q": "type:fcph", "include_totals": "true"}
    v1 = f"/v1/tenants/{acme.name}/logs"
    assert acme.ask("GET", LOGS, params=asked).json() == acme.ask("GET", v1, params=asked).json()
    assert ["event 0", "event 1"] == followed(acme, f"{v1}?from=0&take=1")[-2:]
    assert ["event 1", "event 0"] == descriptions(server.ask("GET", v1, params={"q": "type:fcph"}))
