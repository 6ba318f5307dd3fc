from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.deployment import BadDeployment, Change, Wanted, diffs, live, plan
from tenants.records import Hook, Retry, Version

POINT = "post-change-password"
OTHER_POINT = "credentials-exchange"


def hook(name: str, source: str = "a\n", **fields: Any) -> Hook:
    version = Version(
        hook_id=name,
        number=3,
        source=source,
        sha256="",
        dependencies=fields.pop("dependencies", {}),
        created_ms=0,
        created_by="",
    )
    return Hook(
        **{"id": name, "name": name, "trigger_id": POINT, "enabled": False, "order": 0, "mode": None}
        | {"version": version, "created_ms": 0, "updated_ms": 0}
        | fields
    )


def wanted(name: str, script: str = "a\n", **fields: Any) -> Wanted:
    return Wanted(**{"name": name, "trigger_id": POINT, "script": script, "enabled": False} | fields)


def planned(
    hooks: list[Hook], wants: list[Wanted], *, delete_others: bool = False, multiple: bool = False
) -> list[tuple[str, str, tuple[str, ...]]]:
    changes = plan(hooks, wants, delete_others=delete_others, multiple=multiple)
    return [(change.action, change.name, change.fields) for change in changes]


def test_a_name_that_is_not_there_is_created() -> None:
    assert [("create", "new", ())] == planned([], [wanted("new")])


def test_a_hook_that_is_as_it_shall_be_is_unchanged() -> None:
    assert [("unchanged", "a", ())] == planned([hook("a")], [wanted("a")])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("script", "b\n"),
        ("dependencies", {"json": ""}),
        ("enabled", True),
        ("order", 2),
        ("mode", "invocation"),
        ("retry", Retry(attempts=2)),
    ],
)
def test_each_field_that_differs_is_named(field: str, value: object) -> None:
    assert [("update", "a", (field,))] == planned([hook("a")], [wanted("a", **{field: value})])


@pytest.mark.parametrize("delete_others", [True, False])
def test_a_hook_that_the_deployment_does_not_name_goes_only_when_that_is_asked(delete_others: bool) -> None:  # noqa: FBT001
    expected = [("delete", "old", ())] if delete_others else []

    assert expected == planned([hook("old", enabled=True)], [], delete_others=delete_others)


def test_a_hook_of_no_deployment_is_disabled_by_one_that_takes_its_point() -> None:
    there = [hook("old", enabled=True), hook("elsewhere", enabled=True, trigger_id=OTHER_POINT)]

    assert [("create", "new", ()), ("update", "old", ("enabled",))] == planned(there, [wanted("new", enabled=True)])


def test_where_several_hooks_of_a_point_run_none_is_disabled() -> None:
    assert [("create", "new", ())] == planned([hook("old", enabled=True)], [wanted("new", enabled=True)], multiple=True)


def test_two_enabled_hooks_of_a_point_are_refused_where_one_runs() -> None:
    both = [wanted("a", enabled=True), wanted("b", enabled=True)]

    with pytest.raises(BadDeployment, match="'a' and 'b' are both enabled on post-change-password"):
        planned([], both)
    assert [("create", "a", ()), ("create", "b", ())] == planned([], both, multiple=True)


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadDeployment, match="names the hook 'a' twice"):
        planned([], [wanted("a"), wanted("a")])


def test_a_hook_keeps_its_point() -> None:
    with pytest.raises(BadDeployment, match="'a' is one of post-change-password, and a hook keeps its point"):
        planned([hook("a")], [wanted("a", trigger_id=OTHER_POINT)])


def test_only_a_new_script_or_new_dependencies_make_a_version() -> None:
    changes = plan(
        [hook("a"), hook("b"), hook("c")],
        [wanted("a", "b\n"), wanted("b", dependencies={"json": ""}), wanted("c", order=1), wanted("d")],
        delete_others=False,
        multiple=False,
    )

    assert [True, True, False, True] == [change.makes_version for change in changes]


def test_what_is_live_afterwards_is_told_by_point_and_order() -> None:
    there = [hook("x", enabled=True, trigger_id=OTHER_POINT), hook("y", enabled=True), hook("gone", enabled=True)]
    wants = [wanted("second", enabled=True, order=2), wanted("first", enabled=True, order=-1), wanted("gone")]
    changes = plan(there, wants, delete_others=False, multiple=True)

    assert ["x", "first", "y", "second"] == live(there, changes)


def test_a_change_of_the_script_is_shown_as_a_diff_and_nothing_else_is() -> None:
    there = [hook("a"), hook("b"), hook("c", "c\n")]
    changes = plan(
        there, [wanted("a", "z\n"), wanted("b", order=3), wanted("d", "d\n")], delete_others=True, multiple=False
    )

    assert [
        "--- a (version 3)\n+++ a (new)\n@@ -1 +1 @@\n-a\n+z\n",
        "",
        "--- /dev/null\n+++ d (new)\n@@ -0,0 +1 @@\n+d\n",
        "--- c (version 3)\n+++ /dev/null\n@@ -1 +0,0 @@\n-c\n",
    ] == diffs(changes)


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
SCRIPTS = st.sampled_from(["x\n", "y\n", "z\n"])
FIELDS = {"script": SCRIPTS, "enabled": st.booleans(), "order": st.integers(-2, 2), "trigger_id": st.just(POINT)}
WANTS = st.lists(st.builds(Wanted, name=NAMES, **FIELDS), unique_by=lambda each: each.name, max_size=5)


def applied(hooks: list[Hook], changes: tuple[Change, ...]) -> list[Hook]:
    gone = {change.name for change in changes if change.action == "delete"}
    kept = {each.name: each for each in hooks if each.name not in gone}
    for change in changes:
        if change.wanted:
            want = change.wanted
            kept[change.name] = hook(want.name, want.script, enabled=want.enabled, order=want.order)
        elif change.action == "update":
            source = kept[change.name].version.source
            kept[change.name] = hook(change.name, source, enabled=change.enabled, order=change.order)
    return list(kept.values())


@given(WANTS, WANTS, st.booleans())
@settings(deadline=None, max_examples=300)
def test_a_second_deployment_of_the_same_has_nothing_to_do(
    first: list[Wanted],
    second: list[Wanted],
    delete_others: bool,  # noqa: FBT001
) -> None:
    there = applied([], plan([], first, delete_others=False, multiple=True))
    after = applied(there, plan(there, second, delete_others=delete_others, multiple=True))
    again = plan(after, second, delete_others=delete_others, multiple=True)

    assert {"unchanged"} >= {change.action for change in again}
    assert sorted(each.name for each in after if each.enabled) == sorted(live(after, again))
