"""POST /v1/tenants/{tenant}/check: what an upload of this source would find; nothing is stored."""

from __future__ import annotations

from fastapi import Response
from pydantic import Field

from engine.api import shapes
from engine.api.bodies import Body
from engine.api.points import known_point
from engine.api.replies import reply
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served
from engine.scopes import OPERATOR

router = make_router(prefix="/v1/tenants/{tenant}", tags=["checks"])


class CheckBody(Body):
    """A source to be checked."""

    trigger_id: str = Field(max_length=256, description="The extensibility point", examples=["post-change-password"])
    script: str = Field(description="Python", examples=["def hook(user, context, cb):\n    cb()\n"])
    dependencies: shapes.SentDependencies = Field(
        default={}, description="Modules it is written for, with versions or ''"
    )
    secrets: list[str] | None = Field(
        default=None, max_length=100, fail_fast=True, description="The names that the hook will have; null: not known"
    )


@router.post("/check", response_model=shapes.Checked, summary="Check a source")
@needs(OPERATOR, "read:hooks", "create:hooks", "update:hooks")
async def check(body: CheckBody, caller: Calling, services: Served) -> Response:
    """As an upload would, with every finding; nothing is stored."""
    known_point(body.trigger_id)
    outcome = await services.checker.check(
        caller.owner, body.trigger_id, body.script, body.dependencies, secrets=body.secrets
    )
    ok = outcome.status == "ok"
    return reply(
        shapes.Checked(
            ok=ok,
            message="" if ok else outcome.message,
            diagnostics=[shapes.finding_shape(finding) for finding in outcome.diagnostics],
            warnings=[shapes.finding_shape(finding) for finding in outcome.warnings],
        )
    )
