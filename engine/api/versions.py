"""/v1/tenants/{tenant}/hooks/{hook}/versions: what a hook was, how that differs, and the way back."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Path, Response
from fastapi import Query as InQuery
from pydantic import Field

from engine.api import audit, shapes
from engine.api.bodies import Query
from engine.api.hooks import hook_and_secrets, hook_in, shape_in
from engine.api.replies import reply
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served
from engine.api.shapes import HookInPath
from engine.difference import unified
from engine.scopes import OPERATOR
from tenants import hooks
from tenants.records import Version
from tenants.rows import Rows

router = make_router(prefix="/v1/tenants/{tenant}/hooks/{hook}/versions", tags=["versions"])

_MOST = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=_MOST, description="1, 2, 3 … of its hook.", examples=[2])]


class DiffQuery(Query):
    """What to compare with."""

    against: int | None = Field(
        default=None, ge=1, le=_MOST, description="The older version; the one kept before it when it is absent."
    )


@router.get("", response_model=shapes.Versions, summary="List a hook's versions")
@needs(OPERATOR, "read:hooks")
async def list_versions(hook: HookInPath, caller: Calling, services: Served) -> Response:
    """Newest first, without their sources."""

    def question(rows: Rows) -> shapes.Versions:
        found = hook_in(rows, hook)
        live = found.version.number
        listed = [shapes.Version(**shapes.version_fields(each, live)) for each in hooks.versions(rows, found.id)]
        return shapes.Versions(versions=listed)

    return reply(await services.study(caller.owner.id, question))


@router.get("/{number}", response_model=shapes.VersionWithSource, summary="Read a version")
@needs(OPERATOR, "read:hooks")
async def get_version(hook: HookInPath, number: Number, caller: Calling, services: Served) -> Response:
    """With its source."""

    def question(rows: Rows) -> shapes.VersionWithSource:
        found = hook_in(rows, hook)
        version = hooks.version(rows, found.id, number)
        return shapes.VersionWithSource(**shapes.version_fields(version, found.version.number), source=version.source)

    return reply(await services.read(caller.owner.id, question))


@router.get("/{number}/diff", response_model=shapes.Difference, summary="Compare two versions")
@needs(OPERATOR, "read:hooks")
async def diff_version(
    hook: HookInPath, number: Number, caller: Calling, services: Served, query: Annotated[DiffQuery, InQuery()]
) -> Response:
    """A unified diff of the sources."""

    def question(rows: Rows) -> tuple[str, Version | None, Version]:
        found = hook_in(rows, hook)
        newer = hooks.version(rows, found.id, number)
        against = query.against or _kept_before(rows, newer)
        return found.name, hooks.version(rows, found.id, against) if against else None, newer

    name, older, newer = await services.read(caller.owner.id, question)
    before, old = (older.source, f"{name} (version {older.number})") if older else ("", "/dev/null")
    new = f"{name} (version {number})"
    diff = await asyncio.to_thread(unified, before, newer.source, old=old, new=new)
    return reply(shapes.Difference(version=number, against=older.number if older else None, diff=diff))


def _kept_before(rows: Rows, version: Version) -> int | None:
    return max(
        (each.number for each in hooks.versions(rows, version.hook_id) if each.number < version.number), default=None
    )


@router.post("/{number}/deploy", response_model=shapes.Hook, summary="Put a version live")
@needs(OPERATOR, "update:hooks")
async def deploy_version(hook: HookInPath, number: Number, caller: Calling, services: Served) -> Response:
    """The way back to an older version, or forth again. It is checked as a new upload is."""

    def question(rows: Rows) -> tuple[Version, str, list[str]]:
        found, names = hook_and_secrets(rows, hook)
        return hooks.version(rows, found.id, number), found.trigger_id, names

    version, point, names = await services.read(caller.owner.id, question)
    draft = await services.checker.accept(
        caller.owner, point, version.source, version.dependencies, caller.token.name, secrets=names
    )

    def change(rows: Rows) -> dict[str, Any]:
        hooks.keep_check(rows, version.hook_id, number, draft.check)
        shape = shape_in(rows, hooks.deploy(rows, version.hook_id, number))
        audit.record(rows, caller, "Deploy a version of a hook", request=None, status=200, response=shape)
        return shape

    return reply(await services.write(caller.owner.id, change))
