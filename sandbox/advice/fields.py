"""Reads of fields that the point's arguments do not have, and of secrets that the hook does not have."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sandbox.advice.bindings import binds
from sandbox.advice.entry import Entry
from sandbox.document import Document
from sandbox.places import Doubt, nearest, shown
from sandbox.vocabulary import is_dunder
from sandbox.wire import Advice

Fields = dict[str, Any]  # field → the fields below it; None: a value without fields. "*": there may be any
Scope = dict[str, Fields]  # what a name stands for, where it stands for an argument or a part of one
_ANY: Fields = {"*": None}
_SECRETS: Fields = {"*": None}  # told from others by identity
WEBTASK: Fields = {
    "id": None,
    "execution_id": None,
    "attempt": None,
    "secrets": _SECRETS,
    **dict.fromkeys(("response", "data", "meta", "headers", "query", "params"), _ANY),
}  # as sandbox/hook.py makes it

_METHODS = frozenset(dir(Document))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LIKE = 0.75  # how much a name must be like a known one where it may well be meant as it stands


class _Step(NamedTuple):
    """One step of `user.app_metadata["plan"].get("name")`, from left to right."""

    node: ast.AST
    name: str
    kind: str  # attribute, item, get (None when absent), get-or (a default when absent)
    stored: bool


class _Written(NamedTuple):
    """What the file itself does with fields, by name, on whatever object: enough to be silent about them."""

    fields: frozenset[str]  # it makes them
    asked: frozenset[str]  # it asks whether they are there
    roots: frozenset[str]  # names of objects that it writes to under computed keys


def unknown_fields(
    tree: ast.Module, nodes: Sequence[ast.AST], entry: Entry | None, parameters: tuple[str, ...], advice: Advice
) -> Iterator[Doubt]:
    """Each read of a field or secret that is not known; nothing below it."""
    known = _tree_of(advice.fields, parameters)
    written = _written(nodes)
    roots = {name: known[name] for name in parameters if isinstance(known.get(name), dict)}
    waiting: list[tuple[ast.AST, Scope]] = [(tree, _own_scope(roots, tree))]
    while waiting:
        node, scope = waiting.pop()
        if isinstance(node, _FUNCTIONS):
            given = _of_entry(known, entry) if entry is not None and node is entry.node else {}
            scope = _own_scope(_without(scope, _argument_names(node)) | given, node)
        base, steps, beside = _chain(node)
        if isinstance(base, ast.Name) and base.id in scope and base.id not in written.roots:
            yield from _judge(base.id, scope[base.id], steps, written, advice.secrets)
        inside = [base, *beside] if steps else ast.iter_child_nodes(node)
        waiting += ((part, scope) for part in inside)


def _tree_of(paths: Iterable[str], parameters: Collection[str]) -> Fields:
    tree: Fields = {}
    for path in paths:
        here = tree
        *outer, last = path.split(".")
        for part in outer:
            if here.get(part) is None:
                here[part] = {}
            here = here[part]
        here.setdefault(last, None)
    if "context" in parameters:
        tree["context"] = (tree.get("context") or {}) | {"webtask": WEBTASK}
    return tree


# Scopes: a name stands for an argument as long as nothing in reach gives it another meaning


def _of_entry(known: Fields, entry: Entry) -> dict[str, Fields]:
    named = {name: known.get(parameter) for name, parameter in entry.names.items()}
    return {name: fields for name, fields in named.items() if isinstance(fields, dict)}


def _own_scope(scope: Scope, node: ast.AST) -> Scope:
    """The scope inside a function or the file: without what is assigned there, and with plain other names for parts."""
    if not scope:
        return scope
    parts = list(_outside_functions(node)) if isinstance(node, ast.Module) else list(ast.walk(node))[1:]
    times = Counter(name for part in parts if not isinstance(part, ast.arg) for name in binds(part))
    made = _without(scope, times)
    for part in parts:
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if times[name] == 1:
                fields = _fields_of(value, made)
                if fields is not None:
                    made = made | {name: fields}
    return made


def _outside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """What of the file binds names of the file: not what is inside functions, but their `global` lines."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, outside = waiting.pop()
        if outside or isinstance(node, ast.Global):
            yield node
        inside = outside and not isinstance(node, _FUNCTIONS)
        waiting += ((child, inside) for child in ast.iter_child_nodes(node))


def _argument_names(function: Any) -> set[str]:
    return {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}


def _without(scope: Scope, names: Collection[str]) -> Scope:
    return {name: fields for name, fields in scope.items() if name not in names}


# Chains of attributes, items and get()


