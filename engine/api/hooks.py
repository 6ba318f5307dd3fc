"""/v1/tenants/{tenant}/hooks: hooks, by id or by name, and their sources as plain files."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

from fastapi import Query as InQuery
from fastapi import Request, Response
from pydantic import Field, model_validator

from engine.api import audit, shapes
from engine.api.bodies import Body, Query, bad_body
from engine.api.points import known_point
from engine.api.replies import no_content, reply
from engine.api.retries import RetryBody
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served, Services
from engine.api.shapes import HookInPath, hook_shape
from engine.errors import Refusal
from engine.scopes import OPERATOR
from tenants import hooks, secret_values
from tenants.errors import Missing, Stale, Taken
from tenants.records import Draft, Hook, Mode
from tenants.rows import Rows

router = make_router(prefix="/v1/tenants/{tenant}/hooks", tags=["hooks"])

SOURCE_BYTES = 2 << 20  # of the body of an upload: more than any setting of source_bytes
_ATTEMPTS = 5  # at an upload that others come before
_BYTE_ORDER_MARK = "\ufeff"
_SOURCE_BODY = {"schema": {"type": "string"}, "example": "def hook(user, context, cb):\n    cb()\n"}
_UPLOAD = {
    "requestBody": {
        "description": "The file, in UTF-8 without a byte order mark; whatever its Content-Type says.",
        "required": True,
        "content": {"text/x-python": _SOURCE_BODY, "text/plain": _SOURCE_BODY},
    }
}


class SourceResponse(Response):
    """A hook's source, byte for byte."""

    media_type = "text/x-python"


class HookQuery(Query):
    """Which hooks."""

    trigger_id: str | None = Field(default=None, max_length=256, description="Only those of this point.")
    enabled: bool | None = Field(default=None, description="Only those that are enabled, or that are not.")
    include_source: bool = Field(default=False, description="With the source of the live version.")
    start: int = Field(default=0, ge=0, le=1 << 31, description="How many are passed over.")
    limit: int = Field(default=100, ge=1, le=1_000, description="How many are shown.")


class OneHookQuery(Query):
    """What of a hook."""

    include_source: bool = Field(default=False, description="With the source of the live version.")


class UploadQuery(Query):
    """What else an upload says."""

    trigger_id: str | None = Field(
        default=None,
        max_length=256,
        description="The extensibility point; a new hook needs it.",
        examples=["post-change-password"],
    )
    enabled: bool | None = Field(default=None, description="A new hook is enabled unless this says no.")
    order: shapes.Order | None = Field(default=None, description="Ascending, where several hooks of a point run.")


class HookPatch(Body):
    """What shall change of a hook; at least one."""

    name: shapes.HookName | None = Field(default=None, description="Letters, digits, spaces and hyphens; unique")
    enabled: bool | None = Field(default=None, description="Whether it runs", examples=[True])
    order: shapes.Order | None = Field(default=None, description="Ascending, where several hooks of a point run")
    mode: Mode | None = Field(default=None, description="How long its workers live; null: as its tenant's")
    retry: RetryBody | None = Field(
        default=None, description="How often it is tried again, of a non-blocking point; replaced whole"
    )
    script: str | None = Field(default=None, min_length=1, description="Its source; makes a version")
    dependencies: shapes.SentDependencies | None = Field(
        default=None, description="Modules it is written for; makes a version"
    )

    @model_validator(mode="after")
    def _says_something(self) -> HookPatch:
        if not self.model_fields_set:
            raise ValueError("Too few properties defined (0), minimum 1")
        if nulls := sorted(name for name in self.model_fields_set - {"mode"} if getattr(self, name) is None):
            raise ValueError(f"{nulls[0]} cannot be null")
        return self


@router.get("", response_model=shapes.Hooks, response_model_exclude_unset=True, summary="List hooks")
@needs(OPERATOR, "read:hooks")
async def list_hooks(caller: Calling, services: Served, query: Annotated[HookQuery, InQuery()]) -> Response:
    """In order of creation."""

    def question(rows: Rows) -> dict[str, Any]:
        found, total = hooks.page(
            rows, trigger_id=query.trigger_id, enabled=query.enabled, start=query.start, limit=query.limit
        )
        names = secret_values.names_by_hook(rows)
        listed = [hook_shape(hook, names.get(hook.id, []), with_source=query.include_source) for hook in found]
        return {"hooks": listed, "total": total, "start": query.start, "limit": query.limit}

    return reply(await services.read(caller.owner.id, question))


