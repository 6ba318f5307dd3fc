"""Two tenants share no worker, and two jobs share no state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.hook import Hook
from engine.outcome import Outcome
from engine.worker import Worker

POINT = "post-change-password"
ARGUMENTS = {"user": {"username": "user1"}, "context": {"connection": {}}}
READ_SECRET = "cb(None, str(context.webtask.secrets))"
HIDING = {
    "namespace": ("global stash\nstash = {}", "stash"),
    "user": ("user.stash = {}", "user.stash"),
    "context": ("context.webtask.stash = {}", "context.webtask.stash"),
    "secrets": ("context.webtask.secrets.stash = {}", "context.webtask.secrets.stash"),
    "data": ("context.webtask.data.stash = {}", "context.webtask.data.stash"),
    "console": ("console.stash = {}", "console.stash"),
    "module": ("module.stash = {}", "module.stash"),
    "the hook": ("hook.stash = {}", "hook.stash"),
    "a function of another job": ("def kept():\n    return 1\nkept.stash = {}", "kept.stash"),
    "defaults": ("hook.cache = lambda x=[]: x.append({})", "hook.cache"),
    "lru_cache": ("from functools import cache\nglobal f\nf = cache(lambda: {})\nf()", "f()"),
    "random": ("import random\nrandom.stash = {}", "require('random').stash"),
    "decimal": ("import decimal\ndecimal.getcontext().stash = {}", "require('decimal').getcontext().stash"),
    "a uuid": ("import uuid\nuuid.NAMESPACE_DNS.stash = {}", "require('uuid').NAMESPACE_DNS.stash"),
    "utc": ("import datetime\ndatetime.UTC.stash = {}", "require('datetime').UTC.stash"),
    "a zone": ("import zoneinfo\nzoneinfo.ZoneInfo('UTC').stash = {}", "require('zoneinfo').ZoneInfo('UTC').stash"),
    "printable text": ("import string\nstring.printable.stash = {}", "require('string').printable.stash"),
    "an ABC": ("import typing\ntyping.Iterable.stash = {}", "require('typing').Iterable.stash"),
    "a flag": ("import re\nre.I.stash = {}", "require('re').I.stash"),
}


@pytest.mark.parametrize(("write", "read"), HIDING.values(), ids=HIDING.keys())
@pytest.mark.parametrize("reader", ["the same tenant", "another tenant"])
def test_what_a_job_hides_is_found_by_no_other_job(
    run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str, write: str, read: str, reader: str
) -> None:
    """Neither the next job of the tenant nor that of another finds it."""
    run_hook(
        hook_of(f"{write.format('context.webtask.secrets.TOKEN')}\ncb()"), tenant=tenant, secrets={"TOKEN": "s3cr3t"}
    )
    outcome = run_hook(hook_of(f"cb(None, str({read}))"), tenant=tenant if reader == "the same tenant" else "bystander")

    assert b"s3cr3t" not in outcome.json()


def test_the_secrets_of_one_hook_are_not_those_of_the_next(
    run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """Secrets are per job, not per worker."""
    first = run_hook(hook_of(READ_SECRET), tenant=tenant, secrets={"A": "s3cr3t"})
    second = run_hook(hook_of(READ_SECRET), tenant=tenant, secrets={"B": "other"})
    third = run_hook(hook_of(READ_SECRET), tenant=tenant)

    assert ["{'A': 's3cr3t'}", "{'B': 'other'}", "{}"] == [first.value(), second.value(), third.value()]


def test_a_job_does_not_find_secrets_in_fresh_memory(
    run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """Memory that a hook asks for is blank, whatever was in it before."""
    run_hook(
        hook_of("kept = [context.webtask.secrets.TOKEN * 1000 for i in range(1000)]\ncb()"),
        tenant=tenant,
        secrets={"TOKEN": "s3cr3t"},
    )
    outcome = run_hook(hook_of("cb(None, any(bytes(10**7)) or b's3cr3t' in bytearray(10**7))"), tenant=tenant)

    assert False is outcome.value()


def test_no_worker_serves_two_tenants(engine_thread: Any) -> None:
    """A worker that was leased to one tenant is never leased to another."""
    served: dict[Worker, set[str]] = {}

    async def lease(tenant: str) -> None:
        async with engine_thread.engine.pool.lease(tenant, reuse=True) as worker:
            served.setdefault(worker, set()).add(tenant)

    async def together() -> None:
        for _ in range(5):
            await asyncio.gather(*(lease(f"tenant {number % 4}") for number in range(12)))

    engine_thread.wait(together())

    assert {1} == {len(tenants) for tenants in served.values()}
    assert 4 == len(set.union(*served.values()))


def test_the_code_of_one_tenant_is_not_run_for_another(engine_thread: Any, hook_of: Callable[..., str]) -> None:
    """The same source of two tenants is compiled twice: code made in one tenant's worker stays with that tenant."""
    source = hook_of("cb(None, 'kept apart')")
    for name in ("compiles one", "compiles two"):
        engine_thread.run(source, tenant=name)
    keys = [key for key in engine_thread.engine._kept if key[0].startswith("compiles")]

    assert {"compiles one", "compiles two"} == {key[0] for key in keys}


def test_a_fresh_worker_serves_every_job_of_mode_invocation(
    run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """In that mode not even the tenant's own jobs share a process."""
    count = hook_of("import re\nre.A.count = getattr(re.A, 'count', 0) + 1\ncb(None, re.A.count)")
    outcomes = [run_hook(count, tenant=tenant, mode="invocation") for _ in range(3)]

    assert {b"1", b"null"} >= {bytes(outcome.result) for outcome in outcomes}


def test_two_jobs_at_the_same_time_do_not_hear_each_other(engine_thread: Any, hook_of: Callable[..., str]) -> None:
    """Logs and results of jobs that run at once go to their own callers."""
    source = hook_of("for i in range(20):\n    print(user.username)\ncb(None, user.username)")
    names = [f"user {number}" for number in range(20)]

    async def together() -> list[Outcome]:
        runs = [
            engine_thread.engine.run(
                Hook(source, POINT, "busy"), {"user": {"username": name}, "context": {"connection": {}}}
            )
            for name in names
        ]
        return await asyncio.gather(*runs)

    for name, outcome in zip(names, engine_thread.wait(together()), strict=True):
        assert ("ok", name, {name}) == (outcome.status, outcome.value(), {event.text for event in outcome.logs})
