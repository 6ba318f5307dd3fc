"""From an upload to a version that runs, with a real store and real workers."""

from __future__ import annotations

import asyncio
import dataclasses
import marshal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from engine.app import Engine
from engine.checking import Checker, Rejected, egress_of, hook_of
from engine.compiler import fingerprint
from engine.config import Config
from engine.errors import BadInput, BadSource, UnknownPoint
from engine.hook import Hook
from engine.points import point_named
from tenants import hooks, register
from tenants.errors import Missing
from tenants.records import Check, SealedKey, Settings, Tenant
from tenants.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="module")

POINT = "post-change-password"
OK = "def hook(user, context, cb):\n    cb(None, user.email)\n"
REQUESTS = "import requests\ndef hook(user, context, cb):\n    cb(None, requests.codes.ok)\n"
KEY = SealedKey(master_key_id="m", wrapped=b"w")


class Access:
    """What the API's services give: the store's futures, awaited."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def read(self, tenant_id: str, question: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await asyncio.wrap_future(self.store.read(tenant_id, question, *args, **named))

    async def write(self, tenant_id: str, change: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await asyncio.wrap_future(self.store.write(tenant_id, change, *args, **named))

    async def tenant(self, name: str, **settings: Any) -> Tenant:
        made = self.store.write_all(register.create, name, Settings(**settings), KEY)
        return await asyncio.wrap_future(made)


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db")
    store.open()
    yield Access(store)
    store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    async with Engine(Config(workers=12, wall_ms=10_000)) as made:
        yield made


@pytest.fixture(scope="module")
def checker(engine: Engine) -> Checker:
    return Checker(engine, fingerprint())


def tenant_of(**settings: Any) -> Tenant:
    """One that the store need not know."""
    return Tenant(id="01TENANT", name="acme", settings=Settings(**settings), revision=0, created_ms=0)


async def stored(access: Access, tenant: Tenant, name: str, draft: Any) -> Any:
    return await access.write(tenant.id, hooks.create, name=name, trigger_id=POINT, enabled=True, draft=draft)


async def run(engine: Engine, hook: Hook) -> Any:
    return await engine.run(hook, point_named(POINT).sample)


async def test_what_is_accepted_comes_with_its_code_and_its_warnings(checker: Checker) -> None:
    source = "def hook(user, context, cb):\n    cb(None, user.emial)\n"
    draft = await checker.accept(tenant_of(), POINT, source, {"json": ""}, "a token")

    assert (source, {"json": ""}, "a token") == (draft.source, draft.dependencies, draft.created_by)
    assert (fingerprint(), ()) == (draft.check.compiler, draft.check.diagnostics)
    assert draft.check.code
    assert [2] == [warning["line"] for warning in draft.check.warnings]


async def test_the_names_of_its_secrets_are_known_to_the_check(checker: Checker) -> None:
    source = "def hook(user, context, cb):\n    cb(None, context.webtask.secrets.KEY)\n"
    found = [await checker.check(tenant_of(), POINT, source, {}, names) for names in (None, ["KEY"], ["YEK"])]

    assert [0, 0, 1] == [len(outcome.warnings) for outcome in found]


async def test_what_is_rejected_tells_the_first_finding_and_counts_the_others(checker: Checker) -> None:
    source = "import os\nimport sys\ndef hook(user, context, cb):\n    cb()\n"
    with pytest.raises(Rejected) as caught:
        await checker.accept(tenant_of(), POINT, source, {}, "a token")

    assert (400, "invalid_body") == (caught.value.status, caught.value.code)
    assert str(caught.value).startswith(
        "line 1, column 1: rule `import`: the module 'os' is not available to hooks: it tells of the machine"
    )
    assert str(caught.value).endswith("(secrets stand in context.webtask.secrets); and 1 more")
    assert [1, 2] == [finding.line for finding in caught.value.diagnostics]


async def test_a_finding_without_a_hint_has_no_empty_brackets(checker: Checker) -> None:
    with pytest.raises(Rejected) as caught:
        await checker.accept(tenant_of(), POINT, "def hook(user, context, cb:\n", {}, "a token")

    assert "()" not in str(caught.value)
    assert str(caught.value).startswith("line 1, column 9: rule `syntax`: ")


@pytest.mark.parametrize("dependencies", [{"lodash": "4.17.21"}, {"json": "", "os": "1"}])
async def test_a_dependency_that_is_not_mapped_is_rejected(checker: Checker, dependencies: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="rule `dependency`: the module"):
        await checker.accept(tenant_of(), POINT, OK, dependencies, "a token")


@pytest.mark.parametrize("source", ["", " \n", "a\0b", "\udc80", "#" * 100_001])
async def test_what_is_no_source_is_the_callers_mistake(checker: Checker, source: str) -> None:
    with pytest.raises(BadSource) as caught:
        await checker.accept(tenant_of(), POINT, source, {}, "a token")

    assert 400 == caught.value.status


async def test_a_point_that_is_not_there_is_told(checker: Checker) -> None:
    with pytest.raises(UnknownPoint):
        await checker.accept(tenant_of(), "post-everything", OK, {}, "a token")


async def test_a_source_that_costs_the_compiler_too_much_is_rejected_and_the_next_is_served(checker: Checker) -> None:
    with pytest.raises(Rejected, match="too-complex"):
        await checker.accept(tenant_of(), POINT, "x = " + "+".join(["1"] * 30_000), {}, "a token")

    assert (await checker.accept(tenant_of(), POINT, OK, {}, "a token")).check.code


async def test_a_tenants_map_is_that_of_its_checks(checker: Checker) -> None:
    with pytest.raises(Rejected, match="this tenant may not import the module 'requests' "):
        await checker.accept(tenant_of(modules=("json",)), POINT, REQUESTS, {}, "a token")
    for modules in (None, ("requests",)):
        assert (await checker.accept(tenant_of(modules=modules), POINT, REQUESTS, {}, "a token")).check.code


async def test_what_was_accepted_is_not_compiled_again(checker: Checker, access: Access, engine: Engine) -> None:
    """Its code comes from the store, and it runs in a worker that never saw its source."""
    tenant = await access.tenant("kept")
    hook = await stored(access, tenant, "kept", await checker.accept(tenant, POINT, OK, {}, "a token"))
    known = len(engine._kept)
    outcome = await run(engine, hook_of(tenant, hook, await checker.current(access, tenant, hook), {}))

    assert ("ok", "user1@foo.com") == (outcome.status, outcome.value())
    assert known == len(engine._kept)


async def test_a_version_of_another_compiler_is_checked_again_and_that_is_kept(
    checker: Checker, access: Access, engine: Engine
) -> None:
    tenant = await access.tenant("older")
    draft = await checker.accept(tenant, POINT, OK, {}, "a token")
    older = dataclasses.replace(draft, check=Check(compiler="cpython-2.7", code=b"of another Python"))
    hook = await stored(access, tenant, "older", older)
    current = await checker.current(access, tenant, hook)

    assert draft.check == current
    assert current == await access.read(tenant.id, hooks.check_of, hook.id, 1, fingerprint())
    assert "ok" == (await run(engine, hook_of(tenant, hook, current, {}))).status


async def test_a_version_that_todays_policy_refuses_is_rejected_by_name_and_nothing_is_kept(
    checker: Checker, access: Access
) -> None:
    tenant = await access.tenant("refused")
    draft = await checker.accept(tenant, POINT, OK, {}, "a token")
    older = dataclasses.replace(draft, source="import os\n", check=Check(compiler="older", code=b"x"))
    hook = await stored(access, tenant, "once good", older)
    with pytest.raises(Rejected, match=r"^hook once good: line 1, column 1: rule `import`: the module 'os'"):
        await checker.current(access, tenant, hook)

    assert await access.read(tenant.id, hooks.check_of, hook.id, 1, fingerprint()) is None


async def test_a_check_of_one_tenant_is_not_found_by_another(checker: Checker, access: Access) -> None:
    one, other = await access.tenant("one"), await access.tenant("other")
    hook = await stored(access, one, "same name", await checker.accept(one, POINT, OK, {}, "a token"))

    assert await access.read(other.id, hooks.check_of, hook.id, 1, fingerprint()) is None
    with pytest.raises(Missing):
        await access.write(other.id, hooks.keep_check, hook.id, 1, Check(compiler="x", code=b"planted"))


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b"\0",
        b"no code at all",
        marshal.dumps("cb(None, 1)"),
        marshal.dumps(7),
        b"\xe3" + b"\0" * 90,
        b"\xff" * 9999,
    ],
    ids=["nothing", "a byte", "a text", "a marshalled text", "a marshalled number", "an empty code", "noise"],
)
async def test_code_that_is_none_ends_its_own_job_and_nothing_else(engine: Engine, code: bytes) -> None:
    """As a database could hold it that somebody has written into: the worker may die of it, the engine does not."""
    broken = await run(engine, Hook(OK, POINT, "broken", code=code))
    served = await run(engine, Hook(OK, POINT, "broken"))

    assert broken.status in ("raised", "crashed", "no_callback")
    assert "ok" == served.status


async def test_code_larger_than_any_check_makes_is_refused() -> None:
    with pytest.raises(BadInput, match="a check makes 2097152 at most"):
        Hook(OK, POINT, code=bytes((2 << 20) + 1))


async def test_a_stored_hook_runs_under_its_tenants_settings(checker: Checker, access: Access) -> None:
    tenant = await access.tenant(
        "limited", wall_ms=77, result_bytes=88, log_bytes=99, mode="invocation", modules=("json",), egress={"calls": 3}
    )
    hook = await stored(access, tenant, "limited", await checker.accept(tenant, POINT, OK, {"json": ""}, "a token"))
    made = hook_of(tenant, hook, Check(compiler="x", code=b"c"), {"KEY": "value"})

    assert (tenant.id, OK, POINT, b"c") == (made.tenant, made.source, made.trigger_id, made.code)
    assert (77, 88, 99) == (made.limits.wall_ms, made.limits.result_bytes, made.limits.log_bytes)
    assert ("invocation", ("json",), {"json": ""}) == (made.mode, made.modules, made.dependencies)
    assert ({"KEY": "value"}, 3) == (made.secrets, made.egress.calls if made.egress else None)
    assert (
        "tenant"
        == hook_of(tenant, msgspec.structs.replace(hook, mode="tenant"), Check(compiler="x", code=b"c"), {}).mode
    )


async def test_a_tenant_without_settings_leaves_all_to_the_engine(checker: Checker, access: Access) -> None:
    tenant = await access.tenant("plain")
    hook = await stored(access, tenant, "plain", await checker.accept(tenant, POINT, OK, {}, "a token"))
    made = hook_of(tenant, hook, Check(compiler="x", code=b"c"), {})

    assert (None, None, None) == (made.mode, made.modules, made.egress)


async def test_a_policy_is_written_as_json() -> None:
    made = egress_of(Settings(egress={"listed_only": True, "hosts": ["a.example"], "ports": [443, "8000-8080"]}))

    assert made is not None
    assert (True, ("a.example",), ("443", "8000-8080")) == (made.listed_only, made.hosts, made.ports)


@pytest.mark.parametrize(
    ("egress", "said"),
    [
        ({"host": ["a.example"]}, "egress: 'host' is no field of a policy"),
        ({"listed_only": "no"}, "egress: listed_only is either true or false"),
        ({"hosts": ["a.example"]}, "egress: hosts are listed but listed_only is false"),
        ({"hosts": "a.example"}, "egress: hosts is 'a.example'"),
        ({"ports": [[443]]}, "egress: ports"),
        ({"ports": ["x"]}, "egress: "),
        ({"calls": "3"}, "egress: calls"),
        ({"calls": None}, "egress: calls"),
        ({"keep_bodies": {}}, "egress: keep_bodies"),
        ({"exceptions": [None]}, "egress: exceptions"),
    ],
)
async def test_what_is_no_policy_is_refused_by_field(egress: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match="^" + said.replace("(", r"\(")):
        egress_of(Settings(egress=egress))
