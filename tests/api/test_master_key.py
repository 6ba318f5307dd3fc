from __future__ import annotations

import base64
import contextlib
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import serving

from tenants import hooks as hook_rows
from tenants import keyring, register, secret_values
from tenants.errors import KeyLost
from tenants.store import Store
from tenants.vault import Vault, open_vault

ROTATION = "/v1/master-key/rotation"
SOURCE = "def hook(user, context, cb):\n    cb()\n"


def with_secret(server: Any) -> tuple[str, str]:
    """A new tenant with a hook and a secret: its id, and the secret's value."""
    tenant, value = server.tenant("t" + secrets.token_hex(8)), secrets.token_hex(8)
    put(tenant, value)
    return tenant.ask("GET", f"/v1/tenants/{tenant.name}").json()["id"], value


def put(tenant: Any, value: str) -> None:
    where = {"trigger_id": "post-change-password"}
    made = tenant.ask("PUT", "hooks/one/source", content=SOURCE, params=where)
    kept = tenant.ask("PUT", "hooks/one/secrets/NAME", json={"value": value})
    assert (201, True) == (made.status_code, kept.is_success), made.text + kept.text


def values_in(store: Store, vault: Vault, tenant_ids: list[str]) -> list[str]:
    """The secret of each tenant, read as the engine reads it."""

    def value(rows: Any) -> str:
        [hook] = hook_rows.page(rows)[0]
        sealed = secret_values.sealed(rows, hook.id)["NAME"]
        return vault.open(rows.tenant_id, secret_values.data_key(rows), hook.id, "NAME", sealed)

    return [store.read(tenant_id, value).result() for tenant_id in tenant_ids]


def test_a_rotation_tells_what_it_did_and_every_secret_stays(new_server: Callable[..., Any], tmp_path: Path) -> None:
    server = new_server(data=tmp_path)
    made = dict(with_secret(server) for _ in range(3))
    before = keyring.ring_of_file(tmp_path / "master.key")
    answer = server.ask("POST", ROTATION)
    after = keyring.ring_of_file(tmp_path / "master.key")

    assert 200 == answer.status_code, answer.text
    assert {"master_key_id": after.current, "data_keys": 3, "unreadable": [], "complete": True} == answer.json()
    assert before.current not in after.keys
    assert list(made.values()) == values_in(server.services.store, Vault(after), list(made))
    assert list(made.values()) == values_in(server.services.store, server.services.vault, list(made))


def test_rotations_and_new_tenants_and_secrets_at_the_same_time_lose_nothing(
    new_server: Callable[..., Any], tmp_path: Path
) -> None:
    server, ended = new_server(data=tmp_path), threading.Event()

    def work() -> list[tuple[str, str]]:
        made = []
        while not ended.is_set():
            made.append(with_secret(server))
        return made

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work) for _ in range(3)]
        rotations = [server.ask("POST", ROTATION) for _ in range(8)]
        ended.set()
        made = dict(pair for each in working for pair in each.result())
    fresh = open_vault(server.services.store, tmp_path / "master.key", None)

    assert [(200, True)] * 8 == [(answer.status_code, answer.json()["complete"]) for answer in rotations]
    assert 1 == len(keyring.ring_of_file(tmp_path / "master.key").keys)
    assert len(made) >= 3
    assert list(made.values()) == values_in(server.services.store, fresh, list(made))


def test_two_rotations_at_once_are_one(new_server: Callable[..., Any]) -> None:
    server = new_server()
    with server.services.vault.rotation:
        answer = server.ask("POST", ROTATION)

    assert (409, "rotation_under_way") == (answer.status_code, answer.json()["errorCode"])
    assert 200 == server.ask("POST", ROTATION).status_code


def test_a_key_file_that_cannot_be_used_changes_nothing(new_server: Callable[..., Any], tmp_path: Path) -> None:
    server = new_server(data=tmp_path)
    made = dict([with_secret(server)])
    path = tmp_path / "master.key"
    for spoil in (lambda: path.chmod(0o644), lambda: path.rename(tmp_path / "away")):
        spoil()
        answer = server.ask("POST", ROTATION)

        assert 503 == answer.status_code
        assert list(made.values()) == values_in(server.services.store, server.services.vault, list(made))
    (tmp_path / "away").rename(path)
    path.chmod(0o600)

    assert 200 == server.ask("POST", ROTATION).status_code
    assert list(made.values()) == values_in(server.services.store, Vault(keyring.ring_of_file(path)), list(made))


