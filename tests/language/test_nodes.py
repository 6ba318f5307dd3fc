"""Nothing of Python is forgotten: each node type and builtin is shown by a snippet, or refused with a reason."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from corpus import (
    HERE,
    Refusal,
    concrete_nodes,
    modules_in,
    names_in,
    nodes_in,
    read,
    refusals,
    snippets,
    version,
)

from sandbox import vocabulary
from sandbox.compiler import check
from sandbox.require import MODULE_MAP

SNIPPETS = [snippet for snippet in snippets() if snippet.runs_here]
REFUSALS = [refusal for refusal in refusals() if refusal.runs_here]
SHOWN = set().union(*(nodes_in(snippet.code) for snippet in SNIPPETS))
REFUSED = {refusal.node: refusal.reason for refusal in REFUSALS if refusal.node}
NEVER = set(read("refused.yaml")["never"])
BUILTINS = sorted(name for name in vars(builtins) if not name.startswith("_"))


@pytest.fixture
def share() -> float:
    """Of the node types a file is made of, how many are accepted."""
    kinds = concrete_nodes() - NEVER
    return len(kinds & SHOWN) / len(kinds)


def test_nine_tenths_of_the_node_types_are_accepted(share: float, capsys: Any) -> None:
    """And the run says how many, and why the others are not."""
    with capsys.disabled():
        print(f"\nnode types accepted: {share:.1%} of {len(concrete_nodes() - NEVER)}")  # noqa: T201 - to be seen
        for kind, reason in sorted(REFUSED.items()):
            print(f"  refused: {kind}: {reason}")  # noqa: T201 - to be seen

    assert share >= 0.9


def test_each_node_type_is_shown_or_refused() -> None:
    assert set() == concrete_nodes() - NEVER - SHOWN - REFUSED.keys()
    assert set() == SHOWN & REFUSED.keys()


def test_what_a_newer_python_adds_is_told_apart() -> None:
    """The card counts by it, whatever Python makes the card."""
    for since, kinds in read("refused.yaml")["newer"].items():
        assert (set(kinds) if version(since) <= HERE else set()) == concrete_nodes() & set(kinds)


def test_what_never_stands_in_a_file_stands_in_none() -> None:
    parsed = SHOWN.union(*(nodes_in(refusal.code) for refusal in REFUSALS))

    assert set() == NEVER & parsed
    assert NEVER <= concrete_nodes()


@pytest.mark.parametrize("refusal", [one for one in REFUSALS if one.rule], ids=lambda refusal: refusal.form)
def test_what_is_refused_at_upload_is_refused_by_that_rule(refusal: Refusal) -> None:
    found = check(refusal.hook, ("user", "context", "cb")).diagnostics

    assert {refusal.rule} == {finding.rule for finding in found}
    assert not refusal.node or any(refusal.form in finding.message for finding in found)


@pytest.mark.parametrize("refusal", [one for one in REFUSALS if one.error], ids=lambda refusal: refusal.form)
def test_what_is_refused_at_run_time_raises_that_error(run_hook: Any, refusal: Refusal) -> None:
    outcome = run_hook(refusal.hook)

    assert ("raised", refusal.error) == (outcome.status, json.loads(bytes(outcome.error))["name"]), outcome.message


def test_each_refusal_has_one_consequence_and_a_reason() -> None:
    for refusal in refusals():
        assert bool(refusal.rule) != bool(refusal.error)
        assert len(refusal.reason.split()) >= 4


@pytest.mark.parametrize("name", BUILTINS)
def test_a_builtin_is_offered_and_shown_or_left_out_with_a_reason(name: str) -> None:
    if name in vocabulary.LEFT_OUT:
        found = check(f"value = {name}", ()).diagnostics
        assert ["builtin"] == [finding.rule for finding in found]
        assert vocabulary.LEFT_OUT[name] in found[0].message
    else:
        assert name in vocabulary.BUILTIN_NAMES
        assert any(name in names_in(snippet.code) or name in snippet.code.split() for snippet in SNIPPETS)


@pytest.mark.parametrize("name", MODULE_MAP)
def test_a_module_of_the_map_is_shown(name: str) -> None:
    shown = [snippet for snippet in SNIPPETS if snippet.module == name]

    assert shown
    assert all(name in modules_in(snippet.code) for snippet in shown)
