"""A PostgreSQL of our own, which keeps nothing, and empty databases in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

_NUMBERS = count(1)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The folder of its socket, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = _somebody() if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    programs = _programs()

    def run(name: str, *arguments: str) -> None:
        with (folder / "said").open("ab") as said:
            subprocess.run(
                [programs / name, "-D", folder / "data", *arguments], user=user, cwd=folder, stdout=said, check=True
            )

    run("initdb", "-A", "trust", "-U", "hookcell", "-E", "UTF8", "--no-locale", "--no-sync")
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses= -c fsync=off")
    yield str(folder)
    run("pg_ctl", "stop", "-w", "-m", "immediate")
    shutil.rmtree(folder)


@contextlib.contextmanager
def database(folder: str) -> Iterator[str]:
    """The address of an empty database of that cluster, which is gone when the block ends."""
    name = f"store{next(_NUMBERS)}"
    server = f"host={folder} user=hookcell dbname=postgres"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield f"postgresql+psycopg://hookcell@/{name}?host={folder}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _programs() -> Path:
    """Where PostgreSQL's programs are; Debian has its own place for them."""
    for attempt in range(2):
        found = [shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        if there := [Path(name).resolve().parent for name in found if name]:
            return max(there)
        if attempt == 0 and os.geteuid() == 0 and shutil.which("apt-get"):
            subprocess.run(["apt-get", "update", "-q"], check=False, capture_output=True)
            subprocess.run(["apt-get", "install", "-y", "-q", "postgresql"], check=False, capture_output=True)
    pytest.fail("PostgreSQL's programs (initdb, pg_ctl, postgres) are not here: install the package postgresql")


def _somebody() -> str:
    """Whom PostgreSQL runs as: it refuses root."""
    names = {line.partition(":")[0] for line in Path("/etc/passwd").read_text().splitlines()}
    return "postgres" if "postgres" in names else "nobody"
