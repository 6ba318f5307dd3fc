"""The plan of a deployment: from the hooks a tenant has and those it shall have to the changes between them.

Pure functions: nothing is read or written here. Hooks are the same when their names are; a hook keeps its point for
life, as its versions and secrets were written for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.difference import Work, unified
from engine.errors import BadInput
from tenants.records import Hook, Mode, Retry

Action = Literal["create", "update", "delete", "unchanged"]

_WORK_STEPS = 4_000_000  # of all diffs of one plan together
_FIELDS = ("script", "dependencies", "enabled", "order", "mode", "retry")


class BadDeployment(BadInput):
    """The hooks cannot stand beside each other."""

    code = "invalid_body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One hook as it shall be."""

    name: str
    trigger_id: str
    script: str
    enabled: bool = True
    order: int = 0
    mode: Mode | None = None  # None: as its tenant
    retry: Retry = field(default_factory=Retry)
    dependencies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a deployment does to one hook."""

    action: Action
    name: str
    trigger_id: str
    enabled: bool  # afterwards
    order: int  # afterwards
    fields: tuple[str, ...] = ()  # what differs, of an update
    hook: Hook | None = None  # as it is; None: it will be created
    wanted: Wanted | None = None  # None: it is not named by the deployment

    @property
    def makes_version(self) -> bool:
        """Whether the script or its dependencies are new."""
        return self.action == "create" or not {"script", "dependencies"}.isdisjoint(self.fields)


def plan(hooks: Sequence[Hook], wanted: Sequence[Wanted], *, delete_others: bool, multiple: bool) -> tuple[Change, ...]:
    """The changes: those of `wanted` in its order, then those of other hooks. Raises BadDeployment.

    `multiple`: several enabled hooks of a point run. Otherwise one does, and the others of its point are disabled.
    """
    _check_names(wanted)
    if not multiple:
        _check_points(wanted)
    there = {hook.name: hook for hook in hooks}
    changes = [_change(each, there.get(each.name)) for each in wanted]
    named = {each.name for each in wanted}
    taken = set() if multiple else {each.trigger_id for each in wanted if each.enabled}
    others = [hook for hook in hooks if hook.name not in named]
    if delete_others:
        return (*changes, *(_deleted(hook) for hook in others))
    return (*changes, *(_disabled(hook) for hook in others if hook.enabled and hook.trigger_id in taken))


def live(hooks: Sequence[Hook], changes: Sequence[Change]) -> list[str]:
    """The names of the hooks that are enabled after the changes: by point, then by order."""
    after = {hook.name: (hook.trigger_id, hook.order, hook.enabled) for hook in hooks}
    for change in changes:
        after[change.name] = (change.trigger_id, change.order, change.enabled)
    return [name for name, (*_, enabled) in sorted(after.items(), key=lambda item: item[1][:2]) if enabled]


def diffs(changes: Sequence[Change]) -> list[str]:
    """How the script of each changes, as a unified diff, or "". Takes up to seconds: not for the event loop."""
    work = Work(_WORK_STEPS)
    return [_diff(change, work) for change in changes]


def _diff(change: Change, work: Work) -> str:
    before = change.hook.version.source if change.hook else ""
    after = "" if change.action == "delete" else change.wanted.script if change.wanted else before
    old = f"{change.name} (version {change.hook.version.number})" if change.hook else "/dev/null"
    new = "/dev/null" if change.action == "delete" else f"{change.name} (new)"
    return unified(before, after, old=old, new=new, work=work)


def _check_names(wanted: Sequence[Wanted]) -> None:
    seen: set[str] = set()
    for each in wanted:
        if each.name in seen:
            raise BadDeployment(f"the deployment names the hook {each.name!r} twice")
        seen.add(each.name)


def _check_points(wanted: Sequence[Wanted]) -> None:
    first: dict[str, str] = {}
    for each in wanted:
        if not each.enabled:
            continue
        other = first.setdefault(each.trigger_id, each.name)
        if other != each.name:
            raise BadDeployment(
                f"the hooks {other!r} and {each.name!r} are both enabled on {each.trigger_id}, where one hook runs; "
                "disable one of them, or have the operator turn the tenant's multiple_hooks on"
            )


def _change(wanted: Wanted, hook: Hook | None) -> Change:
    fields = _differing(wanted, hook) if hook else ()
    return Change(
        action="create" if hook is None else "update" if fields else "unchanged",
        name=wanted.name,
        trigger_id=wanted.trigger_id,
        enabled=wanted.enabled,
        order=wanted.order,
        fields=fields,
        hook=hook,
        wanted=wanted,
    )


def _differing(wanted: Wanted, hook: Hook) -> tuple[str, ...]:
    if wanted.trigger_id != hook.trigger_id:
        raise BadDeployment(
            f"the hook {hook.name!r} is one of {hook.trigger_id}, and a hook keeps its point; "
            f"give the one for {wanted.trigger_id} another name, or delete the old one first"
        )
    before = (hook.version.source, dict(hook.version.dependencies), hook.enabled, hook.order, hook.mode, hook.retry)
    after = (wanted.script, dict(wanted.dependencies), wanted.enabled, wanted.order, wanted.mode, wanted.retry)
    return tuple(name for name, old, new in zip(_FIELDS, before, after, strict=True) if old != new)


def _deleted(hook: Hook) -> Change:
    return Change(
        action="delete", name=hook.name, trigger_id=hook.trigger_id, enabled=False, order=hook.order, hook=hook
    )


def _disabled(hook: Hook) -> Change:
    return Change(
        action="update",
        name=hook.name,
        trigger_id=hook.trigger_id,
        enabled=False,
        order=hook.order,
        fields=("enabled",),
        hook=hook,
    )
