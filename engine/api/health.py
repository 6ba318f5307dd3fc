"""/healthz: the process answers. /readyz: it can do its work: the store is reachable and a worker can be had."""

from __future__ import annotations

from fastapi import Response

from engine.api.replies import reply
from engine.api.route import make_router, open_to_all
from engine.api.services import Served
from tenants import register
from tenants.errors import StoreError

router = make_router(tags=["health"])


@router.get("/healthz", summary="Whether the server answers")
@open_to_all(body_bytes=0)
async def healthz() -> Response:
    """Liveness: nothing is asked of the store or of a worker."""
    return reply({"status": "ok"})


@router.get("/readyz", summary="Whether the server can do its work", responses={503: {"description": "It cannot now"}})
@open_to_all(body_bytes=0)
async def readyz(services: Served) -> Response:
    """Readiness: the store answers, and workers wait."""
    told = {
        "store": await _store(services),
        "workers": "ok" if services.engine.pool.counts()["reserve"] else "none wait",
    }
    ready = told["store"] == "ok"
    return reply({"status": "ok" if ready else "unavailable", **told}, 200 if ready else 503)


async def _store(services: Served) -> str:
    try:
        await services.read_all(register.page, 0, 1)
    except StoreError as error:
        return str(error)
    return "ok"
