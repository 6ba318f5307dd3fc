"""What a tenant's calls find: always what was acknowledged before they began, and mostly without asking for it."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from house import LOOPBACK, POINT, House, draft_of_old, source

from tenants import hooks, register
from tenants.errors import Missing
from tenants.records import Settings

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True),
]

OTHER_POINT = "post-change-password"


async def names(house: House, tenant_id: str, trigger_id: str = POINT) -> list[str]:
    return [hook.record.name for hook in (await house.standings.of(tenant_id)).of_point(trigger_id)]


async def test_a_tenant_that_has_not_changed_is_not_read_again(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, "cb()")

    assert await house.standings.of(acme.id) is await house.standings.of(acme.id)


async def test_a_change_of_another_tenant_changes_nothing(house: House) -> None:
    acme, globex = house.tenant(), house.tenant("globex")
    before = await house.standings.of(acme.id)
    await house.hook(globex, "cb()")

    assert before is await house.standings.of(acme.id)


@pytest.mark.parametrize("process", ["this one", "another one"])
async def test_whatever_was_acknowledged_is_seen_whichever_process_made_it(house: House, process: str) -> None:
    """A version, a switch, a secret, a setting, an end; each by the very next call."""
    by = house.store if process == "this one" else house.other
    acme = house.tenant()
    assert [] == await names(house, acme.id)

    hook = await house.hook(acme, "cb()")
    assert ["it"] == await names(house, acme.id)

    house.change(acme, hook, by=by, draft=await house.draft(acme, "cb(None, {})"))
    (found,) = (await house.standings.of(acme.id)).of_point(POINT)
    assert 2 == found.record.version.number

    house.change(acme, hook, by=by, enabled=False)
    assert [] == await names(house, acme.id)

    house.change(acme, hook, by=by, enabled=True)
    house.secret(acme, hook, "KEY", "s3cret", by=by)
    (found,) = (await house.standings.of(acme.id)).of_point(POINT)
    assert found.runnable is not None
    assert {"KEY": "s3cret"} == found.runnable.secrets

    by.write_all(register.change, acme.id, dataclasses.replace(acme.settings, wall_ms=77)).result(60)
    (found,) = (await house.standings.of(acme.id)).of_point(POINT)
    assert found.runnable is not None
    assert 77 == found.runnable.limits.wall_ms

    by.write(acme.id, hooks.remove, hook.id).result(60)
    assert [] == await names(house, acme.id)


async def test_callers_at_the_same_time_share_what_is_read(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, "cb()")
    found = await asyncio.gather(*(house.standings.of(acme.id) for _ in range(20)))

    assert 1 == len({id(standing) for standing in found})


async def test_a_caller_does_not_share_what_was_read_before_a_change_that_it_knows_of(house: House) -> None:
    """However the two reads lie in time, the one that was asked later sees the change."""
    acme = house.tenant()
    hook = await house.hook(acme, "cb()")
    for number in range(20):
        earlier = asyncio.create_task(house.standings.of(acme.id))
        await asyncio.sleep(0)
        house.change(acme, hook, order=number + 1)
        (found,) = (await house.standings.of(acme.id)).of_point(POINT)

        assert number + 1 == found.record.order
        await earlier


async def test_a_caller_who_gives_up_takes_nothing_from_the_others(house: House) -> None:
    acme = house.tenant()
    await house.hook(acme, "cb()")
    leaver = asyncio.create_task(house.standings.of(acme.id))
    await asyncio.sleep(0)
    stayer = asyncio.create_task(house.standings.of(acme.id))
    await asyncio.sleep(0)
    leaver.cancel()

    assert acme.id == (await stayer).tenant.id


async def test_hooks_stand_by_point_in_their_order(house: House) -> None:
    acme = house.tenant()
    for name, order in (("last", 2), ("first", 1), ("second", 1)):
        await house.hook(acme, "cb()", name=name, order=order)
    await house.hook(acme, "cb()", name="elsewhere", trigger_id=OTHER_POINT)
    await house.hook(acme, "cb()", name="off", enabled=False)

    assert ["first", "second", "last"] == await names(house, acme.id)
    assert ["elsewhere"] == await names(house, acme.id, OTHER_POINT)


async def test_of_several_the_one_that_was_changed_last_runs_where_there_may_be_one(house: House) -> None:
    """They are left from when the tenant might have several."""
    acme = house.tenant()
    for name in ("a", "b", "c"):
        await house.hook(acme, "cb()", name=name)
    alone = Settings(multiple_hooks=False, egress=LOOPBACK)
    house.store.write_all(register.change, acme.id, alone).result(60)

    assert ["c"] == await names(house, acme.id)


async def test_a_hook_that_only_another_compiler_knew_is_checked_and_that_is_kept(house: House) -> None:
    acme = house.tenant()
    hook = house.stored(acme, draft_of_old(source("cb(None, {'user': {}})")))
    (found,) = (await house.standings.of(acme.id)).of_point(POINT)
    kept = house.store.read(acme.id, hooks.check_of, hook.id, 1, house.checker.compiler).result(60)

    assert found.runnable is not None
    assert None is not found.runnable.code == kept.code


async def test_a_hook_that_the_policy_refuses_today_ends_as_rejected_and_the_others_run(house: House) -> None:
    acme = house.tenant()
    house.stored(acme, draft_of_old("import os\n" + source("cb()")), name="old")
    await house.hook(acme, "cb()", name="new")
    old, new = (await house.standings.of(acme.id)).of_point(POINT)

    assert (None, None) == (old.runnable, new.fault)
    assert old.fault is not None
    assert ("rejected", 1) == (old.fault.status, old.fault.line)
    assert old.fault.message.startswith("hook old: line 1, column ")
    assert old.fault.diagnostics
    assert new.runnable is not None


async def test_a_hook_whose_check_was_ended_is_checked_again_at_its_next_call(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the machine was busy then is no finding about the source; the tenant changes nothing meanwhile."""
    acme = house.tenant()
    house.stored(acme, draft_of_old(source("x = 1\n" * 3_000 + "cb(None, {'user': {}})")))
    with monkeypatch.context() as busy:
        busy.setattr(house.engine, "_config", house.engine._config.model_copy(update={"check_ms": 1}))
        first = await house.run(acme)
    second = await house.run(acme)
    (failed,), (run,) = first.runs, second.runs

    assert ("crashed", ()) == (failed.outcome.status, failed.outcome.diagnostics)
    assert failed.outcome.message.startswith("the hook could not be checked, and will be again: compiling")
    assert "ok" == run.outcome.status


