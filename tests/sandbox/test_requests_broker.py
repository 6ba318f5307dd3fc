"""The calls of calls.yaml once more, the whole way: a locked worker, the engine's broker, a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from oracle import as_hook, calls, library_name

from engine.config import Config
from engine.outcome import Outcome
from engine.points import point_named

CALLS = calls()
NOTHING = {}  # what a point makes of a response that is none


@pytest.fixture(scope="module")
def run(hosts: tuple[str, str], new_engine: Callable[..., Any]) -> Callable[[str], Outcome]:
    """A hook's outcome in an engine that lets it call these hosts."""
    engine = new_engine(Config(egress_exceptions=("127.0.0.0/8",), egress_ports=("9", "1024-65535")))
    arguments = point_named("post-change-password").sample
    user = arguments["user"] | dict(zip(("base", "other"), hosts, strict=True))

    def run(code: str) -> Outcome:
        outcome: Outcome = engine.run(as_hook(code), arguments | {"user": user})
        return outcome

    return run


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_through_the_broker_what_it_is_in_the_library(
    run: Callable[[str], Outcome], expected: dict[str, Any], name: str
) -> None:
    outcome = run(CALLS[name])
    kind, value = expected[name]

    if kind == "ok":
        assert ("ok", value or NOTHING) == (outcome.status, outcome.value() or NOTHING), outcome.message
    else:
        assert ("raised", value) == (outcome.status, library_name(outcome.message.partition(":")[0])), outcome.message
