"""The durable queue: non-blocking invocations, from the COMMIT that acknowledges them to their recorded end.

    enqueue ─ one change for all that come meanwhile ─ COMMIT ─ 202
    claim ─ what is due, tenant after tenant, as there is room ─ run ─ end ─ one change for all that end meanwhile

Who waits for an acknowledgement goes first (engine/queue/pace.py).

The row is the truth (tenants/executions.py): a start takes a lease and a fencing token, an end counts only with that
token. An engine that is killed, paused or cut off loses its leases; another one, or the next, takes over what it had.
At least once, recorded once, in no certain order.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from engine.admission import Admission
from engine.config import Config
from engine.dispatch import Dispatcher
from engine.errors import Refusal
from engine.executions import fault_of
from engine.live import Live
from engine.points import Point
from engine.queue.gathering import Gathering
from engine.queue.leases import Leases
from engine.queue.pace import Pace
from engine.queue.running import Running, Start
from engine.standings import Standings
from tenants import executions
from tenants.errors import StoreError, Taken, TooMany
from tenants.executions import Enqueued, Fill, New
from tenants.records import Execution, Json, Tenant
from tenants.stamps import id_after, now_ms
from tenants.store import Store

_log = logging.getLogger("hookcell.queue")
_MOST_ENQUEUED = 500  # in one change
_LOOK_S = 1.0  # for what other engines have left or taken in
_SOON_S = 0.1  # after something was begun, or when something is due, but not to be begun yet
_AGAIN_S = 1.0  # after the store could not be asked


class JobQueue:
    """Non-blocking invocations of every tenant. Start it with `open`; `drain` ends it."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        standings: Standings,
        admission: Admission,
        config: Config,
        live: Live,
    ) -> None:
        self._store = store
        self._admission = admission
        self._config = config
        self._running = Running(store, dispatcher, standings, admission, config, live)
        self._leases = Leases(store, config.lease_ms)
        self._enqueues: Gathering[New, Enqueued] = Gathering(self._write, _MOST_ENQUEUED)
        self._tasks: dict[asyncio.Task[None], Start] = {}
        self._own: list[asyncio.Task[None]] = []
        self._wake, self._hurried = asyncio.Event(), asyncio.Event()
        self._resting = False
        self._fill = Fill()  # used on the store's thread alone
        self._after = ""  # the tenant that had the last turn
        self._pace = Pace()

    def open(self) -> None:
        """Run what is due, from now on."""
        self._own = [asyncio.create_task(self._claim_on()), asyncio.create_task(self._leases.keep())]

    async def enqueue(
        self, tenant: Tenant, point: Point, arguments: bytes, hook_ids: tuple[str, ...], key: str | None = None
    ) -> Enqueued:
        """The id of the invocation, once it is durable; `again`: the key had made it before.

        `arguments`: JSON that fits the point. Without hooks there is nothing to do, and nothing is kept.
        Raises Refusal 429 `queued_jobs`, Refusal 409 `idempotency_key` for a key that came with
        other arguments before, StoreError.
        """
        if not hook_ids and key is None:  # a key may have made one while there were hooks
            return Enqueued(id_after(None), again=False)
        most = tenant.settings.queued_jobs or self._config.queued_jobs
        new = New(tenant.id, _execution(point, arguments, hook_ids, key), most)
        try:
            return await self._enqueues.put(new)
        except TooMany:
            message = f"{most} invocations of the tenant are queued, the most that may (queued_jobs); try again later"
            raise Refusal(429, "queued_jobs", message, {"Retry-After": "1"}) from None
        except Taken:
            raise Refusal(
                409, "idempotency_key", "the idempotency key came with another point or body before"
            ) from None

    def look(self) -> None:
        """There may be something to run now: something was redriven."""
        self._wake.set()

    def rest(self) -> None:
        """Begin nothing more; what runs goes on."""
        self._resting = True
        self._wake.set()

    def hurry(self) -> None:
        """Wait no longer, in `drain`."""
        self._hurried.set()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, wait so long for what runs, give back the rest: another engine, or the next, runs it."""
        self.rest()
        await asyncio.gather(*self._own[:1], return_exceptions=True)
        await self._wait_for_tasks(seconds)
        left = [start for start in self._tasks.values() if not start.finishing]
        stopped = [task for task, start in self._tasks.items() if not start.finishing]
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)
        await self._enqueues.flush()
        await self._running.flush()
        if left:
            with contextlib.suppress(StoreError):  # their leases end
                await self._running.give_back(left)
        for task in self._own:
            task.cancel()
        await asyncio.gather(*self._own, *self._tasks, return_exceptions=True)

    def stats(self) -> dict[str, int]:
        """How many run here now; and how many there were here: ended, ended too late, leases lost."""
        return {
            "running": len(self._tasks),
            "ended": self._running.ended,
            "refused": self._running.refused,
            "lost": self._leases.lost,
        }

    async def _write(self, batch: Sequence[New]) -> Sequence[Enqueued | Exception]:
        answers = await asyncio.wrap_future(self._store.write_all(executions.enqueue, batch, self._fill))
        self._pace.took_in(sum(map(_is_new, batch, answers)))
        if any(self._admission.room(tenant_id) for tenant_id in {new.tenant_id for new in batch}):
            self._wake.set()  # otherwise whoever makes room wakes it
        return answers

    async def _claim_on(self) -> None:
        while not self._resting:
            if hold_s := self._pace.hold_s():
                await asyncio.sleep(hold_s)
                continue
            self._wake.clear()
            self._pace.looks()
            try:
                pause_s = await self._claim()
            except StoreError as error:
                _log.warning("nothing could be taken from the queue: %s", error)
                pause_s = _AGAIN_S
            except Exception:  # noqa: BLE001 - the loop is every tenant's
                _log.exception("nothing could be taken from the queue")  # and who waits in it goes on waiting
                pause_s = _AGAIN_S
            self._pace.looked()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def _claim(self) -> float:
        """Start what is due and has room. In how many seconds to look again, unless something happens before."""
        most = self._admission.room_for_queue()
        if most <= 0:
            return _LOOK_S
        claims = await asyncio.wrap_future(
            self._store.write_all(
                executions.claim,
                now_ms=now_ms(),
                lease_ms=self._config.lease_ms,
                most_attempts=self._config.most_attempts,
                room=self._admission.room,
                most=most,
                after=self._after,
                ending=_lost_too_often,
            )
        )
        self._after = claims.last
        for tenant_id, execution in claims.starts:
            self._start(tenant_id, execution)
        for tenant_id, execution in claims.dead:
            self._running.tell_fault(tenant_id, execution, _why_dead(execution))
        if claims.starts or claims.dead:
            return _SOON_S  # there was no more, or there is no more room
        due_ms = await asyncio.wrap_future(self._store.read_all(executions.next_due_ms))
        return _LOOK_S if due_ms is None else min(max((due_ms - now_ms()) / 1000, _SOON_S), _LOOK_S)

    def _start(self, tenant_id: str, execution: Execution) -> None:
        start = Start(tenant_id, execution, contextlib.ExitStack())
        start.room.callback(self._wake.set)
        start.room.enter_context(self._admission.queued(tenant_id))
        task = asyncio.create_task(self._running.run(start))
        self._tasks[task] = start
        self._leases.hold(start, task)

        def end(done: asyncio.Task[None]) -> None:
            del self._tasks[done]
            self._leases.let_go(start)
            start.room.close()
            if not done.cancelled() and (error := done.exception()):
                _log.error("invocation %s was not run to its end; it is taken over", start.held.id, exc_info=error)

        task.add_done_callback(end)

    async def _wait_for_tasks(self, seconds: float) -> None:
        hurried = asyncio.create_task(self._hurried.wait())
        until = asyncio.get_running_loop().time() + seconds
        while self._tasks and not hurried.done() and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait({hurried, *self._tasks}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()


def _execution(point: Point, arguments: bytes, hook_ids: tuple[str, ...], key: str | None) -> Execution:
    now = now_ms()
    digest = hashlib.sha256(point.id.encode() + b"\0" + arguments).hexdigest() if key is not None else None
    return Execution(
        id=id_after(None),
        trigger_id=point.id,
        blocking=False,
        hook_ids=hook_ids,
        arguments=arguments.decode(),
        status="queued",
        run_at_ms=now,
        idempotency_key=key,
        request_sha256=digest,
        created_ms=now,
    )


def _is_new(new: New, answer: Enqueued | Exception) -> bool:
    """Whether a row was made: not for what a key had made before, nor without hooks."""
    return isinstance(answer, Enqueued) and not answer.again and bool(new.execution.hook_ids)


def _lost_too_often(_: str, execution: Execution) -> tuple[Json, Mapping[str, Any] | None]:
    """On the store's thread: nothing of this queue is touched."""
    kept = fault_of(execution, _why_dead(execution))
    return kept.told.json(), kept.log_event


def _why_dead(execution: Execution) -> str:
    return f"it was begun {execution.attempt} times, and each time its engine was lost"
