"""Hooks and their versions, on both databases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tenants import hooks, register, secret_values
from tenants.errors import Missing, Taken, TooMany
from tenants.hooks import HookChanges
from tenants.records import Check, Draft, Hook, Retry, Settings, Tenant

Drafts = Callable[..., Draft]
POINT = "post-change-password"
SOURCE = "# é \U0001f600\r\n\tdef hook(user, context, cb):\n    cb(None)\n\x7f\x01"


def test_a_hook_is_as_it_was_made(asked: Any, acme: Tenant, draft: Drafts) -> None:
    retry = Retry(attempts=20, on=("timeout",), first_ms=1, most_ms=2)
    new = {"trigger_id": "credentials-exchange", "enabled": True, "order": -7, "mode": "invocation", "retry": retry}
    made = asked.hook(acme, "A hook-1", draft=draft(SOURCE, {"re": "", "json": "1"}), **new)

    assert made == asked.read(acme, hooks.get, made.id) == asked.read(acme, hooks.named, "A hook-1")
    assert ("A hook-1", *new.values()) == (
        made.name, made.trigger_id, made.enabled, made.order, made.mode, made.retry,
    )  # fmt: skip
    assert (1, SOURCE, {"re": "", "json": "1"}, "tests") == (
        made.version.number, made.version.source, made.version.dependencies, made.version.created_by,
    )  # fmt: skip
    assert hashlib.sha256(SOURCE.encode()).hexdigest() == made.version.sha256
    assert 26 == len(made.id)


def test_a_hook_is_tried_once_unless_it_is_said_otherwise(asked: Any, acme: Tenant) -> None:
    """To say so again makes no change."""
    made = asked.hook(acme, "one")
    retry = Retry(attempts=2, on=())
    changed = [asked.write(acme, hooks.change, made.id, HookChanges(retry=retry)) for _ in range(2)]

    assert [Retry(), retry, retry] == [hook.retry for hook in (made, *changed)]
    assert changed[0] == changed[1] == asked.read(acme, hooks.get, made.id)
    assert 2 == asked.read(acme, hooks.revision)


def test_a_source_of_any_size_comes_back(asked: Any, acme: Tenant) -> None:
    source = "é" * (1 << 20)

    assert source == asked.hook(acme, "large", source).version.source


def test_a_name_is_its_tenants_own(asked: Any, acme: Tenant) -> None:
    """Another tenant has hooks of the same names and neither sees the other's, by name or by id."""
    other = asked.tenant("other")
    ours, theirs = asked.hook(acme, "one", "ours"), asked.hook(other, "one", "theirs")

    with pytest.raises(Taken) as caught:
        asked.hook(acme, "one")
    assert "hook" == caught.value.what
    assert (ours, theirs) == (asked.read(acme, hooks.named, "one"), asked.read(other, hooks.named, "one"))
    assert [([ours], 1), ([theirs], 1)] == [asked.read(tenant, hooks.page) for tenant in (acme, other)]


QUESTIONS: list[Any] = [
    (hooks.get, ()),
    (hooks.versions, ()),
    (hooks.version, (1,)),
    (secret_values.names, ()),
    (secret_values.sealed, ()),
]
CHANGES: list[Any] = [
    (hooks.change, (HookChanges(name="mine"),)),
    (hooks.change, (HookChanges(),)),
    (hooks.remove, ()),
    (hooks.deploy, (1,)),
    (hooks.keep_check, (1, Check(compiler="c9", code=b"mine"))),
    (secret_values.add, ({"A": b""}, 20)),
    (secret_values.replace, ({"A": b""},)),
    (secret_values.put, ({"A": b""}, 20)),
    (secret_values.remove, (["S"],)),
]


