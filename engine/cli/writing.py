"""Writing what a command leaves behind: whole or not at all, and never over what is there unless that is asked for."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from engine.errors import BadInput


def check_new(path: Path) -> None:
    """Raises BadInput when something is there already, or nothing can be made there."""
    if path.exists() or path.is_symlink():
        raise BadInput(f"{str(path)!r} is there already; nothing is overwritten")
    if not path.parent.is_dir():
        raise BadInput(f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}")


def write_new(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Make a file. Raises BadInput, when it is there already among others."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError:
        raise BadInput(f"{str(path)!r} is there already; nothing is overwritten") from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def write_over(path: Path, content: bytes) -> None:
    """Make or replace a file, and the folders above it: whole or not at all. Raises BadInput."""
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{str(path)!r} cannot be written: {getattr(error, 'strerror', None) or error}")
