"""What is kept of an invocation: its outcome as JSON, and the event that its tenant's log gets of a failure.

    {"status": "error", "message": …, "error": {"name", "message", …}, "hooks": [{"hook_id", "name", "version",
     "outcome": {…}}], "timings": {"queue_ms", "lease_ms", "run_ms", "egress_ms", "record_ms"}}

`hooks` are those of the last attempt. Source of the log events' fields: AUTH0.md sections 5.2, 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import msgspec

from engine import answers
from engine.errors import UnknownPoint
from engine.invocation import Ended, HookRun, Invocation
from engine.mask import storable_result
from engine.outcome import Outcome
from engine.points import Point, point_named
from tenants.log_events import Said
from tenants.records import Execution, Json

_DESCRIPTION_CHARS = 2_000
_FIELD_CHARS = 200  # of a user's or a connection's name or id
_NULL = b"null"
_RUN_FIELDS = ("hook_id", "name", "version", "lease_ms", "outcome")
_NUMBER = 3  # decimals of milliseconds
_PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {  # fields of a log event, and where the arguments have them
    "user_id": (("user", "id"), ("context", "user", "user_id")),
    "user_name": (("user", "username"), ("user", "email"), ("context", "user", "name")),
    "connection": (("context", "connection", "name"),),
    "connection_id": (("context", "connection", "id"),),
    "client_id": (("client", "id"), ("context", "client", "client_id")),
    "client_name": (("client", "name"), ("context", "client", "name")),
    "ip": (("context", "request", "ip"), ("context", "ip")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where the time of one attempt went, in milliseconds."""

    queue_ms: float = 0.0  # from when it was due to its start
    lease_ms: float = 0.0  # waiting for workers
    run_ms: float = 0.0  # in its hooks, without their calls to other hosts
    egress_ms: float = 0.0  # in those calls
    record_ms: float = 0.0  # from its end until it was given to the store


class _Told(NamedTuple):
    """What a log event tells of an invocation."""

    id: str
    point: Point
    arguments: bytes
    attempt: int


class LogEvent(Said):
    """What tenants.log_events.append takes."""

    type: str
    description: str


