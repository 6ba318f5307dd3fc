"""Changes of one hook at the same time: whoever was told of success has changed it; and what a scope lets nobody see."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from engine.api.hooks import check_basis
from tenants import hooks
from tenants.errors import Stale

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
MODERN = "import json\n" + HOOK


def put(api: Any, name: str, source: str) -> httpx.Response:
    answer: httpx.Response = api.ask("PUT", f"hooks/{name}/source?trigger_id={POINT}", content=source)
    return answer


def test_an_upload_and_a_change_of_the_dependencies_both_count(acme: Any) -> None:
    """The one that comes second starts from what the first one left, or is told that it cannot."""
    put(acme, "a", MODERN)
    together = threading.Barrier(2)

    def upload(number: int) -> int:
        together.wait(60)
        return put(acme, "a", f"{MODERN}# {number}\n").status_code

    def depend(_: int) -> int:
        together.wait(60)
        return int(acme.ask("PATCH", "hooks/a", json={"dependencies": {"json": ""}}).status_code)

    with ThreadPoolExecutor(2) as threads:
        for number in range(12):
            acme.ask("PATCH", "hooks/a", json={"dependencies": {}})
            uploaded, depended = threads.submit(upload, number), threads.submit(depend, number)
            statuses = (uploaded.result(60), depended.result(60))
            now = acme.ask("GET", "hooks/a?include_source=true").json()

            assert 200 == statuses[0]
            assert statuses[1] in (200, 409)
            assert f"{MODERN}# {number}\n" == now["source"]
            assert ({"json": ""} if statuses[1] == 200 else {}) == now["dependencies"]


def test_what_was_made_from_an_older_version_is_stale(server: Any, acme: Any) -> None:
    """An upload takes over the dependencies alone, a change of one of the two the other one."""
    tenant = server.ask("GET", f"/v1/tenants/{acme.name}").json()["id"]
    store, made = server.services.store, put(acme, "a", MODERN).json()["id"]
    seen = store.read(tenant, hooks.get, made).result(60)
    put(acme, "a", HOOK)
    newer_source = [store.write(tenant, check_basis, seen, dependencies_alone=alone) for alone in (True, False)]
    acme.ask("PATCH", "hooks/a", json={"script": MODERN, "dependencies": {"json": ""}})
    newer_both = [store.write(tenant, check_basis, seen, dependencies_alone=alone) for alone in (True, False)]

    assert [None, Stale] == [error and type(error) for error in (each.exception(60) for each in newer_source)]
    assert [Stale, Stale] == [type(each.exception(60)) for each in newer_both]


def test_uploads_of_one_new_name_at_once_make_one_hook_and_change_it(acme: Any) -> None:
    together = threading.Barrier(10)

    def upload(number: int) -> int:
        together.wait(60)
        return put(acme, "fresh", f"{HOOK}# {number}\n").status_code

    with ThreadPoolExecutor(10) as threads:
        statuses = Counter(threads.map(upload, range(10)))

    assert {201: 1, 200: 9} == statuses
    assert 10 == len(acme.ask("GET", "hooks/fresh/versions").json()["versions"])


@pytest.mark.parametrize(
    ("scopes", "seen"), [(["update:hooks"], False), (["update:hooks", "read:hooks"], True)], ids=["blind", "reader"]
)
def test_a_deployment_shows_sources_to_those_who_may_read_them(
    server: Any, acme: Any, scopes: list[str], *, seen: bool
) -> None:
    """A diff has what was there."""
    put(acme, "a", HOOK + "# a mark\n")
    token = server.token(acme.name, scopes)
    wanted = {"hooks": [{"name": "a", "trigger_id": POINT, "script": HOOK}]}
    path = f"/v1/tenants/{acme.name}/deployment"
    answers = [server.ask("PUT", path + query, token, json=wanted) for query in ("?dry_run=true", "")]

    assert [seen, seen] == ["a mark" in answer.json()["changes"][0]["diff"] for answer in answers]
    assert ["update"] * 2 == [answer.json()["changes"][0]["action"] for answer in answers]


def test_an_export_has_the_settings_for_those_who_may_read_them(server: Any, acme: Any) -> None:
    path = f"/v1/tenants/{acme.name}/export"
    scopes = (["read:hooks"], ["read:hooks", "read:tenant"])
    found = [server.ask("GET", path, server.token(acme.name, each)).json()["tenant"] for each in scopes]

    assert found[0]["settings"] is None
    assert server.ask("GET", path).json()["tenant"] == found[1]
    assert 10_000 == found[1]["settings"]["api_per_second"]
