"""PUT /v1/tenants/{tenant}/deployment: all hooks of a folder at once. All of it is applied, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query as InQuery
from fastapi import Response
from pydantic import Field

from engine.api import audit, shapes
from engine.api.bodies import Body, Query
from engine.api.points import known_point
from engine.api.replies import reply
from engine.api.retries import RetryBody
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served, Services
from engine.checking import Rejected
from engine.deployment import Change, Wanted, diffs, live, plan
from engine.errors import BadInput, Refusal
from engine.scopes import OPERATOR
from tenants import hooks, register, secret_values
from tenants.errors import Stale, TooMany
from tenants.records import Draft, Hook, Mode
from tenants.rows import Rows

router = make_router(prefix="/v1/tenants/{tenant}", tags=["deployments"])

BODY_BYTES = 16 << 20
_BODY_VALUES = 200_000  # ten thousand hooks, each with a few modules
_CHECKS = 4  # under way for one deployment
_MOST_HOOKS = 10_000
Refused = BadInput | Rejected  # what a script can be at fault with
_ORDER = ("delete", "update", "create", "unchanged")  # names and places are free before they are taken


class WantedHook(Body):
    """One hook as it shall be."""

    name: shapes.HookName = Field(description="Hooks are the same when their names are", examples=["welcome"])
    trigger_id: str = Field(max_length=256, description="Its extensibility point", examples=["post-change-password"])
    script: str = Field(min_length=1, description="Its source", examples=["def hook(user, context, cb):\n    cb()\n"])
    enabled: bool = Field(default=True, description="Whether it runs")
    order: shapes.Order = Field(default=0, description="Ascending, where several hooks of a point run")
    mode: Mode | None = Field(default=None, description="How long its workers live; null: as its tenant's")
    retry: RetryBody = Field(default=RetryBody(), description="How often it is tried again, of a non-blocking point")
    dependencies: shapes.SentDependencies = Field(
        default={}, description="Modules it is written for, with versions or ''"
    )

    def wanted(self) -> Wanted:
        """The same, for the plan."""
        return Wanted(**self.__dict__ | {"retry": self.retry.retry()})


class DeploymentBody(Body):
    """The hooks that a tenant shall have."""

    hooks: list[WantedHook] = Field(max_length=_MOST_HOOKS, fail_fast=True, description="In any order")
    delete_others: bool = Field(default=False, description="Whether hooks that are not named here go")
    revision: int | None = Field(
        default=None, ge=0, le=1 << 62, description="What the tenant's revision must be; null: whatever it is"
    )


class DeploymentQuery(Query):
    """How."""

    dry_run: bool = Field(default=False, description="Only tell what would be done; the scripts are checked too.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """What a deployment does to the hooks as they were at this revision."""

    revision: int
    hooks: Sequence[Hook]
    secrets: dict[str, list[str]]  # names of secrets, by name of the hook
    changes: Sequence[Change]


@router.put("/deployment", response_model=shapes.Deployment, summary="Deploy hooks, all or none")
@needs(OPERATOR, "update:hooks", body_bytes=BODY_BYTES, body_values=_BODY_VALUES)
async def deploy(
    body: DeploymentBody, caller: Calling, services: Served, query: Annotated[DeploymentQuery, InQuery()]
) -> Response:
    """Checks every script, then makes the tenant's hooks what the body says, in one transaction.

    A token needs the scopes create:hooks and delete:hooks too, where hooks are made and deleted; without read:hooks
    it is shown no diffs. When one script is
    rejected nothing is applied: the answer's `rejected` lists each such hook with its findings.
    """
    wanted = [each.wanted() for each in body.hooks]
    for each in wanted:
        known_point(each.trigger_id)
    planned = await services.read(caller.owner.id, _plan, caller, wanted, body)
    checked = await _drafts(services, caller, wanted, planned.secrets)
    if rejected := {name: found for name, found in checked.items() if not isinstance(found, Draft)}:
        return _rejection(rejected)
    if query.dry_run:
        return await _told(caller, planned, planned.revision, {}, applied=False)
    drafts = {name: found for name, found in checked.items() if isinstance(found, Draft)}

    def change(rows: Rows) -> tuple[_Planned, int, dict[str, int]]:
        planned = _plan(rows, caller, wanted, body)  # anew: the hooks may have changed while scripts were checked
        return planned, *_apply(rows, caller, planned, drafts)

    planned, revision, numbers = await services.write(caller.owner.id, change)
    return await _told(caller, planned, revision, numbers, applied=True)


def _plan(rows: Rows, caller: Caller, wanted: Sequence[Wanted], body: DeploymentBody) -> _Planned:
    """Raises Refusal, BadDeployment, Stale, TooMany."""
    revision, settings = hooks.revision(rows), register.settings_in(rows)
    if body.revision not in (None, revision):
        raise Stale(f"the tenant's revision is {revision}, not {body.revision}: its hooks have changed", what="tenant")
    found, _ = hooks.page(rows)
    changes = plan(found, wanted, delete_others=body.delete_others, multiple=settings.multiple_hooks)
    _check_scopes(caller, changes)
    counts = [change.action for change in changes]
    after = len(found) + counts.count("create") - counts.count("delete")
    if after > settings.most_hooks and after > len(found):
        raise TooMany(f"there would be {after} hooks; the most that there may be is {settings.most_hooks}", what="hook")
    by_id = secret_values.names_by_hook(rows)
    secrets = {hook.name: by_id.get(hook.id, []) for hook in found}
    return _Planned(revision=revision, hooks=found, secrets=secrets, changes=changes)


def _check_scopes(caller: Caller, changes: Sequence[Change]) -> None:
    for action, scope in (("create", "create:hooks"), ("delete", "delete:hooks")):
        asked = any(change.action == action for change in changes)
        if asked and caller.token.scopes.isdisjoint({OPERATOR, scope}):
            raise Refusal(403, "insufficient_scope", f"Insufficient scope, expected any of: {scope}")


async def _drafts(
    services: Services, caller: Caller, wanted: Sequence[Wanted], secrets: Mapping[str, Sequence[str]]
) -> dict[str, Draft | Refused]:
    """What may become a version, by name; or why not. Raises what is not the scripts' fault."""
    places = asyncio.Semaphore(_CHECKS)
    tenant, by = caller.owner, caller.token.name

    async def check(each: Wanted) -> Draft | Refused:
        async with places:
            try:
                names = secrets.get(each.name, ())
                return await services.checker.accept(
                    tenant, each.trigger_id, each.script, each.dependencies, by, secrets=names
                )
            except (BadInput, Rejected) as error:
                return error

    found = await asyncio.gather(*(check(each) for each in wanted), return_exceptions=True)
    checked: dict[str, Draft | Refused] = {}
    for each, result in zip(wanted, found, strict=True):
        if isinstance(result, BaseException) and not isinstance(result, BadInput | Rejected):
            raise result
        checked[each.name] = result
    return checked


