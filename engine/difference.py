"""What has changed between two texts, as a unified diff, for a bounded amount of work.

difflib needs a time that grows with the square of the lines, or faster, on texts that a tenant may choose: 100 kB of
one-character lines hold it for minutes. Here the search ends after so many steps, and what lies between the first and
the last difference is then shown as replaced: a longer diff, but a true one. Source: E. Myers, "An O(ND) Difference
Algorithm and Its Variations", 1986.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_CONTEXT = 3  # lines around a change
_STEPS = 1_000_000  # a fraction of a second
_UNFINISHED = "\\ No newline at end of file\n"


@dataclass(slots=True)
class Work:
    """How many steps may still be taken; several diffs may share one."""

    left: int = _STEPS


@dataclass(frozen=True, slots=True)
class _Change:
    """Lines `start:end` of the old text become lines `new_start:new_end` of the new one."""

    start: int
    end: int
    new_start: int
    new_end: int


def unified(before: str, after: str, *, old: str, new: str, work: Work | None = None) -> str:
    """A diff as patch(1) reads it, or "" when the texts are the same. `old`, `new`: what they are called in its head.

    Lines end at a line feed and nowhere else, as patch counts them.
    """
    if before == after:
        return ""
    lines, new_lines = _lines(before), _lines(after)
    changes = _changes(lines, new_lines, work or Work())
    parts = [f"--- {old}\n+++ {new}\n"]
    for hunk in _hunks(changes):
        parts += _hunk_lines(hunk, lines, new_lines)
    return "".join(parts)


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _changes(lines: list[str], new_lines: list[str], work: Work) -> list[_Change]:
    """In order; between two of them stands at least one line that both texts have."""
    numbers: dict[str, int] = {}
    old = [numbers.setdefault(line, len(numbers)) for line in lines]
    new = [numbers.setdefault(line, len(numbers)) for line in new_lines]
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    trace = _search(old, new, work) if old and new else None
    if trace is None:
        return [_Change(head, head + len(old), head, head + len(new))]
    return list(_gaps(_way_back(trace, len(old), len(new)), head))


def _shared(old: list[int], new: list[int]) -> int:
    pairs = zip(old, new, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(old), len(new)))


def _search(old: list[int], new: list[int], work: Work) -> list[list[int]] | None:
    """For 0, 1, 2 … edits: how far into `old` each diagonal reaches, from -edits to edits by 2. None: out of steps."""
    trace: list[list[int]] = []
    while work.left > 0:
        reached = [_follow(old, new, *start) for start in _starts(trace)]
        trace.append(reached)
        edits = len(trace) - 1
        before = trace[-2] if edits else []
        work.left -= edits + 1 + max(0, sum(reached) - sum(before))
        end = len(old) - len(new) + edits
        if end % 2 == 0 and 0 <= end // 2 <= edits and reached[end // 2] == len(old):
            return trace
    return None


def _starts(trace: list[list[int]]) -> Iterator[tuple[int, int]]:
    """(place in `old`, diagonal) after one edit more: a line inserted or one removed, whichever reaches farther."""
    if not trace:
        yield 0, 0
        return
    before, edits = trace[-1], len(trace)
    for index in range(edits + 1):
        inserted = before[index] if index < edits else -1
        removed = before[index - 1] + 1 if index else -1
        yield max(inserted, removed), 2 * index - edits


def _follow(old: list[int], new: list[int], at: int, diagonal: int) -> int:
    """Where the lines that both have end, from this place on."""
    most = min(len(old), len(new) + diagonal)
    while at < most and old[at] == new[at - diagonal]:
        at += 1
    return at


def _way_back(trace: list[list[int]], at: int, new_at: int) -> list[tuple[int, int]]:
    """The edits in order: (place in `old`, place in `new`) after each one, of a shortest way."""
    edits = []
    for count in range(len(trace) - 1, 0, -1):
        before, diagonal = trace[count - 1], at - new_at
        index = (diagonal + count) // 2
        inserted = before[index] if index < count else -1
        removed = before[index - 1] + 1 if index else -1
        start = max(inserted, removed)
        edits.append((start, start - diagonal))
        at, new_at = (start - 1, start - diagonal) if removed > inserted else (start, start - diagonal - 1)
    return edits[::-1]


def _gaps(edits: list[tuple[int, int]], head: int) -> Iterator[_Change]:
    """Edits that follow each other without a shared line between them, together."""
    start = new_start = end = new_end = -1
    at = new_at = 0
    for after, new_after in edits:
        step = (after - at) - (new_after - new_at)  # 1: a line was removed; -1: one was inserted
        before, new_before = (after - 1, new_after) if step > 0 else (after, new_after - 1)
        if (before, new_before) != (end, new_end):
            if end >= 0:
                yield _Change(head + start, head + end, head + new_start, head + new_end)
            start, new_start = before, new_before
        end, new_end = at, new_at = after, new_after
    yield _Change(head + start, head + end, head + new_start, head + new_end)


def _hunks(changes: list[_Change]) -> Iterator[list[_Change]]:
    """Changes whose contexts touch, together."""
    hunk = changes[:1]
    for change in changes[1:]:
        if change.start - hunk[-1].end > 2 * _CONTEXT:
            yield hunk
            hunk = []
        hunk.append(change)
    yield hunk


def _hunk_lines(hunk: list[_Change], lines: list[str], new_lines: list[str]) -> Iterator[str]:
    start = max(0, hunk[0].start - _CONTEXT)
    end = min(len(lines), hunk[-1].end + _CONTEXT)
    new_start = hunk[0].new_start - (hunk[0].start - start)
    new_end = hunk[-1].new_end + (end - hunk[-1].end)
    yield f"@@ -{_range(start, end)} +{_range(new_start, new_end)} @@\n"
    for change in hunk:
        yield from _marked(" ", lines[start : change.start])
        yield from _marked("-", lines[change.start : change.end])
        yield from _marked("+", new_lines[change.new_start : change.new_end])
        start = change.end
    yield from _marked(" ", lines[start:end])


def _range(start: int, end: int) -> str:
    """An empty range names the line before it. Source: POSIX, diff, "Unified Output Format"."""
    count = end - start
    first = start + 1 if count else start
    return f"{first}" if count == 1 else f"{first},{count}"


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield mark + (line if line.endswith("\n") else f"{line}\n{_UNFINISHED}")
