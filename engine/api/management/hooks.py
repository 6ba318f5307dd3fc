"""/api/v2/hooks. Source: AUTH0.md sections 4.1 to 4.5."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from fastapi import Query as InQuery
from fastapi import Response
from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from engine.api import audit
from engine.api.bodies import Body, Query
from engine.api.hooks import check_basis
from engine.api.management.queries import Flag, Id, Paged, fields_pattern, part_of
from engine.api.replies import no_content, reply
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served, Services
from engine.api.shapes import HookName, SentDependencies
from engine.checking import Rejected
from engine.errors import BadInput, BadSource, Refusal
from tenants import hooks, records, secret_values
from tenants.hooks import UNSET, HookChanges
from tenants.records import Draft
from tenants.rows import Rows

router = make_router(prefix="/api/v2/hooks", tags=["Management API v2: hooks"])

TriggerId = Literal[
    "credentials-exchange",
    "pre-user-registration",
    "post-user-registration",
    "post-change-password",
    "send-phone-message",
]
_NAMES = ("id", "name", "script", "dependencies", "enabled", "triggerId")
_NAME_TOLD = "Name of this hook"
_SCRIPT_TOLD = "Code to be executed when this hook runs"
_ENABLED_TOLD = "Whether this hook will be executed (true) or ignored (false)"
_DEPENDENCIES_TOLD = "Modules that this hook imports, with their versions or empty texts"

Script = Annotated[str, StringConstraints(min_length=1)]
Fields = Annotated[
    str | None, Field(pattern=fields_pattern(_NAMES), description="Comma list of the properties to show; empty: all.")
]


class Hook(TypedDict):
    """A hook."""

    id: str
    triggerId: TriggerId
    name: str
    script: str
    dependencies: dict[str, str]
    enabled: bool


class HookPart(TypedDict, total=False):
    """A hook, or a part of one."""

    id: str
    triggerId: TriggerId
    name: str
    script: str
    dependencies: dict[str, str]
    enabled: bool


class HookPage(TypedDict):
    """A page of hooks, with how many there are."""

    total: int
    start: int
    limit: int
    hooks: list[HookPart]


class HookSearch(Paged):
    """Which hooks to list."""

    enabled: Annotated[Flag | None, Field(description="Only hooks that are enabled, or that are not.")] = None
    trigger_id: Annotated[
        TriggerId | None, Field(alias="triggerId", description="Only hooks of this extensibility point.")
    ] = None
    fields: Fields = None


class HookFields(Query):
    """Which part of a hook to show."""

    fields: Fields = None
    include_fields: Annotated[Flag, Field(description="Whether `fields` names what to show, or what to leave out.")] = (
        True
    )


class NewHook(Body):
    """A hook to be made."""

    name: HookName = Field(description=_NAME_TOLD, examples=["welcome"])
    script: Script = Field(description=_SCRIPT_TOLD, examples=["def hook(user, context, cb):\n    cb()\n"])
    trigger_id: TriggerId = Field(
        alias="triggerId", description="Execution stage of this hook", examples=["post-change-password"]
    )
    enabled: bool = Field(default=False, description=_ENABLED_TOLD)
    dependencies: SentDependencies = Field(default={}, description=_DEPENDENCIES_TOLD, examples=[{"json": ""}])


def _unless_left_out(**told: Any) -> Any:
    """Of a property that may be left out, and that has no default: null is no value of it."""
    return Field(default=None, json_schema_extra=_without_default, **told)


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class HookUpdate(Body):
    """What is to change of a hook; what is left out stays."""

    name: HookName = _unless_left_out(description=_NAME_TOLD, examples=["welcome"])
    script: Script = _unless_left_out(description=_SCRIPT_TOLD, examples=["def hook(user, context, cb):\n    cb()\n"])
    enabled: bool = _unless_left_out(description=_ENABLED_TOLD)
    dependencies: SentDependencies = _unless_left_out(description=_DEPENDENCIES_TOLD, examples=[{"json": ""}])

    @model_validator(mode="after")
    def _has_a_property(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("too_few_properties", "Too few properties defined (0), minimum 1")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    """A source that was sent, before it is checked."""

    trigger_id: str
    script: str
    dependencies: Mapping[str, str]
    secrets: list[str] | None = None  # names; None: not known yet


@router.get("", response_model=list[HookPart] | HookPage, summary="List hooks")
@needs("read:hooks")
async def list_hooks(search: Annotated[HookSearch, InQuery()], caller: Calling, services: Served) -> Response:
    """In order of creation. A page past the end is empty."""
    found, total = await services.read(
        caller.owner.id,
        hooks.page,
        trigger_id=search.trigger_id,
        enabled=search.enabled,
        start=search.start,
        limit=search.per_page,
    )
    listed = [part_of(shape_of(hook), search.fields, included=search.include_fields) for hook in found]
    return reply(search.totals(total) | {"hooks": listed} if search.include_totals else listed)


@router.post("", status_code=201, response_model=Hook, summary="Create a hook")
@needs("create:hooks")
async def create_hook(body: NewHook, caller: Calling, services: Served) -> Response:
    """Checks the script and makes the hook. One that is enabled puts out the point's others, if it may have but one."""
    tenant = caller.owner
    upload = _Upload(trigger_id=body.trigger_id, script=body.script, dependencies=body.dependencies)
    draft = await _accepted(services, caller, upload)

    def change(rows: Rows) -> dict[str, Any]:
        made = hooks.create(
            rows,
            name=body.name,
            trigger_id=body.trigger_id,
            enabled=body.enabled,
            draft=draft,
        )
        shape = shape_of(made)
        sent = body.model_dump(by_alias=True, exclude_unset=True)
        audit.record(rows, caller, "Create a Hook", request=_told(sent), status=201, response=_told(shape))
        return shape

    return reply(await services.write(tenant.id, change), 201)


