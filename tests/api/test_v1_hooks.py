from __future__ import annotations

import hashlib
from typing import Any

import pytest

POINT = "post-change-password"
OTHER_POINT = "post-user-registration"
HOOK = "def hook(user, context, cb):\n    cb()\n"


def upload(tenant: Any, name: str, source: str | bytes = HOOK, **query: Any) -> Any:
    return tenant.ask("PUT", f"hooks/{name}/source", content=source, params={"trigger_id": POINT} | query)


def enabled(tenant: Any) -> list[str]:
    return [hook["name"] for hook in tenant.ask("GET", "hooks?enabled=true").json()["hooks"]]


@pytest.mark.parametrize(
    "source",
    [
        HOOK,
        HOOK.replace("\n", "\r\n"),
        "# ünïcödé \U0001f600\n" + HOOK,
        HOOK + "\n\n\n",
        HOOK.rstrip(),
        "# a form feed \x0c and a line separator \u2028\n" + HOOK,
    ],
)
def test_a_file_comes_back_byte_for_byte(acme: Any, source: str) -> None:
    raw = source.encode()
    made = upload(acme, "file", raw)
    back = acme.ask("GET", "hooks/file/source")

    assert (201, raw) == (made.status_code, back.content)
    assert "text/x-python; charset=utf-8" == back.headers["content-type"]
    assert "nosniff" == back.headers["x-content-type-options"]
    assert hashlib.sha256(raw).hexdigest() == made.json()["source_sha256"]


@pytest.mark.parametrize("kind", ["text/x-python", "application/x-www-form-urlencoded", "application/json", "x", ""])
def test_an_upload_may_have_any_content_type(acme: Any, server: Any, kind: str) -> None:
    path = f"/v1/tenants/{acme.name}/hooks/file/source?trigger_id={POINT}"
    made = server.ask("PUT", path, acme.token, content=HOOK.encode(), headers={"content-type": kind})

    assert (201, HOOK) == (made.status_code, acme.ask("GET", "hooks/file/source").text)


def test_an_upload_of_what_is_there_makes_a_version_only_when_it_differs(acme: Any) -> None:
    statuses = [upload(acme, "one", source).status_code for source in (HOOK, HOOK, HOOK + "# more\n")]

    assert [201, 200, 200] == statuses
    assert 2 == acme.ask("GET", "hooks/one").json()["version"]


def test_a_new_hook_is_enabled_and_an_old_one_stays_as_it_is(acme: Any) -> None:
    made = upload(acme, "one").json()["enabled"]
    acme.ask("PATCH", "hooks/one", json={"enabled": False})

    assert made is True
    assert upload(acme, "one", HOOK + "# more\n").json()["enabled"] is False
    assert upload(acme, "one", enabled="true", order=7).json()["order"] == 7
    assert ["one"] == enabled(acme)
    assert upload(acme, "two", enabled="false").json()["enabled"] is False


def test_the_last_one_enabled_wins_where_one_runs(acme: Any) -> None:
    upload(acme, "one")
    upload(acme, "elsewhere", trigger_id=OTHER_POINT)
    upload(acme, "two")

    assert {"two", "elsewhere"} == set(enabled(acme))
    acme.ask("PATCH", "hooks/one", json={"enabled": True})
    assert {"one", "elsewhere"} == set(enabled(acme))


def test_several_are_enabled_where_the_tenant_may(server: Any) -> None:
    tenant = server.tenant(multiple_hooks=True)
    for name in ("one", "two"):
        upload(tenant, name)

    assert ["one", "two"] == enabled(tenant)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\n" + HOOK, "line 1, column 1"),
        ("def hook(user, context, cb)\n    cb()\n", "line 1"),
        ("", "empty"),
        (" \n\t\n", "empty"),
        (HOOK + "\0", "NUL"),
        ("\ufeff" + HOOK, "byte order mark"),
        (b"\xff" + HOOK.encode(), "not UTF-8 at byte 0"),
        ("#" * 100_001, "the most allowed is 100000"),
        ("def hook(user):\n    pass\n", "line 1"),
    ],
)
def test_a_file_that_cannot_be_a_hook_is_refused_and_nothing_is_stored(
    acme: Any, source: str | bytes, said: str
) -> None:
    refused = upload(acme, "bad", source)

    assert 400 == refused.status_code
    assert said in refused.json()["message"]
    assert [] == acme.ask("GET", "hooks").json()["hooks"]


def test_a_rejected_upload_leaves_the_live_version(acme: Any) -> None:
    upload(acme, "one")

    assert 400 == upload(acme, "one", "import os\n").status_code
    assert HOOK == acme.ask("GET", "hooks/one/source").text


def test_a_file_over_the_bound_of_bodies_is_413(acme: Any) -> None:
    refused = upload(acme, "big", b"#" * ((2 << 20) + 1))

    assert (413, "payload_too_large") == (refused.status_code, refused.json()["errorCode"])


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"trigger_id": "nowhere"},
        {"trigger_id": POINT, "enabled": "perhaps"},
        {"trigger_id": POINT, "order": "1000001"},
        {"trigger_id": POINT, "x": "1"},
    ],
)
def test_a_new_hook_needs_a_point_that_there_is(acme: Any, query: dict[str, str]) -> None:
    refused = acme.ask("PUT", "hooks/one/source", content=HOOK, params=query)

    assert 400 == refused.status_code
    assert 404 == acme.ask("GET", "hooks/one").status_code


