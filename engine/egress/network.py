"""The network as hooks reach it: one way out for each tenant, made when it is used and dropped when it is not."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from engine.egress.connection import trusting_context
from engine.egress.names import Resolve, in_thread, look_up
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.egress.uplink import Kept, Uplink

UNUSED_S = 60.0  # an uplink is kept
_MOST_IDLE = 256  # connections of all tenants
_MOST_POLICIES = 4  # of one tenant: it has one, and another when the operator has just changed it


class Network:
    """All tenants' uplinks. One for an engine, in its event loop."""

    def __init__(
        self, resolve: Resolve = look_up, context: ssl.SSLContext | None = None, ca_file: str | None = None
    ) -> None:
        self._resolve = resolve
        self._context = context  # None: made at the first https, since it takes a while
        self._ca_file = ca_file  # of authorities to trust beside the public ones
        self._kept = Kept(_MOST_IDLE)
        self._uplinks: dict[str, dict[EgressPolicy, Uplink]] = {}  # of a tenant, the policy used last at the end
        self._retired: list[Uplink] = []  # with exchanges still under way
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self.under_way = 0  # calls of all tenants

    def of(self, tenant: str, policy: EgressPolicy) -> TenantNetwork:
        """The tenant's transport under that policy. Costs nothing until it is asked."""
        return TenantNetwork(self, tenant, policy)

    def uplink(self, tenant: str, policy: EgressPolicy) -> Uplink:
        """The one uplink of that tenant under that policy, now. Raises Unanswered."""
        if self._closed:
            raise Unanswered("connection", "the engine is stopping")
        uplinks = self._uplinks.setdefault(tenant, {})
        uplink = uplinks.pop(policy, None) or Uplink(policy, self._resolve, self._find_context, self._kept)
        uplinks[policy] = uplink
        if len(uplinks) > _MOST_POLICIES:
            self._retire(uplinks.pop(next(iter(uplinks))))
        if self._sweeper is None:
            self._sweep_later()
        return uplink

    async def close(self) -> None:
        """End every connection, also of exchanges under way, and wait until they have ended."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        closing = [*self._retired, *(uplink for uplinks in self._uplinks.values() for uplink in uplinks.values())]
        self._uplinks.clear()
        self._retired.clear()
        for uplink in closing:
            await uplink.close()

    def _retire(self, uplink: Uplink) -> None:
        uplink.retire()
        if uplink.under_way:
            self._retired.append(uplink)

    def _sweep_later(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(UNUSED_S / 4, self._sweep)

    def _sweep(self) -> None:
        """Drop what has not been used for a while."""
        self._sweeper = None
        since = asyncio.get_running_loop().time() - UNUSED_S
        for tenant, uplinks in list(self._uplinks.items()):
            for policy, uplink in list(uplinks.items()):
                if not uplink.under_way and uplink.used <= since:
                    self._retire(uplinks.pop(policy))
            if not uplinks:
                del self._uplinks[tenant]
        self._retired = [uplink for uplink in self._retired if uplink.under_way]
        if self._uplinks or self._retired:
            self._sweep_later()

    async def _find_context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = await in_thread(lambda: trusting_context(self._ca_file))
        return self._context


@dataclass(frozen=True, slots=True)
class TenantNetwork:
    """A transport: one tenant's calls under one policy."""

    _network: Network
    _tenant: str
    _policy: EgressPolicy

    async def fetch(self, request: Request, timings: Timings) -> Response:
        """The response. Raises Refused, Unanswered; leaves nothing behind if cancelled."""
        self._network.under_way += 1
        try:
            return await self._network.uplink(self._tenant, self._policy).fetch(request, timings)
        finally:
            self._network.under_way -= 1
