"""What `hookcell bench` measures: each file states a question and answers it with a figure, a ratio or both.

The machine is shared and noisy, so what is compared is measured side by side, in turns, and medians are kept.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One answer."""

    name: str  # the question
    measured: float
    unit: str
    budget: float
    at_least: bool = False  # whether more is better
    detail: str = ""  # what it was made of

    @property
    def met(self) -> bool:
        """Whether the budget is kept."""
        return self.measured >= self.budget if self.at_least else self.measured <= self.budget