async def test_a_hook_whose_secrets_cannot_be_read_ends_as_rejected_and_the_others_run(house: House) -> None:
    acme = house.tenant()
    broken = await house.hook(acme, "cb()", name="broken")
    await house.hook(acme, "cb()", name="whole")
    house.secret(acme, broken, "KEY", b"\x01 this was sealed by nobody, or for another place")
    first, second = (await house.standings.of(acme.id)).of_point(POINT)

    assert (None, None) == (first.runnable, second.fault)
    assert first.fault is not None
    assert "rejected" == first.fault.status
    assert first.fault.message.startswith("the hook's secrets cannot be read")


async def test_a_hook_of_a_tenant_whose_settings_do_not_hold_ends_as_rejected(house: House) -> None:
    acme = house.tenant(egress={"ports": ["x"]})
    house.stored(acme, draft_of_old(source("cb()")))
    (found,) = (await house.standings.of(acme.id)).of_point(POINT)

    assert found.fault is not None
    assert "rejected" == found.fault.status
    assert found.fault.message.startswith("egress: ")


async def test_there_is_no_standing_of_a_tenant_that_is_gone(house: House) -> None:
    acme = house.tenant()
    await house.standings.of(acme.id)
    house.store.write_all(register.remove, acme.id).result(60)

    for tenant_id in (acme.id, "nobody"):
        with pytest.raises(Missing):
            await house.standings.of(tenant_id)


async def test_one_hook_is_found_enabled_or_not_with_its_secrets(house: House) -> None:
    acme = house.tenant()
    hook = await house.hook(acme, "cb()", enabled=False)
    house.secret(acme, hook, "KEY", "s3cret")
    tenant, found = await house.standings.hook(acme.id, hook.id)

    assert (acme.id, hook.id) == (tenant.id, found.record.id)
    assert found.runnable is not None
    assert {"KEY": "s3cret"} == found.runnable.secrets
    with pytest.raises(Missing):
        await house.standings.hook(house.tenant("globex").id, hook.id)