@router.get("/{hook}", response_model=shapes.HookWithSource, summary="Read a hook")
@needs(OPERATOR, "read:hooks")
async def get_hook(
    hook: HookInPath, caller: Calling, services: Served, query: Annotated[OneHookQuery, InQuery()]
) -> Response:
    """With its live version."""

    def question(rows: Rows) -> dict[str, Any]:
        return shape_in(rows, hook_in(rows, hook), with_source=query.include_source)

    return reply(await services.read(caller.owner.id, question))


@router.patch("/{hook}", response_model=shapes.Hook, summary="Change a hook")
@needs(OPERATOR, "update:hooks")
async def change_hook(hook: HookInPath, body: HookPatch, caller: Calling, services: Served) -> Response:
    """Sets what is named. Enabling it disables the others of its point, unless the tenant has `multiple_hooks` on."""
    found, names = await services.read(caller.owner.id, hook_and_secrets, hook)
    draft = await _draft(services, caller, found, names, body)
    fields = {name: getattr(body, name) for name in body.model_fields_set - {"script", "dependencies", "retry"}}
    fields |= {"retry": body.retry.retry()} if body.retry else {}
    changes = hooks.HookChanges(**fields | ({"draft": draft} if draft else {}))
    told = body.model_dump(exclude_unset=True, exclude={"script"})

    def change(rows: Rows) -> dict[str, Any]:
        if draft:
            check_basis(rows, found)
        changed = hooks.change(rows, found.id, changes)
        shape = shape_in(rows, changed)
        audit.record(rows, caller, "Update a hook", request=told, status=200, response=shape)
        return shape

    return reply(await services.write(caller.owner.id, change))


@router.delete("/{hook}", status_code=204, summary="Delete a hook")
@needs(OPERATOR, "delete:hooks")
async def delete_hook(hook: HookInPath, caller: Calling, services: Served) -> Response:
    """With its versions and its secrets."""

    def change(rows: Rows) -> None:
        found = hook_in(rows, hook)
        hooks.remove(rows, found.id)
        told = {"id": found.id, "name": found.name}
        audit.record(rows, caller, "Delete a hook", request=told, status=204, response=None)

    await services.write(caller.owner.id, change)
    return no_content()


@router.get("/{hook}/source", response_class=SourceResponse, summary="Read a hook's source")
@needs(OPERATOR, "read:hooks")
async def get_source(hook: HookInPath, caller: Calling, services: Served) -> Response:
    """The live version's, byte for byte as it was uploaded."""
    found = await services.read(caller.owner.id, hook_in, hook)
    return SourceResponse(found.version.source.encode(), headers={"ETag": f'"{found.version.sha256}"'})


@router.put(
    "/{hook}/source",
    response_model=shapes.Hook,
    responses={201: {"model": shapes.Hook, "description": "It is new"}},
    openapi_extra=_UPLOAD,
    summary="Upload a hook's source",
)
@needs(OPERATOR, "create:hooks", "update:hooks", body_bytes=SOURCE_BYTES)
async def put_source(
    hook: HookInPath, request: Request, caller: Calling, services: Served, query: Annotated[UploadQuery, InQuery()]
) -> Response:
    """Makes a hook of that name, or a new version of the one that is there, and puts it live.

    `curl --data-binary @hook.py "…/hooks/welcome/source?trigger_id=post-change-password"`
    """
    source = _text(await request.body())
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Stale, Taken, Missing):  # somebody else was quicker: now with what is there
            return await _put(services, caller, hook, source, query)
    return await _put(services, caller, hook, source, query)


def hook_in(rows: Rows, hook: str) -> Hook:
    """The hook of that id, else of that name. Raises Missing."""
    try:
        return hooks.get(rows, hook)
    except Missing:
        return hooks.named(rows, hook)


def hook_and_secrets(rows: Rows, hook: str) -> tuple[Hook, list[str]]:
    """It, and the names of its secrets. Raises Missing."""
    found = hook_in(rows, hook)
    return found, secret_values.names(rows, found.id)


def shape_in(rows: Rows, hook: Hook, *, with_source: bool = False) -> dict[str, Any]:
    """The hook as it stands in answers."""
    return hook_shape(hook, secret_values.names(rows, hook.id), with_source=with_source)


