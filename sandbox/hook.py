"""One run of a hook: build its world, run its code, call its entry, and say how it ended.

Everything a hook can reach is made here for this job (namespace, arguments, cb, console, stateful facades) or is
immutable. What the hook does wrong is the returned `Done`; nothing it raises gets past `run`.
"""

from __future__ import annotations

import gc
import inspect
import marshal
import mmap
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, TracebackType
from typing import Any, Literal

from sandbox import document, errors, guards, wire
from sandbox.channel import Channel
from sandbox.compiler import HOOK_FILENAME
from sandbox.console import Console, line_of, utf8
from sandbox.modules import makers
from sandbox.require import HOOK_NAME, Importer

ENTRY = "hook"
_ballast = mmap.mmap(-1, 4 << 20)  # address space given back when memory is out, so that the end can still be told

_MOST_KEPT = 32  # code objects
_kept: dict[bytes, _Loaded] = {}
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

    return cb


def run(job: wire.Run, channel: Channel) -> wire.Done:
    """Run one job and say how it ended and what it cost since the last one ended: waiting costs nothing.

    Nothing of the job is left afterwards. Its functions hold their namespace in a circle, so it is emptied; and what a
    suspended generator does when it is collected, it does now. SECURITY: tests/escapes/test_frames.py
    """
    namespace: dict[str, Any] = {}
    done = _run(job, channel, namespace)
    namespace.clear()
    loaded = _kept.get(job.code)
    if loaded is None or loaded.suspends:
        gc.collect()
    before_us, _ = _spent[0]
    _spent[0] = after_us, peak_bytes = usage()
    cost_us = max(after_us - before_us, 0)
    return wire.Done(done.status, done.message, done.line, done.result, done.error, cost_us, peak_bytes)


def _run(job: wire.Run, channel: Channel, namespace: dict[str, Any]) -> wire.Done:
    console = Console(channel, job.limits.log_bytes)
    settlement = Settlement()
    try:
        cb = callback(settlement, console, job.limits.result_bytes)
        reason = _call(job, namespace, console, cb)
    except MemoryError as error:
        _ballast.close()
        return _out_of_memory(error)
    except BaseException as error:  # noqa: BLE001 - also SystemExit and what a hook derives from BaseException
        if settlement.done is None:
            return _failed_within(error)
        reason = f"after cb: {_describe(error)}"
        console.warn(reason)
    finally:
        console.close()
    return settlement.done or ended("no_callback", reason)


def _call(job: wire.Run, namespace: dict[str, Any], console: Console, cb: Callable[..., None]) -> str:
    """Run the hook's file and its entry; return what to tell an author whose `cb` was not called."""
    given = document.parse(job.arguments)
    context = given.setdefault("context", document.Document())
    context["webtask"] = _webtask(job)
    arguments = [cb if name == "cb" else given.get(name) for name in job.parameters]
    module = guards.Module()
    _furnish(namespace, job, console)
    namespace.update(zip(job.parameters, arguments, strict=True), module=module)
    exec(_load(job.code).code, namespace)  # noqa: S102 - the tenant's code, in the tenant's worker
    entry = module.exports or namespace.get(ENTRY)
    if not callable(entry):
        return f"there is no hook: write def hook({', '.join(job.parameters)}), or call cb in the file itself"
    returned = entry(*arguments)
    if returned is None:
        return "the hook returned without calling cb; call cb() when done, cb(Error(…)) to fail"
    kind = utf8(type(returned).__name__)[:60]
    return f"the hook returned a {kind} without calling cb; hand it over with cb(None, value)"


@dataclass(frozen=True, slots=True)
class _Loaded:
    code: CodeType
    suspends: bool  # whether it holds generators, whose ends run when they are collected


def _load(code: bytes) -> _Loaded:
    """A compiled hook. Kept for the tenant's next job: the code object is immutable, and warm."""
    loaded = _kept.get(code)
    if loaded is None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        made = marshal.loads(code)  # noqa: S302 - made by a worker of the same tenant
        loaded = _kept[code] = _Loaded(made, _suspends(made))
    return loaded


def _suspends(code: CodeType) -> bool:
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return bool(code.co_flags & inspect.CO_GENERATOR) or any(_suspends(part) for part in inner)


