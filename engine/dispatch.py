"""One invocation, from what is asked to what came of it: each hook of the point in turn, one deadline over all.

    ended = await dispatcher.run(Invocation(id=…, tenant=…, point=…, arguments=…, deadline=time.monotonic() + 20))

`Calls` is the way of a call that somebody waits for: admitted, run, and recorded behind the reply.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

import msgspec

from engine import live as lives
from engine.admission import Admission, CrashBackoff
from engine.answers import BadResponse, error_of, fitting, initial, storable
from engine.app import Engine
from engine.executions import Timings, message_of, timings_of
from engine.hook import Within
from engine.invocation import Ended, HookRun, Invocation
from engine.live import Live
from engine.mask import Mask
from engine.outcome import LogEvent, Outcome
from engine.points import Point
from engine.queue.recording import Recorder
from engine.standings import ReadyHook, Standing, Standings
from tenants.records import Tenant
from tenants.stamps import id_after, now_ms

_NULL = msgspec.Raw(b"null")
_LONG_BYTES = 4 << 10  # of a result: more is masked beside the event loop
_PASSED_OVER = b'{"message":"the hooks that were enabled when this was accepted are not any more","statusCode":500}'
_HUNG_UP = b'{"message":"the caller did not wait for the end","statusCode":499}'


class Dispatcher:
    """Runs invocations on this node's workers."""

    def __init__(self, engine: Engine, standings: Standings, live: Live | None = None) -> None:
        self._engine = engine
        self._standings = standings
        self._live = live
        self._backoff = CrashBackoff()

    async def run(self, invocation: Invocation) -> Ended:
        """What came of it. The first error of a hook ends it.

        A hook that was disabled or deleted since a queued invocation was accepted is passed over; when all of them
        were, that is the error. Who follows the tenant is told each line of the consoles, and the end.

        Raises PoolBusy, EngineClosed, SandboxFailed: try again, all hooks of this attempt; Missing when the tenant is
        gone, StoreError. When it is cancelled, the worker is ended at once.
        """
        standings, point = self._standings, invocation.point
        tenant_id = invocation.tenant.id
        standing = standings.known(tenant_id, invocation.revision) or await standings.of(tenant_id)
        hooks, position = _hooks_of(invocation, standing), invocation.position
        response = invocation.response if position else initial(point, invocation.arguments)
        runs: list[HookRun] = []
        error, known = None, tuple[str, ...]()
        for hook in hooks[position:] if position else hooks:
            if hook is not None:
                run, response = await self._run_hook(invocation, hook, response, known)
                runs.append(run)
                if run.outcome.status != "ok":
                    error = error_of(point, run.outcome)
                    break
                known += _secrets_of(hook)
            position += 1
        if hooks and not runs and not invocation.position:
            error = _PASSED_OVER
        ended = _ended(invocation, runs, position, response, error)
        if (live := self._followed(invocation)) and (runs or error):
            live.publish(tenant_id, _end_of(invocation, ended))
        return ended

    async def _run_hook(
        self, invocation: Invocation, hook: ReadyHook, response: bytes, known: tuple[str, ...]
    ) -> tuple[HookRun, bytes]:
        """One hook's part, and what is answered after it. `known`: secrets of the hooks before it."""
        record, point, live = hook.record, invocation.point, self._followed(invocation)
        within = Within(
            execution_id=invocation.id,
            attempt=invocation.attempt,
            response=response,
            known=known,
            deadline=invocation.deadline,
            on_log=functools.partial(_tell, live, invocation, record.name) if live and _tells(invocation) else None,
        )
        key = (invocation.tenant.id, record.id, record.version.number)  # whose crashes are counted together
        refused = self._backoff.refused(key) if hook.runnable else None
        outcome = refused or hook.fault
        if outcome is None:
            assert hook.runnable is not None, "either it runs or there is a fault"
            outcome = await self._engine.run_fitting(hook.runnable, point, invocation.arguments, within=within)
            outcome = outcome if within.checked else _unchecked(outcome)
            if outcome.usage.wall_ms:  # it was begun
                self._backoff.note(key, outcome)
        if live and not _tells(invocation):
            for logged in storable(point, invocation.arguments, outcome).logs:
                _tell(live, invocation, record.name, logged)
        mask = within.mask
        if mask and not point.blocking:
            outcome = await _passed_on(outcome, mask)
        if outcome.status == "ok":
            outcome, response = _answered(point, outcome, response, mask)
        run = HookRun(
            hook_id=record.id,
            name=record.name,
            version=record.version.number,
            lease_ms=within.lease_ms,
            outcome=outcome,
            mask=mask,
            left_alone_ms=None if refused is None else self._backoff.left_alone_ms(key),
            lost=within.lost or not within.checked,
        )
        return run, response

    def _followed(self, invocation: Invocation) -> Live | None:
        live = self._live
        return live if live is not None and live.is_followed(invocation.tenant.id) else None


