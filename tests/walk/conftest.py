"""`hookcell serve` as a process of its own, as an operator starts it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Serving, serving


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """`serve(*options, data=…, **environment)`: a server on a free port; those still running end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*options: str, data: Path | None = None, **environment: str) -> Serving:
            return stack.enter_context(serving(data or tmp_path / "data", *options, **environment))

        yield start
