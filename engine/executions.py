"""What is kept of an invocation: its outcome as JSON, and the event that its tenant's log gets of it.

    {"status": "error", "message": …, "error": {"name", "message", …}, "hooks": [{"hook_id", "name", "version",
     "lease_ms", "outcome": {…}}], "timings": {"queue_ms", "lease_ms", "run_ms", "egress_ms", "record_ms"},
     "failures": …}

`hooks` are those of the last attempt; `failures` is for the queue, which counts them (engine/queue/ends.py). It is
written down once, by whoever gives it to the store. Source of the log events' fields: AUTH0.md sections 5.2, 5.3.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

from engine import answers
from engine.errors import UnknownPoint
from engine.invocation import Ended, HookRun, Invocation
from engine.mask import storable_error, storable_result
from engine.outcome import Outcome, to_microseconds
from engine.points import Point, point_named
from tenants.executions import Recorded
from tenants.log_events import Said
from tenants.records import Execution, Json

_DESCRIPTION_CHARS = 2_000
_FIELD_CHARS = 200  # of a user's or a connection's name or id
_NULL = msgspec.Raw(b"null")
_encode = msgspec.json.Encoder().encode


class Timings(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the time of one attempt went, in milliseconds."""

    queue_ms: float = 0.0  # from when it was due to its start
    lease_ms: float = 0.0  # waiting for workers
    run_ms: float = 0.0  # in its hooks, without their calls to other hosts
    egress_ms: float = 0.0  # in those calls
    record_ms: float = 0.0  # from its end until it was given to the store


