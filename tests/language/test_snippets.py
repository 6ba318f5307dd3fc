"""Each snippet gives its value in a real worker, at the top of a hook and within a function, and in plain Python."""

from __future__ import annotations

import json
from typing import Any

import pytest
from corpus import Snippet, as_json, snippets

SNIPPETS = [snippet for snippet in snippets() if snippet.runs_here]
PLAIN = [snippet for snippet in SNIPPETS if not snippet.only_in_a_hook]
WITHIN = [snippet for snippet in SNIPPETS if not snippet.only_at_top]


def named(snippet: Snippet) -> str:
    return f"{snippet.theme}: {snippet.form}"


def value_of(outcome: Any) -> Any:
    """What the hook handed over; else all there is to know of how it ended."""
    findings = [f"line {fault.line}: {fault.message} ({fault.hint})" for fault in outcome.diagnostics]
    assert outcome.status == "ok", f"{outcome.status}: {outcome.message} {findings} {outcome.line}: {outcome.source}"
    return json.loads(bytes(outcome.result))["value"]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=named)
def test_a_snippet_gives_its_value_in_a_worker(run_hook: Any, snippet: Snippet) -> None:
    assert snippet.value == value_of(run_hook(snippet.hook))


@pytest.mark.parametrize("snippet", WITHIN, ids=named)
def test_a_snippet_gives_its_value_within_a_function(run_hook: Any, snippet: Snippet) -> None:
    """Names are local and closed over, where they were the file's own."""
    assert snippet.value == value_of(run_hook(snippet.hook_within))


@pytest.mark.parametrize("snippet", PLAIN, ids=named)
def test_a_snippet_gives_its_value_in_plain_python(snippet: Snippet) -> None:
    """The same, without any of us: the sandbox changes nothing."""
    namespace: dict[str, Any] = {"__name__": "plain"}
    exec(compile(snippet.code, "<plain>", "exec", dont_inherit=True), namespace)

    assert snippet.value == as_json(namespace["value"])


def test_the_snippets_are_many_and_no_two_share_a_name() -> None:
    names = [snippet.form for snippet in snippets()]

    assert len(names) == len(set(names))
    assert len([snippet for snippet in snippets() if not snippet.since > "3.11"]) >= 200


def test_what_is_only_in_a_hook_or_only_at_the_top_says_why() -> None:
    reasons = [reason for snippet in snippets() for reason in (snippet.only_in_a_hook, snippet.only_at_top) if reason]

    assert all(len(reason.split()) >= 3 for reason in reasons)
    assert len(reasons) < len(SNIPPETS) / 10
