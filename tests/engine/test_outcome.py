"""The outcome as callers store and show it."""

from __future__ import annotations

import json

import msgspec
import pytest

from engine.outcome import Cause, Finding, LogEvent, Outcome, Step, Usage

FULL = Outcome(
    status="denied",
    message="no: é \x1b",
    line=3,
    source="cb('no')",
    result=msgspec.Raw(b"null"),
    error=msgspec.Raw(b'{"name":"Error","message":"no"}'),
    logs=(LogEvent(level="info", text="a", line=None, at="2026-01-01T00:00:00.000Z"),),
    usage=Usage(wall_ms=1.5, cpu_ms=0.5, peak_bytes=1),
    diagnostics=(Finding(rule="import", line=1, column=1, end=2, message="m", hint=""),),
    causes=(Cause(message="Error: no", steps=(Step(line=2, function="send", source="raise Error('no')"),)),),
)


def test_the_whole_outcome_is_one_json_object() -> None:
    """Each field by its name; result and error are JSON inside it, not texts of JSON."""
    assert json.loads(FULL.json()) == {
        "status": "denied",
        "message": "no: é \x1b",
        "line": 3,
        "source": "cb('no')",
        "result": None,
        "error": {"name": "Error", "message": "no"},
        "logs": [{"level": "info", "text": "a", "line": None, "at": "2026-01-01T00:00:00.000Z"}],
        "egress": [],
        "usage": {"wall_ms": 1.5, "cpu_ms": 0.5, "peak_bytes": 1},
        "diagnostics": [{"rule": "import", "line": 1, "column": 1, "end": 2, "message": "m", "hint": ""}],
        "warnings": [],
        "causes": [{"message": "Error: no", "steps": [{"line": 2, "function": "send", "source": "raise Error('no')"}]}],
    }


def test_what_an_outcome_does_not_say_is_empty() -> None:
    """Absent is null, an empty list or nothing used; every field is there all the same."""
    shown = json.loads(Outcome(status="ok", message="").json())

    assert (None, None, None, None) == (shown["line"], shown["source"], shown["result"], shown["error"])
    assert [[]] * 5 == [shown[name] for name in ("logs", "egress", "diagnostics", "warnings", "causes")]
    assert {"wall_ms": 0.0, "cpu_ms": 0.0, "peak_bytes": 0} == shown["usage"]


def test_an_outcome_comes_back_from_its_json() -> None:
    """For those who store it."""
    assert FULL.json() == msgspec.json.decode(FULL.json(), type=Outcome).json()


@pytest.mark.parametrize("raw", [b"null", b"1", b'"a"', b'{"a":[1,2.5,null,true]}'])
def test_the_value_is_the_result_as_data(raw: bytes) -> None:
    """Decoded when someone asks for it."""
    assert json.loads(raw) == Outcome(status="ok", message="", result=msgspec.Raw(raw)).value()


def test_an_outcome_is_frozen() -> None:
    """It is a record of what was."""
    with pytest.raises(AttributeError):
        FULL.status = "ok"

    assert "denied" == FULL.status