@pytest.mark.parametrize("whose", ["of another tenant", "of nobody"])
@pytest.mark.parametrize(("ask", "arguments"), QUESTIONS + CHANGES)
def test_a_hook_of_another_tenant_is_missing(
    asked: Any, acme: Tenant, whose: str, ask: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """As one that nobody has; with the same text, and it stays as it was."""
    other = asked.tenant("other")
    theirs = asked.hook(other, "one", enabled=True)
    asked.write(other, secret_values.add, theirs.id, {"S": b"sealed"}, 20)
    run = asked.read if (ask, arguments) in QUESTIONS else asked.write
    with pytest.raises(Missing) as caught:
        run(acme, ask, theirs.id if whose == "of another tenant" else "01HZZZZZZZZZZZZZZZZZZZZZZZ", *arguments)

    assert caught.value.what == ("version" if ask in (hooks.version, hooks.keep_check) else "hook")
    assert "one" not in str(caught.value)
    assert theirs.id not in str(caught.value)
    assert theirs == asked.read(other, hooks.get, theirs.id)
    assert {"S": b"sealed"} == asked.read(other, secret_values.sealed, theirs.id)
    assert None is asked.read(other, hooks.check_of, theirs.id, 1, "c9")
    assert None is asked.read(acme, hooks.check_of, theirs.id, 1, "c1")


def test_hooks_are_listed_in_the_order_they_were_made(asked: Any, acme: Tenant, draft: Drafts) -> None:
    """Also those of one transaction, hence of one millisecond."""
    new = {"trigger_id": POINT, "enabled": False, "draft": draft("x")}
    futures: list[Future[Hook]] = [
        asked.store.write(acme.id, hooks.create, name=f"h{number % 7}{number}", **new) for number in range(60)
    ]
    made = [future.result(60).name for future in futures]
    listed, total = asked.read(acme, hooks.page)

    assert (made, 60) == ([hook.name for hook in listed], total)
    assert sorted(hook.id for hook in listed) == [hook.id for hook in listed]
    assert made[10:15] == [hook.name for hook in asked.read(acme, hooks.page, start=10, limit=5)[0]]
    assert ([], 60) == asked.read(acme, hooks.page, start=60, limit=5)
    assert ([], 60) == asked.read(acme, hooks.page, start=0, limit=0)


def test_a_list_is_of_a_point_and_of_enabled_ones_if_asked(asked: Any, acme: Tenant) -> None:
    for name, point, enabled in (("a", "p", True), ("b", "p", False), ("c", "q", True), ("d", "q", False)):
        asked.hook(acme, name, trigger_id=point, enabled=enabled)

    def listed(**asked_for: Any) -> tuple[str, int]:
        found, total = asked.read(acme, hooks.page, **asked_for)
        return "".join(hook.name for hook in found), total

    assert ("ab", 2) == listed(trigger_id="p")
    assert ("ac", 2) == listed(enabled=True)
    assert ("bd", 2) == listed(enabled=False)
    assert ("d", 1) == listed(trigger_id="q", enabled=False)
    assert ("b", 2) == listed(trigger_id="p", start=1, limit=1)
    assert ("", 0) == listed(trigger_id="r")


def test_a_tenant_has_so_many_hooks_and_no_more(asked: Any) -> None:
    few = asked.tenant("few", most_hooks=3)
    for name in "abc":
        asked.hook(few, name)
    with pytest.raises(TooMany) as caught:
        asked.hook(few, "d")

    assert "hook" == caught.value.what
    assert 3 == asked.read(few, hooks.page)[1]


@pytest.mark.parametrize("by", ["create", "change"])
def test_the_last_hook_enabled_puts_the_others_of_its_point_out(asked: Any, acme: Tenant, by: str) -> None:
    other = asked.tenant("other")
    asked.hook(other, "theirs", enabled=True)
    elsewhere = asked.hook(acme, "elsewhere", trigger_id="p", enabled=True)
    asked.hook(acme, "first", enabled=True)
    last = asked.hook(acme, "last", enabled=by == "create")
    if by == "change":
        last = asked.write(acme, hooks.change, last.id, HookChanges(enabled=True))

    assert [last] == asked.read(acme, hooks.enabled_of, POINT)
    assert [elsewhere] == asked.read(acme, hooks.enabled_of, "p")
    assert ["theirs"] == [hook.name for hook in asked.read(other, hooks.enabled_of, POINT)]


def test_several_hooks_of_a_point_run_in_their_order(asked: Any) -> None:
    several = asked.tenant("several", multiple_hooks=True)
    orders = {"a": 5, "b": -1, "c": 5, "d": 0}
    for name, order in orders.items():
        asked.hook(several, name, enabled=True, order=order)

    assert ["b", "d", "a", "c"] == [hook.name for hook in asked.read(several, hooks.enabled_of, POINT)]
    asked.write(several, hooks.change, asked.read(several, hooks.named, "b").id, HookChanges(enabled=False))
    assert ["d", "a", "c"] == [hook.name for hook in asked.read(several, hooks.enabled_of, POINT)]


def test_a_change_changes_what_it_says_and_nothing_else(asked: Any, acme: Tenant, draft: Drafts) -> None:
    made = asked.hook(acme, "one", mode="tenant")
    first = asked.write(acme, hooks.change, made.id, HookChanges(name="two", order=4))
    second = asked.write(acme, hooks.change, made.id, HookChanges(mode=None))
    third = asked.write(acme, hooks.change, made.id, HookChanges(draft=draft("new", {"re": ""})))

    assert ("two", 4, "tenant", made.version, False) == (first.name, first.order, first.mode, first.version, False)
    assert ("two", 4, None, made.version) == (second.name, second.order, second.mode, second.version)
    assert (2, "new", {"re": ""}) == (third.version.number, third.version.source, third.version.dependencies)
    assert made.created_ms == third.created_ms <= third.updated_ms


def test_a_hook_cannot_take_anothers_name(asked: Any, acme: Tenant, draft: Drafts) -> None:
    asked.hook(acme, "one")
    two = asked.hook(acme, "two")
    with pytest.raises(Taken) as caught:
        asked.write(acme, hooks.change, two.id, HookChanges(name="one", enabled=True, draft=draft("new")))

    assert "hook" == caught.value.what
    assert two == asked.read(acme, hooks.get, two.id)
    assert 1 == len(asked.read(acme, hooks.versions, two.id))


def test_the_same_source_makes_no_version(asked: Any, acme: Tenant, draft: Drafts) -> None:
    """It does with other dependencies, and what another compiler made of it is kept."""
    made = asked.hook(acme, "one", "a")
    changes = HookChanges(draft=draft("a", compiler="c2"), name="one", enabled=False)

    assert made == asked.write(acme, hooks.change, made.id, changes)
    assert "c2" == asked.read(acme, hooks.check_of, made.id, 1, "c2").compiler
    changed = asked.write(acme, hooks.change, made.id, HookChanges(draft=draft("a", {"re": ""})))
    assert 2 == changed.version.number


def test_old_versions_stay_and_can_be_live_again(asked: Any, acme: Tenant, draft: Drafts) -> None:
    made = asked.hook(acme, "one", "v1")
    for source in ("v2", "v3"):
        asked.write(acme, hooks.change, made.id, HookChanges(draft=draft(source)))
    back = asked.write(acme, hooks.deploy, made.id, 1)

    assert made.version == back.version == asked.read(acme, hooks.version, made.id, 1)
    assert [3, 2, 1] == [version.number for version in asked.read(acme, hooks.versions, made.id)]
    onward = asked.write(acme, hooks.change, made.id, HookChanges(draft=draft("v4")))
    assert 4 == onward.version.number
    with pytest.raises(Missing) as caught:
        asked.write(acme, hooks.deploy, made.id, 5)
    assert "version" == caught.value.what


def test_a_removed_hook_leaves_its_name_and_nothing_else(asked: Any, acme: Tenant) -> None:
    made = asked.hook(acme, "one")
    asked.write(acme, secret_values.add, made.id, {"A": b"1"}, 20)
    asked.write(acme, hooks.remove, made.id)

    for ask in (hooks.get, hooks.versions, secret_values.names):
        with pytest.raises(Missing):
            asked.read(acme, ask, made.id)
    again = asked.hook(acme, "one")
    assert made.id < again.id
    assert {} == asked.read(acme, secret_values.sealed, again.id)


def test_every_change_of_hooks_counts_one(asked: Any, acme: Tenant, draft: Drafts) -> None:
    """What changes nothing does not count, nor does what fails."""
    counts = [asked.read(acme, hooks.revision)]

    def after(change: Callable[..., Any], *arguments: Any) -> None:
        asked.write(acme, change, *arguments)
        counts.append(asked.read(acme, hooks.revision))

    one = asked.hook(acme, "one", "v1", enabled=True)
    after(hooks.change, one.id, HookChanges(name="uno"))
    after(hooks.change, one.id, HookChanges(name="uno", enabled=True, draft=draft("v1")))
    after(hooks.change, one.id, HookChanges(draft=draft("v2")))
    after(hooks.deploy, one.id, 1)
    after(hooks.deploy, one.id, 1)
    after(secret_values.add, one.id, {"A": b""}, 20)
    with pytest.raises(Taken):
        asked.hook(acme, "uno")
    after(hooks.remove, one.id)

    assert [0, 2, 2, 3, 4, 4, 5, 6] == counts


def test_what_a_compiler_made_of_a_version_is_kept(asked: Any, acme: Tenant) -> None:
    made = asked.hook(acme, "one")
    rejected = Check(
        compiler="c2", code=None, diagnostics=({"rule": "names", "line": 1, "hint": "\0"},), warnings=({},)
    )
    asked.write(acme, hooks.keep_check, made.id, 1, rejected)

    assert rejected == asked.read(acme, hooks.check_of, made.id, 1, "c2")
    assert b"code of it" == asked.read(acme, hooks.check_of, made.id, 1, "c1").code
    assert None is asked.read(acme, hooks.check_of, made.id, 1, "c3")
    accepted = Check(compiler="c2", code=bytes(range(256)))
    asked.write(acme, hooks.keep_check, made.id, 1, accepted)
    assert accepted == asked.read(acme, hooks.check_of, made.id, 1, "c2")


def test_one_that_puts_others_out_counts_as_a_change_when_it_was_enabled_before(asked: Any) -> None:
    """Several were enabled while the tenant had several at once, which it has no more."""
    tenant = asked.tenant("several", multiple_hooks=True)
    one, two = (asked.hook(tenant, name, enabled=True) for name in ("one", "two"))
    asked.write_all(register.change, tenant.id, Settings())
    before = asked.read(tenant, hooks.revision)
    asked.write(tenant, hooks.change, one.id, HookChanges(enabled=True))

    assert [True, False] == [asked.read(tenant, hooks.get, hook.id).enabled for hook in (one, two)]
    assert before + 1 == asked.read(tenant, hooks.revision)


def test_a_list_of_versions_is_without_their_sources(asked: Any, acme: Tenant, ear_of_sql: list[str]) -> None:
    """They are not read at all: a hundred of them may be large."""
    made = asked.hook(acme, "one", "a source")
    ear_of_sql.clear()
    (info,) = asked.study(acme, hooks.versions, made.id)

    assert (1, made.version.sha256, "tests") == (info.number, info.sha256, info.created_by)
    assert not hasattr(info, "source")
    assert all("source" not in statement for statement in ear_of_sql)


@pytest.fixture
def ear_of_sql() -> Iterator[list[str]]:
    heard: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        heard.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    yield heard
    event.remove(Engine, "before_cursor_execute", listen)


def test_old_versions_go_when_there_are_too_many(asked: Any, draft: Drafts) -> None:
    """Their numbers are not given again, and another hook's versions stay."""
    tenant = asked.tenant("few", most_versions=3)
    one, two = (asked.hook(tenant, name) for name in ("one", "two"))
    for number in range(2, 6):
        changed = asked.write(tenant, hooks.change, one.id, HookChanges(draft=draft(f"# {number}")))
        assert number == changed.version.number

    assert [5, 4, 3] == [version.number for version in asked.read(tenant, hooks.versions, one.id)]
    assert [1] == [version.number for version in asked.read(tenant, hooks.versions, two.id)]
    with pytest.raises(Missing):
        asked.write(tenant, hooks.deploy, one.id, 2)
    asked.write(tenant, hooks.deploy, one.id, 3)
    asked.write(tenant, hooks.change, one.id, HookChanges(draft=draft("# again")))
    assert [6, 5, 4] == [version.number for version in asked.read(tenant, hooks.versions, one.id)]
