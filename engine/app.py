"""The engine: takes a Config apart, holds the pool, runs hooks.

    async with Engine(Config()) as engine:
        outcome = await engine.run(Hook(source, "post-change-password"), {"user": {…}, "context": {…}})

A source is compiled once, in a worker of its tenant; its code is kept and loaded only in workers of that tenant.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import cachetools
import msgspec

from engine import layers
from engine.alarms import Alarms
from engine.config import Config
from engine.egress.broker import Broker
from engine.egress.network import Network
from engine.egress.transport import Transport
from engine.errors import BadSource
from engine.hook import NO_LIMITS, SECRETS_BYTES, Hook, Within, check_pairs
from engine.lines import Lines
from engine.mask import Mask, masked
from engine.outcome import Outcome, lines_of, to_microseconds
from engine.points import Point, point_named
from engine.pool import Overdue, Pool, PoolSize
from engine.spawner import Spawner, ZygoteSetting
from engine.turn import check_turn, run_turn
from sandbox import wire
from tenants.stamps import random_bytes

_LONG_CHARS = 16 << 10  # of what is told: more is masked beside the event loop
_KEPT_CODE_BYTES = 64 << 20  # compiled hooks kept in memory
_CPU_SLACK_S = 600  # over a worker's greatest age: a worker older than that is out of control


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a worker made of a source."""

    outcome: Outcome  # `ok`, or `rejected` with every finding; with the warnings that were asked for
    code: bytes | None  # for workers of the same tenant, Python and policy; None: there is none
    told: bool = True  # by the worker; False: it ended before it could, which may be otherwise the next time


_Key = tuple[Hashable, ...]
_OVERDUE = Outcome(status="timeout", message="the time for this call was used up before the hook could begin")


