from __future__ import annotations

from typing import Any

import pytest

from engine.points import all_points

HOOK = "def hook(user, context, cb):\n    cb()\n"
POINT = "post-change-password"


def test_the_points_are_told_with_what_a_first_hook_needs(acme: Any) -> None:
    listed = acme.ask("GET", "/v1/points").json()["points"]

    assert list(all_points()) == [point["id"] for point in listed]
    for point in listed:
        body = {"trigger_id": point["id"], "script": point["starter"]}
        assert acme.ask("POST", "check", json=body).json()["ok"] is True
        assert point == acme.ask("GET", f"/v1/points/{point['id']}").json()


def test_a_point_that_there_is_not_is_404_and_the_nearest_is_told(acme: Any) -> None:
    missing = acme.ask("GET", "/v1/points/post-change-pasword")

    assert (404, "unknown_point") == (missing.status_code, missing.json()["errorCode"])
    assert "did you mean 'post-change-password'?" in missing.json()["message"]


def test_the_module_map_is_that_of_the_tokens_tenant(server: Any, acme: Any) -> None:
    narrow = server.tenant(modules=["json", "requests"])
    names = [
        [module["name"] for module in answer.json()["modules"]]
        for answer in (
            narrow.ask("GET", "/v1/modules"),
            acme.ask("GET", "/v1/modules"),
            server.ask("GET", "/v1/modules"),
        )
    ]

    assert ["json", "requests", "requests.auth", "requests.exceptions", "requests.structures"] == names[0]
    assert "urllib.parse" in names[1]
    assert names[1] == names[2]


@pytest.mark.parametrize("path", ["/v1/points", "/v1/modules", f"/v1/points/{POINT}"])
def test_what_the_engine_offers_needs_a_token(server: Any, path: str) -> None:
    assert 401 == server.ask("GET", path, "").status_code


def test_a_check_tells_every_finding_and_stores_nothing(acme: Any) -> None:
    checked = acme.ask("POST", "check", json={"trigger_id": POINT, "script": "import os\nimport sys\n" + HOOK})

    assert (200, False) == (checked.status_code, checked.json()["ok"])
    assert [1, 2] == [finding["line"] for finding in checked.json()["diagnostics"]]
    assert [] == acme.ask("GET", "hooks").json()["hooks"]


def test_a_check_warns_of_a_secret_that_the_hook_will_not_have(acme: Any) -> None:
    script = "def hook(user, context, cb):\n    cb(None, context.webtask.secrets.KEY)\n"
    body = {"trigger_id": POINT, "script": script}
    told = [acme.ask("POST", "check", json=body | {"secrets": names}).json() for names in ([], ["KEY"])]

    assert [True, True] == [each["ok"] for each in told]
    assert [1, 0] == [len(each["warnings"]) for each in told]


def test_a_check_knows_the_tenants_own_module_map(server: Any, acme: Any) -> None:
    narrow = server.tenant(modules=["json"])
    body = {"trigger_id": POINT, "script": "import requests\n" + HOOK}

    assert [False, True] == [tenant.ask("POST", "check", json=body).json()["ok"] for tenant in (narrow, acme)]


@pytest.mark.parametrize(
    "body",
    [
        {"trigger_id": "nowhere", "script": HOOK},
        {"trigger_id": POINT},
        {"script": HOOK},
        {"trigger_id": POINT, "script": 1},
        {"trigger_id": POINT, "script": HOOK, "secrets": ["x"] * 101},
        {"trigger_id": POINT, "script": HOOK, "other": 1},
    ],
)
def test_a_check_of_what_cannot_be_checked_is_refused(acme: Any, body: dict[str, Any]) -> None:
    assert 400 == acme.ask("POST", "check", json=body).status_code


def test_a_check_finds_a_dependency_that_there_is_not(acme: Any) -> None:
    checked = acme.ask("POST", "check", json={"trigger_id": POINT, "script": HOOK, "dependencies": {"nothing": ""}})

    assert (200, False) == (checked.status_code, checked.json()["ok"])
    assert "nothing" in checked.text


@pytest.mark.parametrize("script", ["", "\0", "#" * 100_001])
def test_a_check_of_what_is_no_source_is_refused_in_words(acme: Any, script: str) -> None:
    refused = acme.ask("POST", "check", json={"trigger_id": POINT, "script": script})

    assert 400 == refused.status_code
