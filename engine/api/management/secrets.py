"""/api/v2/hooks/{id}/secrets: names can be read, values never. Source: AUTH0.md section 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Body as InBody
from fastapi import Response
from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.api import audit
from engine.api.management.queries import Id
from engine.api.replies import no_content, reply
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.secrets import MOST_SECRETS, NAME_CHARS, VALUE_CHARS
from engine.api.services import Served, Services
from tenants import log_events, secret_values
from tenants.rows import Rows

router = make_router(prefix="/api/v2/hooks/{id}/secrets", tags=["Management API v2: hooks"])

MASK = "_VALUE_NOT_SHOWN_"
_MOST_NAMES = 100_000  # to be ended at once; most of them are of no secret
_RESERVED = "auth0-extension-secret"  # of Auth0's runtime, where it guards the hook's own address


def _check_names(pairs: Any) -> Any:
    """Before the values are looked at, whose faults are told with the name: one that is too long is told by nobody."""
    for name in pairs if isinstance(pairs, Mapping) else ():
        if not 1 <= len(name) <= NAME_CHARS:
            raise PydanticCustomError("name_length", f"A name has 1 to {NAME_CHARS} characters, found {len(name)}")
        if name == _RESERVED:
            raise PydanticCustomError("name_reserved", f"The name {_RESERVED} is reserved")
    return pairs


Pairs = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=VALUE_CHARS, strict=True)]],
    Field(min_length=1, max_length=MOST_SECRETS, fail_fast=True),
    BeforeValidator(_check_names),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": MOST_SECRETS,
            "propertyNames": {"minLength": 1, "maxLength": NAME_CHARS, "not": {"const": _RESERVED}},
            "additionalProperties": {"type": "string", "maxLength": VALUE_CHARS},
            "description": "Values by name.",
            "examples": [{"API_KEY": "…"}],
        }
    ),
    InBody(),
]
Names = Annotated[
    list[Annotated[str, Field(strict=True)]],
    Field(min_length=1, fail_fast=True),
    InBody(description="The names of the secrets to end.", examples=[["API_KEY"]]),
]
Change = Callable[[Rows, str, Mapping[str, bytes]], None]


@dataclass(frozen=True, slots=True)
class _Sent:
    """Secrets that were sent, in the clear."""

    hook_id: str
    pairs: Mapping[str, str] = field(repr=False)


@router.get("", response_model=dict[str, str], summary="Get a hook's secrets")
@needs("read:hooks")
async def get_secrets(
    id: Id,  # noqa: A002 - the path's own name
    caller: Calling,
    services: Served,
) -> Response:
    """Their names; a mask stands for every value. The tenant's log tells of it."""

    def change(rows: Rows) -> dict[str, str]:
        masked = dict.fromkeys(secret_values.names(rows, id), MASK)
        _record_read(rows, caller, masked)
        return masked

    return reply(await services.write(caller.owner.id, change))


@router.post("", status_code=201, response_model=dict[str, str], summary="Add secrets to a hook")
@needs("update:hooks")
async def add_secrets(
    id: Id,  # noqa: A002 - the path's own name
    pairs: Pairs,
    caller: Calling,
    services: Served,
) -> Response:
    """All or none: 409 when the hook has one of them."""

    def add(rows: Rows, hook_id: str, sealed: Mapping[str, bytes]) -> None:
        secret_values.add(rows, hook_id, sealed, MOST_SECRETS)

    return await _changed(services, caller, _Sent(id, pairs), add, "Add Hook Secrets")


@router.patch("", status_code=201, response_model=dict[str, str], summary="Update a hook's secrets")
@needs("update:hooks")
async def update_secrets(
    id: Id,  # noqa: A002 - the path's own name
    pairs: Pairs,
    caller: Calling,
    services: Served,
) -> Response:
    """All or none: 404 when the hook lacks one of them."""
    return await _changed(services, caller, _Sent(id, pairs), secret_values.replace, "Update Hook Secrets")


@router.delete("", status_code=204, summary="Delete a hook's secrets")
@needs("delete:hooks", body_values=_MOST_NAMES)
async def delete_secrets(
    id: Id,  # noqa: A002 - the path's own name
    names: Names,
    caller: Calling,
    services: Served,
) -> Response:
    """A name that no secret has is ignored."""

    def change(rows: Rows) -> None:
        known = sorted({*names}.intersection(secret_values.names(rows, id)))
        secret_values.remove(rows, id, known)
        audit.record(rows, caller, "Delete Hook Secrets", request=known, status=204, response={})

    await services.write(caller.owner.id, change)
    return no_content()


async def _changed(services: Services, caller: Caller, sent: _Sent, change: Change, description: str) -> Response:
    """Seals the values and makes the change, under the data key that the tenant has in that very transaction."""
    tenant_id = caller.owner.id

    def sealing(rows: Rows) -> None:
        key = secret_values.data_key(rows)
        seal = services.vault.seal
        sealed = {name: seal(tenant_id, key, sent.hook_id, name, value) for name, value in sent.pairs.items()}
        change(rows, sent.hook_id, sealed)
        redacted = dict.fromkeys(sent.pairs, audit.REDACTED)
        audit.record(rows, caller, description, request=redacted, status=201, response={})

    await services.write(tenant_id, sealing)
    return reply({}, 201)


def _record_read(rows: Rows, caller: Caller, masked: Mapping[str, str]) -> None:
    log_events.append(
        rows,
        type="mgmt_api_read",
        description="Get Hook Secrets",
        ip=caller.address,
        user_agent=caller.user_agent,
        client_id=caller.token.id,
        client_name=caller.token.name,
        details={
            "request": {"method": caller.method, "path": caller.path},
            "response": {"statusCode": 200, "body": masked},
        },
    )
