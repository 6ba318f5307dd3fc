from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants import keyring
from tenants.errors import KeyLost


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def written(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_a_ring_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    ring = keyring.new_ring().widened()
    keyring.keep(tmp_path / "master.key", ring, replace=False)

    assert ring == keyring.ring_of_file(tmp_path / "master.key")
    assert 2 == len(ring.keys)


def test_only_its_owner_reads_the_key_file_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keyring.keep(tmp_path / "master.key", keyring.new_ring(), replace=False)
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE((tmp_path / "master.key").stat().st_mode)


def test_a_key_file_that_is_there_is_not_written_over_by_a_first_start(tmp_path: Path) -> None:
    path, ring = tmp_path / "master.key", keyring.new_ring()
    keyring.keep(path, ring, replace=False)

    with pytest.raises(FileExistsError):
        keyring.keep(path, keyring.new_ring(), replace=False)
    assert ring == keyring.ring_of_file(path)
    assert [path] == list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    """As on a full disk: half a key file would be a lost key."""
    path, ring = tmp_path / "master.key", keyring.new_ring()
    keyring.keep(path, ring, replace=False)

    with pytest.raises(UnicodeEncodeError):
        keyring.write_private(path, "half" + "\ud800", replace=True)
    assert ring == keyring.ring_of_file(path)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o777, 0o610])
def test_a_key_file_that_others_may_use_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    keyring.keep(path, keyring.new_ring(), replace=False)
    path.chmod(mode)

    with pytest.raises(KeyLost, match=rf"mode 0{mode:o}.*chmod 600"):
        keyring.ring_of_file(path)


def damaged_texts() -> dict[str, str | bytes]:
    ring, key = keyring.new_ring(), secrets.token_bytes(32)
    good = {ring.current: text_of(ring.keys[ring.current])}
    return {
        "empty": "",
        "half": json.dumps({"current": ring.current, "keys": good})[:40],
        "no JSON": "\x00\xff",
        "no text": b"\xff\xfe\x00",
        "deep": "[" * 60_000,
        "a list": "[]",
        "no current": json.dumps({"keys": good}),
        "another current": json.dumps({"current": "0" * 16, "keys": good}),
        "another key": json.dumps({"current": ring.current, "keys": {ring.current: text_of(key)}}),
        "a short key": json.dumps({"current": ring.current, "keys": {ring.current: text_of(key[:16])}}),
        "a number": json.dumps({"current": ring.current, "keys": {ring.current: 7}}),
        "keys in a list": json.dumps({"current": ring.current, "keys": [ring.current]}),
    }


@pytest.mark.parametrize("case", damaged_texts())
def test_a_damaged_key_file_is_refused_and_left_as_it_is(tmp_path: Path, case: str) -> None:
    text = damaged_texts()[case]
    path = written(tmp_path / "master.key", text)
    before = path.read_bytes()

    with pytest.raises(KeyLost) as refused:
        keyring.ring_of_file(path)
    assert before == path.read_bytes()
    assert "master.key" in str(refused.value)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "master.key")

    with pytest.raises(KeyLost, match=r"not a file|cannot be read"):
        keyring.ring_of_file(tmp_path / "master.key")


def test_a_missing_file_is_not_the_same_as_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keyring.ring_of_file(tmp_path / "master.key")


def test_the_environment_gives_several_keys_the_current_one_first() -> None:
    new, old = secrets.token_bytes(32), secrets.token_bytes(32)
    ring = keyring.ring_of_text(f"{text_of(new)} , {text_of(old)}")

    assert new == ring.key(ring.current)
    assert old == ring.key(keyring.id_of(old))
    assert ring.rotating


@settings(deadline=None)
@given(text=st.text(max_size=80))
def test_any_other_text_of_the_environment_is_refused_without_being_told(text: str) -> None:
    """It may be most of a key."""
    with pytest.raises(KeyLost) as refused:
        keyring.ring_of_text(text)

    assert "HOOKCELL_MASTER_KEY holds what is not base64 of 32 bytes" == str(refused.value)


@settings(deadline=None)
@given(keys=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3, unique=True))
def test_keys_of_the_environment_are_those_that_were_given(keys: list[bytes]) -> None:
    ring = keyring.ring_of_text(",".join(map(text_of, keys)))

    assert set(keys) == set(ring.keys.values())
    assert keyring.id_of(keys[0]) == ring.current


def test_a_key_stands_in_no_repr() -> None:
    ring = keyring.new_ring()
    key = ring.key(ring.current)

    assert repr(key)[2:-1] not in repr(ring)
    assert text_of(key) not in repr(ring)


def test_a_narrowed_ring_has_forgotten_the_older_key() -> None:
    old = keyring.new_ring()
    narrow = old.widened().narrowed()

    with pytest.raises(KeyLost, match=old.current):
        narrow.key(old.current)
    assert not narrow.rotating
