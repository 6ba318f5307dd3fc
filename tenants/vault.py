"""Secrets at rest: AES-256-GCM, a data key per tenant, itself sealed with the operator's master key.

What is sealed is tied to its place (tenant, hook, name): a row that is moved in the database does not open. Rotation
seals the data keys anew, never the secrets: `begin`, `seal_anew` until nothing is left, `end`. A process that dies
in between leaves both keys in the file; to rotate again ends it.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenants import keyring, register, schema
from tenants.errors import Corrupt, KeyLost, Taken, Unstorable
from tenants.keyring import KeyRing
from tenants.records import SealedKey
from tenants.rows import Everything
from tenants.store import Store

_FORM = b"\x01"  # first byte of all that is sealed: which cipher and which order of its parts
_NONCE_BYTES = 12  # random: 2^32 values under one key before two are likely enough to be the same
_META = "master_key"  # row of `meta`: id of the key that the store began with, or was last sealed anew with


class Vault:
    """Seals and opens. One for all tenants; its master keys change while it is in use, in one assignment.

    The key file is looked at again before a data key is made, and when a master key is not known: another process over
    the same folder may have rotated.
    """

    def __init__(self, ring: KeyRing, path: Path | None = None) -> None:
        self._ring = ring
        self._path = path  # of the key file; None: the keys are of the environment
        self._seen: tuple[int, ...] = ()  # which key file was read last
        self.rotation = threading.Lock()  # held by who rotates: one at a time

    def new_data_key(self, tenant_id: str) -> SealedKey:
        """A tenant's own key. Make it where it is stored, in the change: a rotation then cannot overtake it.

        Raises KeyLost, rather than sealing with a key that is on no disk any more.
        """
        self._look_again()
        return self._wrapped(tenant_id, secrets.token_bytes(32))

    def seal(self, tenant_id: str, data_key: SealedKey, hook_id: str, name: str, value: str) -> bytes:
        """The value of a secret as it is stored. Raises KeyLost, Corrupt, Unstorable."""
        try:
            told = value.encode()
        except UnicodeEncodeError:
            raise Unstorable("a secret has half of a surrogate pair in it, which is no character") from None
        return _sealed(self._data_key(tenant_id, data_key), told, "secret", tenant_id, hook_id, name)

    def open(self, tenant_id: str, data_key: SealedKey, hook_id: str, name: str, sealed: bytes) -> str:
        """The value again. Raises KeyLost, and Corrupt for whatever was not sealed for this very place."""
        opened = _opened(self._data_key(tenant_id, data_key), sealed, "secret", tenant_id, hook_id, name)
        return opened.decode()

    def rewrap(self, tenant_id: str, data_key: SealedKey) -> SealedKey:
        """The same data key, sealed with the current master key. Raises KeyLost, Corrupt."""
        return self._wrapped(tenant_id, self._data_key(tenant_id, data_key))

    def check(self, key_id: str) -> None:
        """Raises KeyLost for a master key that is not here."""
        self._ring.key(key_id)

    @property
    def current(self) -> str:
        """Id of the master key that data keys are sealed with."""
        return self._ring.current

    @property
    def is_given_alone(self) -> bool:
        """Whether the environment gives one key, so that there is none to change to."""
        return self._path is None and not self._ring.rotating

    def begin(self) -> KeyRing:
        """The first step of a rotation: a new master key, on the disk beside the old one. `use` it then.

        A rotation that was begun before is taken up instead; keys of the environment are those that are to be used.
        Raises KeyLost, OSError.
        """
        if self._path is None:
            return self._ring
        ring = keyring.ring_of_file(self._path)
        ring.key(self._ring.current)
        if not ring.rotating:
            ring = ring.widened()
            keyring.keep(self._path, ring, replace=True)
        return ring

    def use(self, ring: KeyRing) -> None:
        """Seal with the current key of `ring` from now on. Older keys still open what was read before."""
        self._ring = ring.joined(self._ring)

    def end(self) -> None:
        """The last step: no old key is on the disk any more. Raises KeyLost, OSError."""
        if self._path is not None:
            keyring.keep(self._path, keyring.ring_of_file(self._path).narrowed(), replace=True)

    def _look_again(self) -> None:
        if self._path is None:
            return
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_mode)
            if seen != self._seen:
                self.use(keyring.ring_of_file(self._path))
                self._seen = seen
        except OSError as error:
            raise KeyLost(f"{self._path} cannot be read: {error.strerror}") from None

    def _wrapped(self, tenant_id: str, key: bytes) -> SealedKey:
        ring = self._ring
        wrapped = _sealed(ring.key(ring.current), key, "data key", tenant_id, ring.current)
        return SealedKey(master_key_id=ring.current, wrapped=wrapped)

    def _data_key(self, tenant_id: str, data_key: SealedKey) -> bytes:
        master_id = data_key.master_key_id
        if not self._ring.knows(master_id):
            self._look_again()
        return _opened(self._ring.key(master_id), data_key.wrapped, "data key", tenant_id, master_id)


def open_vault(store: Store, path: Path, text: str | None) -> Vault:
    """The vault of a store that is open: with the environment's keys, if there are any, else with those of the file.

    The first start makes the file. Raises KeyLost when the keys are not those of the store.
    """
    vault = Vault(_ring_of(store, path), path) if text is None else Vault(keyring.ring_of_text(text))
    try:
        store.write_all(_check, vault).result()
    except Taken:  # another node began with its key at the same moment: is it ours?
        store.write_all(_check, vault).result()
    return vault


def _ring_of(store: Store, path: Path) -> KeyRing:
    try:
        return keyring.ring_of_file(path)
    except FileNotFoundError:
        if used := store.read_all(_used).result():
            named = ", ".join(sorted(used))
            told = f"{path} is missing, and the store is sealed with the master key {named}"
            raise KeyLost(f"{told}. Restore the file from its backup; a new key could not open a secret.") from None
    try:
        keyring.keep(path, keyring.new_ring(), replace=False)
    except FileExistsError:
        pass  # of another process, at this moment
    except OSError as error:
        raise KeyLost(f"{path} cannot be written: {error.strerror}") from None
    return keyring.ring_of_file(path)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of a rotation has done."""

    sealed: int  # data keys
    last: bool  # there was none left
    unreadable: frozenset[str]  # ids of tenants whose data key no master key opens: it is left as it is


