"""One claimed invocation: run under its lease, and its end written; or given back if it cannot be run here now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine import live as lives
from engine.admission import Admission
from engine.config import Config
from engine.dispatch import Dispatcher
from engine.errors import BadInput, EngineError, SandboxLost
from engine.executions import Earlier, Kept, fault_of, kept_of, timings_of, told_of_fault
from engine.invocation import Ended, Invocation
from engine.live import Live
from engine.points import point_named
from engine.queue.ending import Ending
from engine.queue.ends import Verdict, failures_of, passed_over, verdict, verdict_of_loss
from engine.standings import Standing, Standings
from tenants import executions
from tenants.errors import Missing, StoreError
from tenants.executions import End, Held
from tenants.records import Execution, Retry, Tenant
from tenants.stamps import now_ms
from tenants.store import Store

_log = logging.getLogger("hookcell.queue")
_NO_RETRY = Retry()


@dataclass(slots=True, eq=False)
class Start:
    """What was claimed."""

    tenant_id: str
    execution: Execution
    room: contextlib.ExitStack  # what it takes up here, until its run has ended
    finishing: bool = False  # its end is on its way into the store: it is not given back any more

    @property
    def held(self) -> Held:
        """The lease of it."""
        return Held(self.tenant_id, self.execution.id, self.execution.fencing_token)


class Running:
    """Runs what was claimed."""

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
        self._live = live
        self._admission = admission
        self._dispatcher = dispatcher
        self._standings = standings
        self._most_losses = config.most_attempts
        self._wait_s, self._wall_s = config.wait_ms / 1000, config.wall_ms / 1000
        self._ending = Ending(store)
        self.ended = 0  # ends that counted
        self.refused = 0  # that did not: somebody else had taken the invocation over

    async def run(self, start: Start) -> None:
        """To its end, which is written. Cancelled before that, it leaves the lease as it is."""
        try:
            standing = self._standings.at_once(start.tenant_id) or await self._standings.of(start.tenant_id)
            self._admission.look_at(standing.tenant)
            invocation = self._invocation(standing.tenant, start.execution)
            ended = await self._dispatcher.run(invocation)
        except Missing:
            return  # the tenant is gone, with all that it had
        except BadInput as error:  # UnknownPoint: an operator has taken the point away
            await self._fail(start, Verdict("dead"), str(error))
        except SandboxLost as error:
            decided = verdict_of_loss(1 + failures_of(start.execution), self._most_losses)
            await self._fail(start, decided, str(error))
        except (EngineError, StoreError) as error:
            await self._leave(start, error)
        else:
            decided = verdict(start.execution, ended, _retry(standing, ended), self._most_losses)
            await self._end(start, invocation, ended, decided)

    async def give_back(self, starts: Sequence[Start]) -> None:
        """To whoever has room for them; they have not been begun, as far as anybody counts. Raises StoreError."""
        held = [start.held for start in starts]
        await asyncio.wrap_future(self._store.write_all(executions.release, held))

    async def flush(self) -> None:
        """Return when all ends are written that were on their way."""
        await self._ending.flush()

    def tell_fault(self, tenant_id: str, execution: Execution, message: str) -> None:
        """Those who follow the tenant, of an attempt that nobody could run."""
        if self._live.is_followed(tenant_id):
            self._live.publish(tenant_id, _end_of(execution, message))

    def _invocation(self, tenant: Tenant, execution: Execution) -> Invocation:
        """Raises UnknownPoint."""
        return Invocation(
            id=execution.id,
            tenant=tenant,
            point=point_named(execution.trigger_id),
            arguments=execution.arguments.encode(),
            deadline=time.monotonic() + self._wait_s + self._wall_s * len(execution.hook_ids),
            hook_ids=execution.hook_ids,
            attempt=execution.attempt,
            position=execution.position,
            response=execution.response.encode(),
            revision=tenant.revision,
        )

    async def _leave(self, start: Start, error: Exception) -> None:
        """It cannot be run here now: soon, or by another engine."""
        execution = start.execution
        _log.info("invocation %s is put off: %s", execution.id, error)
        decided, before = passed_over(failures_of(execution)), execution.outcome
        told = (
            Earlier(before | {"failures": decided.failures}) if before else told_of_fault(str(error), decided.failures)
        )
        await self._write(start, execution.position, execution.response, decided, Kept(told, None))

    async def _end(self, start: Start, invocation: Invocation, ended: Ended, decided: Verdict) -> None:
        execution = start.execution
        queue_ms = max((execution.started_ms or 0) - execution.run_at_ms, 0)
        kept = kept_of(invocation, ended, timings_of(ended, queue_ms=queue_ms), decided.failures)
        response = "null" if decided.status == "success" else ended.response.decode()  # no hook is left to be given it
        await self._write(start, ended.position, response, decided, kept)

    async def _fail(self, start: Start, decided: Verdict, message: str) -> None:
        self.tell_fault(start.tenant_id, start.execution, message)
        kept = fault_of(start.execution, message, decided.failures)
        await self._write(start, start.execution.position, start.execution.response, decided, kept)

    async def _write(self, start: Start, position: int, response: str, decided: Verdict, kept: Kept) -> None:
        again = decided.status == "queued"
        end = End(
            held=start.held,
            status=decided.status,
            outcome=None,
            position=position,
            response=response,
            run_at_ms=now_ms() + decided.again_in_ms,
            counted=decided.counted,
            log_event=None if again else kept.log_event,
        )
        start.finishing = True
        start.room.close()  # the next one is claimed while this end is written, in one transaction with it
        if await self._ending.write(end, kept.told):
            self.ended += not again
        else:
            self.refused += 1


def _end_of(execution: Execution, message: str) -> lives.Event:
    return lives.end(
        execution_id=execution.id,
        trigger_id=execution.trigger_id,
        hook=None,
        status="error",
        message=message,
        at=lives.now(),
    )


def _retry(standing: Standing, ended: Ended) -> Retry:
    """As the hook that failed says now."""
    failed = ended.failed
    if failed is None:
        return _NO_RETRY
    there = (hook.record for hooks in standing.hooks.values() for hook in hooks)
    return next((hook.retry for hook in there if hook.id == failed.hook_id), _NO_RETRY)