def test_a_hook_keeps_its_point(acme: Any) -> None:
    upload(acme, "one")
    refused = upload(acme, "one", trigger_id=OTHER_POINT)

    assert (400, "invalid_query_string") == (refused.status_code, refused.json()["errorCode"])
    assert "a hook keeps its point" in refused.json()["message"]


@pytest.mark.parametrize("name", ["-a", "a_b", "%C3%A4", "a%00", "%20", "x" * 257, "a%0A"])
def test_a_name_that_is_no_name_is_refused(acme: Any, name: str) -> None:
    refused = upload(acme, name)

    assert (400, "invalid_uri") == (refused.status_code, refused.json()["errorCode"])


def test_a_hook_is_found_by_its_id_and_by_its_name(acme: Any) -> None:
    made = upload(acme, "My%20hook").json()
    by_id, by_name = (acme.ask("GET", f"hooks/{key}").json() for key in (made["id"], "My hook"))

    assert made == by_id == by_name
    assert "My hook" == made["name"]


def test_a_hook_is_changed_field_by_field(acme: Any) -> None:
    upload(acme, "one")
    body = {
        "name": "two",
        "enabled": False,
        "order": -3,
        "mode": "invocation",
        "script": HOOK + "# x\n",
        "dependencies": {"json": ""},
    }
    changed = acme.ask("PATCH", "hooks/one", json=body).json()

    assert {"name": "two", "enabled": False, "order": -3, "mode": "invocation", "version": 2} == {
        name: changed[name] for name in ("name", "enabled", "order", "mode", "version")
    }
    assert {"json": ""} == changed["dependencies"]
    assert HOOK + "# x\n" == acme.ask("GET", "hooks/two/source").text
    assert acme.ask("PATCH", "hooks/two", json={"mode": None}).json()["mode"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": None},
        {"enabled": None},
        {"enabled": "true"},
        {"order": 1.5},
        {"order": 1 << 70},
        {"mode": "x"},
        {"script": ""},
        {"script": "import os\n"},
        {"dependencies": {"nothing-like-it": ""}},
        {"dependencies": []},
        {"trigger_id": OTHER_POINT},
        {"id": "x"},
        [],
        "x",
        None,
    ],
)
def test_a_change_that_cannot_be_is_refused_and_nothing_changes(acme: Any, body: Any) -> None:
    before = upload(acme, "one").json()
    refused = acme.ask("PATCH", "hooks/one", json=body)

    assert (400, "invalid_body") == (refused.status_code, refused.json().get("errorCode", "")), refused.text
    assert before == acme.ask("GET", "hooks/one").json()


def test_a_name_in_use_is_refused(acme: Any) -> None:
    upload(acme, "one")
    upload(acme, "two")
    refused = acme.ask("PATCH", "hooks/two", json={"name": "one"})

    assert (409, "HookNameAlreadyExists") == (refused.status_code, refused.json()["errorCode"])


def test_a_deleted_hook_is_gone(acme: Any) -> None:
    upload(acme, "one")
    deleted = [acme.ask("DELETE", "hooks/one") for _ in range(2)]

    assert [(204, b""), (404, "HookDoesNotExist")] == [
        (deleted[0].status_code, deleted[0].content),
        (deleted[1].status_code, deleted[1].json()["errorCode"]),
    ]


def test_a_list_is_paged_and_filtered(acme: Any) -> None:
    for name, point in (("a", POINT), ("b", OTHER_POINT), ("c", POINT)):
        upload(acme, name, trigger_id=point)
    page = acme.ask("GET", "hooks?start=1&limit=1").json()

    assert (["b"], 3, 1, 1) == ([hook["name"] for hook in page["hooks"]], page["total"], page["start"], page["limit"])
    assert ["a", "c"] == [hook["name"] for hook in acme.ask("GET", f"hooks?trigger_id={POINT}").json()["hooks"]]
    assert ["a"] == [hook["name"] for hook in acme.ask("GET", "hooks?enabled=false").json()["hooks"]]
    assert [] == acme.ask("GET", "hooks?start=3").json()["hooks"]
    assert "source" not in page["hooks"][0]
    assert HOOK == acme.ask("GET", "hooks?include_source=true").json()["hooks"][0]["source"]


@pytest.mark.parametrize(
    ("scope", "new", "old"), [("create:hooks", 201, 403), ("update:hooks", 403, 200), ("read:hooks", 403, 403)]
)
def test_an_upload_needs_the_scope_of_what_it_does(server: Any, acme: Any, scope: str, new: int, old: int) -> None:
    upload(acme, "old")
    token = server.token(acme.name, [scope])
    path = f"/v1/tenants/{acme.name}/hooks"

    assert new == server.ask("PUT", f"{path}/new/source?trigger_id={POINT}", token, content=HOOK).status_code
    assert old == server.ask("PUT", f"{path}/old/source", token, content=HOOK).status_code


def test_a_change_of_source_stands_in_the_log_without_the_source(acme: Any) -> None:
    upload(acme, "one", "# a-very-special-word\n" + HOOK)
    acme.ask("PATCH", "hooks/one", json={"script": "# another-special-word\n" + HOOK})
    logged = acme.ask("GET", "logs")

    assert ["Update a hook", "Create a hook"] == [event["description"] for event in logged.json()[:2]]
    assert "special-word" not in logged.text
