"""How often: requests of a tenant to an API, and authentications that fail from one address.

Kept by this node for itself, on the event loop alone: engine/buckets.py.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cachetools

from engine.buckets import Buckets, Clock, Level, Rate
from engine.config import Config
from engine.errors import Refusal
from tenants import log_events
from tenants.errors import Missing, StoreError
from tenants.records import Tenant

if TYPE_CHECKING:
    from engine.api.services import Services

_MOST_KEYS = 100_000  # tenants
_MOST_KNOWN = 20_000  # tokens that were valid lately
_KNOWN_S = 600
_RESET_S = 2  # Auth0's clients sleep until the reset they are told, after a 409 too: it is never further away
_LOG_S = 60  # one `api_limit` event of a tenant in so long


class Attempts:
    """Authentications that failed, by address. Over the limit, only tokens that were valid lately are looked at."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._rate = Rate(per_minute, per_minute / 60)
        self._failed = Buckets(clock)
        self._known: cachetools.TTLCache[bytes, None] = cachetools.TTLCache(_MOST_KNOWN, _KNOWN_S, clock)
        self._trying: set[tuple[str, bytes]] = set()

    @contextlib.contextmanager
    def attempt(self, address: str, digest: bytes) -> Iterator[None]:
        """Around the question whether the token of that digest is valid; Missing is the answer that it is not.

        A stranger counts as failed until it is proved, so that many at the same moment are no way round; one that
        several try at the same moment counts once. What the store could not say counts as nothing.
        Raises Refusal 429.
        """
        tried = (network_of(address), digest)
        counted = self._count(tried)
        try:
            yield
            self._known[digest] = None
        except Missing:
            self._known.pop(digest, None)
            self._failed.take(tried[0], self._rate, 0 if counted else 1)
            counted = False
            raise
        finally:
            self._trying.discard(tried)
            if counted:
                self._failed.take(tried[0], self._rate, -1)

    def headers(self, address: str) -> dict[str, str]:
        """Of an answer to nobody known."""
        return _headers(self._failed.take(network_of(address), self._rate, 0), self._rate)

    def _count(self, tried: tuple[str, bytes]) -> bool:
        if tried[1] in self._known or tried in self._trying:
            return False
        level = self._failed.take(tried[0], self._rate)
        if not level.taken:
            message = "Too many failed authentications from this address; try again later"
            raise Refusal(429, "too_many_requests", message, _refused(level, self._rate))
        self._trying.add(tried)
        return True


class Rates:
    """Every limit of how often, with what the answers say about it."""

    def __init__(self, config: Config, clock: Clock = time.monotonic) -> None:
        self._per_second = config.api_per_second
        self._asked = Buckets(clock)
        self._told: cachetools.TTLCache[str, None] = cachetools.TTLCache(_MOST_KEYS, _LOG_S, clock)
        self.attempts = Attempts(config.failed_logins_per_minute, clock)

    async def hit(self, services: Services, tenant: Tenant, api: str = "") -> dict[str, str]:
        """Counts one request of the tenant; the headers of its answer. Raises Refusal 429.

        The tenant's log is told of the first refusal in a minute.
        """
        per_second = tenant.settings.api_per_second or self._per_second
        rate = Rate(per_second, per_second)
        level = self._asked.take((tenant.id, api), rate)
        if level.taken:
            return _headers(level, rate)
        if tenant.id not in self._told:
            self._told[tenant.id] = None
            with contextlib.suppress(StoreError):  # it is 429, whether that can be noted or not
                told = f"more than {per_second} requests a second"
                await services.write(tenant.id, log_events.append, type="api_limit", description=told)
        raise Refusal(429, "too_many_requests", "Global limit has been reached", _refused(level, rate))

    def of_address(self, address: str) -> dict[str, str]:
        """Headers of an answer where no tenant is known: how many failed authentications the address has left."""
        return self.attempts.headers(address)


def network_of(address: str) -> str:
    """Whom an address counts for: IPv6 by /64, which one subscriber has whole; IPv4 in IPv6 as IPv4; else nobody."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return ""  # a socket without one; never any text, for these are kept
    if read.version == 4:
        return str(read)
    return str(read.ipv4_mapped or ipaddress.IPv6Network((int(read), 64), strict=False))


def _headers(level: Level, rate: Rate) -> dict[str, str]:
    now = time.time()
    reset = min(math.ceil(now + level.wait_s), math.floor(now) + _RESET_S)
    return {
        "x-ratelimit-limit": str(rate.burst),
        "x-ratelimit-remaining": str(level.remaining),
        "x-ratelimit-reset": str(reset),
    }


def _refused(level: Level, rate: Rate) -> dict[str, str]:
    return _headers(level, rate) | {"Retry-After": str(max(math.ceil(level.wait_s), 1))}
