"""/v1/tenants/{tenant}/executions: what came of triggers; what has failed for good, and is to be run again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response
from fastapi import Query as InQuery
from pydantic import Field

from engine.api import audit
from engine.api import execution_shapes as shapes
from engine.api.bodies import Query
from engine.api.hooks import hook_in
from engine.api.replies import reply
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served
from engine.scopes import OPERATOR
from tenants import executions
from tenants.errors import Missing
from tenants.records import Execution
from tenants.rows import Rows
from tenants.states import ExecutionStatus

router = make_router(prefix="/v1/tenants/{tenant}/executions", tags=["executions"])

_ID = "^[0-9A-HJKMNP-TV-Z]{26}$"
ExecutionInPath = Annotated[
    str, Path(pattern=_ID, description="The execution's id.", examples=["01KACT8J9R0Q2T7Y4W5E6D8F1G"])
]


class ExecutionQuery(Query):
    """Which executions."""

    trigger_id: str | None = Field(default=None, max_length=256, description="Only those of this point.")
    hook: str | None = Field(
        default=None, max_length=256, description="Only those that this hook was to run in: its id, or its name."
    )
    status: ExecutionStatus | None = Field(default=None, description="Only those that are so.")
    before: str | None = Field(default=None, pattern=_ID, description="Only those older than the one of this id.")
    limit: int = Field(default=50, ge=1, le=100, description="How many are shown.")


@router.get("", response_model=shapes.Executions, summary="List executions")
@needs(OPERATOR, "read:executions")
async def list_executions(caller: Calling, services: Served, query: Annotated[ExecutionQuery, InQuery()]) -> Response:
    """Newest first, without arguments, and of outcomes only how they ended."""

    def question(rows: Rows) -> list[Execution]:
        return executions.page(
            rows,
            trigger_id=query.trigger_id,
            hook_id=_hook_id(rows, query.hook),
            status=query.status,
            before=query.before,
            limit=query.limit + 1,
        )

    found = await services.study(caller.owner.id, question)
    listed = [shapes.listed(execution) for execution in found[: query.limit]]
    following = listed[-1]["id"] if len(found) > query.limit else None
    return reply({"executions": listed, "next": following})


@router.get("/{id}", response_model=shapes.ShownExecution, summary="Read an execution")
@needs(OPERATOR, "read:executions")
async def get_execution(
    id: ExecutionInPath,  # noqa: A002 - the path's own name
    caller: Calling,
    services: Served,
) -> Response:
    """With its arguments and the whole outcome of its last attempt: each hook's version, log, calls and error."""
    return reply(shapes.shown(await services.read(caller.owner.id, executions.get, id)))


@router.post("/{id}/redrive", status_code=202, response_model=shapes.ShownExecution, summary="Run an execution again")
@needs(OPERATOR, "update:executions")
async def redrive_execution(
    id: ExecutionInPath,  # noqa: A002 - the path's own name
    caller: Calling,
    services: Served,
) -> Response:
    """Queues one that is `error` or `dead` again, with the same id. Hooks that ended well are passed over."""

    def change(rows: Rows) -> dict[str, Any]:
        redriven = executions.redrive(rows, id)
        shape = shapes.listed(redriven)
        audit.record(rows, caller, "Run an execution again", request=None, status=202, response=shape)
        return shapes.shown(redriven)

    shown = await services.write(caller.owner.id, change)
    services.queue.look()
    return reply(shown, 202)


def _hook_id(rows: Rows, hook: str | None) -> str | None:
    """The id behind a name. A hook that is gone is known by its id alone."""
    if hook is None:
        return None
    try:
        return hook_in(rows, hook).id
    except Missing:
        return hook
