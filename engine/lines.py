"""Lines of a hook's console, told as they come, masked as they are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engine.mask import Mask
from engine.outcome import LogEvent


class Lines:
    """Those of one job. What is long is told at its end: masking it would hold others up."""

    def __init__(self, tell: Callable[[LogEvent], None], mask: Mask, most_chars: int) -> None:
        self._tell = tell
        self._mask = mask
        self._left = most_chars
        self._told = 0

    def hear(self, event: LogEvent) -> None:
        """One came, nothing masked."""
        self._left -= len(event.text)
        if self._left >= 0:
            self._told += 1
            self._tell(msgspec.structs.replace(event, text=self._mask.text(event.text)) if self._mask else event)

    def rest(self, events: Sequence[LogEvent]) -> None:
        """All that came, masked: tells of those that it has not told of yet."""
        for event in events[self._told :]:
            self._tell(event)
        self._told = len(events)