class _Part(msgspec.Struct, frozen=True):
    """One hook's part in what is kept."""

    hook_id: str
    name: str
    version: int
    lease_ms: float
    outcome: Outcome


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an end, without a value of the point's secret fields or of the hooks' secrets."""

    status: str  # success, error
    message: str  # why it failed
    error: msgspec.Raw | None = None  # as the caller gets it, as far as it may be stored
    hooks: tuple[_Part, ...] = ()
    timings: Timings = Timings()
    failures: int | msgspec.UnsetType = msgspec.UNSET

    def json(self, record_ms: float | None = None) -> msgspec.Raw:
        """As the store takes it, now that it is given to it. `record_ms`: None: it is known already, or none."""
        if record_ms is None:
            return _raw(self)
        timings = msgspec.structs.replace(self.timings, record_ms=to_microseconds(record_ms))
        return _raw(msgspec.structs.replace(self, timings=timings))


class Earlier(NamedTuple):
    """What an earlier attempt has left, where nothing came of this one."""

    outcome: Json

    def json(self, _record_ms: float | None = None) -> msgspec.Raw:
        """As Told.json()."""
        return _raw(self.outcome)

    @property
    def failures(self) -> int | msgspec.UnsetType:
        """As Told.failures."""
        return self.outcome.get("failures", msgspec.UNSET) if isinstance(self.outcome, dict) else msgspec.UNSET


class LogEvent(Said):
    """What tenants.log_events.append takes."""

    type: str
    description: str


class Kept(msgspec.Struct, frozen=True):
    """What is stored of an end."""

    told: Told | Earlier  # Execution.outcome
    log_event: LogEvent | None  # for the tenant's log. None: such an end leaves none


class _Whose(NamedTuple):
    """What a log event tells of an invocation."""

    id: str
    point: Point
    arguments: bytes
    attempt: int


def timings_of(ended: Ended, *, queue_ms: float = 0.0) -> Timings:
    """By what the outcomes of its hooks tell."""
    lease_ms = wall_ms = egress_ms = 0.0
    for run in ended.runs:
        lease_ms += run.lease_ms
        wall_ms += run.outcome.usage.wall_ms
        for exchange in run.outcome.egress:
            egress_ms += exchange.ms
    return Timings(
        queue_ms=to_microseconds(queue_ms) if queue_ms else 0.0,
        lease_ms=to_microseconds(lease_ms),
        run_ms=to_microseconds(max(wall_ms - egress_ms, 0.0)),
        egress_ms=to_microseconds(egress_ms) if egress_ms else 0.0,
    )


def kept_of(
    invocation: Invocation, ended: Ended, timings: Timings, failures: int | msgspec.UnsetType = msgspec.UNSET
) -> Kept:
    """Outcome and log event of what has ended."""
    parts = [
        _Part(run.hook_id, run.name, run.version, run.lease_ms, _storable_outcome(invocation, run))
        for run in ended.runs
    ]
    hooks = tuple(parts)
    error, message = (None, "") if ended.error is None else _why(invocation.point, ended, hooks)
    told = Told(
        status="success" if error is None else "error",
        message=message,
        error=error,
        hooks=hooks,
        timings=timings,
        failures=failures,
    )
    return Kept(told, _log_event(invocation, told))


def recorded_of(
    invocation: Invocation, ended: Ended, timings: Timings, begun_ms: int, ended_ms: int, record_ms: float
) -> Recorded:
    """The record of a call that somebody waited for, as the store takes it."""
    kept = kept_of(invocation, ended, msgspec.structs.replace(timings, record_ms=to_microseconds(record_ms)))
    execution = Execution(
        id=invocation.id,
        trigger_id=invocation.point.id,
        blocking=True,
        hook_ids=tuple(run.hook_id for run in ended.runs),
        arguments=answers.redacted(invocation.point, invocation.arguments).decode(),
        status="success" if ended.error is None else "error",
        attempt=1,
        position=ended.position,
        run_at_ms=begun_ms,
        outcome=kept.told.json(),
        created_ms=begun_ms,
        started_ms=begun_ms,
        ended_ms=ended_ms,
    )
    return Recorded(tenant_id=invocation.tenant.id, execution=execution, log_event=kept.log_event)


def told_of_fault(message: str, failures: int | msgspec.UnsetType = msgspec.UNSET) -> Told:
    """The same, of an invocation that nobody could run."""
    return Told(status="error", message=message, failures=failures)


def message_of(outcome: Outcome) -> str:
    """The message of the error itself: of what cb() was given, or was raised; else what happened."""
    return _said(outcome.error) or outcome.message


def fault_of(execution: Execution, message: str, failures: int | msgspec.UnsetType = msgspec.UNSET) -> Kept:
    """The same, of one that nobody could run. Of a point that is there no more no type of a log event is known."""
    arguments, told = execution.arguments.encode(), told_of_fault(message, failures)
    try:
        point = point_named(execution.trigger_id)
    except UnknownPoint:
        return Kept(told, None)
    whose = _Whose(execution.id, point, arguments, execution.attempt)
    type_ = answers.log_type(point, arguments, failed=True)
    return Kept(told, None if type_ is None else _event(whose, type_, message, {"error_class": "platform_error"}))


def _why(point: Point, ended: Ended, hooks: tuple[_Part, ...]) -> tuple[msgspec.Raw, str]:
    """The error as it may be stored, and its message."""
    error = ended.error or b"null"
    if not hooks:
        return msgspec.Raw(error), _said(error)
    outcome = hooks[-1].outcome
    if outcome is not ended.runs[-1].outcome:
        error = _as_told(point, answers.error_of(point, outcome), error)
    return msgspec.Raw(error), message_of(outcome)


def _as_told(point: Point, storable: bytes, told: bytes) -> bytes:
    """`storable` with the status that the caller was told, whose error may have had a name that is not stored."""
    name = _name(told)
    if name == _name(storable):
        return storable
    return msgspec.json.encode(msgspec.json.decode(storable) | point.errors.get(str(name), point.errors["default"]))


def _storable_outcome(invocation: Invocation, run: HookRun) -> Outcome:
    """The result of a point that nobody waits for is nobody's: it is not stored."""
    point, outcome = invocation.point, run.outcome
    if point.blocking and not point.secret and not run.mask:
        return outcome
    if point.secret and not _says_nothing(point, outcome):
        outcome = answers.storable(point, invocation.arguments, outcome)
    result = outcome.result if point.blocking else _NULL
    error = outcome.error
    if run.mask:
        result, error = storable_result(result, run.mask), storable_error(error, run.mask)
    if result == outcome.result and error == outcome.error:
        return outcome
    return msgspec.structs.replace(outcome, result=result, error=error)


def _says_nothing(point: Point, outcome: Outcome) -> bool:
    """Whether no byte of it is the hook's own: there is nothing in which a value of the arguments could stand."""
    if outcome.status != "ok" or outcome.message or outcome.logs or outcome.egress:
        return False
    return outcome.result in (_NULL, msgspec.Raw(point.default_json))


