"""What the engine answers to a check: findings, warnings, and what it keeps of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from engine.app import Engine
from engine.config import Config
from engine.errors import BadInput
from engine.hook import Hook
from engine.outcome import Finding, Outcome
from engine.turn import check_turn
from sandbox import wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

POINT = "post-change-password"
DOUBTFUL = "def hook(user, context, cb):\n    print(context.webtask.secrets.KEY)\n    cb(None, user.get('emial'))\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One engine for this file; each test leaves it as it was."""
    async with Engine(Config(wall_ms=10_000)) as started:
        yield started


def rules(outcome: Outcome) -> list[str]:
    """Of its warnings."""
    return [finding.rule for finding in outcome.warnings]


async def test_a_warning_refuses_nothing_and_has_a_place_and_a_hint(engine: Engine) -> None:
    """As `diagnostics` have them."""
    checked = await engine.check(Hook(DOUBTFUL, POINT))

    assert ("ok", "", None, ()) == (checked.status, checked.message, checked.line, checked.diagnostics)
    assert (
        Finding(
            rule="unknown-field",
            line=3,
            column=14,
            end=31,
            message="this point passes no 'user.emial'",
            hint="did you mean 'email'?",
        ),
    ) == checked.warnings


async def test_what_is_refused_has_its_warnings_too(engine: Engine) -> None:
    """One look shows all."""
    checked = await engine.check(Hook("import os\n" + DOUBTFUL, POINT))

    assert ("rejected", ["import"]) == (checked.status, [finding.rule for finding in checked.diagnostics])
    assert ["unknown-field"] == rules(checked)


async def test_a_run_warns_of_nothing_whatever_was_checked_before(engine: Engine) -> None:
    """Whether the check or the run comes first; each keeps what it found for itself."""
    hook = Hook(DOUBTFUL, POINT, tenant="keeps", secrets={"KEY": "value"})
    arguments = {"user": {}, "context": {"connection": {}}}
    for _ in range(2):
        assert ["unknown-field"] == rules(await engine.check(hook))
        ran = await engine.run(hook, arguments)
        assert ("ok", ()) == (ran.status, ran.warnings)


@pytest.mark.parametrize(
    ("own", "named", "warned"),
    [
        ({}, None, False),  # not known
        ({}, [], True),
        ({}, ["OTHER"], True),
        ({}, ["KEY"], False),
        ({"KEY": "v"}, None, False),
        ({"OTHER": "v"}, None, True),
        ({"KEY": "v"}, ["OTHER"], True),
        ({"OTHER": "v"}, ["OTHER", "KEY"], False),
    ],
)
async def test_secrets_are_known_by_the_hook_s_own_or_by_what_the_caller_names(
    engine: Engine, own: dict[str, str], named: Any, *, warned: bool
) -> None:
    """One engine, one source: each question has its own answer."""
    checked = await engine.check(Hook(DOUBTFUL, POINT, secrets=own), secrets=named)

    assert warned == ("unknown-secret" in rules(checked))


async def test_a_dependency_that_is_not_mapped_is_rejected_by_check_and_by_run(engine: Engine) -> None:
    """The same source without it is accepted."""
    good, bad = (Hook("cb()\n", POINT, dependencies=needs) for needs in ({"json": ""}, {"lodash": "4.17.21"}))
    arguments = {"user": {}, "context": {"connection": {}}}

    for hook, status in ((good, "ok"), (bad, "rejected"), (good, "ok")):
        assert status == (await engine.check(hook)).status
        assert status == (await engine.run(hook, arguments)).status
    assert ["dependency"] == [finding.rule for finding in (await engine.check(bad)).diagnostics]


async def test_the_fields_are_those_of_the_point(engine: Engine) -> None:
    """The same source on another point is another check."""
    source = "def hook(user, context, cb):\n    cb(None, user.password)\n"

    assert [] == rules(await engine.check(Hook(source, "pre-user-registration")))
    assert ["unknown-field"] == rules(await engine.check(Hook(source, POINT)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"json": 1}, "the dependency 'json' is not text"),
        ({1: "1"}, "the dependency 1 is not text"),
        ({"\ud800": ""}, "is not UTF-8"),
        ({"x" * 20_000: ""}, "larger than 16384 bytes"),
        ({f"m{n}": "1.0.0" for n in range(101)}, "101 names; the most allowed is 100"),
    ],
)
async def test_dependencies_are_a_small_mapping_of_texts(given: Any, said: str) -> None:
    """A mistake of the caller."""
    with pytest.raises(BadInput, match=said):
        Hook("cb()\n", POINT, dependencies=given)


@pytest.mark.parametrize("names", [[1], ["\ud800"], ["x" * 300_000]])
async def test_names_of_secrets_are_texts(engine: Engine, names: Any) -> None:
    """A mistake of the caller."""
    with pytest.raises(BadInput, match="secret"):
        await engine.check(Hook("cb()\n", POINT), secrets=names)


async def test_checks_of_one_source_at_the_same_time_are_one(engine: Engine) -> None:
    """And it is kept: the second asking takes no worker."""
    hook = Hook(DOUBTFUL + "# at once\n", POINT)
    found = await asyncio.gather(*(engine.check(hook) for _ in range(5)))

    assert all(found[0] is other for other in found)
    assert found[0] is await engine.check(hook)


async def test_a_worker_is_asked_for_warnings_only_by_a_check(engine: Engine) -> None:
    """Without advice there are none, whatever the source."""
    for advice, count in ((None, 0), (wire.Advice(("user.email",), ()), 2)):
        async with engine.pool.lease("plain", reuse=True) as worker:
            outcome, code = await check_turn(
                worker, wire.Check(DOUBTFUL, ("user", "context", "cb"), (), advice), 30_000
            )
        assert (count, True) == (len(outcome.warnings), code is not None)
