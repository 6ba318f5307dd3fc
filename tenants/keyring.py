"""The operator's master key: in a file that only its owner reads, or the environment's text. Two only while rotating.

    {"current": "9f2c…", "keys": {"9f2c…": "base64 of 32 bytes"}}

A key's id is made from the key, so a wrong key is known by its id, before anything is opened with it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenants.errors import KeyLost

_KEY_BYTES = 32  # AES-256
_FILE_BYTES = 64 << 10  # more is no key file
_RESTORE = "Restore master.key from its backup; without it the stored secrets cannot be read."


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The master keys that are known."""

    current: str  # id of the key that data keys are sealed with
    keys: Mapping[str, bytes] = field(repr=False)  # by id, 32 bytes each

    def key(self, key_id: str) -> bytes:
        """Raises KeyLost."""
        found = self.keys.get(key_id)
        if found is None:
            raise KeyLost(f"the secrets are sealed with the master key {key_id}, which is not here. {_RESTORE}")
        return found

    def knows(self, key_id: str) -> bool:
        """Whether the key is here."""
        return key_id in self.keys

    @property
    def rotating(self) -> bool:
        """Whether a rotation was begun and has not ended."""
        return len(self.keys) > 1

    def widened(self) -> KeyRing:
        """With a new key, which is the current one."""
        made = secrets.token_bytes(_KEY_BYTES)
        return KeyRing(id_of(made), {**self.keys, id_of(made): made})

    def narrowed(self) -> KeyRing:
        """Without all keys but the current one."""
        return KeyRing(self.current, {self.current: self.keys[self.current]})

    def joined(self, older: KeyRing) -> KeyRing:
        """With the keys of `older` too, to read with."""
        return KeyRing(self.current, {**older.keys, **self.keys})


def id_of(key: bytes) -> str:
    """Sixteen hexadecimal digits."""
    return hashlib.sha256(b"hookcell master key\0" + key).hexdigest()[:16]


def new_ring() -> KeyRing:
    """A ring with a new key."""
    return KeyRing("", {}).widened()


def ring_of_text(text: str) -> KeyRing:
    """Of the environment: base64 of 32 bytes; several with commas, the current one first. Raises KeyLost."""
    keys = [_decoded(part.strip(), "HOOKCELL_MASTER_KEY") for part in text.split(",")]
    return KeyRing(id_of(keys[0]), {id_of(key): key for key in keys})


def ring_of_file(path: Path) -> KeyRing:
    """Of the key file. Raises FileNotFoundError, and KeyLost for what is no key file, or what others may read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            read = file.read(_FILE_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyLost(f"{path} cannot be read: {error.strerror}") from None
    return _parsed(path, read)


def keep(path: Path, ring: KeyRing, *, replace: bool) -> None:
    """Writes the key file, whole or not at all; it is on the disk before this returns. Raises as `write_private`."""
    keys = {key_id: base64.b64encode(key).decode() for key_id, key in ring.keys.items()}
    write_private(path, json.dumps({"current": ring.current, "keys": keys}) + "\n", replace=replace)


def write_private(path: Path, text: str, *, replace: bool) -> None:
    """Writes a file that only its owner reads: whole or not at all, and on the disk before this returns.

    Raises FileExistsError, if it is not to replace one; OSError.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    _sync_folder(path.parent)


def is_private(found: os.stat_result) -> bool:
    """Whether nobody but its owner may read or write it."""
    return not stat.S_IMODE(found.st_mode) & 0o077


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyLost(f"{path} is not a file")
    if not is_private(found):
        mode = stat.S_IMODE(found.st_mode)
        raise KeyLost(f"{path} has mode {mode:04o}, so others than its owner may read it; do: chmod 600 {path}")


def _parsed(path: Path, read: bytes) -> KeyRing:
    try:
        found: Any = json.loads(read)
        match found:
            case {"current": str(current), "keys": dict(texts)} if current in texts:
                return KeyRing(current, {key_id: _checked(path, key_id, text) for key_id, text in texts.items()})
    except (ValueError, RecursionError):
        pass
    raise _damaged(path)


def _checked(path: Path, key_id: str, text: Any) -> bytes:
    key = _decoded(text, str(path)) if isinstance(text, str) else b""
    if id_of(key) != key_id:
        raise _damaged(path)
    return key


def _damaged(path: Path) -> KeyLost:
    return KeyLost(f"{path} is damaged. {_RESTORE}")


def _decoded(text: str, where: str) -> bytes:
    with contextlib.suppress(binascii.Error, ValueError):
        key = base64.b64decode(text, validate=True)
        if len(key) == _KEY_BYTES:
            return key
    raise KeyLost(f"{where} holds what is not base64 of {_KEY_BYTES} bytes")


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