def _log_event(invocation: Invocation, told: Told) -> LogEvent | None:
    failed = told.error is not None
    type_ = answers.log_type(invocation.point, invocation.arguments, failed=failed)
    if type_ is None or not (failed or told.hooks):
        return None
    details = _details_of(told.hooks[-1], told.message) if failed and told.hooks else {}
    return _event(invocation, type_, told.message, details)


def _event(invocation: Invocation | _Whose, type_: str, message: str, details: dict[str, Json]) -> LogEvent:
    said = {"trigger_id": invocation.point.id, "execution_id": invocation.id, "attempt": invocation.attempt}
    about = _about(answers.redacted(invocation.point, invocation.arguments))
    about |= {"type": type_, "description": _storable(message, _DESCRIPTION_CHARS), "details": _raw(said | details)}
    return cast("LogEvent", about)


def _details_of(failed: _Part, message: str) -> dict[str, Json]:
    outcome = failed.outcome
    return {
        "hook_id": failed.hook_id,
        "hook_name": failed.name,
        "version": failed.version,
        "error_class": "hook_timeout" if outcome.status == "timeout" else "hook_error",
        "hook_error": {
            "status": outcome.status,
            "name": _name(outcome.error),
            "message": message,
            "line": outcome.line,
        },
    }


# What is looked for in JSON that others wrote: no other value of it is made. Any shape may stand at any place.

_Else: TypeAlias = list[Any] | str | int | float | bool | None


class _Error(msgspec.Struct):
    name: Any = None
    message: Any = None


class _Named(msgspec.Struct):
    """A user, a client, a connection or a request."""

    id: Any = None
    user_id: Any = None
    client_id: Any = None
    username: Any = None
    email: Any = None
    name: Any = None
    ip: Any = None


class _Context(msgspec.Struct):
    user: _Named | _Else = None
    client: _Named | _Else = None
    connection: _Named | _Else = None
    request: _Named | _Else = None
    ip: Any = None


class _Arguments(msgspec.Struct):
    user: _Named | _Else = None
    client: _Named | _Else = None
    context: _Context | _Else = None


# Fields of a log event, and where a holder has them.
_OF_USER = (("user_id", "id"), ("user_name", "username"), ("user_name", "email"))
_OF_CONTEXTS_USER = (("user_id", "user_id"), ("user_name", "name"))
_OF_CLIENT = (("client_id", "id"), ("client_name", "name"))
_OF_CONTEXTS_CLIENT = (("client_id", "client_id"), ("client_name", "name"))
_OF_CONNECTION = (("connection", "name"), ("connection_id", "id"))
_OF_REQUEST = (("ip", "ip"),)

_error = msgspec.json.Decoder(_Error | _Else)
_arguments = msgspec.json.Decoder(_Arguments | _Else)


def _said(error: bytes | msgspec.Raw) -> str:
    told = _error.decode(error)
    said = told.message if isinstance(told, _Error) else None
    return said if isinstance(said, str) else ""


def _name(error: bytes | msgspec.Raw) -> Any:
    told = _error.decode(error)
    return told.name if isinstance(told, _Error) else None


def _given(arguments: bytes) -> Any:
    try:
        return _arguments.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None


def _about(arguments: bytes) -> dict[str, Any]:
    """Whom and what a call is about: the first text that stands where the points have it. Fields of Said."""
    given = _given(arguments)
    if not isinstance(given, _Arguments):
        return {}
    about: dict[str, Any] = {}
    _tell(about, given.user, _OF_USER)
    _tell(about, given.client, _OF_CLIENT)
    if isinstance(context := given.context, _Context):
        _tell(about, context.user, _OF_CONTEXTS_USER)
        _tell(about, context.client, _OF_CONTEXTS_CLIENT)
        _tell(about, context.connection, _OF_CONNECTION)
        _tell(about, context.request, _OF_REQUEST)
        if "ip" not in about and isinstance(context.ip, str):
            about["ip"] = _storable(context.ip, _FIELD_CHARS)
    return about


def _tell(about: dict[str, Any], holder: Any, fields: tuple[tuple[str, str], ...]) -> None:
    """What a holder says and nobody before it has said."""
    if not isinstance(holder, _Named):
        return
    for field, name in fields:
        text = getattr(holder, name)
        if isinstance(text, str) and field not in about:
            about[field] = _storable(text, _FIELD_CHARS)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _storable(text: str, most_chars: int) -> str:
    """What every database takes: no NUL, no half of a surrogate pair."""
    if len(text) <= most_chars and text.isascii() and "\0" not in text:
        return text
    return text[:most_chars].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
