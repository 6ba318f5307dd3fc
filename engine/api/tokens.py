"""/v1/tenants/{tenant}/tokens: a tenant's API tokens. Nobody gives more than they have."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Path, Response
from pydantic import Field, StringConstraints

from engine.api import audit, shapes
from engine.api.bodies import Body
from engine.api.replies import no_content, reply
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served
from engine.errors import Refusal
from engine.scopes import OPERATOR, TenantScope
from engine.tokens import new_token
from tenants import token_rows
from tenants.rows import Rows

router = make_router(prefix="/v1/tenants/{tenant}/tokens", tags=["tokens"])

MOST_SECONDS = 10 * 366 * 86_400

TokenName = Annotated[str, StringConstraints(min_length=1, max_length=shapes.NAME_CHARS)]
TokenId = Annotated[str, Path(pattern="^[0-9A-Za-z]{1,64}$", description="The token's id, which is not its text.")]


class TokenBody(Body):
    """A token to be made."""

    name: TokenName = Field(description="For people: who will use it, and what for", examples=["deploys of CI"])
    scopes: list[TenantScope] = Field(
        fail_fast=True,
        min_length=1,
        max_length=64,
        description="What it may do",
        examples=[["read:hooks", "update:hooks"]],
    )
    expires_in: int | None = Field(
        default=None, ge=1, le=MOST_SECONDS, description="Seconds until it ends; null: never", examples=[86_400]
    )


@router.post("", status_code=201, response_model=shapes.NewToken, summary="Make a token")
@needs(OPERATOR, "create:tokens")
async def create_token(body: TokenBody, caller: Calling, services: Served) -> Response:
    """The answer is the only one that tells the token's text.

    Nobody gives more than they have: a tenant's token no scope that it lacks, and none makes a token that ends after
    it. What was got at /oauth/token makes none at all.
    """
    if caller.token.parent_id is not None:
        raise Refusal(403, "derived_token", "A token that was got at /oauth/token makes no other tokens.")
    scopes = frozenset[str](body.scopes)
    lacking = sorted(scopes - caller.token.scopes)
    if lacking and OPERATOR not in caller.token.scopes:
        raise Refusal(403, "insufficient_scope", f"Insufficient scope, a token cannot give: {', '.join(lacking)}")
    made = new_token(caller.owner.id, body.name, scopes, expires_in=body.expires_in, maker=caller.token)

    def change(rows: Rows) -> None:
        token_rows.create(rows, made.token, made.digest)
        told = msgspec.to_builtins(shapes.token_shape(made.token))
        audit.record(rows, caller, "Create a token", request=body.model_dump(), status=201, response=told)

    await services.write(caller.owner.id, change)
    shape = shapes.NewToken(**shapes.token_fields(made.token), token=made.text)
    return reply(shape, 201, {"Cache-Control": "no-store"})


@router.get("", response_model=shapes.Tokens, summary="List tokens")
@needs(OPERATOR, "read:tokens")
async def list_tokens(caller: Calling, services: Served) -> Response:
    """All of them, without their texts, which nobody knows any more."""
    found = await services.read(caller.owner.id, token_rows.listed)
    return reply(shapes.Tokens(tokens=[shapes.token_shape(token) for token in found]))


@router.delete("/{token_id}", status_code=204, summary="Revoke a token")
@needs(OPERATOR, "delete:tokens")
async def delete_token(token_id: TokenId, caller: Calling, services: Served) -> Response:
    """It ends at once, and so do those that were got with it at /oauth/token."""

    def change(rows: Rows) -> None:
        audit.record(rows, caller, "Revoke a token", request={"id": token_id}, status=204, response=None)
        token_rows.remove(rows, token_id)  # last: it may be the caller's own

    await services.write(caller.owner.id, change)
    return no_content()