class Calls:
    """Calls of blocking points."""

    def __init__(self, dispatcher: Dispatcher, admission: Admission, recorder: Recorder) -> None:
        self._dispatcher = dispatcher
        self._admission = admission
        self._recorder = recorder

    async def call(
        self, tenant: Tenant, point: Point, arguments: bytes, *, deadline: float, revision: int | None = None
    ) -> tuple[Ended, Timings]:
        """What came of it, recorded behind the reply. `arguments` fit the point; `deadline`: of the monotonic clock.

        `revision`: of the tenant, if nothing else ran since it was read for this very call; None: it is asked for.
        Raises as `Dispatcher.run`, and Refusal 429. Cancel it when the caller has gone: that is recorded, too.
        """
        with self._admission.admit(tenant):
            invocation = Invocation(
                id=id_after(None),
                tenant=tenant,
                point=point,
                arguments=arguments,
                deadline=deadline,
                revision=revision,
            )
            begun_ms = now_ms()
            try:
                ended = await self._dispatcher.run(invocation)
            except asyncio.CancelledError:
                self._recorder.record(invocation, _ended(invocation, (), 0, b"null", _HUNG_UP), Timings(), begun_ms)
                raise
        timings = timings_of(ended)
        if ended.runs:
            self._recorder.record(invocation, ended, timings, begun_ms)
        return ended, timings


def _unchecked(outcome: Outcome) -> Outcome:
    """Of a check that ended by itself: no finding about a source that was accepted once, but a worker that was lost."""
    message = f"the hook could not be checked, and will be again: {outcome.message}"
    return Outcome(status="crashed", message=message, usage=outcome.usage)


def _hooks_of(invocation: Invocation, standing: Standing) -> Sequence[ReadyHook | None]:
    """Those that it is for, in order; None: one that is not enabled any more."""
    enabled = standing.of_point(invocation.point.id)
    if invocation.hook_ids is None:
        return enabled
    by_id = {hook.record.id: hook for hook in enabled}
    return [by_id.get(hook_id) for hook_id in invocation.hook_ids]


def _secrets_of(hook: ReadyHook) -> tuple[str, ...]:
    return tuple(hook.runnable.secrets.values()) if hook.runnable else ()


async def _passed_on(outcome: Outcome, mask: Mask) -> Outcome:
    """Of a point that nobody waits for, without secrets: for the hooks after it, it is stored between two attempts.

    And it is the same for them, whichever attempt they run in.
    """
    if outcome.status != "ok":
        return outcome
    result = bytes(outcome.result)
    stored = mask.stored(result) if len(result) <= _LONG_BYTES else await asyncio.to_thread(mask.stored, result)
    return msgspec.structs.replace(outcome, result=msgspec.Raw(stored))


def _answered(point: Point, outcome: Outcome, so_far: bytes, mask: Mask) -> tuple[Outcome, bytes]:
    """What is answered after a hook that ended well; its end is another one when its point does not take that."""
    try:
        return outcome, fitting(point, bytes(outcome.result), so_far)
    except BadResponse as error:
        message = mask.text(str(error)) if mask else str(error)  # it may name a part of the response
        return msgspec.structs.replace(outcome, status="bad_result", message=message, result=_NULL), so_far


def _ended(
    invocation: Invocation, runs: Sequence[HookRun], position: int, response: bytes, error: bytes | None
) -> Ended:
    return Ended(id=invocation.id, runs=tuple(runs), position=position, response=response, error=error)


def _tells(invocation: Invocation) -> bool:
    """Whether lines are told as they come: those that may hold what is never stored wait for the end, to be masked."""
    return not invocation.point.secret


def _tell(live: Live, invocation: Invocation, hook: str, logged: LogEvent) -> None:
    told = lives.line(execution_id=invocation.id, trigger_id=invocation.point.id, hook=hook, logged=logged)
    live.publish(invocation.tenant.id, told)


def _end_of(invocation: Invocation, ended: Ended) -> lives.Event:
    failed, message = ended.failed, ""
    if failed is not None:
        message = message_of(storable(invocation.point, invocation.arguments, failed.outcome))
    return lives.end(
        execution_id=invocation.id,
        trigger_id=invocation.point.id,
        hook=failed.name if failed else None,
        status="success" if ended.error is None else "error",
        message=message,
        at=lives.now(),
    )
