"""The durable queue keeps no secret of a hook, whatever the hook answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from queueing import Place

from tenants.records import Retry

SOON = {"first_ms": 1, "most_ms": 2}  # between two attempts


@pytest.fixture
def place(engine_thread: Any, tmp_path: Path) -> Iterator[Place]:
    """An empty database."""
    place = Place(engine_thread.wait, engine_thread.engine, f"sqlite:///{tmp_path}/store.db", tmp_path)
    yield place
    place.close()


def test_a_secret_that_a_hook_answers_never_lies_in_the_database(place: Place) -> None:
    """Not between two attempts either: the hooks after it are given it masked, in the first attempt as in others."""
    node, acme = place.node(), place.tenant(multiple_hooks=True)
    first = place.hook(acme, "cb(None, [context.webtask.secrets.KEY, 1])", name="first", order=1)
    place.secret(acme, first, "KEY", "hunter-2-hunter")
    told = "console.log(context.webtask.response)\n"
    retry = Retry(attempts=2, **SOON)
    second = place.hook(acme, f'{told}raise ValueError("never")', name="second", order=2, retry=retry)
    execution_id = place.enqueue(node, acme, first, second)
    dead = place.ended(acme, execution_id)
    (run,) = dead.outcome["hooks"]

    assert ("dead", 2, '["***",1]') == (dead.status, dead.attempt, dead.response)
    assert "***" in run["outcome"]["logs"][0]["text"]
    assert "hunter" not in str(dead)


def test_of_what_has_ended_well_no_answer_is_kept(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb(None, context)")
    place.secret(acme, hook, "KEY", "hunter-2-hunter")
    execution = place.ended(acme, place.enqueue(node, acme, hook))

    assert ("success", "null") == (execution.status, execution.response)
    assert None is execution.outcome["hooks"][0]["outcome"]["result"]
    assert "hunter" not in str(execution)
