"""The fingerprint: another Python, another policy, another text; the same ones, the same text."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine import compiler

CODE = "import sys; from engine.compiler import fingerprint; print(fingerprint(), 'RestrictedPython' in sys.modules)"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sandbox's files, to change."""
    shutil.copytree(compiler.sandbox_folder(), tmp_path / "sandbox")
    return tmp_path / "sandbox"


def test_it_names_the_python_that_workers_run() -> None:
    magic = importlib.util.MAGIC_NUMBER.hex()

    assert compiler.fingerprint().startswith(f"cpython-{platform.python_version()}-{magic}/restrictedpython-")


def test_it_ends_with_the_digest_of_the_sandbox() -> None:
    assert compiler.fingerprint().endswith(f"/sha256-{compiler.digest_of(compiler.sandbox_folder())}")


def test_another_process_finds_the_same_and_needs_no_compiler_for_it() -> None:
    """Files are read, not imported: RestrictedPython stays out of the engine."""
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)

    assert [compiler.fingerprint(), "False"] == told.stdout.split()


def test_where_the_sandbox_stands_is_no_part_of_it(copied: Path) -> None:
    assert compiler.digest_of(compiler.sandbox_folder()) == compiler.digest_of(copied)


@pytest.mark.parametrize("name", ["policy.py", "vocabulary.py", "modules/modules.yaml", "advice/flow.py"])
def test_a_byte_more_in_any_file_is_another_policy(copied: Path, name: str) -> None:
    before = compiler.digest_of(copied)
    with (copied / name).open("ab") as file:
        file.write(b"\n")

    assert before != compiler.digest_of(copied)


def test_a_file_more_less_or_of_another_name_is_another_policy(copied: Path) -> None:
    digests = [compiler.digest_of(copied)]
    (copied / "rules.py").write_bytes(b"")
    digests.append(compiler.digest_of(copied))
    (copied / "rules.py").rename(copied / "more.py")
    digests.append(compiler.digest_of(copied))
    (copied / "naming.py").unlink()
    digests.append(compiler.digest_of(copied))

    assert 4 == len(set(digests))


def test_bytes_that_move_from_one_file_to_the_next_are_another_policy(tmp_path: Path) -> None:
    digests = set()
    for first, second in ((b"ab", b"c"), (b"a", b"bc"), (b"", b"abc")):
        (tmp_path / "a.py").write_bytes(first)
        (tmp_path / "b.py").write_bytes(second)
        digests.add(compiler.digest_of(tmp_path))

    assert 3 == len(digests)


def test_what_python_keeps_beside_the_files_is_no_part_of_it(copied: Path) -> None:
    before = compiler.digest_of(copied)
    (copied / "__pycache__").mkdir(exist_ok=True)
    (copied / "__pycache__" / "policy.cpython-399.pyc").write_bytes(b"x")

    assert before == compiler.digest_of(copied)
