from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants import keyring, register, vault
from tenants.errors import Corrupt, KeyLost, Unstorable
from tenants.records import SealedKey, Settings
from tenants.store import Store
from tenants.vault import Batch, Vault, open_vault

KEYS = Vault(keyring.new_ring())
TENANT = "01HF0000000000000000000000"
DATA_KEY = KEYS.new_data_key(TENANT)
PLACE = ("hook", "NAME")

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(max_size=6)
places = st.tuples(names, names, names)


@contextlib.contextmanager
def opened_store(folder: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{folder / 'hookcell.db'}")
    store.open()
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(tmp_path) as store:
        yield store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master.key"


def tenant_with_secret(store: Store, keys: Vault, name: str) -> tuple[str, bytes]:
    """A new tenant's id, and the value "value of NAME" sealed for it."""
    tenant = store.write_all(register.create, name, Settings(), keys.new_data_key).result()
    return tenant.id, keys.seal(tenant.id, data_key_of(store, tenant.id), *PLACE, f"value of {name}")


def data_key_of(store: Store, tenant_id: str) -> SealedKey:
    """Read as nobody else does: by what no master key has the id of."""
    return store.read_all(register.data_keys_not_under, "", 1_000).result()[tenant_id]


def value_of(store: Store, keys: Vault, tenant_id: str, sealed: bytes) -> str:
    return keys.open(tenant_id, data_key_of(store, tenant_id), *PLACE, sealed)


def rotated(store: Store, keys: Vault) -> Batch:
    """The rest of a rotation whose first step is done, a data key at a time."""
    batch = Batch(0, last=False, unreadable=frozenset())
    while not batch.last:
        batch = store.write_all(vault.seal_anew, keys, batch.unreadable, 1).result()
    return batch


@settings(deadline=None)
@given(value=texts, place=places)
def test_every_text_comes_back_as_it_was_sealed(value: str, place: tuple[str, str, str]) -> None:
    tenant, hook, name = place
    data_key = KEYS.new_data_key(tenant)

    assert value == KEYS.open(tenant, data_key, hook, name, KEYS.seal(tenant, data_key, hook, name, value))


@pytest.mark.parametrize("value", ["", "\0", "é" * 5_000, "\U0010ffff", "x" * 1_000_000], ids=len)
def test_every_size_comes_back_as_it_was_sealed(value: str) -> None:
    assert value == KEYS.open(TENANT, DATA_KEY, *PLACE, KEYS.seal(TENANT, DATA_KEY, *PLACE, value))


def test_half_of_a_surrogate_pair_cannot_be_sealed() -> None:
    with pytest.raises(Unstorable) as refused:
        KEYS.seal(TENANT, DATA_KEY, *PLACE, "before\ud800after")

    assert "before" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_the_same_value_never_looks_the_same() -> None:
    assert 100 == len({KEYS.seal(TENANT, DATA_KEY, *PLACE, "value") for _ in range(100)})


@settings(deadline=None)
@given(sealed_at=places, moved_to=places, value=texts)
def test_what_is_moved_to_another_place_does_not_open(
    sealed_at: tuple[str, str, str], moved_to: tuple[str, str, str], value: str
) -> None:
    """Another tenant, hook or name; the data key moves along, as a row of the database would."""
    tenant, hook, name = sealed_at
    data_key = KEYS.new_data_key(tenant)
    sealed = KEYS.seal(tenant, data_key, hook, name, value)
    other_tenant, other_hook, other_name = moved_to

    if sealed_at == moved_to:
        assert value == KEYS.open(other_tenant, data_key, other_hook, other_name, sealed)
    else:
        with pytest.raises(Corrupt):
            KEYS.open(other_tenant, data_key, other_hook, other_name, sealed)


@pytest.mark.parametrize(
    ("hook", "name"), [("hookN", "AME"), ("", "hookNAME"), ("NAME", "hook"), ("hook\0", "NAME"), ("hook", "name")]
)
def test_a_place_that_reads_alike_is_another_place(hook: str, name: str) -> None:
    with pytest.raises(Corrupt):
        KEYS.open(TENANT, DATA_KEY, hook, name, KEYS.seal(TENANT, DATA_KEY, *PLACE, "value"))


def test_one_tenants_key_does_not_open_anothers_secret() -> None:
    """Nor for a secret of the same hook and name."""
    other = KEYS.new_data_key(TENANT)

    with pytest.raises(Corrupt):
        KEYS.open(TENANT, other, *PLACE, KEYS.seal(TENANT, DATA_KEY, *PLACE, "value"))


def test_every_single_byte_counts() -> None:
    """Of the sealed value and of the sealed key alike; a bit of each is turned."""
    sealed = KEYS.seal(TENANT, DATA_KEY, *PLACE, "a value")
    for at in range(len(sealed)):
        with pytest.raises(Corrupt, match="stored secret"):
            KEYS.open(TENANT, DATA_KEY, *PLACE, turned(sealed, at))
    for at in range(len(DATA_KEY.wrapped)):
        with pytest.raises(Corrupt, match="stored data key"):
            KEYS.open(TENANT, dataclasses.replace(DATA_KEY, wrapped=turned(DATA_KEY.wrapped, at)), *PLACE, sealed)


def turned(sealed: bytes, at: int) -> bytes:
    return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


@settings(deadline=None)
@given(sealed=st.binary(max_size=80))
def test_whatever_stands_in_the_column_is_opened_or_corrupt(sealed: bytes) -> None:
    with pytest.raises(Corrupt):
        KEYS.open(TENANT, DATA_KEY, *PLACE, sealed)


@pytest.mark.parametrize("length", range(30))
def test_what_was_cut_off_does_not_open(length: int) -> None:
    with pytest.raises(Corrupt):
        KEYS.open(TENANT, DATA_KEY, *PLACE, KEYS.seal(TENANT, DATA_KEY, *PLACE, "a value")[:length])


def test_another_master_key_is_told_by_name() -> None:
    with pytest.raises(KeyLost, match=DATA_KEY.master_key_id):
        Vault(keyring.new_ring()).seal(TENANT, DATA_KEY, *PLACE, "value")


def test_no_error_and_no_repr_tells_a_value_or_a_key() -> None:
    ring = keyring.new_ring()
    keys = Vault(ring)
    data_key = keys.new_data_key(TENANT)
    sealed = keys.seal(TENANT, data_key, *PLACE, "the value")
    with pytest.raises(Corrupt) as refused:
        keys.open(TENANT, data_key, "another", "NAME", sealed)
    told = repr([refused.value, keys, ring, data_key]) + str(refused.value)

    assert "the value" not in told
    assert repr(ring.key(ring.current))[2:-1] not in told
    assert repr(data_key.wrapped)[2:-1] not in told


def test_the_first_start_makes_a_key_and_the_next_one_uses_it(store: Store, path: Path) -> None:
    tenant, sealed = tenant_with_secret(store, open_vault(store, path, None), "acme")

    assert "value of acme" == value_of(store, open_vault(store, path, None), tenant, sealed)


@pytest.mark.parametrize("tenants", [0, 1])
def test_a_key_file_that_is_gone_is_never_replaced_by_a_new_one(store: Store, path: Path, tenants: int) -> None:
    """Not before the first tenant either: another node may have made the key."""
    keys = open_vault(store, path, None)
    for _ in range(tenants):
        tenant_with_secret(store, keys, "acme")
    path.unlink()

    with pytest.raises(KeyLost, match=rf"master.key is missing.*{keys.current}.*Restore the file from its backup"):
        open_vault(store, path, None)
    assert not path.exists()


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_nodes_that_start_at_once_with_keys_of_their_own_one_is_refused(
    url: str, opened: Callable[[str], Store], tmp_path: Path, attempt: int
) -> None:
    """They share a new store and no key file: what one of them seals, the other one could not read."""
    stores, together = [opened(url), opened(url)], threading.Barrier(2)

    def start(number: int) -> str:
        together.wait(60)
        try:
            return open_vault(stores[number], tmp_path / f"master.key.{number}.{attempt}", None).current
        except KeyLost:
            return "refused"

    with ThreadPoolExecutor(2) as threads:
        started = sorted(threads.map(start, range(2)))

    assert "refused" == started[1]
    assert re.fullmatch("[0-9a-f]{16}", started[0])


def test_a_key_file_of_another_server_is_refused(store: Store, path: Path) -> None:
    first = open_vault(store, path, None)
    keyring.keep(path, keyring.new_ring(), replace=True)

    with pytest.raises(KeyLost, match=rf"{first.current}, which is not here. Restore master.key"):
        open_vault(store, path, None)


def test_a_key_file_that_others_may_read_stops_the_start(store: Store, path: Path) -> None:
    open_vault(store, path, None)
    path.chmod(0o644)

    with pytest.raises(KeyLost, match="chmod 600"):
        open_vault(store, path, None)


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").is_dir(), reason="needs a folder nobody writes to")
def test_a_folder_that_takes_no_key_file_is_told(store: Store) -> None:
    with pytest.raises(KeyLost, match="cannot be written"):
        open_vault(store, Path("/proc/self/master.key"), None)


def test_the_environment_gives_the_same_key_as_the_file_did(store: Store, path: Path) -> None:
    tenant, sealed = tenant_with_secret(store, open_vault(store, path, None), "acme")
    ring = keyring.ring_of_file(path)
    text = base64.b64encode(ring.key(ring.current)).decode()
    path.unlink()

    assert "value of acme" == value_of(store, open_vault(store, path, text), tenant, sealed)
    assert not path.exists()


def test_a_rotation_leaves_every_secret_as_it_was_and_the_old_key_nowhere(store: Store, path: Path) -> None:
    keys = open_vault(store, path, None)
    made = {name: tenant_with_secret(store, keys, name) for name in ("acme", "globex", "initech")}
    old = keyring.ring_of_file(path)

    keys.use(keys.begin())
    batch = rotated(store, keys)
    store.write_all(vault.all_sealed, keys).result()
    keys.end()

    after = open_vault(store, path, None)
    assert frozenset() == batch.unreadable
    assert old.current != after.current
    assert {after.current} == set(keyring.ring_of_file(path).keys)
    assert {f"value of {name}" for name in made} == {value_of(store, after, *found) for found in made.values()}
    with pytest.raises(KeyLost):
        value_of(store, Vault(old), *made["acme"])


@pytest.mark.parametrize("steps", range(8))
def test_a_rotation_that_was_stopped_anywhere_loses_nothing_and_is_ended_by_the_next_one(
    tmp_path: Path, path: Path, steps: int
) -> None:
    """A tenant is made after every step, as one that is made while the rotation goes on."""
    with opened_store(tmp_path) as store:
        keys = open_vault(store, path, None)
        made = [tenant_with_secret(store, keys, f"before-{number}") for number in range(3)]
        first = keys.current
        for step in list(steps_of(store, keys))[:steps]:
            step()
            made.append(tenant_with_secret(store, keys, f"during-{len(made)}"))

    with opened_store(tmp_path) as store:  # another process: nothing but the file and the store is left
        keys = open_vault(store, path, None)
        assert len(made) == len([value_of(store, keys, *found) for found in made])
        for step in steps_of(store, keys):
            step()

    with opened_store(tmp_path) as store:
        keys = open_vault(store, path, None)
        assert len(made) == len([value_of(store, keys, *found) for found in made])
        assert not keyring.ring_of_file(path).rotating
        assert first != keys.current
        assert {} == store.read_all(register.data_keys_not_under, keys.current, 10).result()


def steps_of(store: Store, keys: Vault) -> Iterator[object]:
    """As POST /v1/master-key/rotation takes them, each data key by itself."""
    ring = []
    yield lambda: ring.append(keys.begin())
    yield lambda: keys.use(ring[0])
    for _ in range(3):
        yield lambda: store.write_all(vault.seal_anew, keys, frozenset[str](), 1).result()
    yield lambda: rotated(store, keys)
    yield lambda: store.write_all(vault.all_sealed, keys).result()
    yield keys.end


def test_who_has_read_the_old_key_may_still_use_it_after_the_rotation(store: Store, path: Path) -> None:
    """A request that has read the sealed data key, and then waited."""
    keys = open_vault(store, path, None)
    tenant, sealed = tenant_with_secret(store, keys, "acme")
    read_before = data_key_of(store, tenant)
    for step in steps_of(store, keys):
        step()

    assert "value of acme" == keys.open(tenant, read_before, *PLACE, sealed)


def test_a_damaged_data_key_is_passed_over_and_told(store: Store, tmp_path: Path, path: Path) -> None:
    keys = open_vault(store, path, None)
    damaged, _ = tenant_with_secret(store, keys, "acme")
    whole = tenant_with_secret(store, keys, "globex")
    with contextlib.closing(sqlite3.connect(tmp_path / "hookcell.db")) as connection, connection:
        changed = connection.execute("UPDATE data_keys SET wrapped = zeroblob(61) WHERE tenant_id = ?", (damaged,))
    keys.use(keys.begin())

    assert 1 == changed.rowcount
    assert Batch(0, last=True, unreadable=frozenset({damaged})) == rotated(store, keys)
    assert "value of globex" == value_of(store, Vault(keyring.ring_of_file(path).narrowed()), *whole)


def test_the_environments_new_and_old_key_rotate_without_a_file(store: Store, path: Path) -> None:
    new, old = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    before = open_vault(store, path, old)
    made = tenant_with_secret(store, before, "acme")
    keys = open_vault(store, path, f"{new},{old}")
    for step in steps_of(store, keys):
        step()

    assert before.is_given_alone
    assert not keys.is_given_alone
    assert "value of acme" == value_of(store, open_vault(store, path, new), *made)
    with pytest.raises(KeyLost):
        open_vault(store, path, old)
    assert not path.exists()


def test_no_data_key_is_made_while_the_key_file_is_gone(store: Store, path: Path) -> None:
    """The next start could not open it; what is there stays readable, and the file may come back."""
    keys = open_vault(store, path, None)
    tenant, sealed = tenant_with_secret(store, keys, "acme")
    path.rename(path.with_name("away"))

    with pytest.raises(KeyLost, match=r"master.key cannot be read"):
        tenant_with_secret(store, keys, "globex")
    assert "value of acme" == value_of(store, keys, tenant, sealed)
    path.with_name("away").rename(path)
    tenant, sealed = tenant_with_secret(store, keys, "globex")
    assert "value of globex" == value_of(store, keys, tenant, sealed)


def test_a_rotation_stops_when_the_key_file_is_another_ones_by_now(store: Store, path: Path) -> None:
    keys = open_vault(store, path, None)
    other = keyring.new_ring()
    keyring.keep(path, other, replace=True)

    with pytest.raises(KeyLost):
        keys.begin()
    assert other == keyring.ring_of_file(path)
