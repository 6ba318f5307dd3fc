"""The ways through a hook on which `cb` is never called, against running the same program on every way."""

from __future__ import annotations

import ast
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.advice.flow import _Flow

_MOST_CHOICES = 9  # of one run; a run that needs more is not looked at
_MOST_RUNS = 4_000


class OutOfChoices(BaseException):
    """Ends a run that goes on for too long; no program of these catches it."""


class Oracle:
    """Answers what a program asks, from a list: true, false, or an exception. Remembers whether it called `cb`."""

    def __init__(self, answers: tuple[int, ...]) -> None:
        self._answers = answers
        self.asked = 0
        self.called = False

    def ask(self) -> bool:
        """The next answer."""
        self.asked += 1
        if self.asked > len(self._answers):
            raise OutOfChoices
        if self._answers[self.asked - 1] == 2:
            raise ValueError
        return bool(self._answers[self.asked - 1])

    def items(self) -> list[int]:
        """Nothing to loop over, or one thing."""
        return [1] * self.ask()

    def cb(self) -> None:
        """The callback."""
        self.called = True


def silent_ends(source: str) -> tuple[set[Any], bool]:
    """(how runs end that never called `cb`: what was returned, or None for the end), whether all runs were made."""
    scope: dict[str, Any] = {}
    exec(compile(source, "program", "exec"), scope)
    found: set[Any] = set()
    waiting: list[tuple[int, ...]] = [()]
    complete = True
    for _ in range(_MOST_RUNS):
        if not waiting:
            return found, complete
        answers = waiting.pop()
        oracle = Oracle(answers)
        scope.update(ask=oracle.ask, items=oracle.items, cb=oracle.cb)
        try:
            ended = scope["hook"]()
        except ValueError:
            continue
        except OutOfChoices:
            complete = complete and len(answers) < _MOST_CHOICES
            waiting += [(*answers, answer) for answer in (0, 1, 2)] if len(answers) < _MOST_CHOICES else []
            continue
        if not oracle.called:
            found.add(ended)
    return found, False


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A function of nested statements; each `return` returns a number of its own."""
    returns = iter(range(1_000))
    simple = ["ask()", "cb()", "return", "raise ValueError", "pass"]
    compound = ["if", "else", "while", "forever", "for", "once", "try", "finally", "with", "match", "all"]

    def block(depth: int, *, in_loop: bool, leaves: bool) -> list[str]:
        return ["    " + line for _ in range(draw(st.integers(1, 2))) for line in statement(depth, in_loop, leaves)]

    def statement(depth: int, in_loop: bool, leaves: bool) -> list[str]:  # noqa: FBT001
        usable = [kind for kind in simple if leaves or kind in ("ask()", "cb()", "pass")]
        usable += ["break", "continue"] if in_loop and leaves else []
        kind = draw(st.sampled_from(usable + (compound if depth else [])))
        if kind not in compound:
            return [f"return {next(returns)}" if kind == "return" else kind]
        body = block(depth - 1, in_loop=in_loop or kind in LOOPS, leaves=leaves)
        other = block(depth - 1, in_loop=in_loop, leaves=leaves and kind != "finally")
        return FORMS[kind](body, other)

    return "\n".join(["def hook():", *block(3, in_loop=False, leaves=True)])


LOOPS = {"while", "forever", "for", "once"}
FORMS: dict[str, Any] = {
    "if": lambda body, _: ["if ask():", *body],
    "else": lambda body, other: ["if ask():", *body, "else:", *other],
    "while": lambda body, other: ["while ask():", *body, "else:", *other],
    "forever": lambda body, _: ["while True:", "    ask()", *body],
    "for": lambda body, _: ["for _ in items():", *body],
    "once": lambda body, other: ["for _ in (1, 2):", *body, "else:", *other],
    "try": lambda body, other: ["try:", *body, "except Exception:", *other],
    "finally": lambda body, other: ["try:", *body, "finally:", *other],
    "with": lambda body, _: ["with nothing:", *body],
    "match": lambda body, _: ["match ask():", "  case True:", *_in(body)],
    "all": lambda body, other: ["match ask():", "  case True:", *_in(body), "  case _:", *_in(other)],
}


def _in(lines: list[str]) -> list[str]:
    return ["  " + line for line in lines]


@settings(max_examples=300)
@given(programs())
def test_the_ways_found_are_the_ways_there_are(program: str) -> None:
    """Every silent end of a run is found; and what is found is one, where all runs could be made."""
    program = "import contextlib\nnothing = contextlib.nullcontext()\n" + program
    function = ast.parse(program).body[-1]
    assert isinstance(function, ast.FunctionDef)
    ways = _Flow({"cb"}).block(function.body)
    told = {ast.literal_eval(way.value) for way in ways if isinstance(way, ast.Return) and way.value}
    told |= {None} if "fall" in ways else set()
    ended, complete = silent_ends(program)

    assert ended <= told
    assert not complete or ended == told
