"""/api/v2/clients: there are none. auth0-deploy-cli asks for them before it shows what an import would do."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query as InQuery
from fastapi import Response
from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from engine.api.management.queries import Paged
from engine.api.replies import reply
from engine.api.route import ANY, make_router, needs

router = make_router(prefix="/api/v2/clients", tags=["Management API v2: for its clients"])


class ClientSearch(Paged):
    """A page of the clients; what else the clients are asked for has no effect."""

    model_config = ConfigDict(extra="ignore")


class ClientPage(TypedDict):
    """A page of no clients."""

    total: int
    start: int
    limit: int
    clients: list[Any]


@router.get("", response_model=list[Any] | ClientPage, summary="List clients")
@needs(ANY)
async def list_clients(search: Annotated[ClientSearch, InQuery()]) -> Response:
    """Always empty: tenants have no applications here."""
    return reply(search.totals(0) | {"clients": []} if search.include_totals else [])
