from __future__ import annotations

from typing import Any

import pytest

from tenants import log_events
from tenants.rows import Everything

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"


def settings_of(server: Any, tenant: str) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("GET", f"/v1/tenants/{tenant}").json()["settings"]
    return found


def patch(server: Any, tenant: str, **settings: Any) -> Any:
    return server.ask("PATCH", f"/v1/tenants/{tenant}", json={"settings": settings})


def test_a_tenant_is_made_read_listed_and_deleted(server: Any) -> None:
    made = server.ask("POST", "/v1/tenants", json={"name": "made-and-gone"})
    read = server.ask("GET", made.headers["location"])
    listed = server.ask("GET", "/v1/tenants?limit=1000").json()

    assert (201, 200, made.json()) == (made.status_code, read.status_code, read.json())
    assert made.json() in listed["tenants"]
    assert len(listed["tenants"]) == listed["total"]
    assert 204 == server.ask("DELETE", "/v1/tenants/made-and-gone").status_code
    assert 404 == server.ask("GET", "/v1/tenants/made-and-gone").status_code
    assert 404 == server.ask("DELETE", "/v1/tenants/made-and-gone").status_code


def test_a_name_that_is_in_use_is_refused(server: Any, acme: Any) -> None:
    again = server.ask("POST", "/v1/tenants", json={"name": acme.name})

    assert (409, "already_exists") == (again.status_code, again.json()["errorCode"])


@pytest.mark.parametrize(
    "name",
    ["", "A", "-a", "a-", "a/b", "../etc", ".", "a.b", "a b", "ä", "a\n", "a\u2028", "x" * 64, "a\0", "a\x7f"],
)
def test_a_name_that_is_no_name_is_refused_with_what_is_allowed(server: Any, name: str) -> None:
    refused = server.ask("POST", "/v1/tenants", json={"name": name})

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert "\0" in name or "1 to 63 lower-case letters, digits and hyphens" in refused.json()["message"]


@pytest.mark.parametrize("name", ["a", "7", "a-b", "x" * 63])
def test_a_name_may_be_as_short_and_as_long_as_is_said(server: Any, name: str) -> None:
    assert 201 == server.ask("POST", "/v1/tenants", json={"name": name}).status_code
    assert 204 == server.ask("DELETE", f"/v1/tenants/{name}").status_code


