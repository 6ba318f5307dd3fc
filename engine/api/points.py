"""/v1/points and /v1/modules: what the engine offers to those who write hooks."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import msgspec
from fastapi import Path, Response

from engine import modules
from engine.api import point_shapes as shapes
from engine.api.replies import reply
from engine.api.route import ANY, Calling, make_router, needs
from engine.errors import Refusal, UnknownPoint
from engine.points import Point, all_points, point_named

router = make_router(prefix="/v1", tags=["points"])

PointId = Annotated[str, Path(max_length=256, description="`trigger_id` elsewhere.", examples=["post-change-password"])]


@router.get("/points", response_model=shapes.Points, summary="List the extensibility points")
@needs(ANY)
async def list_points() -> Response:
    """With schemas, starter code and sample arguments."""
    return reply(shapes.Points(points=[_shape(point) for point in all_points().values()]))


@router.get("/points/{trigger_id}", response_model=shapes.Point, summary="Read an extensibility point")
@needs(ANY)
async def get_point(trigger_id: PointId) -> Response:
    """With schemas, starter code and sample arguments."""
    return reply(_shape(point_named(trigger_id)))


@router.get("/modules", response_model=shapes.Modules, summary="List the modules that hooks may import")
@needs(ANY)
async def list_modules(caller: Calling) -> Response:
    """The module map, as the operator has narrowed it for the token's tenant; and what is not in it, with reasons."""
    narrowed = caller.tenant.settings.modules if caller.tenant else None
    offered = [
        module for name, module in modules.all_modules().items() if narrowed is None or _is_within(name, narrowed)
    ]
    return reply({"modules": msgspec.to_builtins(offered), "left_out": msgspec.to_builtins(modules.left_out())})


def known_point(trigger_id: str) -> Point:
    """The point that a body or a query names. Raises Refusal 400: no address is wrong, as with point_named."""
    try:
        return point_named(trigger_id)
    except UnknownPoint as error:
        raise Refusal(400, "invalid_body", f"Payload validation error: '{error}' on property trigger_id.") from None


def _is_within(name: str, chosen: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in chosen)


def _shape(point: Point) -> shapes.Point:
    return shapes.Point(**{each.name: getattr(point, each.name) for each in dataclasses.fields(shapes.Point)})
