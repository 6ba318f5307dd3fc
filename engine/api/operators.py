"""/v1/tokens and /v1/master-key: what operators do to the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Path, Response
from pydantic import Field, StringConstraints

from engine.api import audit, shapes
from engine.api.bodies import Body
from engine.api.replies import no_content, reply
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served, Services
from engine.errors import Refusal
from engine.scopes import OPERATOR
from engine.tokens import end_operator, new_token
from tenants import token_rows, vault
from tenants.errors import Unavailable
from tenants.rows import Everything

router = make_router(prefix="/v1", tags=["operators"])

_MOST_SECONDS = 10 * 366 * 86_400
_DATA_KEYS = 100  # sealed anew in one transaction

T = TypeVar("T")
TokenId = Annotated[str, Path(pattern="^[0-9A-Za-z]{1,64}$", description="The token's id, which is not its text.")]


class NewOperatorToken(Body):
    """An operator's token to be made."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=shapes.NAME_CHARS)] = Field(
        description="For people: who will use it, and what for", examples=["Ada, on call"]
    )
    expires_in: int | None = Field(
        default=None, ge=1, le=_MOST_SECONDS, description="Seconds until it ends; null: never", examples=[86_400]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation of the master key has done."""

    master_key_id: Annotated[str, Field(description="Of the key that is in use now.", examples=["9f2c01d3a4b5c6d7"])]
    data_keys: Annotated[int, Field(description="How many were sealed anew.")]
    unreadable: Annotated[list[str], Field(description="Ids of tenants whose data key no master key opens.")]
    complete: Annotated[bool, Field(description="Whether the old master key is needed no more.")]


@router.post("/tokens", status_code=201, response_model=shapes.NewToken, summary="Make an operator's token")
@needs(OPERATOR)
async def create_operator_token(body: NewOperatorToken, caller: Calling, services: Served) -> Response:
    """It may do everything, everywhere but in /api/v2. The answer is the only one that tells its text.

    It ends no later than the token that asks for it.
    """
    made = new_token(None, body.name, [OPERATOR], expires_in=body.expires_in, maker=caller.token)

    def change(everything: Everything) -> None:
        audit.check_operator(everything, caller)
        token_rows.create_operator(everything, made.token, made.digest)

    await services.write_all(change)
    audit.tell(caller, "Create an operator's token", 201, id=made.token.id, name=made.token.name)
    shape = shapes.NewToken(**shapes.token_fields(made.token), token=made.text)
    return reply(shape, 201, {"Cache-Control": "no-store"})


@router.get("/tokens", response_model=shapes.Tokens, summary="List the operators' tokens")
@needs(OPERATOR)
async def list_operator_tokens(services: Served) -> Response:
    """All of them, without their texts, which nobody knows any more."""
    found = await services.read_all(token_rows.operators)
    return reply(shapes.Tokens(tokens=[shapes.token_shape(token) for token in found]))


@router.delete("/tokens/{token_id}", status_code=204, summary="Revoke an operator's token")
@needs(OPERATOR)
async def delete_operator_token(token_id: TokenId, caller: Calling, services: Served) -> Response:
    """It ends at once, also for the one who asks. The last one that does not expire cannot be revoked."""

    def change(everything: Everything) -> None:
        token_rows.lock_operators(everything)  # before any other lock, as end_operator() does
        audit.check_operator(everything, caller)
        end_operator(everything, token_id)

    await services.write_all(change)
    audit.tell(caller, "Revoke an operator's token", 204, id=token_id)
    return no_content()


@router.post("/master-key/rotation", response_model=Rotation, summary="Rotate the master key")
@needs(OPERATOR)
async def rotate_master_key(caller: Calling, services: Served) -> Response:
    """Makes a new master key and seals every tenant's data key with it, while everything else goes on.

    Of a rotation that was stopped, this is the rest. Where the master key is of the environment, set it to `new,old`,
    start the server again and ask this then. `unreadable` data keys were damaged; while there are any, the old master
    key stays.
    """
    await services.write_all(audit.check_operator, caller)
    turn = services.vault.rotation
    if not turn.acquire(blocking=False):
        raise Refusal(409, "rotation_under_way", "The master key is being rotated already.")
    try:
        rotation = await _rotate(services)
        audit.tell(caller, "Rotate the master key", 200, master_key_id=rotation.master_key_id)
        return reply(rotation)
    finally:
        turn.release()


async def _rotate(services: Services) -> Rotation:
    """Each step leaves what the next start, or the next rotation, can go on from."""
    keys = services.vault
    if keys.is_given_alone:
        told = "HOOKCELL_MASTER_KEY holds one key. Set it to the new one, a comma and this one, and start again."
        raise Refusal(409, "master_key_of_environment", told)
    keys.use(await _on_disk(keys.begin))
    sealed, batch = 0, vault.Batch(0, last=False, unreadable=frozenset())
    while not batch.last:
        batch = await services.write_all(vault.seal_anew, keys, batch.unreadable, _DATA_KEYS)
        sealed += batch.sealed
    if not batch.unreadable:
        await services.write_all(vault.all_sealed, keys)
        await _on_disk(keys.end)
    return Rotation(
        master_key_id=keys.current,
        data_keys=sealed,
        unreadable=sorted(batch.unreadable),
        complete=not batch.unreadable,
    )


async def _on_disk(step: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(step)
    except OSError as error:
        raise Unavailable(f"the key file cannot be read or written: {error.strerror}") from error
