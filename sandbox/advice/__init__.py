"""What is accepted and yet probably not meant: the warnings of a check. They refuse nothing.

Each rule reads the parsed source as it stands, before the policy rewrites it, and rather says nothing than something
wrong. Runs in a worker only, like the policy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from sandbox.advice.bindings import undefined
from sandbox.advice.entry import find_entry
from sandbox.advice.fields import unknown_fields
from sandbox.advice.flow import uncalled
from sandbox.advice.literals import secret_literals
from sandbox.places import Doubt, Places
from sandbox.require import Modules
from sandbox.wire import Advice, Diagnostic

MOST_FINDINGS = 100
_MOST_NODES = 10_000  # of a source that is looked at: some of this takes the square of it
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_WAYS_OUT = (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Assert)


def advise(
    tree: ast.Module, source: str, parameters: tuple[str, ...], advice: Advice, modules: Modules = None
) -> list[Diagnostic]:
    """The warnings about a parsed source, in its order. Raises RecursionError for one that is nested very deeply."""
    nodes = list(ast.walk(tree))
    if len(nodes) > _MOST_NODES:
        return []
    entry = find_entry(tree, nodes, parameters)
    places = Places(source)
    doubts = chain(
        uncalled(tree, entry) if entry is not None else (),
        unknown_fields(tree, nodes, entry, parameters, advice),
        undefined(nodes, parameters, modules),
        secret_literals(nodes),
        _endless_loops(nodes),
    )
    found = map(places.diagnose, islice(doubts, MOST_FINDINGS))
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _endless_loops(nodes: Sequence[ast.AST]) -> Iterator[Doubt]:
    """`while True` that nothing ends. Where an exception may be what ends it, it is caught around the loop."""
    caught = {id(inner) for node in nodes if _catches(node) for part in node.body for inner in ast.walk(part)}  # type: ignore[attr-defined]
    for node in nodes:
        if isinstance(node, ast.While) and _always(node.test) and id(node) not in caught and not _has_way_out(node):
            hint = "leave it by break, return or raise; the hook is ended when its time is up"
            yield Doubt(node.test, "endless-loop", "this loop has no way out", hint)


def _catches(node: ast.AST) -> bool:
    return isinstance(node, ast.Try | ast.TryStar) and bool(node.handlers)


def _always(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _has_way_out(loop: ast.While) -> bool:
    waiting: list[tuple[ast.AST, bool]] = [(part, True) for part in loop.body]
    while waiting:
        node, direct = waiting.pop()  # direct: a break here is this loop's
        if isinstance(node, _WAYS_OUT) or (direct and isinstance(node, ast.Break)):
            return True
        if isinstance(node, ast.While | ast.For | ast.AsyncFor):
            head = node.test if isinstance(node, ast.While) else node.iter
            waiting += ((part, False) for part in [head, *node.body])
            waiting += ((part, direct) for part in node.orelse)
        elif not isinstance(node, _FUNCTIONS):
            waiting += ((part, direct) for part in ast.iter_child_nodes(node))
    return False