def seal_anew(everything: Everything, vault: Vault, passed_over: frozenset[str], most: int) -> Batch:
    """Seal `most` more data keys with the current master key. `passed_over`: tenants found unreadable before."""
    found = register.data_keys_not_under(everything, vault.current, most + len(passed_over))
    unreadable, sealed = set(passed_over), 0
    for tenant_id in found.keys() - passed_over:
        try:
            made = vault.rewrap(tenant_id, found[tenant_id])
        except (Corrupt, KeyLost):
            unreadable.add(tenant_id)
        else:
            sealed += register.rewrap(everything, tenant_id, found[tenant_id], made)
    return Batch(sealed, not found.keys() - passed_over, frozenset(unreadable))


def all_sealed(everything: Everything, vault: Vault) -> None:
    """Note that the store needs no master key but the current one."""
    register.keep(everything, _META, vault.current.encode())


def _check(everything: Everything, vault: Vault) -> None:
    """Raises KeyLost, unless every master key that is in use is here. An empty store takes the one that comes first."""
    for key_id in sorted(_used(everything, first=vault.current)):
        vault.check(key_id)


def _used(everything: Everything, first: str | None = None) -> set[str]:
    """The master keys that are in use. With none in use, `first` is from now on; Taken if another node is quicker."""
    keys = schema.data_keys
    noted = register.kept(everything, _META)
    sealing = everything.execute(everything.select(keys, keys.c.master_key_id).distinct()).scalars()
    used = {*sealing, *([noted.decode()] if noted else [])}
    if first and not used:
        everything.execute(everything.insert(schema.meta).values(name=_META, value=first.encode()))
    return used


def _sealed(key: bytes, plain: bytes, *place: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _FORM + nonce + AESGCM(key).encrypt(nonce, plain, _named(place))


def _opened(key: bytes, sealed: bytes, *place: str) -> bytes:
    nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    moved = Corrupt(f"a stored {place[0]} was changed, or moved from another place, and does not open")
    if sealed[:1] != _FORM or len(nonce) < _NONCE_BYTES:
        raise moved
    try:
        return AESGCM(key).decrypt(nonce, rest, _named(place))
    except InvalidTag:
        raise moved from None


def _named(place: tuple[str, ...]) -> bytes:
    """Each part behind its length, so that no two places read the same."""
    parts = [part.encode("utf-8", "surrogatepass") for part in place]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