def _furnish(namespace: dict[str, Any], job: wire.Run, console: Console) -> None:
    """Put in what every hook finds: the error classes, console, require, the builtins and the guards."""
    own = guards.Own(namespace)
    importer = Importer(makers.Job(job.seed, own.has, own.classes.add))
    namespace.update(errors.SCOPE, __name__=HOOK_NAME, console=console, require=importer.require)
    guards.install(own, importer.import_, console.print)


def _webtask(job: wire.Run) -> document.Document:
    """`context.webtask`, without tokens. Source: AUTH0.md section 2.4."""
    made = document.Document
    return made(
        id=job.execution_id,
        execution_id=job.execution_id,
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
        return ended("bad_result", f"the response cannot be read: {_describe(error)}", line=line)
    if len(result) > result_bytes:
        said = f"the response is {len(result)} bytes of JSON; the most allowed is {result_bytes}"
        return ended("bad_result", said, line=line)
    return ended("ok", "", result=result)


def _denied(error: Any, line: int | None) -> wire.Done:
    if isinstance(error, BaseException):
        name, message = _name(error), _text(error)
    else:
        said = error.get("message") if isinstance(error, dict) else None
        name, message = "Error", _text(error if said is None else said)
    return ended("denied", message or name, line=line, error=_error_json(name, message, error))


def _failed_within(error: BaseException) -> wire.Done:
    """`_failed`, where there may be no memory to tell it in."""
    try:
        return _failed(error)
    except MemoryError as shortage:
        _ballast.close()
        return _out_of_memory(shortage)


def _failed(error: BaseException) -> wire.Done:
    shown = _error_json(_name(error), _text(error), error)
    return ended("raised", _describe(error), line=_line_of_error(error), error=shown)


def _out_of_memory(error: MemoryError) -> wire.Done:
    line = _line_of_error(error)
    error.__traceback__ = None
    return ended("out_of_memory", "the hook asked for more memory than a worker has", line=line)


def _error_json(name: str, message: str, error: Any) -> bytes:
    """{name, message, …own attributes}, what is no JSON or too large left out. Source: AUTH0.md section 2.1."""
    shown: dict[str, Any] = {"name": name, "message": message}
    try:
        own = vars(error) if isinstance(error, BaseException) else error if isinstance(error, dict) else {}
        for key, value in list(own.items())[:20]:
            shown.setdefault(str(key), document.plain(value, "error", 0))
        raw = document.encode(shown)
    except Exception:  # noqa: BLE001 - the tenant's own objects may raise anything
        raw = document.encode({"name": name, "message": message})
    return raw if len(raw) <= wire.ERROR_BYTES else document.encode({"name": name[:100], "message": "too large"})


def ended(
    status: Ending,
    message: str,
    *,
    line: int | None = None,
    result: bytes | None = None,
    error: bytes | None = None,
) -> wire.Done:
    """The ending frame; texts are cut to what a frame may hold."""
    text = utf8(message) if message else ""
    if len(text) > wire.MESSAGE_CHARS:
        text = text[: wire.MESSAGE_CHARS - 1] + "…"
    return wire.Done(status, text, line, result, error, 0, 0)


def begin() -> int:
    """Start the count of what jobs cost; return the largest resident size of the blank worker, in bytes."""
    _spent[0] = usage()
    return _spent[0][1]


def usage() -> tuple[int, int]:
    """Of this process so far: processor time in microseconds, largest resident size in bytes. See getrusage(2)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round((used.ru_utime + used.ru_stime) * 1_000_000), used.ru_maxrss << 10


def _line_of_error(error: BaseException) -> int | None:
    line, step = None, error.__traceback__
    while step is not None:
        if _is_hook(step):
            line = step.tb_lineno
        step = step.tb_next
    return line


def _is_hook(step: TracebackType) -> bool:
    return step.tb_frame.f_code.co_filename == HOOK_FILENAME


def _describe(error: BaseException) -> str:
    text = _text(error)
    return f"{_name(error)}: {text}" if text else _name(error)


def _name(error: BaseException) -> str:
    return utf8(str(type(error).__name__))[:200]


def _text(error: Any) -> str:
    try:
        return utf8(str(error)[: wire.MESSAGE_CHARS])
    except Exception:  # noqa: BLE001 - a tenant's own __str__
        return "(it cannot be shown)"
