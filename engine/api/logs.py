"""/v1/tenants/{tenant}/logs: a tenant's log, as /api/v2/logs has it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query as InQuery
from fastapi import Request, Response

from engine.api.management.logs import Event, EventFields, EventPage, LogId, LogQuery, listed, shown_event
from engine.api.route import Calling, make_router, needs
from engine.api.services import Served
from engine.scopes import OPERATOR

router = make_router(prefix="/v1/tenants/{tenant}/logs", tags=["logs"])


@router.get("", response_model=list[Event] | EventPage, summary="Search a tenant's log")
@needs(OPERATOR, "read:logs")
async def list_logs(
    query: Annotated[LogQuery, InQuery()], request: Request, caller: Calling, services: Served
) -> Response:
    """Newest first, 1,000 events at most by paging. With `from`: oldest first, and the next page in the Link header."""
    return await listed(services, caller, query, request)


@router.get("/{id}", response_model=Event, summary="Get an event of the log")
@needs(OPERATOR, "read:logs")
async def get_log(
    id: LogId,  # noqa: A002 - the path's own name
    shown: Annotated[EventFields, InQuery()],
    caller: Calling,
    services: Served,
) -> Response:
    """The event, or the part of it that `fields` names."""
    return await shown_event(services, caller, id, shown)
