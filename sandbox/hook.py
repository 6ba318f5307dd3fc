"""One run of a hook: build its world, run its code, call its entry, and say how it ended.

Everything a hook can reach is made here for this job (namespace, arguments, cb, console, stateful facades) or is
immutable. What the hook does wrong is the returned `Done`; nothing it raises gets past `run`.
"""

from __future__ import annotations

import gc
import marshal
import mmap
import resource
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, Literal

import msgspec

from sandbox import document, errors, guards, report, wire
from sandbox.channel import Channel
from sandbox.console import Console, close, line_of, utf8, warn_at
from sandbox.modules import caches, makers
from sandbox.require import HOOK_NAME, Importer

ENTRY = "hook"
_ballast = mmap.mmap(-1, 4 << 20)  # address space given back when memory is out, so that the end can still be told

_MOST_KEPT = 32  # code objects
_kept: dict[bytes, CodeType] = {}
_spent = [(0, 0)]  # `usage()` when the last job of this process ended

Ending = Literal["ok", "denied", "raised", "no_callback", "bad_result", "timeout", "out_of_memory"]


class Settlement:
    """How the hook said it ended. Not within its reach: it holds only the function that `callback` makes."""

    done: wire.Done | None = None


def callback(settlement: Settlement, console: Console, result_bytes: int) -> Callable[..., None]:
    """`cb(error=None, response=None)`: settles once, by what the response is now; a later call is only a warning."""

    def cb(error: Any = None, response: Any = None) -> None:
        if settlement.done is not None:
            console.warn("cb was called again; only the first call counts")
            return
        line = line_of(sys._getframe(1))  # noqa: SLF001 - the only way to a caller's line
        failed = error is not None and error is not False
        settlement.done = _denied(error, line) if failed else _responded(response, line, result_bytes)

    cb.__qualname__, cb.__module__ = "cb", "builtins"  # as messages about wrong calls tell it
    return cb


def run(job: wire.Run, channel: Channel) -> wire.Done:
    """Run one job and say how it ended and what it cost since the last one ended: waiting costs nothing.

    Nothing of the job is left afterwards, or the worker is spent: what the hook made would run in a later job, if only
    the end of a suspended generator. SECURITY: tests/escapes/test_relaxed_later.py
    """
    own = guards.Guards({})
    done = _run(job, channel, own)
    own.forget()
    spent = (_outlives(own) and _stays(own)) or channel.owed
    before_us, _ = _spent[0]
    _spent[0] = after_us, peak_bytes = usage()
    cost_us = max(after_us - before_us, 0)
    return msgspec.structs.replace(done, cpu_us=cost_us, peak_bytes=peak_bytes, spent=spent)


def _references(own: guards.Guards) -> tuple[int, int]:
    return sys.getrefcount(own.namespace), sys.getrefcount(own.token)


_NOTHING_LEFT = _references(guards.Guards({}))


def _outlives(own: guards.Guards) -> bool:
    """Whether a function or a suspended generator of the hook still holds its namespace, or a class its mark."""
    return _references(own) != _NOTHING_LEFT


def _stays(own: guards.Guards) -> bool:
    """Whether that is still so when circles are collected and what the standard library keeps is forgotten."""
    gc.collect()
    if _outlives(own):
        caches.forget_subscriptions()
        gc.collect()
    return _outlives(own)


def _run(job: wire.Run, channel: Channel, own: guards.Guards) -> wire.Done:
    console = Console(channel, job.limits.log_bytes)
    settlement = Settlement()
    try:
        cb = callback(settlement, console, job.limits.result_bytes)
        _furnish(own, job, console, channel.exchange)
        reason = _call(job, own, cb)
    except MemoryError as error:
        _ballast.close()
        return _out_of_memory(error)
    except BaseException as error:  # noqa: BLE001 - also SystemExit and what a hook derives from BaseException
        if settlement.done is None:
            return _failed_within(error)
        reason = f"after cb: {report.describe(error)}"
        warn_at(console, report.line_of(error), reason)
    finally:
        close(console)
    return settlement.done or ended("no_callback", reason)


def _call(job: wire.Run, own: guards.Guards, cb: Callable[..., None]) -> str:
    """Run the hook's file and its entry; return what to tell an author whose `cb` was not called."""
    given = document.parse(job.arguments)
    context = given.setdefault("context", document.Document())
    context["webtask"] = _webtask(job)
    arguments = [cb if name == "cb" else given.get(name) for name in job.parameters]
    module = guards.Module()
    own.namespace.update(zip(job.parameters, arguments, strict=True), module=module)
    exec(_load(job.code), own.namespace)  # noqa: S102 - the tenant's code, in the tenant's worker
    entry = module.exports or own.namespace.get(ENTRY)
    if not callable(entry):
        return f"there is no hook: write def hook({', '.join(job.parameters)}), or call cb in the file itself"
    returned = entry(*arguments)
    if returned is None:
        return "the hook returned without calling cb; call cb() when done, cb(Error(…)) to fail"
    kind = utf8(type(returned).__name__)[:60]
    return f"the hook returned a {kind} without calling cb; hand it over with cb(None, value)"


