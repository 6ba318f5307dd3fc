"""Sources that cost the compiler more than they cost the author: they end as `rejected`, and the engine serves on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import BadSource
from engine.hook import Limits
from engine.outcome import Outcome


def _nested(opening: str, closing: str, depth: int, inner: str = "pass") -> str:
    lines = [" " * (4 + level) + opening for level in range(depth)]
    lines.append(" " * (4 + depth) + inner)
    lines += [" " * (4 + level) + closing for level in reversed(range(depth)) if closing]
    return "def hook(user, context, cb):\n" + "\n".join(lines) + "\n"


BOMBS = {
    "parentheses": "x = " + "(" * 40_000 + ")" * 40_000,
    "lists": "x = " + "[" * 40_000 + "]" * 40_000,
    "open brackets": "x = " + "[" * 90_000,
    "dicts": "x = " + "{1:" * 20_000 + "1" + "}" * 20_000,
    "calls": "x = " + "cb(" * 20_000 + ")" * 20_000,
    "attributes": "x = user" + ".a" * 40_000,
    "subscripts": "x = user" + "[0]" * 30_000,
    "call chain": "x = cb" + "()" * 40_000,
    "sums": "x = 1" + "+cb" * 30_000,
    "signs": "x = " + "-" * 90_000 + "1",
    "nots": "x = " + "not " * 20_000 + "1",
    "conditions": "x = " + "1 if 1 else " * 8_000 + "1",
    "lambdas": "x = " + "lambda: " * 12_000 + "1",
    "comprehensions": "x = " + "[" * 300 + "1" + " for i in [1]]" * 300,
    "f-strings": "x = " + "f'{" * 200 + "1" + "}'" * 200,
    "walrus": "x = " + "(a := " * 12_000 + "1" + ")" * 12_000,
    "stars": "x = " + "[*" * 30_000 + "[]" + "]" * 30_000,
    "nested targets": "(" * 30_000 + "a" + ",)" * 30_000 + " = 1",
    "powers": "x = 2" + "**2" * 30_000,
    "comparison of tuples": "x = " + "(1," * 20_000 + ")" * 20_000,
    "decimal digits": "x = " + "9" * 90_000,
    "ifs": _nested("if 1:", "", 99),
    "loops": _nested("for i in []:", "", 25),
    "withs": _nested("with cb:", "", 25),
    "elifs": "if 1:\n    pass\n" + "elif 1:\n    pass\n" * 5_000,
    "decorators of lambdas": "@(lambda f: " * 5_000 + "1" + ")" * 5_000 + "\ndef f():\n    pass",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_source_nested_without_measure_is_rejected(attack: Callable[..., Outcome], source: str) -> None:
    """Whatever depth does to the parser, the checker or the compiler, it is a finding about the source."""
    outcome = attack(source)

    assert outcome.status == "rejected"
    assert outcome.diagnostics[0].rule in ("too-complex", "syntax")


@pytest.mark.slow
@pytest.mark.parametrize("depth", [19, 24])
def test_nested_finally_blocks_are_rejected(attack: Callable[..., Outcome], depth: int) -> None:
    """CPython copies every finally block twice, so a kilobyte of them compiles to gigabytes."""
    outcome = attack(_finally_in_finally(depth))

    assert ("rejected", "too-complex") == (outcome.status, outcome.diagnostics[0].rule)


def _finally_in_finally(depth: int) -> str:
    lines = ["def hook(user, context, cb):"]
    for level in range(depth):
        indent = " " * (1 + level)
        lines += [indent + "try:", indent + " cb()", indent + "finally:"]
    return "\n".join([*lines, " " * (1 + depth) + "pass"]) + "\n"


def test_a_source_that_compiles_to_too_much_is_rejected(attack: Callable[..., Outcome]) -> None:
    """The code has a bound of its own."""
    outcome = attack(_finally_in_finally(15))

    assert ("rejected", "too-complex") == (outcome.status, outcome.diagnostics[0].rule)


def test_tuple_targets_do_not_copy_their_value(attack: Callable[..., Outcome], limits: type[Limits]) -> None:
    """A long chain of tuple targets is plain Python here: nothing is evaluated twice, nothing is copied."""
    source = "def hook(user, context, cb):\n    " + "(a,) = " * 1_600 + "[" + "len('')," * 1_600 + "]\n"
    outcome = attack(source, limits=limits(wall_ms=1_000))

    assert ("raised", "ValueError") == (outcome.status, outcome.message.split(":")[0])


def test_a_flood_of_findings_is_cut(attack: Callable[..., Outcome]) -> None:
    """A hundred findings are told; the rest are not kept."""
    outcome = attack("x.__mro__\n" * 8_000)

    assert ("rejected", 100) == (outcome.status, len(outcome.diagnostics))
    assert len(outcome.json()) < 100_000


def test_a_huge_name_does_not_make_a_huge_finding(attack: Callable[..., Outcome]) -> None:
    """A finding is as long as a message may be."""
    outcome = attack("x.__" + "a" * 90_000 + "__")

    assert "rejected" == outcome.status
    assert len(outcome.json()) < 20_000


@pytest.mark.parametrize(
    "source", ["x = 1\0", "\ud800 = 1", "", "  \n", "x" * 100_001], ids=["nul", "surrogate", "empty", "blank", "large"]
)
def test_what_is_no_text_is_not_even_sent_to_a_worker(run_hook: Callable[..., Outcome], source: str) -> None:
    """A source that no compiler should see is the caller's fault."""
    with pytest.raises(BadSource):
        run_hook(source)


@pytest.mark.parametrize(
    "source",
    [
        "# -*- coding: utf-7 -*-\n+AGEAPQAx-\n",
        "# coding: rot13\nvzcbeg bf\n",
        "\ufeffimport os\n",
        "if 1:\n\tx\n        y\n",
        "x = 1 \\",
        "'''",
        "\f\v\x1a\n" * 100 + "import os",
        "x = $",
        "def hook(user, context, cb, *, a=[await x], b):\n    pass",
    ],
    ids=["utf-7", "rot13", "bom", "tabs", "backslash", "open text", "control", "dollar", "await in a default"],
)
def test_odd_text_is_a_finding(attack: Callable[..., Outcome], source: str) -> None:
    """What the parser refuses is a finding with a place; a coding line changes nothing."""
    outcome = attack(source)

    assert outcome.status in ("rejected", "no_callback", "raised")
    assert b"zip()" not in outcome.json()


def test_huge_constants_are_not_folded(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]
) -> None:
    """The compiler folds small constants only; a large one is computed at run time, under the job's limits."""
    outcome = attack(hook_of("cb(None, len('a' * 10 ** 12))"), limits=limits(wall_ms=1_000))

    assert outcome.status in ("out_of_memory", "raised")
