"""POST /v1/tenants/{tenant}/run, the Runner: any hook on any arguments, with all that came of it; nothing is stored."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from pydantic import Field, StringConstraints, model_validator
from ulid import ULID

from engine.answers import BadResponse, error_of, fitting, initial
from engine.api import execution_shapes as shapes
from engine.api.bodies import BODY_BYTES, Body
from engine.api.hanging_up import Awaited, deadline_of
from engine.api.hooks import hook_in
from engine.api.points import known_point
from engine.api.replies import reply
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served, Services
from engine.api.shapes import SentDependencies
from engine.checking import draft_of
from engine.errors import Refusal
from engine.hook import Hook, Within
from engine.outcome import Outcome
from engine.points import Point, point_named
from engine.scopes import OPERATOR
from tenants.records import Tenant

router = make_router(prefix="/v1/tenants/{tenant}", tags=["runs"])

_UPLOADING = ("create:hooks", "update:hooks")
_RUN_BYTES = 3 * BODY_BYTES  # a source and arguments, each as large as may be
_NULL = msgspec.Raw(b"null")

SecretText = Annotated[str, StringConstraints(max_length=65_536)]


class RunBody(Body):
    """A draft or a hook of the tenant's, and what it is called with."""

    trigger_id: str | None = Field(
        default=None,
        max_length=256,
        description="The extensibility point; a draft needs it",
        examples=["post-change-password"],
    )
    script: str | None = Field(
        default=None, description="A draft, in Python", examples=["def hook(user, context, cb):\n    cb()\n"]
    )
    hook_id: str | None = Field(
        default=None, max_length=256, description="Instead of a draft: a hook's id, or its name; its live version runs"
    )
    arguments: dict[str, Any] | None = Field(default=None, description="Null: the point's sample")
    secrets: dict[str, SecretText] | None = Field(
        default=None, description="For this run alone. Null: those of the hook; a draft has none"
    )
    dependencies: SentDependencies | None = Field(
        default=None, description="Of a draft: modules it is written for, with versions or ''"
    )

    @model_validator(mode="after")
    def _says_what_runs(self) -> RunBody:
        if (self.script is None) == (self.hook_id is None):
            raise ValueError("either script or hook_id says what runs")
        if self.script is not None and self.trigger_id is None:
            raise ValueError("a script needs a trigger_id")
        if self.script is None and self.dependencies is not None:
            raise ValueError("dependencies are those of a script; a hook has its own")
        return self


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to run, or why it cannot."""

    tenant: Tenant
    point: Point
    hook: Hook | None
    fault: Outcome | None = None


@router.post("/run", response_model=shapes.Ran, summary="Run a hook, and store nothing")
@needs(OPERATOR, "run:triggers", *_UPLOADING, body_bytes=_RUN_BYTES, body_values=100_000)
async def run(body: RunBody, request: Request, caller: Calling, services: Served) -> Response:
    """A draft, or a hook of the tenant's, enabled or not, on arguments of yours: the whole outcome.

    Limits, sandbox and counted calls are those of a trigger. A draft needs a token that may upload one.
    """
    wanted = await _wanted(services, caller, body)
    services.admission.count(wanted.tenant)
    given = wanted.point.sample if body.arguments is None else body.arguments
    arguments = wanted.point.encode_arguments(given, services.config.arguments_bytes)
    execution_id = str(ULID())
    with services.admission.admit(wanted.tenant):
        outcome = await _outcome(services, wanted, arguments, execution_id, request)
    outcome, answer = answered(wanted.point, arguments, outcome)
    told: dict[str, Any] = {name: getattr(outcome, name) for name in Outcome.__struct_fields__}
    return reply({"execution_id": execution_id} | told | {"answer": answer})


def answered(point: Point, arguments: bytes, outcome: Outcome) -> tuple[Outcome, dict[str, Any]]:
    """What a trigger answers when this is its only hook; and the outcome, if the point refuses the response."""
    if outcome.status == "ok":
        try:
            data = fitting(point, bytes(outcome.result), initial(point, arguments))
            return outcome, {"status": "success", "data": msgspec.Raw(data)}
        except BadResponse as error:
            outcome = msgspec.structs.replace(outcome, status="bad_result", message=str(error), result=_NULL)
    data = error_of(point, outcome)
    return outcome, {"status": "error", "data": msgspec.Raw(data), "fail": point.fail}


async def _outcome(
    services: Services, wanted: _Wanted, arguments: bytes, execution_id: str, request: Request
) -> Outcome:
    if wanted.hook is None:
        assert wanted.fault is not None, "either it runs or there is a reason"
        return wanted.fault
    within = Within(execution_id=execution_id, deadline=deadline_of(services.config))
    with Awaited(request.receive, services.engine.alarms):
        return await services.engine.run(wanted.hook, arguments, within=within)


async def _wanted(services: Services, caller: Caller, body: RunBody) -> _Wanted:
    """Raises Refusal 400, 403, BadInput, and Missing for a hook that is not there."""
    if body.script is None:
        return await _stored(services, caller, body)
    if caller.token.scopes.isdisjoint({OPERATOR, *_UPLOADING}):
        told = f"Insufficient scope, expected any of: {', '.join(_UPLOADING)}"
        raise Refusal(403, "insufficient_scope", told)
    point = known_point(body.trigger_id or "")
    tenant = caller.owner
    return _Wanted(tenant, point, draft_of(tenant, point.id, body.script, body.dependencies or {}, body.secrets or {}))


async def _stored(services: Services, caller: Caller, body: RunBody) -> _Wanted:
    found = await services.read(caller.owner.id, hook_in, body.hook_id or "")
    if body.trigger_id not in (None, found.trigger_id):
        told = f"the hook {found.name!r} is one of {found.trigger_id}"
        raise Refusal(400, "invalid_body", f"Payload validation error: '{told}' on property trigger_id.")
    tenant, ready = await services.standings.hook(caller.owner.id, found.id)
    hook = ready.runnable
    if hook is not None and body.secrets is not None:
        hook = dataclasses.replace(hook, secrets=body.secrets)
    return _Wanted(tenant, point_named(found.trigger_id), hook, ready.fault)
