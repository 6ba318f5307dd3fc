"""Random programs, by the grammar beside this file."""

from __future__ import annotations

import re
from typing import Any

from corpus import read
from hypothesis import strategies as st

GRAMMAR = read("grammar.yaml")
HOLE = re.compile(r"<([a-z]+)>")
DEPTH = 3  # of an expression
NESTED = 3  # statements within each other
NAMES = ("f0", "f1", "f2")


class Writer:
    """Fills holes. Functions call only those above them, and loops count down: every program ends."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._made = 0  # names
        self._nested = 0  # blocks around the statement being written
        self._callable: list[str] = []

    def fill(self, hole: str, depth: int) -> str:
        """One expansion of the templates of that name."""
        rule = GRAMMAR[hole]
        choice = rule["leaf"] + rule.get("deeper", []) if depth > 0 else rule["leaf"]
        return self.expand(str(self._draw(st.sampled_from(choice))), depth)

    def expand(self, template: str, depth: int, **given: str) -> str:
        """The template with its holes filled, each at its own indentation."""
        if "<new>" in template:
            self._made += 1
            given["new"] = f"n{self._made}"
        return "\n".join(self._line(line, depth, given) for line in template.split("\n"))

    def _line(self, line: str, depth: int, given: dict[str, str]) -> str:
        margin = line[: len(line) - len(line.lstrip())]
        filled = HOLE.sub(lambda hole: given.get(hole[1]) or self._filled(hole[1], depth - 1), line.strip())
        return "\n".join(margin + part for part in filled.split("\n"))

    def _filled(self, hole: str, depth: int) -> str:
        special = getattr(self, f"_fill_{hole}", None)
        return special(depth) if special else self.fill(hole, depth)

    def _several(self, hole: str, depth: int, least: int, most: int) -> str:
        number = self._draw(st.integers(least, most))
        return "\n".join(self.fill(hole, depth) for _ in range(number))

    def _fill_block(self, _: int) -> str:
        self._nested += 1
        written = [self._fill_statement(DEPTH) for _ in range(self._draw(st.integers(1, 3)))]
        self._nested -= 1
        return "\n".join(written)

    def _fill_statement(self, _: int) -> str:
        rule = GRAMMAR["statement"]
        choice = rule["leaf"] if self._nested > NESTED else rule["deeper"]
        return self.expand(self._draw(st.sampled_from(choice)), DEPTH)

    def _fill_members(self, depth: int) -> str:
        return self._several("member", depth, 8, 18)

    def _fill_deriveds(self, depth: int) -> str:
        return self._several("derived", depth, 1, 4)

    def _fill_guardeds(self, _: int) -> str:
        return self._several("guarded", DEPTH, 6, 14)

    def _fill_functions(self, _: int) -> str:
        made = []
        for name in NAMES[: self._draw(st.integers(0, len(NAMES)))]:
            template = self._draw(st.sampled_from(GRAMMAR["function"]["leaf"]))
            made.append(self.expand(template, DEPTH - 1, name=name))
            self._callable.append(name)
        return "\n".join(made) or "pass"

    def _fill_call(self, depth: int) -> str:
        if not self._callable:
            return self.fill("literal", depth)
        name = self._draw(st.sampled_from(self._callable))
        arguments = self._draw(st.sampled_from(["<int>", "<int>, r=<int>", "", "*<list>[:2]", "q=<int>"]))
        return self.expand(f"{name}({arguments})", min(depth, 1))


@st.composite
def programs(draw: Any) -> str:
    """A program that leaves what it did in `results`, or ends in an error."""
    return Writer(draw).fill("program", DEPTH) + "\n"
