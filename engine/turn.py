"""One turn: give a worker its job, listen, get exactly one outcome.

Frames come from a process that may be hostile: each is parsed and bounded before anything looks at it, and what is out
of order ends the worker. The deadline is ours. Shortly before it the worker is asked to stop by itself, because it can
say at which line the hook is; at the deadline it is killed through its pidfd, whatever it does.
"""

from __future__ import annotations

import asyncio
import datetime
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from engine.alarms import Alarm
from engine.egress.broker import Broker
from engine.errors import EngineClosed, SandboxLost
from engine.outcome import Cause, Finding, LogEvent, Outcome, Step, Usage, to_microseconds
from engine.spawner import ended
from engine.worker import BRIEF_S, Worker, WorkerGone
from sandbox import wire

_LAST = ("timeout", "out_of_memory")  # a worker that has told such an end is ending itself, or not to be trusted
_ASKS = 4  # times that a stuck hook is asked to end, before it is killed
_HANDLING_MS = 250  # left to a hook, or a tenth of its time, after its last call has been given up
_TRUNCATION_BYTES = 256  # what the worker's own mark may add to the last log event


class _Deadline(Alarm):
    """Asks the worker to stop, then kills it. `passed` once it has."""

    __slots__ = ("_end", "_grace", "_wall_ms", "_worker", "passed")

    def __init__(self, worker: Worker, wall_ms: int, grace_ms: int) -> None:
        super().__init__()
        self._worker, self._wall_ms = worker, wall_ms
        self._end = time.monotonic() + wall_ms / 1000
        self._grace = min(grace_ms, wall_ms // 10) / 1000
        self.passed = False

    @property
    def calls_end(self) -> float:
        """Of the hook's calls to other hosts: early enough for it to cope."""
        return self._end - self._grace - min(_HANDLING_MS, self._wall_ms // 10) / 1000

    def begin(self) -> None:
        """Arm it, for the time from when it was made."""
        self._worker.alarms.set(self, self._end - self._grace)

    def cancel(self) -> None:
        """The job has ended."""
        self._worker.alarms.take_back(self)

    def ring(self) -> None:
        """Again and again: a signal that comes just before a sleep begins is not seen before the sleep ends."""
        now = time.monotonic()
        if now >= self._end:
            self.passed = True
            self._worker.kill()
            return
        self._worker.alarms.set(self, min(self._end, now + self._grace / _ASKS + 0.001))
        self._worker.interrupt()


@dataclass(slots=True)
class _Heard:
    """The log of one job, as far as it has come."""

    left: int  # bytes that may still come
    tell: Callable[[LogEvent], None] | None = None  # is told of each as it comes
    events: list[LogEvent] = field(default_factory=list)

    def add(self, frame: wire.Log) -> None:
        """Keep one event. Raises ProtocolError when the worker ignores its bound."""
        self.left -= len(frame.text.encode()) + wire.LOG_OVERHEAD_BYTES
        if self.left < -_TRUNCATION_BYTES:
            raise wire.ProtocolError("more log than the limit")
        at = datetime.datetime.fromtimestamp(min(frame.at_ms, _LAST_MS) / 1000, datetime.UTC)
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = LogEvent(level=frame.level, text=frame.text, line=frame.line, at=stamp)
        self.events.append(event)
        if self.tell is not None:
            self.tell(event)


_LAST_MS = 253_402_300_799_000  # the year 9999: a hostile clock may say anything


async def run_turn(
    worker: Worker,
    job: wire.Run,
    grace_ms: int,
    broker: Broker,
    *,
    tell: Callable[[LogEvent], None] | None = None,
    alone: bool = False,
) -> Outcome:
    """How the job ended. Never raises for what the hook did; `worker.gone` tells whether it is still of use.

    `tell`: is told of each log event as it comes, nothing masked. `alone`: nobody else is at work, and the worker's
    last turn was brief: this one is looked out for.
    """
    begun = time.perf_counter()
    heard = _Heard(job.limits.log_bytes, tell)
    deadline = _Deadline(worker, job.limits.wall_ms, grace_ms)
    try:
        rest = worker.offer(job)
        if alone and not rest:
            worker.listen_briefly()
        if rest or not worker.has_ended:
            deadline.begin()
            if rest:
                await worker.send_rest(rest)
        frame = await worker.receive()
        while not isinstance(frame, wire.Done):  # nearly always it is one at once
            frame = await _after(frame, worker, heard, broker, deadline)
        done = _checked(frame, worker, job.limits)
        worker.peak_bytes = done.peak_bytes
        worker.brief = time.perf_counter() - begun < BRIEF_S
        if done.status in _LAST or done.spent:
            worker.kill()
        return _outcome(done, heard, broker, begun)
    except WorkerGone:
        status, message = await _explain(worker, deadline, f"{job.limits.wall_ms} ms")
    except wire.ProtocolError as fault:
        worker.kill()
        status, message = _protocol(str(fault))
    except BaseException:
        worker.kill()
        raise
    finally:
        worker.asked = False
        deadline.cancel()
    worker.lost = True
    logs, egress = tuple(heard.events), tuple(broker.exchanges)
    return Outcome(status=status, message=message, logs=logs, egress=egress, usage=_usage(begun, 0, 0))


async def check_turn(worker: Worker, job: wire.Check, wall_ms: int) -> tuple[Outcome, bytes | None]:
    """What a check found: an outcome `ok` with the code, or `rejected`, or how the compiling ended otherwise."""
    begun = time.perf_counter()
    deadline = _Deadline(worker, wall_ms, 0)
    deadline.begin()
    try:
        await worker.send(job)
        frame = _only_checked(await worker.receive(), worker)
        return _check_outcome(frame, begun), frame.code
    except WorkerGone:
        status, message = await _explain(worker, deadline, f"{wall_ms} ms")
        crashed = Outcome(status=status, message=message, usage=_usage(begun, 0, 0))
        return crashed if worker.fault else _too_costly(status, begun), None
    except wire.ProtocolError as fault:
        worker.kill()
        return Outcome(status="crashed", message=_protocol(str(fault))[1], usage=_usage(begun, 0, 0)), None
    except asyncio.CancelledError:
        worker.kill()
        raise
    finally:
        worker.asked = False
        deadline.cancel()


def _only_checked(frame: wire.Reply, worker: Worker) -> wire.Checked:
    if not isinstance(frame, wire.Checked) or not worker.quiet or (frame.diagnostics and frame.code is not None):
        raise wire.ProtocolError("a check ends with one `checked`, of findings or of code")
    return frame


async def _after(frame: wire.Reply, worker: Worker, heard: _Heard, broker: Broker, deadline: _Deadline) -> wire.Reply:
    """What comes after a frame that is not the end, which is seen to."""
    match frame:
        case wire.Log():
            heard.add(frame)
        case wire.Http():
            if not await _answer(worker, frame, broker, deadline.calls_end):
                return _only_stopped(await worker.receive())
        case _:
            raise wire.ProtocolError(f"a run does not send {type(frame).__name__.lower()}")
    return await worker.receive()


async def _answer(worker: Worker, call: wire.Http, broker: Broker, end: float) -> bool:
    """Whether one call was answered. A worker that speaks first, or is gone, waits for no answer."""
    if not worker.quiet:
        return False
    answering = asyncio.create_task(broker.answer(call, end))
    worker.when_heard(answering.cancel)
    try:
        answer = await answering
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        return False
    finally:
        worker.when_heard(None)
    await worker.send(answer)
    return True


def _only_stopped(frame: wire.Reply) -> wire.Done:
    """Within a call a worker says nothing but that it was stopped."""
    if not isinstance(frame, wire.Done) or frame.status != "timeout":
        raise wire.ProtocolError("it went on before its call was answered")
    return frame


def _is_cancelled() -> bool:
    """Whether the turn itself is, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _checked(done: wire.Done, worker: Worker, limits: wire.Limits) -> wire.Done:
    if not worker.quiet:
        raise wire.ProtocolError("something came after the end")
    if (done.result is not None) != (done.status == "ok"):
        raise wire.ProtocolError("a result comes with `ok`, and only with it")
    if done.result is not None and (len(done.result) > limits.result_bytes or not wire.is_json(done.result)):
        raise wire.ProtocolError("a result that is no JSON, or too large, or of too many values")
    if done.error is not None and not wire.is_json(done.error):
        raise wire.ProtocolError("an error that is no JSON, or of too many values")
    if done.causes and done.status not in ("raised", "denied"):
        raise wire.ProtocolError("causes come with an error, and only with it")
    return done


def _outcome(done: wire.Done, heard: _Heard, broker: Broker, begun: float) -> Outcome:
    return Outcome(
        status=done.status,
        message=done.message,
        line=done.line,
        result=msgspec.Raw(done.result or b"null"),
        error=msgspec.Raw(done.error or b"null"),
        logs=tuple(heard.events),
        egress=tuple(broker.exchanges),
        usage=_usage(begun, done.cpu_us, done.peak_bytes),
        causes=tuple(map(_cause, done.causes)),
    )


def _cause(told: wire.Cause) -> Cause:
    return Cause(message=told.message, steps=tuple(Step(line=step.line, function=step.function) for step in told.steps))


def _check_outcome(checked: wire.Checked, begun: float) -> Outcome:
    usage = _usage(begun, 0, 0)
    if not checked.diagnostics and checked.code is not None:
        return Outcome(status="ok", message="", usage=usage, warnings=_findings(checked.warnings))
    findings = _findings(checked.diagnostics)
    if not findings:
        raise wire.ProtocolError("neither code nor a finding")
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if findings[1:] else ""
    message = f"line {first.line}, column {first.column}: {first.message}{more}"
    return Outcome(
        status="rejected",
        message=message,
        line=first.line,
        usage=usage,
        diagnostics=findings,
        warnings=_findings(checked.warnings),
    )


def _findings(told: tuple[wire.Diagnostic, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(rule=said.rule, line=said.line, column=said.column, end=said.end, message=said.message, hint=said.hint)
        for said in told
    )


def _too_costly(status: wire.Status, begun: float) -> Outcome:
    """Compiling ran nothing of the hook: that it died of time, memory or stack is a finding about the source."""
    what = {"timeout": "time", "out_of_memory": "memory"}.get(status, "stack")
    said = f"compiling the source takes too much {what}; split deeply nested or very long statements"
    finding = Finding(rule="too-complex", line=1, column=1, end=2, message=said, hint="")
    return Outcome(status="rejected", message=said, line=1, usage=_usage(begun, 0, 0), diagnostics=(finding,))


async def _explain(worker: Worker, deadline: _Deadline, limit: str) -> tuple[wire.Status, str]:
    """What a worker died of: our deadline, its fault, or the status that the zygote reports.

    Raises EngineClosed when it was killed for no deed of its own, SandboxLost when the zygote died.
    """
    if deadline.passed:
        return "timeout", f"no result within {limit}; the hook was inside one long operation that cannot be interrupted"
    if worker.fault:
        return _protocol(worker.fault)
    if worker.killed and not worker.hung_up:
        raise EngineClosed("the engine ended while the hook ran")
    status = await ended(worker)
    if status is None:
        raise SandboxLost
    return _protocol("the channel was closed before the end") if worker.killed else _death(status)


def _death(status: int) -> tuple[wire.Status, str]:
    if -status in _DEATHS:
        return _DEATHS[-status]
    if status < 0:
        return "crashed", f"the hook crashed its Python process (signal {-status})"
    return "crashed", "the hook's process ended by itself before the hook did"


_DEATHS: dict[int, tuple[wire.Status, str]] = {
    signal.SIGKILL: ("out_of_memory", "the machine ran out of memory and the hook was ended"),
    signal.SIGXCPU: ("timeout", "the hook used up its processor time"),
    signal.SIGSYS: ("crashed", "the hook tried something that no hook may do, and was ended by the kernel"),
}


def _protocol(fault: str) -> tuple[wire.Status, str]:
    return "crashed", f"protocol: {fault}"


def _usage(begun: float, cpu_us: int, peak_bytes: int) -> Usage:
    wall_ms = to_microseconds((time.perf_counter() - begun) * 1000)
    return Usage(wall_ms=wall_ms, cpu_ms=cpu_us / 1000, peak_bytes=peak_bytes)
