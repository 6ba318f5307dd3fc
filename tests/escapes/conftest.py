"""Run a hostile hook, see that it gained nothing, and that the engine serves on."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from engine.outcome import Outcome

HARMLESS = """
import json
import re
def hook(user, context, cb):
    failed = Error("no")
    cb(None, [json.dumps({"name": user.username}), re.sub("a", "b", "cat"), failed.message, "{:>3}".format(1)])
"""
SERVED = ['{"name": "user1"}', "cbt", "no", "  1"]
WON = "PW" + "NED"  # what a hook puts together once its attack has worked


def written(body: str, before: str = "") -> str:
    """A hook of that body, with `before` above it."""
    return f"{textwrap.dedent(before)}\ndef hook(user, context, cb):\n{textwrap.indent(textwrap.dedent(body), '    ')}"


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> str:
    """A tenant of this test's own: what one attack spoils, the next does not meet."""
    return f"mallory of {request.node.name}"[:100]


@pytest.fixture
def attack(run_hook: Callable[..., Outcome], tenant: str) -> Callable[..., Outcome]:
    """`attack(source, **hook)` → Outcome, in which nothing was won; afterwards hooks of two tenants end as ever."""

    def run(source: str, arguments: Any = None, **hook: Any) -> Outcome:
        outcome = run_hook(source, arguments, tenant=tenant, **hook)
        for served in (run_hook(HARMLESS, tenant=tenant), run_hook(HARMLESS, tenant="a bystander")):
            assert ("ok", SERVED) == (served.status, served.value()), "the attack spoiled what came after it"
            assert served.logs == (), "the attack logs into another job"
        assert WON.encode() not in msgspec.structs.replace(outcome, source=None).json()
        return outcome

    return run


@pytest.fixture
def reach(attack: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """`reach(expression, *lines)` → Outcome of a hook that, after `lines`, responds with the value of `expression`."""

    def run(expression: str, *lines: str, before: str = "", **hook: Any) -> Outcome:
        body = "\n".join([*lines, f"cb(None, 'PW' + 'NED ' + str({expression}))\n"])
        return attack(written(body, before), **hook)

    return run


@pytest.fixture
def hook_of() -> Callable[..., str]:
    """`hook_of(body, before="")` → source."""
    return written