def _chain(node: Any) -> tuple[Any, list[_Step], list[ast.AST]]:
    """(what it begins with, its steps, the expressions beside it)."""
    steps: list[_Step] = []
    beside: list[ast.AST] = []
    while True:
        match node:
            case ast.Attribute():
                steps.append(_Step(node, node.attr, "attribute", not isinstance(node.ctx, ast.Load)))
                node = node.value
            case ast.Subscript():
                name = _text_of(node.slice)
                kind = "computed" if name is None else "item"
                steps.append(_Step(node, name or "", kind, not isinstance(node.ctx, ast.Load)))
                beside.append(node.slice)
                node = node.value
            case ast.Call(func=ast.Attribute(attr="get") as callee, args=[ast.Constant(value=str(key)), *rest]):
                steps.append(_Step(node, str(key), "get-or" if rest else "get", stored=False))
                beside += [*rest, *node.keywords]
                node = callee.value
            case _:
                return node, steps[::-1], beside


def _text_of(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _fields_of(value: ast.expr, scope: Scope) -> Fields | None:
    """The known fields of what a chain leads to."""
    base, steps, _ = _chain(value)
    here = scope.get(base.id) if isinstance(base, ast.Name) else None
    for step in steps:
        if here is None or step.name == "*":
            return None
        here = here.get(step.name)
    return here


def _judge(
    root: str, here: Fields, steps: list[_Step], written: _Written, secrets: Collection[str] | None
) -> Iterator[Doubt]:
    path = root
    for step in steps:
        if step.kind == "computed" or step.name in written.fields:
            return
        path = f"{path}.{step.name}"
        if step.name not in here or step.name == "*":
            if not (step.stored or (step.kind == "attribute" and step.name in _METHODS)):
                yield from _secret(step, secrets) if here is _SECRETS else _field(here, step, path, written)
            return
        below = here[step.name]
        if below is None:
            return
        here = below


def _secret(step: _Step, secrets: Collection[str] | None) -> Iterator[Doubt]:
    if secrets is None or step.name in secrets:
        return
    near = nearest(step.name, secrets)
    if near is None and step.kind == "get-or":
        return
    listed = f"its secrets are: {', '.join(sorted(secrets))}" if secrets else "it has no secrets at all"
    hint = f"did you mean {near!r}?" if near else listed
    yield Doubt(step.node, "unknown-secret", f"the hook has no secret {shown(step.name)}", hint)


def _field(here: Fields, step: _Step, path: str, written: _Written) -> Iterator[Doubt]:
    if is_dunder(step.name):  # the policy has its say of these
        return
    asks = step.kind in ("get", "get-or")
    near = nearest(step.name, here, _LIKE if asks else 0.6)
    if "*" in here or (asks and near is None) or (not asks and step.name in written.asked):
        return
    hint = f"did you mean {near!r}?" if near else f"the fields here are: {', '.join(here)}"
    yield Doubt(step.node, "unknown-field", f"this point passes no {shown(path)}", hint)


# What the file writes and asks for


def _written(nodes: Iterable[ast.AST]) -> _Written:
    fields: set[str] = set()
    asked: set[str] = set()
    roots: set[str] = set()
    for node in nodes:
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                fields.add(node.attr)
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                name = _text_of(node.slice)
                (roots.update(_root_of(node)) if name is None else fields.add(name))
            case ast.Call():
                _called(node, fields, asked, roots)
            case ast.Compare(left=ast.Constant(value=str(name))):
                asked.add(str(name))
            case ast.MatchMapping():
                asked |= {name for key in node.keys if (name := _text_of(key)) is not None}
    return _Written(frozenset(fields), frozenset(asked), frozenset(roots))


def _called(node: ast.Call, fields: set[str], asked: set[str], roots: set[str]) -> None:
    match node:
        case ast.Call(func=ast.Name(id="hasattr" | "getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            asked.add(str(name))
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str(name)), *_]):
            fields.add(str(name))
        case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=str(name)), *_]):
            asked.add(str(name))
        case ast.Call(func=ast.Attribute(attr="setdefault"), args=[ast.Constant(value=str(name)), *_]):
            fields.add(str(name))
        case ast.Call(func=ast.Name(id="setattr") | ast.Attribute(attr="setdefault"), args=[first, *_]):
            roots |= _root_of(first if isinstance(node.func, ast.Name) else node.func)
        case ast.Call(func=ast.Attribute(attr="update")):
            given = [key for part in node.args if isinstance(part, ast.Dict) for key in part.keys]
            keys = [keyword.arg for keyword in node.keywords] + [_text_of(key) if key else None for key in given]
            fields |= {key for key in keys if key is not None}
            if None in keys or any(not isinstance(part, ast.Dict) for part in node.args):
                roots |= _root_of(node.func)


def _root_of(node: ast.AST) -> set[str]:
    """The name that a chain begins with."""
    base, _, _ = _chain(node)
    return {base.id} if isinstance(base, ast.Name) else set()
