"""What `hookcell bench` measures: each file states a question and answers it with a figure, a ratio or both.

The machine is shared and noisy, so what is compared is measured side by side, in turns, and medians are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine.egress.broker import Broker
from engine.egress.policy import EgressPolicy
from engine.egress.recorded import Recorded
from engine.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One answer."""

    name: str  # the question
    measured: float
    unit: str
    budget: float | None  # None: it is told, not judged
    at_least: bool = False  # whether more is better
    detail: str = ""  # what it was made of

    @property
    def met(self) -> bool | None:
        """Whether the budget is kept. None: there is no budget."""
        if self.budget is None:
            return None
        return self.measured >= self.budget if self.at_least else self.measured <= self.budget


def host_pid(worker: Worker) -> int:
    """The pid of a worker as this process sees it: the zygote told another, of its own namespace. See pidfd_open(2)."""
    told = Path(f"/proc/self/fdinfo/{worker.pidfd}").read_text(encoding="ascii")
    found = re.search(r"^Pid:\s+(\d+)", told, re.MULTILINE)
    assert found is not None, "a pidfd tells its pid"
    return int(found[1])


def no_calls() -> Broker:
    """The broker of a job that calls nobody."""
    return Broker(EgressPolicy(calls=0), lambda: Recorded([]))