def _apply(rows: Rows, caller: Caller, planned: _Planned, drafts: Mapping[str, Draft]) -> tuple[int, dict[str, int]]:
    """All changes at once: the tenant's revision, and the live versions by name."""
    numbers: dict[str, int] = {}
    for change in sorted(planned.changes, key=lambda each: _ORDER.index(each.action)):
        draft = drafts.get(change.name)
        if change.action == "delete" and change.hook:
            hooks.remove(rows, change.hook.id)
        elif change.action == "update" and change.hook:
            changes = _hook_changes(change, draft)
            numbers[change.name] = hooks.change(rows, change.hook.id, changes).version.number
        elif change.action == "create" and change.wanted and draft:
            numbers[change.name] = _create(rows, change.wanted, draft)
    revision = hooks.revision(rows)
    told = [{"action": each.action, "name": each.name, "fields": each.fields} for each in planned.changes]
    response = {"revision": revision, "changes": told}
    audit.record(rows, caller, "Deploy hooks", request={"hooks": len(drafts)}, status=200, response=response)
    return revision, numbers


def _hook_changes(change: Change, draft: Draft | None) -> hooks.HookChanges:
    fields: dict[str, Any] = {}
    if change.makes_version:
        fields["draft"] = draft
    if change.wanted:
        fields |= {name: getattr(change.wanted, name) for name in ("order", "mode", "retry") if name in change.fields}
    if "enabled" in change.fields:
        fields["enabled"] = change.enabled
    return hooks.HookChanges(**fields)


def _create(rows: Rows, wanted: Wanted, draft: Draft) -> int:
    made = hooks.create(
        rows,
        name=wanted.name,
        trigger_id=wanted.trigger_id,
        enabled=wanted.enabled,
        draft=draft,
        order=wanted.order,
        mode=wanted.mode,
        retry=wanted.retry,
    )
    return made.version.number


async def _told(
    caller: Caller, planned: _Planned, revision: int, numbers: Mapping[str, int], *, applied: bool
) -> Response:
    """What has been done, or would be. Diffs hold the sources there were: they are for those who may read these."""
    readable = not caller.token.scopes.isdisjoint({OPERATOR, "read:hooks"})
    texts = await asyncio.to_thread(diffs, planned.changes) if readable else [""] * len(planned.changes)
    changes = [
        shapes.HookChange(
            action=change.action,
            name=change.name,
            trigger_id=change.trigger_id,
            fields=change.fields,
            diff=diff,
            version=numbers.get(change.name, _number_before(change)),
        )
        for change, diff in zip(planned.changes, texts, strict=True)
    ]
    names = live(planned.hooks, planned.changes)
    return reply(shapes.Deployment(applied=applied, revision=revision, changes=changes, live=names))


def _number_before(change: Change) -> int | None:
    return change.hook.version.number if change.hook and not change.makes_version else None


def _rejection(rejected: Mapping[str, Refused]) -> Response:
    """400, with every rejected hook: an error's body and more."""
    first, *others = rejected
    more = f"; and of {', '.join(others)}" if others else ""
    said = f"nothing was applied: the script of {first!r} is rejected{more}: {rejected[first]}"
    listed = [
        {"name": name, "message": str(error), "diagnostics": getattr(error, "diagnostics", ())}
        for name, error in rejected.items()
    ]
    told = {"statusCode": 400, "error": "Bad Request", "message": said, "errorCode": "invalid_body"}
    return reply(told | {"rejected": listed}, 400)
