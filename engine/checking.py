"""From a tenant's upload to a version that can run: every source is checked in a worker, and the code is kept.

The code is opaque here. It is bound to the compiler that made it (engine/compiler.py) and to one version of one
tenant's hook: what another compiler made is checked again, and code is given to workers of its own tenant alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from engine.app import Compiled, Engine
from engine.egress.policy import EgressPolicy
from engine.errors import BadInput, EngineError
from engine.hook import NO_LIMITS, Limits
from engine.hook import Hook as RunnableHook
from engine.outcome import Finding, Outcome
from tenants import hooks
from tenants.records import Check, Draft, Hook, Settings, Tenant


class Rejected(EngineError):
    """The source is refused by the policy."""

    status = 400
    code = "invalid_body"

    def __init__(self, outcome: Outcome, where: str = "") -> None:
        super().__init__(where + _told(outcome))
        self.diagnostics: tuple[Finding, ...] = outcome.diagnostics  # all; the message tells of the first


class Unchecked(EngineError):
    """The worker that was to check a stored source ended before it had: nothing is known about the source."""

    status = 503
    code = "unchecked"


class Access(Protocol):
    """One tenant's rows, asked without waiting on the event loop."""

    async def read(self, tenant_id: str, question: Callable[..., Any], *args: Any) -> Any:
        """What `question(rows, *args)` returns."""

    async def write(self, tenant_id: str, change: Callable[..., Any], *args: Any) -> Any:
        """The same, of a change, once it is durable."""


class Checker:
    """Checks sources in workers of their tenants."""

    def __init__(self, engine: Engine, compiler: str) -> None:
        self._engine = engine
        self._compiler = compiler

    @property
    def compiler(self) -> str:
        """Whose code these workers run."""
        return self._compiler

    async def check(
        self,
        tenant: Tenant,
        trigger_id: str,
        source: str,
        dependencies: Mapping[str, str],
        secrets: Iterable[str] | None = None,
    ) -> Outcome:
        """`ok`, or `rejected` with every finding; with warnings. Raises as `Engine.compile`.

        `secrets`: the names that the hook has, or will have. None: not known.
        """
        return await self._engine.check(_uploaded(tenant, trigger_id, source, dependencies), secrets=secrets)

    async def accept(
        self,
        tenant: Tenant,
        trigger_id: str,
        source: str,
        dependencies: Mapping[str, str],
        created_by: str,
        secrets: Iterable[str] | None = None,
    ) -> Draft:
        """What may become a version. Raises Rejected, and as `Engine.compile`."""
        uploaded = _uploaded(tenant, trigger_id, source, dependencies)
        check = self._accepted(await self._engine.compile(uploaded, secrets=secrets))
        return Draft(source=source, dependencies=dict(dependencies), check=check, created_by=created_by)

    async def current(self, access: Access, tenant: Tenant, hook: Hook) -> Check:
        """The check of the hook's live version by today's compiler; made and kept where there is none.

        Raises Rejected, naming the hook, when today's policy refuses what an earlier one took; that is not kept.
        Raises Unchecked when the check ended by itself, for want of time or memory: it may end otherwise.
        """
        version = hook.version
        kept: Check | None = await access.read(tenant.id, hooks.check_of, hook.id, version.number, self._compiler)
        if kept is not None and kept.code is not None:
            return kept
        uploaded = _uploaded(tenant, hook.trigger_id, version.source, version.dependencies)
        compiled = await self._engine.compile(uploaded)
        if not compiled.told:
            raise Unchecked(f"hook {hook.name}: {compiled.outcome.message}")
        check = self._accepted(compiled, f"hook {hook.name}: ")
        await access.write(tenant.id, hooks.keep_check, hook.id, version.number, check)
        return check

    def _accepted(self, compiled: Compiled, where: str = "") -> Check:
        if compiled.code is None:
            raise Rejected(compiled.outcome, where)
        warnings = tuple(msgspec.to_builtins(finding) for finding in compiled.outcome.warnings)
        return Check(compiler=self._compiler, code=compiled.code, warnings=warnings)


def _uploaded(tenant: Tenant, trigger_id: str, source: str, dependencies: Mapping[str, str]) -> RunnableHook:
    settings = tenant.settings
    return RunnableHook(
        source,
        trigger_id,
        tenant.id,
        mode=settings.mode,
        dependencies=dependencies,
        modules=settings.modules,
    )


def hook_of(tenant: Tenant, hook: Hook, check: Check, secrets: Mapping[str, str]) -> RunnableHook:
    """A stored hook as the engine runs it: its live version's code, under its tenant's settings. Raises BadInput.

    Its workers, its connections and its code belong to the tenant's id: a later tenant of the same name has another.
    """
    settings = tenant.settings
    return RunnableHook(
        hook.version.source,
        hook.trigger_id,
        tenant.id,
        secrets=secrets,
        mode=hook.mode or settings.mode,
        limits=_limits_of(settings),
        dependencies=hook.version.dependencies,
        egress=egress_of(settings),
        modules=settings.modules,
        code=check.code,
    )


def draft_of(
    tenant: Tenant, trigger_id: str, source: str, dependencies: Mapping[str, str], secrets: Mapping[str, str]
) -> RunnableHook:
    """A source that is stored nowhere as the engine runs it, under its tenant's settings. Raises BadInput."""
    uploaded = _uploaded(tenant, trigger_id, source, dependencies)
    return replace(uploaded, secrets=secrets, limits=_limits_of(tenant.settings), egress=egress_of(tenant.settings))


def _limits_of(settings: Settings) -> Limits:
    limits = Limits(wall_ms=settings.wall_ms, result_bytes=settings.result_bytes, log_bytes=settings.log_bytes)
    return NO_LIMITS if limits == NO_LIMITS else limits


def egress_of(settings: Settings) -> EgressPolicy | None:
    """The tenant's own policy; None: that of the engine's settings. Raises BadInput for what cannot be one."""
    if settings.egress is None:
        return None
    fields: dict[str, Any] = {
        name: _as_texts(value) if isinstance(value, list) else value for name, value in settings.egress.items()
    }
    if strangers := sorted(fields.keys() - EgressPolicy.__dataclass_fields__.keys()):
        known = ", ".join(EgressPolicy.__dataclass_fields__)
        raise BadInput(f"egress: {strangers[0]!r:.100} is no field of a policy; the fields are {known}")
    if not isinstance(fields.get("listed_only", False), bool):
        raise BadInput("egress: listed_only is either true or false")
    try:
        return EgressPolicy(**fields)
    except ValueError as error:
        raise BadInput(f"egress: {error}") from None


def _as_texts(items: list[Any]) -> tuple[Any, ...]:
    """A port may be written as a number."""
    return tuple(str(item) if type(item) is int else item for item in items)


def _told(outcome: Outcome) -> str:
    """The first finding, and how many more there are."""
    if not outcome.diagnostics:
        return f"the source cannot be checked: {outcome.message}"
    first, *others = outcome.diagnostics
    hint = f" ({first.hint})" if first.hint else ""
    more = f"; and {len(others)} more" if others else ""
    return f"line {first.line}, column {first.column}: rule `{first.rule}`: {first.message}{hint}{more}"
