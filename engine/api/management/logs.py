"""/api/v2/logs: a tenant's log by search or by checkpoint, and one event. Source: AUTH0.md sections 5.1, 5.2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi import Query as InQuery
from pydantic import Field, model_validator
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from engine.api.bodies import Query
from engine.api.management.queries import Flag, Number, Paged, fields_pattern, part_of
from engine.api.replies import reply
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served, Services
from engine.api.shapes import time_of
from engine.errors import Refusal
from engine.search import parse_search
from tenants import log_events, log_search
from tenants.log_search import Every, Order, Search
from tenants.records import LogEvent
from tenants.rows import Rows

router = make_router(prefix="/api/v2/logs", tags=["Management API v2: logs"])

_MOST_PAGED = 1_000  # events that can be reached by paging; whoever wants more asks from a checkpoint
_URL_BYTES = 8_000
_TAKE = 50  # unless it is said
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,300}")
_ENVIRONMENT = "hookcell"
_REQUIRED = frozenset({"client_name", "description", "ip", "strategy", "strategy_type"})  # also when they are empty
_OPTIONAL = (
    "client_id",
    "connection",
    "connection_id",
    "hostname",
    "user_agent",
    "user_id",
    "user_name",
)
_NAMES = (
    "date",
    "details",
    "environment_name",
    "isMobile",
    "log_id",
    "tenant_name",
    "type",
    *sorted(_REQUIRED),
    *_OPTIONAL,
)
_FIELDS = fields_pattern(_NAMES)
_SORT = f"^({'|'.join(sorted(log_search.SORTED))}):-?1$"
_FIELDS_TOLD = "Comma list of the properties to show; empty: all."

LogId = Annotated[str, Path(pattern="^[A-Za-z0-9-]*$", description="The event's log_id.")]


class Event(TypedDict, total=False):
    """An event, or a part of one; what is empty is left out, but for what Auth0's catalogue requires."""

    log_id: str
    date: str
    type: str
    description: str
    client_id: str
    client_name: str
    connection: str
    connection_id: str
    ip: str
    hostname: str
    user_id: str
    user_name: str
    user_agent: str
    isMobile: bool
    strategy: str
    strategy_type: str
    details: dict[str, Any]
    tenant_name: str
    environment_name: str


class EventPage(TypedDict):
    """A page of events, with how many there are."""

    start: int
    limit: int
    length: int
    total: int
    logs: list[Event]


class LogQuery(Paged):
    """What to search for; or with `from`, from which event on, and then nothing else counts but `take`."""

    q: Annotated[
        str,
        Field(description="Search in a subset of Lucene's syntax.", examples=["type:sapi AND date:[2026-11-01 TO *]"]),
    ] = ""
    search: Annotated[str, Field(description="As q; both must hold.")] = ""
    sort: Annotated[str, Field(pattern=_SORT, description="A field, and :1 for ascending or :-1 for descending.")] = (
        "date:-1"
    )
    fields: Annotated[str | None, Field(pattern=_FIELDS, description=_FIELDS_TOLD)] = None
    from_id: Annotated[
        str | None,
        Field(alias="from", pattern="^[0-9]{1,56}$", description="A log_id: only events newer than it, oldest first."),
    ] = None
    take: Annotated[Number, Field(ge=1, le=100, description="How many events, with from.")] = _TAKE

    @model_validator(mode="before")
    @classmethod
    def _without_the_ignored(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "from" in given:
            return {name: value for name, value in given.items() if name in ("from", "take")}
        return given

    @property
    def order(self) -> Order:
        """How to sort."""
        field, _, way = self.sort.partition(":")
        return Order(field=field, ascending=way == "1")


class EventFields(Query):
    """Which part of an event to show."""

    fields: Annotated[str | None, Field(pattern=_FIELDS, description=_FIELDS_TOLD)] = None
    include_fields: Annotated[Flag, Field(description="Whether `fields` names what to show, or what to leave out.")] = (
        True
    )


@router.get("", response_model=list[Event] | EventPage, summary="Search a tenant's log")
@needs("read:logs")
async def list_logs(
    query: Annotated[LogQuery, InQuery()], request: Request, caller: Calling, services: Served
) -> Response:
    """Newest first, 1,000 events at most by paging. With `from`: oldest first, and the next page in the Link header."""
    return await listed(services, caller, query, request)


@router.get("/{id}", response_model=Event, summary="Get an event of the log")
@needs("read:logs")
async def get_log(
    id: LogId,  # noqa: A002 - the path's own name
    shown: Annotated[EventFields, InQuery()],
    caller: Calling,
    services: Served,
) -> Response:
    """The event, or the part of it that `fields` names."""
    return await shown_event(services, caller, id, shown)


async def listed(services: Services, caller: Caller, query: LogQuery, request: Request) -> Response:
    """The answer to a search or to a question from a checkpoint, of the caller's tenant. Raises Refusal."""
    if len(request.scope["query_string"]) > _URL_BYTES:
        raise Refusal(
            414, "uri_too_long", f"The query is longer than {_URL_BYTES} bytes, the most that is allowed here"
        )
    if query.from_id is not None:
        return await _after(services, caller, (query.from_id, query.take), request)
    search = _search_of(query)

    def question(rows: Rows) -> tuple[list[LogEvent], int]:
        limit = min(query.per_page, max(_MOST_PAGED - query.start, 0))
        found = log_search.found(rows, search, order=query.order, start=query.start, limit=limit) if limit else []
        return found, log_search.number(rows, search) if query.include_totals else 0

    found, total = await services.study(caller.owner.id, question)
    shapes = [_shape(event, caller.owner.name) for event in found]
    logs = [part_of(shape, query.fields, included=query.include_fields) for shape in shapes]
    return reply(query.totals(total) | {"length": len(logs), "logs": logs} if query.include_totals else logs)


async def shown_event(services: Services, caller: Caller, log_id: str, shown: EventFields) -> Response:
    """The answer to a question for one event of the caller's tenant. Raises Missing."""
    event = await services.read(caller.owner.id, log_events.get, log_id)
    return reply(part_of(_shape(event, caller.owner.name), shown.fields, included=shown.include_fields))


def _search_of(query: LogQuery) -> Search | None:
    searches = [search for text in (query.q, query.search) if (search := parse_search(text)) is not None]
    return Every(tuple(searches)) if searches else None


async def _after(services: Services, caller: Caller, asked: tuple[str, int], request: Request) -> Response:
    """Newer events, and where the next ones will be: at the end, here again."""
    log_id, take = asked
    found = await services.read(caller.owner.id, log_events.after, log_id, take)
    last = found[-1].log_id if found else log_id
    where = f"{_origin(request)}{request.url.path}?from={last}&take={take}"
    return reply([_shape(event, caller.owner.name) for event in found], headers={"Link": f'<{where}>; rel="next"'})


def _origin(request: Request) -> str:
    """Scheme and host as the client named them; a relative link when the host is no host's name."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else ""


def _shape(event: LogEvent, tenant_name: str) -> dict[str, Any]:
    """An event as it stands in answers."""
    shape: dict[str, Any] = {
        "log_id": event.log_id,
        "date": time_of(event.date_ms),
        "type": event.type,
        "tenant_name": tenant_name,
        "environment_name": _ENVIRONMENT,
        "isMobile": False,
    }
    shape |= {name: getattr(event, name) for name in sorted(_REQUIRED)}
    shape |= {name: value for name in _OPTIONAL if (value := getattr(event, name))}
    return shape | ({"details": event.details} if event.details else {})
