"""Whether the wall stands, and whether `hookcell doctor` would see it if it did not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.wire import LAYER_NAMES, LAYERS


def test_a_whole_wall_is_status_0_and_a_table(hookcell: Any) -> None:
    """Each layer, what it stops, and that it holds; then the attempts."""
    ran = hookcell("doctor")
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}

    assert (0, "") == (ran.status, ran.err)
    assert all(rows[name].rstrip().endswith("yes") for name in LAYER_NAMES)
    assert all(LAYERS[name] in rows[name] for name in LAYER_NAMES)
    assert "attempts by native code" in ran.out


def test_json_lists_every_layer_and_every_attempt(hookcell: Any) -> None:
    """For a deployment's own checks."""
    ran = hookcell("doctor", "--json")
    found = json.loads(ran.out)

    assert (0, "", True) == (ran.status, ran.err, found["ok"])
    assert list(LAYER_NAMES) == [layer["name"] for layer in found["layers"]]
    assert all(layer["held"] and layer["detail"] and layer["stops"] for layer in found["layers"])
    assert len(found["attempts"]) > 50
    assert [] == [attempt for attempt in found["attempts"] if not attempt["held"]]


@pytest.mark.parametrize("layer", LAYER_NAMES)
def test_a_missing_layer_is_status_1_and_named(hookcell: Any, layer: str) -> None:
    """So the doctor's own eyes are tried, one layer at a time."""
    ran = hookcell("doctor", "--json", "--without", layer)
    found = json.loads(ran.out)

    assert (1, False) == (ran.status, found["ok"])
    assert layer in [each["name"] for each in found["layers"] if not each["held"]]


def test_a_missing_layer_is_told_in_the_table(hookcell: Any) -> None:
    """In its row, with what was found."""
    ran = hookcell("doctor", "--without", "landlock")
    (row,) = [line for line in ran.out.splitlines() if line.startswith("landlock ")]

    assert 1 == ran.status
    assert "no: the worker can open the root folder" in row


def test_a_layer_that_does_not_exist_is_one_clear_error(hookcell: Any) -> None:
    """With those that do."""
    fault = hookcell("doctor", "--without", "moat").fault

    assert all(name in fault for name in ("'moat'", *LAYER_NAMES))