@router.get("/{id}", response_model=HookPart, summary="Get a hook")
@needs("read:hooks")
async def get_hook(
    id: Id,  # noqa: A002 - the path's own name
    shown: Annotated[HookFields, InQuery()],
    caller: Calling,
    services: Served,
) -> Response:
    """The hook, or the part of it that `fields` names."""
    hook = await services.read(caller.owner.id, hooks.get, id)
    return reply(part_of(shape_of(hook), shown.fields, included=shown.include_fields))


@router.patch("/{id}", response_model=Hook, summary="Update a hook")
@needs("update:hooks")
async def update_hook(
    id: Id,  # noqa: A002 - the path's own name
    body: HookUpdate,
    caller: Calling,
    services: Served,
) -> Response:
    """Changes what is named. Another script or other dependencies make a new version, which is live at once."""
    tenant, given = caller.owner, body.model_fields_set
    hook, secrets = await services.read(tenant.id, _with_secrets, id)
    draft = await _draft(services, caller, hook, body, secrets)
    changes = HookChanges(
        name=body.name if "name" in given else UNSET,
        enabled=body.enabled if "enabled" in given else UNSET,
        draft=draft or UNSET,
    )

    def change(rows: Rows) -> dict[str, Any]:
        if draft:
            check_basis(rows, hook)
        shape = shape_of(hooks.change(rows, id, changes))
        sent = body.model_dump(exclude_unset=True)
        audit.record(rows, caller, "Update a Hook", request=_told(sent), status=200, response=_told(shape))
        return shape

    return reply(await services.write(tenant.id, change))


@router.delete("/{id}", status_code=204, summary="Delete a hook")
@needs("delete:hooks")
async def delete_hook(
    id: Id,  # noqa: A002 - the path's own name
    caller: Calling,
    services: Served,
) -> Response:
    """With its versions and secrets."""

    def change(rows: Rows) -> None:
        hooks.remove(rows, id)
        audit.record(rows, caller, "Delete a Hook", request={}, status=204, response={})

    await services.write(caller.owner.id, change)
    return no_content()


def shape_of(hook: records.Hook) -> dict[str, Any]:
    """A hook as it stands in answers."""
    return {
        "id": hook.id,
        "triggerId": hook.trigger_id,
        "name": hook.name,
        "script": hook.version.source,
        "dependencies": hook.version.dependencies,
        "enabled": hook.enabled,
    }


def _told(shape: Mapping[str, Any]) -> dict[str, Any]:
    """As it stands in the log: the script's size and digest for the script."""
    told = dict(shape)
    if "script" in told:
        script = told.pop("script").encode()
        told |= {"script_bytes": len(script), "script_sha256": hashlib.sha256(script).hexdigest()}
    return told


def _with_secrets(rows: Rows, hook_id: str) -> tuple[records.Hook, list[str]]:
    return hooks.get(rows, hook_id), secret_values.names(rows, hook_id)


async def _draft(
    services: Services, caller: Caller, hook: records.Hook, body: HookUpdate, secrets: list[str]
) -> Draft | None:
    """What becomes the live version; None: the source and the dependencies stay."""
    given = body.model_fields_set
    if given.isdisjoint({"script", "dependencies"}):
        return None
    upload = _Upload(
        trigger_id=hook.trigger_id,
        script=body.script if "script" in given else hook.version.source,
        dependencies=body.dependencies if "dependencies" in given else hook.version.dependencies,
        secrets=secrets,
    )
    return await _accepted(services, caller, upload)


async def _accepted(services: Services, caller: Caller, upload: _Upload) -> Draft:
    """Raises Refusal 400 for what a worker refuses, and what it says of it."""
    try:
        return await services.checker.accept(
            caller.owner, upload.trigger_id, upload.script, upload.dependencies, caller.token.name, upload.secrets
        )
    except Rejected as error:
        first = next(iter(error.diagnostics), None)
        if first and first.rule == "dependency":
            raise _refused(first.message, "dependencies", _DEPENDENCIES_TOLD) from None
        raise _refused(error, "script", _SCRIPT_TOLD) from None
    except BadSource as error:
        raise _refused(error, "script", _SCRIPT_TOLD) from None
    except BadInput as error:
        raise _refused(error, "dependencies", _DEPENDENCIES_TOLD) from None


def _refused(error: Exception | str, name: str, told: str) -> Refusal:
    return Refusal(400, "invalid_body", f"Payload validation error: '{error}' on property {name} ({told}).")
