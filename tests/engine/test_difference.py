from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.difference import Work, unified

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "d\r\n", "e\x0c\u2028f\n"]), max_size=40).map("".join)
TEXTS = st.tuples(LINES, st.sampled_from(["", "a", "z", "\r"])).map("".join)
HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n")


def diff(before: str, after: str, work: Work | None = None) -> str:
    return unified(before, after, old="old", new="new", work=work)


def split(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def joined(body: list[str], marks: str) -> list[str]:
    """The lines of a hunk that carry one of the marks, as they stand in their text."""
    kept: list[str] = []
    mark = ""
    for line in body:
        if line.startswith("\\"):
            if mark in marks:
                kept[-1] = kept[-1].removesuffix("\n")
            continue
        mark = line[0]
        if mark in marks:
            kept.append(line[1:])
    return kept


def hunks_of(text: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    head, body = None, []
    for line in split(text)[2:]:
        found = HEAD.fullmatch(line)
        if found:
            if head:
                yield head, body
            head, body = found, []
        else:
            body.append(line)
    assert head
    yield head, body


def patched(before: str, text: str) -> str:
    """What patch(1) makes of `before`; every count and every line of the diff must be right."""
    if not text:
        return before
    lines, made, at = split(before), [], 0
    for head, body in hunks_of(text):
        first, count, new_first, new_count = (1 if found is None else int(found) for found in head.groups())
        start = first - 1 if count else first
        made += lines[at:start]
        old, new = joined(body, " -"), joined(body, " +")
        assert (count, new_count) == (len(old), len(new))
        assert old == lines[start : start + count]
        assert len(made) == (new_first - 1 if new_count else new_first)
        made += new
        at = start + count
    return "".join(made + lines[at:])


def fewest_edits(old: list[str], new: list[str]) -> int:
    row = list(range(len(new) + 1))
    for at, line in enumerate(old):
        above, row = row, [at + 1]
        for column, other in enumerate(new):
            row.append(above[column] if line == other else 1 + min(above[column + 1], row[column]))
    return row[-1]


def edits_in(text: str) -> int:
    return sum(line[0] in "+-" for line in split(text)[2:])


def test_a_changed_line_stands_between_three_lines_of_context() -> None:
    before = "".join(f"{number}\n" for number in range(10))

    assert "--- old\n+++ new\n@@ -3,7 +3,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n" == diff(
        before, before.replace("5", "five")
    )


def test_texts_that_are_the_same_have_no_diff() -> None:
    assert "" == diff("a\nb", "a\nb")


def test_a_last_line_without_its_end_is_said_to_be_one() -> None:
    assert "--- old\n+++ new\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n" == diff("a", "a\n")


def test_changes_far_from_each_other_stand_in_hunks_of_their_own() -> None:
    lines = [f"{number}\n" for number in range(40)]
    changed = [*lines[:2], "x\n", *lines[3:30], *lines[31:]]

    assert 2 == sum(1 for _ in hunks_of(diff("".join(lines), "".join(changed))))


@given(TEXTS, TEXTS)
@settings(deadline=None, max_examples=400)
def test_a_diff_makes_the_new_text_of_the_old_one_in_as_few_edits_as_can_be(before: str, after: str) -> None:
    made = diff(before, after)

    assert after == patched(before, made)
    assert fewest_edits(split(before), split(after)) == sum(line[0] in "+-" for line in split(made)[2:])


@given(TEXTS, TEXTS, st.integers(0, 60))
@settings(deadline=None, max_examples=200)
def test_a_diff_that_ran_out_of_steps_is_true_all_the_same(before: str, after: str, steps: int) -> None:
    assert after == patched(before, diff(before, after, Work(steps)))


@pytest.mark.parametrize("alphabet", ["ab", "abcdefghijklmnopqrstuvwxyz", "a"])
def test_a_hundred_kilobytes_of_one_character_lines_take_a_bounded_time(alphabet: str) -> None:
    """The first of them takes difflib minutes."""
    chance = random.Random(7)
    before = "".join(f"{chance.choice(alphabet)}\n" for _ in range(50_000))
    after = "".join(f"{chance.choice(alphabet)}\n" for _ in range(49_000))
    started = time.thread_time()
    made = diff(before, after)

    assert time.thread_time() - started < 5
    assert after == patched(before, made)


def test_lines_that_repeat_without_end_take_a_bounded_time() -> None:
    """Every diagonal is followed to its end: the worst for the search."""
    before = "a\n" * 25_000 + "b\n" * 25_000
    after = "b\n" * 25_000 + "a\n" * 25_000
    started = time.thread_time()
    made = diff(before, after)

    assert time.thread_time() - started < 5
    assert after == patched(before, made)


def test_several_diffs_share_their_steps() -> None:
    """Once the steps are used up, the next diff shows all between its first and its last difference as replaced."""
    work = Work(1_000)
    chance = random.Random(1)
    texts = ["".join(f"{chance.choice('ab')}\n" for _ in range(400)) for _ in range(2)]
    diff(*texts, work)
    late = diff("a\nb\nc\n", "x\nb\ny\n", work)

    assert work.left <= 0
    assert "--- old\n+++ new\n@@ -1,3 +1,3 @@\n-a\n-b\n-c\n+x\n+b\n+y\n" == late