class Engine:
    """Runs hooks in locked-down workers. Start it with `async with`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._spawner = Spawner(zygote_setting(config))
        self._pool = Pool(self._spawner, _pool_size(config))
        self._policy, self._most = config.egress_policy, config.limits
        self._network = Network(ca_file=config.egress_ca_file)
        self._kept: cachetools.LRUCache[_Key, Compiled] = cachetools.LRUCache(_KEPT_CODE_BYTES, _weight)
        self._compiling: dict[_Key, asyncio.Task[Compiled]] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._pool.start()
            await layers.prove(self._spawner, self._config.allow_missing_layers)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._pool.drain()
        await self._network.close()

    def hurry(self) -> None:
        """Take no new job, and end those under way, which raise EngineClosed: it is about to end."""
        self._pool.hurry()

    @property
    def alarms(self) -> Alarms:
        """Those of the event loop that it runs on: ask while it runs."""
        return self._spawner.alarms

    @property
    def pool(self) -> Pool:
        """The workers, for those who count them."""
        return self._pool

    async def check(self, hook: Hook, *, secrets: Iterable[str] | None = None) -> Outcome:
        """`ok`, or `rejected` with every finding; with warnings. Raises as `compile`."""
        return (await self.compile(hook, secrets=secrets)).outcome

    async def compile(self, hook: Hook, *, secrets: Iterable[str] | None = None) -> Compiled:
        """The same, and the code to run it by. Raises UnknownPoint, BadInput, BadSource, PoolBusy.

        `secrets`: the names that the hook will have. None: those it has now, or, when it has none, not known.
        """
        point = point_named(hook.trigger_id)
        return await self._compile(hook, point, _advice(hook, point, secrets))

    async def run(
        self,
        hook: Hook,
        arguments: Mapping[str, Any] | bytes,
        *,
        transport: Transport | None = None,
        within: Within | None = None,
    ) -> Outcome:
        """How the hook ended on these arguments (a mapping, or its JSON).

        `transport`: who answers the hook's calls; None: the network. `within`: the invocation that it is a part of.
        Raises UnknownPoint, BadSource, BadArguments, PoolBusy, EngineClosed, SandboxFailed; nothing for what hooks do.
        """
        point = point_named(hook.trigger_id)
        raw = point.encode_arguments(arguments, self._config.arguments_bytes)
        return await self.run_fitting(hook, point, raw, transport=transport, within=within or Within())

    async def run_fitting(
        self, hook: Hook, point: Point, arguments: bytes, *, transport: Transport | None = None, within: Within
    ) -> Outcome:
        """As `run`, for JSON that is known to fit the point of the hook."""
        mask = within.mask = Mask.of(hook.secrets.values(), within.known)
        lines = Lines(within.on_log, mask, _LONG_CHARS) if within.on_log else None
        code = hook.code  # what an earlier check made, when the caller brought it
        try:
            if code is None:
                compiled = await self._compiled(hook, point, within.deadline)
                within.checked, code = compiled.told, compiled.code
                if code is None:
                    return compiled.outcome
            job, reuse, asked = self._job(hook, point, code, arguments, within), self._reuses(hook), time.perf_counter()
            worker = self._pool.take_at_once(hook.tenant, reuse=reuse)
            if worker is None:
                worker = await self._pool.wait(hook.tenant, reuse=reuse, until=within.deadline)
            try:
                within.lease_ms = to_microseconds((time.perf_counter() - asked) * 1000)
                outcome = await run_turn(
                    worker,
                    _in_time(job, within.deadline),
                    self._config.grace_ms,
                    self._broker(hook, transport, mask),
                    tell=lines.hear if lines else None,
                    alone=worker.brief and self._is_alone(),
                )
                within.lost = worker.lost
            finally:
                self._pool.give_back(worker, reuse=reuse)
        except Overdue:
            return _OVERDUE
        told = _with_source(_with_response(outcome, point), hook.source)
        if mask:
            told = await _masked(told, mask)
        if lines is not None:
            lines.rest(told.logs)
        return told

    def _is_alone(self) -> bool:
        """Whether no other job is at work: those that wait for an answer from elsewhere are not."""
        return self._pool.leased - self._network.under_way <= 1

    def _broker(self, hook: Hook, transport: Transport | None, mask: Mask) -> Broker:
        """Who answers the calls of one job."""
        policy = hook.egress or self._policy

        def find_transport() -> Transport:
            return transport or self._network.of(hook.tenant, policy)

        return Broker(policy, find_transport, mask)

    async def job(self, hook: Hook, arguments: Mapping[str, Any] | bytes) -> wire.Run:
        """What a worker would be given, for measuring a turn alone. Raises as `run`, and BadSource when rejected."""
        point = point_named(hook.trigger_id)
        raw = point.encode_arguments(arguments, self._config.arguments_bytes)
        if hook.code is not None:
            return self._job(hook, point, hook.code, raw, Within())
        compiled = await self._compiled(hook, point)
        if compiled.code is None:
            raise BadSource(compiled.outcome.message)
        return self._job(hook, point, compiled.code, raw, Within())

    def _job(self, hook: Hook, point: Point, code: bytes, arguments: bytes, within: Within) -> wire.Run:
        seed = int.from_bytes(random_bytes(8), "big") >> 2 if hook.seed is None else hook.seed
        return wire.Run(
            code=code,
            parameters=point.parameters,
            arguments=arguments,
            secrets=dict(hook.secrets),
            execution_id=within.execution_id,
            seed=seed,
            limits=self._limits(hook),
            modules=hook.modules,
            attempt=within.attempt,
            response=within.response,
        )

    def _limits(self, hook: Hook) -> wire.Limits:
        most, own = self._most, hook.limits
        if own is NO_LIMITS:
            return most
        return wire.Limits(
            wall_ms=_least(own.wall_ms, most.wall_ms),
            result_bytes=_least(own.result_bytes, most.result_bytes),
            log_bytes=_least(own.log_bytes, most.log_bytes),
        )

    def _reuses(self, hook: Hook) -> bool:
        return (hook.mode or self._config.mode) == "tenant"

    async def _compiled(self, hook: Hook, point: Point, deadline: float | None = None) -> Compiled:
        """What is made of the source, in time. Raises Overdue."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._compile(hook, point)
        except TimeoutError:
            raise Overdue from None

    async def _compile(self, hook: Hook, point: Point, advice: wire.Advice | None = None) -> Compiled:
        """What a worker made of this source, or makes of it now; callers at the same time share one check."""
        source = _checked_source(hook.source, self._config.source_bytes)
        dependencies = tuple(hook.dependencies)
        key = (hook.tenant, hashlib.sha256(source).digest(), point.parameters, dependencies, hook.modules, advice)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        task = self._compiling.get(key)
        if task is None:
            job = wire.Check(hook.source, point.parameters, dependencies, advice, hook.modules)
            task = asyncio.create_task(self._compile_now(hook, job))
            self._compiling[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(task)

    async def _compile_now(self, hook: Hook, job: wire.Check) -> Compiled:
        async with self._pool.lease(hook.tenant, reuse=self._reuses(hook)) as worker:
            outcome, code = await check_turn(worker, job, self._config.check_ms)
            told = code is not None or (outcome.status == "rejected" and not worker.gone)
        return Compiled(_with_source(outcome, hook.source), code, told)

    def _keep(self, key: _Key, done: asyncio.Task[Compiled]) -> None:
        del self._compiling[key]
        if not done.cancelled() and done.exception() is None and done.result().told:
            self._kept[key] = done.result()


def _advice(hook: Hook, point: Point, secrets: Iterable[str] | None) -> wire.Advice:
    if secrets is None:
        return wire.Advice(point.fields, tuple(sorted(hook.secrets)) or None)
    names = dict.fromkeys(secrets, "")
    check_pairs("secret", names, SECRETS_BYTES)
    return wire.Advice(point.fields, tuple(sorted(names)))


def zygote_setting(config: Config) -> ZygoteSetting:
    """What a zygote needs to know of the settings."""
    return ZygoteSetting(
        worker_uid=config.worker_uid,
        memory_bytes=config.memory_bytes,
        cpu_s=config.worker_age_s + config.wall_ms // 1000 + _CPU_SLACK_S,
        allow_missing_layers=config.allow_missing_layers,
    )


def _pool_size(config: Config) -> PoolSize:
    return PoolSize(**{name: getattr(config, name) for name in PoolSize.__dataclass_fields__})


def _weight(compiled: Compiled) -> int:
    return len(compiled.code or b"") + 4096  # and the findings of a rejected one


def _checked_source(source: str, most_bytes: int) -> bytes:
    try:
        raw = source.encode()
    except UnicodeEncodeError:
        raise BadSource("the source is not UTF-8 text: it holds half of a surrogate pair") from None
    if len(raw) > most_bytes:
        raise BadSource(f"the source is {len(raw)} bytes; the most allowed is {most_bytes}")
    if not source.strip():
        raise BadSource("the source is empty; write `def hook(…):` with the point's parameters")
    if "\0" in source:
        line = source[: source.index("\0")].count("\n") + 1
        raise BadSource(f"the source holds a NUL character at line {line}; a hook is text")
    return raw


def _least(own: int | None, most: int) -> int:
    return most if own is None else min(own, most)


def _in_time(job: wire.Run, deadline: float | None) -> wire.Run:
    """The job with no more time than there is until the deadline. Raises Overdue when there is none."""
    if deadline is None:
        return job
    left_ms = int((deadline - time.monotonic()) * 1000)
    if left_ms < 1:
        raise Overdue
    if left_ms >= job.limits.wall_ms:
        return job
    return msgspec.structs.replace(job, limits=msgspec.structs.replace(job.limits, wall_ms=left_ms))


async def _masked(outcome: Outcome, mask: Mask) -> Outcome:
    if len(bytes(outcome.error)) + sum(len(event.text) for event in outcome.logs) > _LONG_CHARS:
        return await asyncio.to_thread(masked, outcome, mask)
    return masked(outcome, mask)


def _with_response(outcome: Outcome, point: Point) -> Outcome:
    if outcome.status != "ok" or bytes(outcome.result) != b"null":
        return outcome
    return msgspec.structs.replace(outcome, result=msgspec.Raw(msgspec.json.encode(point.default_response)))


def _with_source(outcome: Outcome, source: str) -> Outcome:
    """With the text of every line that it names; a worker may name lines that there are not."""
    if outcome.line is None and not outcome.causes:
        return outcome
    lines = lines_of(source)

    def text(line: int | None) -> str | None:
        return lines[line - 1].strip()[:500] if line is not None and line <= len(lines) else None

    replace = msgspec.structs.replace
    causes = (
        replace(cause, steps=tuple(replace(step, source=text(step.line)) for step in cause.steps))
        for cause in outcome.causes
    )
    return replace(outcome, source=text(outcome.line), causes=tuple(causes))
