"""The data folder of a server, as `serve` and `migrate` are given it: made at first, owner-only, checked before use."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.config import Config


def config_of(given: dict[str, Any]) -> Config:
    """The settings, with what the command line says before them; the data folder is there then. Raises EngineError."""
    from engine.config import Config

    config = Config(**{name: value for name, value in given.items() if value is not None})
    _make_folder(Path(config.data))
    _tighten(Path(config.data))
    return config


def _make_folder(folder: Path) -> None:
    from engine.errors import BadConfig

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig(f"the data folder {str(folder)!r} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise BadConfig(f"the data folder {str(folder)!r} cannot be written to; --data names another")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        others = "so others could put their own files into it; do: chmod go-w"
        raise BadConfig(f"the data folder {str(folder)!r} has mode {mode:04o}, {others} {folder}")


def _tighten(folder: Path) -> None:
    """The database for its owner alone: a copy that was put back has the mode that its copying gave it."""
    from engine.errors import BadConfig

    for path in sorted(folder.glob("hookcell.db*")):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(0o600)
        except FileNotFoundError:
            continue  # another server has just ended, and taken its log away
        except OSError as error:
            said = "others than its owner may use it, and its mode cannot be changed"
            raise BadConfig(f"{path}: {said}: {error.strerror}; do: chmod 600 {path}") from None