def test_a_key_of_the_environment_is_rotated_by_giving_the_next_one_before_it(
    new_server: Callable[..., Any], tmp_path: Path
) -> None:
    new, old = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    server = new_server(data=tmp_path, master_key=old)
    made = dict([with_secret(server)])
    refused = server.ask("POST", ROTATION)
    server = new_server(data=tmp_path, master_key=f"{new},{old}")
    rotated = server.ask("POST", ROTATION)

    assert (409, "master_key_of_environment") == (refused.status_code, refused.json()["errorCode"])
    assert new not in refused.text + rotated.text
    assert (200, 1, True) == (rotated.status_code, rotated.json()["data_keys"], rotated.json()["complete"])
    assert list(made.values()) == values_in(server.services.store, Vault(keyring.ring_of_text(new)), list(made))
    assert not (tmp_path / "master.key").exists()


def test_a_server_without_its_key_does_not_start(new_server: Callable[..., Any], tmp_path: Path) -> None:
    with_secret(new_server(data=tmp_path))
    path = tmp_path / "master.key"
    kept = path.rename(tmp_path / "kept")

    with pytest.raises(KeyLost, match=r"master.key is missing.*Restore the file from its backup"):
        new_server(data=tmp_path)
    assert not path.exists()
    kept.rename(path)
    assert 200 == new_server(data=tmp_path).ask("GET", "/v1/tenants").status_code


def test_another_process_over_the_same_folder_goes_on_with_the_new_key(
    new_server: Callable[..., Any], tmp_path: Path
) -> None:
    """It reads what was sealed anew, and what it seals itself is not sealed with a key that is gone."""
    one, other = (new_server(data=tmp_path) for _ in range(2))
    made = dict(with_secret(server) for server in (one, other))
    for rotating, going_on in ((one, other), (other, one)):
        assert rotating.ask("POST", ROTATION).json()["complete"]
        assert list(made.values()) == values_in(going_on.services.store, going_on.services.vault, list(made))
        made |= dict([with_secret(going_on)])
    fresh = Vault(keyring.ring_of_file(tmp_path / "master.key"))

    assert list(made.values()) == values_in(one.services.store, fresh, list(made))


def test_a_data_key_is_gone_from_the_files_with_its_tenant(new_server: Callable[..., Any], tmp_path: Path) -> None:
    """What is left of its secrets, in a backup say, is noise; no file holds the key any more."""
    server = new_server(data=tmp_path)
    tenant = server.tenant()
    put(tenant, "value")
    found = server.services.store.read_all(register.data_keys_not_under, "", 10).result()
    [wrapped] = [key.wrapped for key in found.values()]
    before = [path.name for path in tmp_path.iterdir() if wrapped in path.read_bytes()]
    assert 204 == server.ask("DELETE", f"/v1/tenants/{tenant.name}").status_code

    assert before
    assert [] == [path.name for path in tmp_path.iterdir() if wrapped in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("seen", [1, 2, 3])
def test_a_server_that_is_killed_in_a_rotation_loses_nothing(tmp_path: Path, seen: int) -> None:
    """SIGKILL as soon as the key file has changed, once or twice, or the answer is there; a new server ends it."""
    path, names = tmp_path / "master.key", [f"tenant-{number}" for number in range(20)]
    with serving(tmp_path) as server, ThreadPoolExecutor(1) as threads:
        for name in names:
            assert 201 == server.ask("POST", "/v1/tenants", json={"name": name}).status_code
        inodes, rotating = {path.stat().st_ino}, threads.submit(rotated_or_killed, server.url, server.operator)
        while len(inodes) <= seen and not rotating.done():
            inodes.add(path.stat().st_ino)
        server.process.kill()
        server.process.wait()
        rotating.result()
    with serving(tmp_path) as server:
        again = server.ask("POST", ROTATION).json()
        left = keyring.ring_of_file(path)

    assert (True, []) == (again["complete"], again["unreadable"])
    assert {left.current} == set(left.keys)
    store = Store(f"sqlite:///{tmp_path / 'hookcell.db'}")
    store.open()
    found = store.read_all(register.data_keys_not_under, "", 100).result()
    store.close()
    assert len(names) == len([Vault(left).seal(tenant, key, "hook", "NAME", "value") for tenant, key in found.items()])


def rotated_or_killed(url: str, token: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        httpx.post(url + ROTATION, headers={"Authorization": f"Bearer {token}"}, timeout=60)