def _load(code: bytes) -> CodeType:
    """A compiled hook. Kept for the tenant's next job: the code object is immutable, and warm."""
    loaded: CodeType | None = _kept.get(code)
    if loaded is None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        loaded = marshal.loads(code)  # noqa: S302 - made by a worker of the same tenant
        if type(loaded) is not CodeType:  # a text would be run as one, past the policy
            raise TypeError("what was kept of this hook is no code; upload it again")
        _kept[code] = loaded
    return loaded


def _furnish(own: guards.Guards, job: wire.Run, console: Console, exchange: Callable[[wire.Http], wire.Answer]) -> None:
    """Put in what every hook finds: the error classes, console, require, the builtins and the guards."""
    importer = Importer(makers.Job(job.seed, own.has, own.read, exchange), job.modules)
    own.namespace.update(errors.SCOPE, __name__=HOOK_NAME, console=console, require=importer.require)
    guards.install(own, importer.import_, console.print)


def _webtask(job: wire.Run) -> document.Document:
    """`context.webtask`, without tokens. Source: AUTH0.md section 2.4. `attempt` and `response` are ours."""
    made = document.Document
    return made(
        id=job.execution_id,
        execution_id=job.execution_id,
        attempt=job.attempt,
        response=document.parse(job.response),
        secrets=made(job.secrets),
        data=made(job.secrets),
        meta=made(),
        headers=made(),
        query=made(),
        params=made(),
    )


def _responded(response: Any, line: int | None, result_bytes: int) -> wire.Done:
    try:
        result = document.encode(response)
    except document.NotPlain as fault:
        return ended("bad_result", f"the response is no JSON: {fault}", line=line)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a response whose own methods raise
        return ended("bad_result", f"the response cannot be read: {report.describe(error)}", line=line)
    if len(result) > result_bytes:
        said = f"the response is {len(result)} bytes of JSON; the most allowed is {result_bytes}"
        return ended("bad_result", said, line=line)
    if wire.excess(result, wire.VALUES, wire.DEPTH + 1):
        said = f"the response holds more than {wire.VALUES} values, the most that are allowed"
        return ended("bad_result", said, line=line)
    return ended("ok", "", result=result)


def _denied(error: Any, line: int | None) -> wire.Done:
    led_to: tuple[wire.Cause, ...] = ()
    if isinstance(error, BaseException):
        name, message = report.name(error), report.text(error)
        led_to = report.causes(error) if report.was_raised(error) else ()
    elif isinstance(error, type) and issubclass(error, BaseException):  # as `raise Error` takes it
        name, message = report.text(error.__name__), ""
    else:
        said = dict.get(error, "message") if isinstance(error, dict) else None
        name, message = "Error", report.text(error if said is None else said)
    shown = report.as_json(name, message, error)
    return ended("denied", message or name, line=line, error=shown, causes=led_to)


def _failed_within(error: BaseException) -> wire.Done:
    """`_failed`, where there may be no memory to tell it in."""
    try:
        return _failed(error)
    except MemoryError as shortage:
        _ballast.close()
        return _out_of_memory(shortage)


def _failed(error: BaseException) -> wire.Done:
    led_to = report.causes(error)
    shown = report.as_json(report.name(error), report.text(error), error)
    return ended("raised", led_to[0].message, line=report.line_of(error), error=shown, causes=led_to)


def _out_of_memory(error: MemoryError) -> wire.Done:
    line = report.line_of(error)
    error.__traceback__ = None
    return ended("out_of_memory", "the hook asked for more memory than a worker has", line=line)


def ended(
    status: Ending,
    message: str,
    *,
    line: int | None = None,
    result: bytes | None = None,
    error: bytes | None = None,
    causes: tuple[wire.Cause, ...] = (),
) -> wire.Done:
    """The ending frame; texts are cut to what a frame may hold."""
    text = report.cut(message) if message else ""
    return wire.Done(status, text, line, result, error, 0, 0, causes)


def forget() -> None:
    """No code is kept any more."""
    _kept.clear()


def begin() -> int:
    """Start the count of what jobs cost; return the largest resident size of the blank worker, in bytes."""
    _spent[0] = usage()
    return _spent[0][1]


def usage() -> tuple[int, int]:
    """Of this process so far: processor time in microseconds, largest resident size in bytes. See getrusage(2)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round((used.ru_utime + used.ru_stime) * 1_000_000), used.ru_maxrss << 10
