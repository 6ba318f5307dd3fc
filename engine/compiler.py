"""Which compiler makes today's code: the Python and the policy together, as one text.

Compiled code is kept with it; code of another Python, or of another policy, is made anew before it is used. The sandbox
is read as files here, never imported: what compiles is a worker.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator
from pathlib import Path

_SUFFIXES = frozenset({".py", ".yaml"})


@functools.cache
def fingerprint() -> str:
    """Of the code that our workers make: "cpython-3.11.9-a70d0d0a/restrictedpython-9.0/sha256-…"."""
    python = f"cpython-{platform.python_version()}-{importlib.util.MAGIC_NUMBER.hex()}"
    restricted = f"restrictedpython-{importlib.metadata.version('RestrictedPython')}"
    return f"{python}/{restricted}/sha256-{digest_of(sandbox_folder())}"


def digest_of(folder: Path) -> str:
    """SHA-256 over the files of a policy: the names and the bytes of each, lengths first, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(_files(folder)):
        for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())


def sandbox_folder() -> Path:
    """Where the sandbox's own files stand."""
    spec = importlib.util.find_spec("sandbox")
    assert spec is not None, "the sandbox stands beside the engine"
    assert spec.origin is not None, "and is a package"
    return Path(spec.origin).parent