def timings_of(ended: Ended, *, queue_ms: float = 0.0) -> Timings:
    """By what the outcomes of its hooks tell."""
    egress_ms = sum(exchange.ms for run in ended.runs for exchange in run.outcome.egress)
    wall_ms = sum(run.outcome.usage.wall_ms for run in ended.runs)
    return Timings(
        queue_ms=round(queue_ms, _NUMBER),
        lease_ms=round(sum(run.lease_ms for run in ended.runs), _NUMBER),
        run_ms=round(max(wall_ms - egress_ms, 0.0), _NUMBER),
        egress_ms=round(egress_ms, _NUMBER),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is stored of an end, without a value of the point's secret fields or of the hooks' secrets."""

    outcome: Json  # Execution.outcome
    log_event: LogEvent | None  # for the tenant's log. None: such an end leaves none


def kept_of(invocation: Invocation, ended: Ended, timings: Timings) -> Kept:
    """Outcome and log event of what has ended."""
    ended = _without_secrets(invocation, ended)
    return Kept(outcome=_told(ended, timings), log_event=_log_event(invocation, ended))


def told_of_fault(message: str) -> Json:
    """The same, of an invocation that nobody could run."""
    return {"status": "error", "message": message, "error": None, "hooks": [], "timings": asdict(Timings())}


def add_record_ms(outcome: Json, record_ms: float) -> None:
    """Write into what `told` made how long it has waited since then."""
    outcome["timings"]["record_ms"] = round(record_ms, _NUMBER)


def message_of(outcome: Outcome) -> str:
    """The message of the error itself: of what cb() was given, or was raised; else what happened."""
    return _said(outcome.error) or outcome.message


def _said(error: bytes | msgspec.Raw) -> str:
    told = msgspec.json.decode(error)
    said = told.get("message") if isinstance(told, dict) else None
    return said if isinstance(said, str) else ""


def fault_of(execution: Execution, message: str) -> Kept:
    """The same, of one that nobody could run. Of a point that is there no more no type of a log event is known."""
    arguments = execution.arguments.encode()
    try:
        point = point_named(execution.trigger_id)
    except UnknownPoint:
        return Kept(outcome=told_of_fault(message), log_event=None)
    invocation = _Told(execution.id, point, arguments, execution.attempt)
    type_ = answers.log_type(point, arguments, failed=True)
    event = None if type_ is None else _event(invocation, type_, message, {"error_class": "platform_error"})
    return Kept(outcome=told_of_fault(message), log_event=event)


def _without_secrets(invocation: Invocation, ended: Ended) -> Ended:
    point, arguments = invocation.point, invocation.arguments
    runs = tuple(_storable_run(run, point, arguments) for run in ended.runs)
    if all(now.outcome is before.outcome for now, before in zip(runs, ended.runs, strict=True)):
        return ended
    error = None if ended.error is None else answers.error_of(point, runs[-1].outcome)
    return replace(ended, runs=runs, error=error)


def _storable_run(run: HookRun, point: Point, arguments: bytes) -> HookRun:
    """The result of a point that nobody waits for is nobody's: it is not stored."""
    outcome = answers.storable(point, arguments, run.outcome)
    before = bytes(outcome.result)
    result = storable_result(before, run.mask) if point.blocking else _NULL
    if result != before:
        outcome = msgspec.structs.replace(outcome, result=msgspec.Raw(result))
    return replace(run, outcome=outcome)


def _told(ended: Ended, timings: Timings) -> Json:
    return msgspec.json.decode(
        msgspec.json.encode(
            {
                "status": "success" if ended.error is None else "error",
                "message": _message(ended),
                "error": None if ended.error is None else msgspec.Raw(ended.error),
                "hooks": [{name: getattr(run, name) for name in _RUN_FIELDS} for run in ended.runs],
                "timings": timings,
            }
        )
    )


def _log_event(invocation: Invocation, ended: Ended) -> LogEvent | None:
    type_ = answers.log_type(invocation.point, invocation.arguments, failed=ended.error is not None)
    if type_ is None or (ended.error is None and not ended.runs):
        return None
    return _event(invocation, type_, _message(ended), _details_of(ended.failed) if ended.failed else {})


def _message(ended: Ended) -> str:
    """Why it failed; empty for a success."""
    if ended.error is None:
        return ""
    return message_of(ended.failed.outcome) if ended.failed else _said(ended.error)


def _event(invocation: Invocation | _Told, type_: str, message: str, details: Json) -> LogEvent:
    given = _decoded(answers.redacted(invocation.point, invocation.arguments))
    fields: Any = {name: _first(given, places) for name, places in _PLACES.items()}  # of Said
    said = {"trigger_id": invocation.point.id, "execution_id": invocation.id, "attempt": invocation.attempt}
    description = _storable(message, _DESCRIPTION_CHARS)
    event = LogEvent(type=type_, description=description, details=said | details)
    event.update(fields)
    return event


def _details_of(failed: HookRun) -> dict[str, Json]:
    outcome = failed.outcome
    error = msgspec.json.decode(outcome.error)
    named = error if isinstance(error, dict) else {}
    return {
        "hook_id": failed.hook_id,
        "hook_name": failed.name,
        "version": failed.version,
        "error_class": "hook_timeout" if outcome.status == "timeout" else "hook_error",
        "hook_error": {
            "status": outcome.status,
            "name": named.get("name"),
            "message": message_of(outcome),
            "line": outcome.line,
        },
    }


def _decoded(arguments: bytes) -> Json:
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None


def _first(given: Json, places: tuple[tuple[str, ...], ...]) -> str:
    """The first text that stands at one of these places."""
    found = (_at(given, place) for place in places)
    return next((_storable(text, _FIELD_CHARS) for text in found if isinstance(text, str)), "")


def _at(given: Json, place: tuple[str, ...]) -> Json:
    for step in place:
        given = given.get(step) if isinstance(given, dict) else None
    return given


def _storable(text: str, most_chars: int) -> str:
    """What every database takes: no NUL, no half of a surrogate pair."""
    return text[:most_chars].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