def check_basis(rows: Rows, seen: Hook, *, dependencies_alone: bool = False) -> None:
    """Before a draft goes live of which a part was taken from the hook as it was `seen`. Raises Missing, Stale."""
    now = hooks.get(rows, seen.id).version
    same = now.dependencies == seen.version.dependencies
    if not same or not (dependencies_alone or now.number == seen.version.number):
        raise Stale("the hook has another version by now; look at it and try again", what="hook")


async def _draft(services: Services, caller: Caller, hook: Hook, names: list[str], body: HookPatch) -> Draft | None:
    """What the hook's next version will be. Raises Rejected."""
    if body.model_fields_set.isdisjoint({"script", "dependencies"}):
        return None
    source = hook.version.source if body.script is None else body.script
    dependencies = hook.version.dependencies if body.dependencies is None else body.dependencies
    return await services.checker.accept(
        caller.owner, hook.trigger_id, source, dependencies, caller.token.name, secrets=names
    )


def _text(body: bytes) -> str:
    """An uploaded file. Raises Refusal."""
    try:
        source = body.decode()
    except UnicodeDecodeError as error:
        raise bad_body(f"the source is not UTF-8 at byte {error.start}") from None
    if source.startswith(_BYTE_ORDER_MARK):
        raise bad_body("the source begins with a byte order mark; save the file as UTF-8 without one")
    return source


def _check_may(caller: Caller, scope: str) -> None:
    if caller.token.scopes.isdisjoint({OPERATOR, scope}):
        raise Refusal(403, "insufficient_scope", f"Insufficient scope, expected any of: {scope}")


async def _put(services: Services, caller: Caller, hook: str, source: str, query: UploadQuery) -> Response:
    try:
        there = await services.read(caller.owner.id, hook_and_secrets, hook)
    except Missing:
        return await _uploaded_new(services, caller, hook, source, query)
    return await _uploaded(services, caller, there, source, query)


async def _uploaded_new(services: Services, caller: Caller, name: str, source: str, query: UploadQuery) -> Response:
    _check_may(caller, "create:hooks")
    if query.trigger_id is None:
        told = f"there is no hook {name!r}; to make it, say on which point, as ?trigger_id=post-change-password"
        raise Refusal(400, "invalid_query_string", f"Query validation error: '{told}'.")
    point = known_point(query.trigger_id).id
    tenant, by = caller.owner, caller.token.name
    draft = await services.checker.accept(tenant, point, source, {}, by, secrets=())
    enabled = query.enabled is not False

    def change(rows: Rows) -> dict[str, Any]:
        made = hooks.create(
            rows,
            name=name,
            trigger_id=point,
            enabled=enabled,
            draft=draft,
            order=query.order or 0,
        )
        shape = shape_in(rows, made)
        audit.record(rows, caller, "Create a hook", request=_told(query), status=201, response=shape)
        return shape

    shape = await services.write(tenant.id, change)
    return reply(shape, 201, {"Location": f"/v1/tenants/{tenant.name}/hooks/{shape['id']}"})


async def _uploaded(
    services: Services, caller: Caller, there: tuple[Hook, list[str]], source: str, query: UploadQuery
) -> Response:
    _check_may(caller, "update:hooks")
    hook, names = there
    if query.trigger_id not in (None, hook.trigger_id):
        told = f"the hook {hook.name!r} is one of {hook.trigger_id}, and a hook keeps its point"
        raise Refusal(400, "invalid_query_string", f"Query validation error: '{told}' on property trigger_id.")
    tenant, by = caller.owner, caller.token.name
    draft = await services.checker.accept(tenant, hook.trigger_id, source, hook.version.dependencies, by, secrets=names)
    fields = {name: value for name in ("enabled", "order") if (value := getattr(query, name)) is not None}

    def change(rows: Rows) -> dict[str, Any]:
        check_basis(rows, hook, dependencies_alone=True)
        changes = hooks.HookChanges(draft=draft, **fields)
        shape = shape_in(rows, hooks.change(rows, hook.id, changes))
        audit.record(rows, caller, "Update a hook", request=_told(query), status=200, response=shape)
        return shape

    return reply(await services.write(tenant.id, change))


def _told(query: UploadQuery) -> dict[str, Any]:
    return query.model_dump(exclude_none=True)
