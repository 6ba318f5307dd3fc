"""The benchmark of the store asks a store that is as a server makes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app import Compiled, Engine
from engine.benchmarks import language, store
from engine.compiler import fingerprint
from engine.config import Config
from engine.hook import Hook
from tenants import hooks

SMALL = 3  # tenants


@pytest.fixture
async def made() -> Compiled:
    async with Engine(Config()) as engine:
        return await store.compiled(engine)


async def test_every_tenant_of_the_filled_store_has_hooks_that_run(tmp_path: Path, made: Compiled) -> None:
    """One enabled at each point, live, with code of today's compiler."""
    store.fill(tmp_path / "data", SMALL, made)
    with store._opened(tmp_path / "data") as (opened, tenants):
        found = [opened.read(tenant, hooks.page).result() for tenant in tenants]
        (hook,) = opened.read(tenants[-1], hooks.enabled_of, "post-change-password").result()
        check = opened.read(tenants[-1], hooks.check_of, hook.id, 1, fingerprint()).result()
    async with Engine(Config()) as engine:
        runnable = Hook(hook.version.source, hook.trigger_id, tenants[-1], code=check.code)
        outcome = await engine.run(runnable, language.point_named(language.POINT).sample)

    assert [store.HOOKS] * SMALL == [total for _, total in found]
    assert "ok" == outcome.status


async def test_each_question_has_its_figure_and_its_steps(
    tmp_path: Path, made: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small round of each, with a real server."""
    for name, value in {"TENANTS": SMALL, "FEW": 2, "_UPLOADS": 2, "_LISTS": 2, "_LISTED": 3, "_LOOKUPS": 5}.items():
        monkeypatch.setattr(store, name, value)
    monkeypatch.setattr(store, "_AT_ONCE", 1)
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path))
    advanced: list[None] = []
    figures = store.measure(made, lambda: advanced.append(None))

    assert {"ms": 50, "s": 2, "MiB": 300} == {each.unit: each.budget for each in figures if each.unit != "x"}
    assert [5, 5, 1.3] == [each.budget for each in figures if each.unit == "x"]
    assert all(each.measured > 0 for each in figures)
    assert store.steps() == len(advanced) - 1  # the few are filled by one step in earnest, by two here
