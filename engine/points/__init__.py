"""Extensibility points are data: YAML files, one a point, read once. Those of this folder, and those of the operator.

What may stand in such a file: docs/points.md. The operator's own are those of this process, from `load_points` on.
"""

from __future__ import annotations

import difflib
import functools
from pathlib import Path

from engine.errors import UnknownPoint
from engine.points.point import Fail, Point
from engine.points.reading import read_built_in, read_folder

__all__ = ["Fail", "Point", "all_points", "load_points", "point_named"]

_own: dict[str, Point] = {}  # the operator's; replaced whole


def load_points(folder: str | None) -> None:
    """Make the points of the operator's folder known beside the built-in ones, instead of those loaded before.

    None: there are no own ones. Raises BadConfig with every fault of every file; then nothing has changed.
    """
    own = {} if folder is None else read_folder(Path(folder), _built_in())
    _own.clear()
    _own.update(own)


def all_points() -> dict[str, Point]:
    """Every point, by id: the built-in ones, then the operator's."""
    return _built_in() | _own


def point_named(trigger_id: str) -> Point:
    """The point of that id. Raises UnknownPoint, naming the nearest."""
    point = _built_in().get(trigger_id) or _own.get(trigger_id)
    if point is not None:
        return point
    points = all_points()
    near = difflib.get_close_matches(trigger_id, points, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownPoint(
        f"there is no extensibility point {trigger_id!r:.200}; {hint}the points are: {', '.join(points)}"
    )


@functools.cache
def _built_in() -> dict[str, Point]:
    return read_built_in()
