"""Workers that are a tenant's: at work, or idle between two jobs. Who has how many is known without looking at each."""

from __future__ import annotations

from engine.worker import Worker


class Tenancies:
    """All of them. What is decided about a worker is the pool's affair."""

    def __init__(self) -> None:
        self.leased: set[Worker] = set()
        self._idle: dict[Worker, None] = {}  # longest idle first
        self._idle_of: dict[str, list[Worker]] = {}  # likewise
        self._has: dict[str, int] = {}  # leased and idle

    def __len__(self) -> int:
        return len(self.leased) + len(self._idle)

    @property
    def idle(self) -> list[Worker]:
        """Those between jobs, the longest idle first."""
        return list(self._idle)

    @property
    def idle_number(self) -> int:
        """How many they are."""
        return len(self._idle)

    def longest_idle(self, tenant: str | None = None) -> Worker | None:
        """The one that has waited longest, of a tenant's or of all; None: there is none."""
        return next(iter(self._idle if tenant is None else self._idle_of.get(tenant, ())), None)

    def of(self, tenant: str) -> int:
        """How many a tenant has."""
        return self._has.get(tenant, 0)

    def has_idle(self, tenant: str) -> bool:
        """Whether one of a tenant's waits for a job."""
        return tenant in self._idle_of

    def lend(self, worker: Worker, tenant: str) -> None:
        """A blank one is the tenant's from now on, and at work."""
        worker.tenant = tenant
        self.leased.add(worker)
        self._has[tenant] = self._has.get(tenant, 0) + 1

    def lend_idle(self, tenant: str) -> Worker | None:
        """The one of a tenant's that has done a job last is at work again; None: there is none."""
        own = self._idle_of.get(tenant)
        if own is None:
            return None
        worker = own.pop()
        if not own:
            del self._idle_of[tenant]
        del self._idle[worker]
        self.leased.add(worker)
        return worker

    def rest(self, worker: Worker) -> None:
        """It was at work, and waits for its tenant's next job."""
        assert worker.tenant is not None, "it has done a job"
        self.leased.remove(worker)
        self._idle[worker] = None
        own = self._idle_of.get(worker.tenant)
        if own is None:
            self._idle_of[worker.tenant] = [worker]
        else:
            own.append(worker)

    def end(self, worker: Worker) -> None:
        """It is nobody's any more, and not here."""
        tenant = worker.tenant
        assert tenant is not None, "it was one's"
        if worker in self.leased:
            self.leased.remove(worker)
        else:
            del self._idle[worker]
            own = self._idle_of[tenant]
            own.remove(worker)
            if not own:
                del self._idle_of[tenant]
        self._has[tenant] -= 1
        if not self._has[tenant]:
            del self._has[tenant]