def test_settings_are_merged_and_null_resets_one(server: Any, acme: Any) -> None:
    patch(
        server,
        acme.name,
        wall_ms=1_000,
        modules=["json", "requests"],
        egress={"listed_only": True, "hosts": ["a.example"]},
    )
    patch(server, acme.name, wall_ms=None, mode="invocation", most_hooks=5)
    after = settings_of(server, acme.name)

    assert (None, "invocation", 5, ["json", "requests"]) == tuple(
        after[name] for name in ("wall_ms", "mode", "most_hooks", "modules")
    )
    assert {"listed_only": True, "hosts": ["a.example"]} == after["egress"]
    assert 100 == patch(server, acme.name, most_hooks=None).json()["settings"]["most_hooks"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"wall_ms": 3_001}, "the most allowed is 3000, the engine's own setting HOOKCELL_WALL_MS"),
        ({"log_bytes": 1 << 40}, "HOOKCELL_LOG_BYTES"),
        ({"wall_ms": 0}, "minimum 1"),
        ({"wall_ms": "5"}, "Expected type integer but found type string"),
        ({"wall_ms": True}, "Expected type integer but found type boolean"),
        ({"modules": ["jsn"]}, "'jsn' is not in the module map; did you mean 'json'?"),
        ({"modules": "json"}, "Expected type array"),
        ({"egress": {"hosts": ["a.example"]}}, "hosts are listed but listed_only is false"),
        ({"egress": {"ports": ["http"]}}, "http"),
        ({"egress": {"host": []}}, "host"),
        ({"egress": {"exceptions": ["http://x"]}}, "exceptions"),
        ({"mode": "forever"}, "forever"),
        ({"multiple_hooks": "yes"}, "Expected type boolean but found type string"),
        ({"most_hooks": 0}, "minimum 1"),
        ({"most_hooks": 10_001}, "maximum 10000"),
        ({"api_per_second": 0}, "minimum 1"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_nothing_changes(
    server: Any, acme: Any, settings: dict[str, Any], said: str
) -> None:
    before = settings_of(server, acme.name)
    refused = patch(server, acme.name, **settings)
    made = server.ask("POST", "/v1/tenants", json={"name": "never-made", "settings": settings})

    assert (400, "invalid_body") == (refused.status_code, refused.json()["errorCode"])
    assert said in refused.json()["message"]
    assert 400 == made.status_code
    assert 404 == server.ask("GET", "/v1/tenants/never-made").status_code
    assert before == settings_of(server, acme.name)


def test_multiple_hooks_stay_on_while_several_of_a_point_are_enabled(server: Any) -> None:
    tenant = server.tenant(multiple_hooks=True)
    for name in ("one", "two"):
        tenant.ask("PUT", f"hooks/{name}/source?trigger_id={POINT}", content=HOOK)
    refused = patch(server, tenant.name, multiple_hooks=False)
    tenant.ask("PATCH", "hooks/one", json={"enabled": False})

    assert (409, "several_hooks_enabled") == (refused.status_code, refused.json()["errorCode"])
    assert "one, two are all enabled on post-change-password" in refused.json()["message"]
    assert 200 == patch(server, tenant.name, multiple_hooks=False).status_code


def test_a_limit_on_hooks_counts_the_ones_that_are_there(server: Any) -> None:
    tenant = server.tenant(most_hooks=1)
    first, second = (tenant.ask("PUT", f"hooks/{name}/source?trigger_id={POINT}", content=HOOK) for name in ("a", "b"))

    assert (201, 403, "too_many_entities") == (first.status_code, second.status_code, second.json()["errorCode"])


def test_an_export_has_settings_sources_and_the_names_of_secrets_and_no_value(acme: Any) -> None:
    acme.ask("PUT", f"hooks/one/source?trigger_id={POINT}", content=HOOK)
    acme.ask("PUT", "hooks/one/secrets/KEY", json={"value": "sesame-open"})
    exported = acme.ask("GET", "export")

    assert acme.name == exported.json()["tenant"]["name"]
    assert [("one", HOOK, ["KEY"])] == [
        (hook["name"], hook["source"], hook["secrets"]) for hook in exported.json()["hooks"]
    ]
    assert "sesame" not in exported.text


def test_a_deleted_tenants_token_ends_and_its_name_is_free(server: Any) -> None:
    tenant = server.tenant("phoenix")
    first = server.ask("GET", "/v1/tenants/phoenix").json()["id"]
    tenant.ask("PUT", f"hooks/one/source?trigger_id={POINT}", content=HOOK)
    server.ask("DELETE", "/v1/tenants/phoenix")
    ended = tenant.ask("GET", "hooks")
    again = server.ask("POST", "/v1/tenants", json={"name": "phoenix"})

    assert 401 == ended.status_code
    assert first != again.json()["id"]
    assert [] == server.ask("GET", "/v1/tenants/phoenix/hooks").json()["hooks"]


def test_a_tenants_token_reads_its_tenant_and_changes_nothing_of_it(server: Any, acme: Any) -> None:
    changed = acme.ask("PATCH", "/v1/tenants/" + acme.name, json={"settings": {"wall_ms": 1}})

    assert 200 == acme.ask("GET", f"/v1/tenants/{acme.name}").status_code
    assert (403, "insufficient_scope") == (changed.status_code, changed.json()["errorCode"])
    assert 403 == acme.ask("DELETE", f"/v1/tenants/{acme.name}").status_code
    assert 403 == acme.ask("GET", "/v1/tenants").status_code
    assert 403 == acme.ask("POST", "/v1/tenants", json={"name": "other"}).status_code
    assert settings_of(server, acme.name)["wall_ms"] is None


def test_what_an_operator_does_to_a_tenant_stands_in_its_log(server: Any, acme: Any) -> None:
    patch(server, acme.name, wall_ms=1_500)
    tenant_id = server.ask("GET", f"/v1/tenants/{acme.name}").json()["id"]

    def question(everything: Everything) -> Any:
        return log_events.after(everything.of(tenant_id), "", 9)[-1]

    event = server.services.store.read_all(question).result()

    assert ("sapi", "Change a tenant's settings", "first operator") == (
        event.type,
        event.description,
        event.client_name,
    )
    assert {"settings": {"wall_ms": 1_500}} == event.details["request"]["body"]


@pytest.mark.parametrize(
    "query", ["start=-1", "limit=0", "limit=1001", "start=x", "other=1", "start=99999999999999999999"]
)
def test_a_page_that_cannot_be_is_refused(server: Any, query: str) -> None:
    refused = server.ask("GET", f"/v1/tenants?{query}")

    assert (400, "invalid_query_string") == (refused.status_code, refused.json()["errorCode"])
