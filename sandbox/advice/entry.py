"""The entry of a hook's file: what the engine will call, as far as that can be seen without running anything."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.advice.bindings import binds

NAME = "hook"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is called, or, in a bare script, the file."""

    node: ast.FunctionDef | ast.Lambda | ast.Module
    names: dict[str, str]  # what the entry calls its arguments → the point's parameter

    @property
    def callback(self) -> str | None:
        """What it calls `cb`; None when a star argument takes it."""
        return next((name for name, parameter in self.names.items() if parameter == "cb"), None)


def find_entry(tree: ast.Module, nodes: Sequence[ast.AST], parameters: tuple[str, ...]) -> Entry | None:
    """The entry; None where it is not plain to see, or cannot take the arguments."""
    found = _exported(tree, nodes)
    if found is None:
        return None
    if isinstance(found, ast.Module):
        return Entry(found, dict(zip(parameters, parameters, strict=True)))
    if not takes(found.args, len(parameters)):
        return None
    positional = [*found.args.posonlyargs, *found.args.args]
    return Entry(found, {argument.arg: name for argument, name in zip(positional, parameters, strict=False)})


def takes(arguments: ast.arguments, number: int) -> bool:
    """Whether a function with these parameters can be called with `number` arguments."""
    most = len(arguments.posonlyargs) + len(arguments.args)
    least = most - len(arguments.defaults)
    required = [name for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if not default]
    return least <= number and (number <= most or arguments.vararg is not None) and not required


def _exported(tree: ast.Module, nodes: Sequence[ast.AST]) -> ast.FunctionDef | ast.Lambda | ast.Module | None:
    exports = [node for node in nodes if isinstance(node, ast.Attribute) and _is_exports(node)]
    if not exports:
        return _defined(tree, nodes, NAME)
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and node.targets == exports]
    if not assigned:
        return None
    value = assigned[0].value
    if isinstance(value, ast.Name):
        found = _defined(tree, nodes, value.id)
        return None if isinstance(found, ast.Module) else found
    return value if isinstance(value, ast.Lambda) else None


def _is_exports(node: ast.Attribute) -> bool:
    return (
        node.attr == "exports"
        and not isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
        and node.value.id == "module"
    )


def _defined(tree: ast.Module, nodes: Sequence[ast.AST], name: str) -> ast.FunctionDef | ast.Module | None:
    """The last `def` of that name in the file, the file when nothing is called so, None when it is bound otherwise."""
    defs = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    bound = sum(name in binds(node) for node in nodes)
    if bound > len(defs):
        return None
    return defs[-1] if defs else tree
