"""Which names a source binds, and which it reads that nothing binds."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence

from sandbox.errors import SCOPE
from sandbox.places import Doubt, nearest, shown
from sandbox.require import Modules, missing_module
from sandbox.vocabulary import BUILTIN_NAMES, LEFT_OUT, is_dunder

_GIVEN = frozenset({"console", "require", "module", *SCOPE, *BUILTIN_NAMES})  # beside the point's parameters
_REFUSED = frozenset(LEFT_OUT)  # the policy says why
_ELSEWHERE = {"null": "None", "undefined": "None", "nil": "None", "this": "module.exports", "exports": "module.exports"}

_NAMED: dict[type[ast.AST], str] = {
    ast.arg: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
    **{getattr(ast, kind): "name" for kind in ("TypeVar", "ParamSpec", "TypeVarTuple") if hasattr(ast, kind)},
}  # node → the field that holds the name it binds


def binds(node: ast.AST) -> Iterable[str]:
    """The names that this node itself binds."""
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    field = _NAMED.get(type(node))
    if field is not None:
        name = getattr(node, field)
        return () if name is None else (name,)
    if isinstance(node, ast.alias):
        return (node.asname or node.name.partition(".")[0],)
    return node.names if isinstance(node, ast.Global | ast.Nonlocal) else ()


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that any of the nodes binds."""
    return {name for node in nodes for name in binds(node)}


def undefined(nodes: Sequence[ast.AST], parameters: Collection[str], modules: Modules = None) -> Iterator[Doubt]:
    """A name that is read and that nothing in the file, no builtin and no argument binds; each once."""
    bound = bound_names(nodes)
    if "*" in bound:
        return
    known = bound | _GIVEN | set(parameters)
    for name, node in _first_reads(nodes, known | _REFUSED).items():
        yield Doubt(node, "undefined-name", f"nothing defines the name {shown(name)}", _meant(name, known, modules))


def _first_reads(nodes: Iterable[ast.AST], known: Collection[str]) -> dict[str, ast.Name]:
    first: dict[str, ast.Name] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in known and not is_dunder(node.id):
            before = first.setdefault(node.id, node)
            if (node.lineno, node.col_offset) < (before.lineno, before.col_offset):
                first[node.id] = node
    return first


def _meant(name: str, known: Collection[str], modules: Modules) -> str:
    if name in _ELSEWHERE:
        return f"write {_ELSEWHERE[name]}"
    module = next((module for module in (name, name.lower()) if missing_module(module, modules) is None), None)
    if module is not None:
        return f"write import {module}"
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else ""
