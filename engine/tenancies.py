"""Workers that are a tenant's: at work, or idle between two jobs. Who has how many is known without looking at each."""

from __future__ import annotations

from collections import Counter

from engine.worker import Worker


class Tenancies:
    """All of them. What is decided about a worker is the pool's affair."""

    def __init__(self) -> None:
        self.leased: set[Worker] = set()
        self._idle: dict[Worker, None] = {}  # longest idle first
        self._idle_of: dict[str, list[Worker]] = {}  # likewise
        self._has: Counter[str] = Counter()  # leased and idle

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

    @property
    def longest_idle(self) -> Worker | None:
        """The one of them that has waited longest."""
        return next(iter(self._idle), None)

    def of(self, tenant: str) -> int:
        """How many a tenant has."""
        return self._has[tenant]

    def has_idle(self, tenant: str) -> bool:
        """Whether one of a tenant's waits for a job."""
        return tenant in self._idle_of

    def lend(self, worker: Worker, tenant: str) -> None:
        """It is at work now: a blank one, or one that was taken from the idle."""
        worker.tenant = tenant
        self.leased.add(worker)
        self._has[tenant] += 1

    def end_lease(self, worker: Worker) -> None:
        """It is nobody's here until it is told what it is."""
        if worker in self.leased:
            self.leased.remove(worker)
            self._forget(worker)

    def rest(self, worker: Worker) -> None:
        """It waits for its tenant's next job."""
        assert worker.tenant is not None, "it has done a job"
        self._idle[worker] = None
        self._idle_of.setdefault(worker.tenant, []).append(worker)
        self._has[worker.tenant] += 1

    def take_idle(self, tenant: str) -> Worker | None:
        """The one of a tenant's that has done a job last; None: it has none."""
        own = self._idle_of.get(tenant)
        if own is None:
            return None
        worker = own[-1]
        self.take(worker)
        return worker

    def take_longest_idle(self, tenant: str | None) -> Worker | None:
        """The one that has waited longest, of a tenant's or of all; None: there is none."""
        worker = self.longest_idle if tenant is None else next(iter(self._idle_of.get(tenant, ())), None)
        if worker is not None:
            self.take(worker)
        return worker

    def take(self, worker: Worker) -> None:
        """One that is idle, out of here."""
        assert worker.tenant is not None, "it is idle"
        del self._idle[worker]
        own = self._idle_of[worker.tenant]
        own.remove(worker)
        if not own:
            del self._idle_of[worker.tenant]
        self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        assert worker.tenant is not None, "it was one's"
        self._has[worker.tenant] -= 1
        if not self._has[worker.tenant]:
            del self._has[worker.tenant]
