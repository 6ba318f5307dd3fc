"""/v1/tenants/{tenant}/hooks/{hook}/secrets: written and never read again."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from engine.api import audit, shapes
from engine.api.bodies import Body, bad_body
from engine.api.hooks import hook_in
from engine.api.replies import no_content, reply
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served
from engine.api.shapes import HookInPath
from engine.scopes import OPERATOR
from tenants import secret_values
from tenants.errors import Missing
from tenants.rows import Rows

router = make_router(prefix="/v1/tenants/{tenant}/hooks/{hook}/secrets", tags=["secrets"])

MOST_SECRETS = 20  # of a hook. Source: AUTH0.md section 3, as the two below
NAME_CHARS = 128
VALUE_CHARS = 4_096
_RESERVED = "auth0-extension-secret"

SecretName = Annotated[
    str,
    Path(min_length=1, max_length=NAME_CHARS, description="As the hook reads it.", examples=["SENDGRID_API_KEY"]),
]


class SecretValue(Body):
    """A secret."""

    value: str = Field(max_length=VALUE_CHARS, description="What the hook reads", examples=["SG.xxxx"])


@router.get("", response_model=shapes.SecretNames, summary="List a hook's secrets")
@needs(OPERATOR, "read:hooks")
async def list_secrets(hook: HookInPath, caller: Calling, services: Served) -> Response:
    """Their names, sorted."""

    def question(rows: Rows) -> list[str]:
        return secret_values.names(rows, hook_in(rows, hook).id)

    return reply(shapes.SecretNames(secrets=await services.read(caller.owner.id, question)))


@router.put("/{name}", status_code=204, summary="Set a secret")
@needs(OPERATOR, "update:hooks")
async def put_secret(
    hook: HookInPath, name: SecretName, body: SecretValue, caller: Calling, services: Served
) -> Response:
    """Adds it, or gives it another value: `context.webtask.secrets.NAME` of jobs that start later."""
    if name == _RESERVED:
        raise bad_body(f"the name {_RESERVED} is reserved")
    tenant = caller.owner.id

    def change(rows: Rows) -> None:
        found = hook_in(rows, hook)
        data_key = secret_values.data_key(rows)
        sealed = services.vault.seal(tenant, data_key, found.id, name, body.value)
        secret_values.put(rows, found.id, {name: sealed}, MOST_SECRETS)
        told = {"hook": found.id, "name": name, "value": audit.REDACTED}
        audit.record(rows, caller, "Set a hook's secret", request=told, status=204, response=None)

    await services.write(tenant, change)
    return no_content()


@router.delete("/{name}", status_code=204, summary="Delete a secret")
@needs(OPERATOR, "update:hooks", "delete:hooks")
async def delete_secret(hook: HookInPath, name: SecretName, caller: Calling, services: Served) -> Response:
    """It is gone for jobs that start later."""

    def change(rows: Rows) -> None:
        found = hook_in(rows, hook)
        if name not in secret_values.names(rows, found.id):
            raise Missing("there is no such secret", what="secret")
        secret_values.remove(rows, found.id, [name])
        told = {"hook": found.id, "name": name}
        audit.record(rows, caller, "Delete a hook's secret", request=told, status=204, response=None)

    await services.write(caller.owner.id, change)
    return no_content()
