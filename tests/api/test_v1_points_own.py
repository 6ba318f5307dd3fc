from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.points import load_points

PAGE = Path(__file__).parents[2].joinpath("docs/points.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def _own_point(tmp_path: Path) -> Iterator[None]:
    """The example of the documents, as the server would have read it at its start."""
    tmp_path.joinpath("pre-order.yaml").write_text(EXAMPLE, encoding="utf-8")
    load_points(str(tmp_path))
    yield
    load_points(None)


def test_an_operators_own_point_is_told_with_its_rules(acme: Any) -> None:
    listed = acme.ask("GET", "/v1/points").json()["points"]
    told = acme.ask("GET", "/v1/points/pre-order").json()

    assert told == listed[-1]
    assert ("pre-order", True, "open", ["customer.card"]) == tuple(
        told[name] for name in ("id", "blocking", "fail", "secret")
    )
    assert ["discount_percent", "labels"] == told["kept"]
    assert {"statusCode": 409, "code": "refused"} == told["errors"]["Refused"]


def test_the_built_in_rules_are_told_too(acme: Any) -> None:
    told = acme.ask("GET", "/v1/points/credentials-exchange").json()

    assert ["auth0.com", "webtask.io", "webtask.run"] == told["claims"]
    assert ({"scope": "scope"}, ["scope"]) == (told["without_hooks"], told["renewed"])


def test_a_hook_of_an_own_point_is_taken_and_answers_by_its_rules(acme: Any) -> None:
    point = acme.ask("GET", "/v1/points/pre-order").json()
    made = acme.hook("prices", point["starter"], "pre-order", enabled="true")
    cheap = acme.ask("POST", "triggers/pre-order", json=point["sample"])
    dear = acme.ask("POST", "triggers/pre-order", json=point["sample"] | {"order": {"total_cents": 2_000_000}})

    assert ("pre-order", True) == (made["trigger_id"], made["enabled"])
    assert (200, {"discount_percent": 5}) == (cheap.status_code, cheap.json()["data"])
    assert ("error", "open", 409, "call us") == (
        dear.json()["status"],
        dear.json()["fail"],
        dear.json()["data"]["statusCode"],
        dear.json()["data"]["reason"],
    )


def test_without_hooks_an_own_point_answers_its_default_response(acme: Any) -> None:
    sample = acme.ask("GET", "/v1/points/pre-order").json()["sample"]

    assert {"discount_percent": 0} == acme.ask("POST", "triggers/pre-order", json=sample).json()["data"]
