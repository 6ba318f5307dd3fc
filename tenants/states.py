"""How an execution may stand. A file of its own: the command line asks for it before it loads anything."""

from __future__ import annotations

from typing import Literal

ExecutionStatus = Literal["queued", "running", "success", "error", "dead"]
