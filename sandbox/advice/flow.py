"""Does every way through a hook lead to `cb`? As far as that can be seen: any use of the name counts as a call.

A statement is looked at as if `cb` had not been called before it. What it answers is the set of ways on which it is
still uncalled afterwards: falling to the next statement, break, continue, an exception, or a certain `return`.
An empty set means that `cb` was called, or that the way ends. Raising is a fine end: the outcome tells it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from sandbox.advice.entry import Entry
from sandbox.errors import SCOPE
from sandbox.places import Doubt, shown

Way = Literal["fall", "break", "continue", "raise"] | ast.Return
Ways = frozenset[Way]

_NONE: Ways = frozenset()
_FALL: Ways = frozenset({"fall"})
_RAISE: Ways = frozenset({"raise"})
_BREAK: Ways = frozenset({"break"})
_CONTINUE: Ways = frozenset({"continue"})
_HINT = "call {0}() when done, {0}(Error(…)) to fail"
_MAY_RAISE = (ast.Call, ast.Attribute, ast.Subscript, ast.BinOp, ast.Compare, ast.Import, ast.ImportFrom, ast.Assert)
_SAFE_CALLS = frozenset({*SCOPE, "bool", "dict", "len", "list", "repr", "str"})  # with what hooks hand on
_OWN_NAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def uncalled(tree: ast.Module, entry: Entry) -> Iterator[Doubt]:
    """Ways through the entry on which its callback is not called."""
    name = entry.callback
    if name is None or getattr(entry.node, "decorator_list", None):
        return
    callbacks = _callbacks(tree, entry, name)
    if callbacks is None:
        return
    flow = _Flow(callbacks)
    body = [ast.Expr(entry.node.body)] if isinstance(entry.node, ast.Lambda) else entry.node.body
    ways = flow.block(body)
    ends = [way for way in ways if isinstance(way, ast.Return)]
    if not ends and "fall" not in ways:
        return
    if not any(flow.uses(statement) for statement in body):
        yield _unused(entry, name)
        return
    for end in ends:
        yield Doubt(end, "no-cb", f"this return is reached without calling {shown(name)}", _HINT.format(name))
    if "fall" in ways:
        message = f"the hook can end after this statement without calling {shown(name)}"
        yield Doubt(body[-1], "no-cb", message, _HINT.format(name))


def _unused(entry: Entry, name: str) -> Doubt:
    if isinstance(entry.node, ast.Module):
        message, hint = "the file defines no hook and never calls 'cb'", "write def hook(…), or call cb in the file"
        return Doubt(entry.node, "unused-cb", message, hint)
    arguments = entry.node.args
    place = next(argument for argument in [*arguments.posonlyargs, *arguments.args] if argument.arg == name)
    return Doubt(place, "unused-cb", f"the hook never calls {shown(name)}", _HINT.format(name))


def _callbacks(tree: ast.Module, entry: Entry, name: str) -> set[str] | None:
    """The names whose use may call the callback: its own, and those of the file that use the global `cb`.

    None when the file itself uses it beside the entry: then nobody can say.
    """
    if isinstance(entry.node, ast.Module):
        return {name}
    users: dict[str, list[set[str]]] = {}  # name → the names made with it, one set a statement
    for statement in tree.body:
        if statement is entry.node:
            continue
        used = _free_names(statement)
        if not isinstance(statement, _OWN_NAMES):
            if "cb" in used:
                return None
            continue
        made = _made_names(statement)
        for one in used:
            users.setdefault(one, []).append(made)
    return _reached(users, {name, "cb"})


def _reached(users: dict[str, list[set[str]]], found: set[str]) -> set[str]:
    waiting = list(found)
    while waiting:
        for made in users.pop(waiting.pop(), ()):
            waiting += made - found
            found |= made
            made.clear()  # seen: the other names of its statement need not look
    return found


def _free_names(statement: ast.stmt) -> set[str]:
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    arguments = getattr(statement, "args", None)
    if isinstance(arguments, ast.arguments):
        names -= {argument.arg for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    return names


def _made_names(statement: Any) -> set[str]:
    """What a statement makes or puts something into."""
    match statement:
        case ast.Assign(targets=targets):
            return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        case ast.AnnAssign(target=target):
            return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
        case _:
            return {statement.name}


class _Flow:
    """The ways through statements, for one set of names that count as a call."""

    def __init__(self, callbacks: Collection[str]) -> None:
        self._callbacks = callbacks

    def uses(self, node: ast.AST) -> bool:
        """Whether any part of the node names a callback."""
        return any(isinstance(part, ast.Name) and part.id in self._callbacks for part in ast.walk(node))

    def block(self, statements: Sequence[ast.stmt]) -> Ways:
        """Statements one after another."""
        ways: set[Way] = set()
        for statement in statements:
            after = self._statement(statement)
            ways |= after - _FALL
            if "fall" not in after:
                return frozenset(ways)
        return frozenset(ways) | _FALL

    def _statement(self, node: Any) -> Ways:
        ways: Ways
        match node:
            case ast.If():
                ways = self._if(node)
            case ast.While() | ast.For() | ast.AsyncFor():
                ways = self._loop(node)
            case ast.Try() | ast.TryStar():
                ways = self._try(node)
            case ast.With() | ast.AsyncWith():
                ways = self._with(node)
            case ast.Match():
                ways = self._after([node.subject], self._cases(node.cases))
            case ast.Return():
                ways = self._simple(node, frozenset({node}))
            case ast.Raise():
                ways = self._simple(node, _RAISE)
            case ast.Break():
                ways = _BREAK
            case ast.Continue():
                ways = _CONTINUE
            case _:
                ways = self._simple(node, _FALL)
        return ways

    def _simple(self, node: ast.stmt, ways: Ways) -> Ways:
        """A statement without statements in it, or one that makes a function or a class."""
        if self.uses(node):
            return _RAISE if self._raises_first(node) else _NONE
        return ways | _RAISE if _may_raise(node) else ways

    def _raises_first(self, node: ast.stmt) -> bool:
        """Whether what is handed to the callback may raise while it is made."""
        return any(
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id in self._callbacks
            and any(_is_risky_call(inner) for inner in ast.walk(part) if inner is not part)
            for part in ast.walk(node)
        )

    def _after(self, heads: Sequence[ast.AST], ways: Ways) -> Ways:
        """What stands at the head of a statement comes first."""
        if any(self.uses(head) for head in heads):
            return _NONE
        return ways | _RAISE if any(_may_raise(head) for head in heads) else ways

    def _if(self, node: ast.If) -> Ways:
        truth = _truth(node.test)
        taken = _NONE if truth is False else self.block(node.body)
        other = _NONE if truth is True else self.block(node.orelse)
        return self._after([node.test], taken | other)

    def _loop(self, node: Any) -> Ways:
        head = node.test if isinstance(node, ast.While) else node.iter
        truth = _truth(head) if isinstance(node, ast.While) else None
        turn = _NONE if truth is False else self.block(node.body)
        ways = turn - _FALL - _BREAK - _CONTINUE
        if truth is not True and (not _has_items(head) or turn & (_FALL | _CONTINUE)):
            ways |= self.block(node.orelse)
        if "break" in turn:
            ways |= _FALL
        return self._after([head], ways)

    def _with(self, node: Any) -> Ways:
        ways = self.block(node.body)
        if "raise" in ways and any(_suppresses(item.context_expr) for item in node.items):
            ways |= _FALL
        return self._after(node.items, ways)

    def _cases(self, cases: Sequence[ast.match_case]) -> Ways:
        ways = _NONE
        for case in cases:
            if case.guard is not None and self.uses(case.guard):
                return ways
            ways |= self.block(case.body)
            if case.guard is None and _takes_all(case.pattern):
                return ways
        return ways | _FALL

    def _try(self, node: Any) -> Ways:
        body = self.block(node.body)
        ways = body - _FALL
        if any(map(_catches_all, node.handlers)):
            ways -= _RAISE
        if "raise" in body:
            ways = ways.union(*(self.block(handler.body) for handler in node.handlers))
        if "fall" in body:
            ways |= self.block(node.orelse)
        if not ways:
            return ways
        final = self.block(node.finalbody)
        return ways | (final - _FALL) if "fall" in final else final


def _may_raise(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return any(isinstance(part, _MAY_RAISE) for part in ast.walk(node))


def _is_risky_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _SAFE_CALLS)


def _truth(test: ast.expr) -> bool | None:
    """Whether a test always holds, or never; None: it depends."""
    return bool(test.value) if isinstance(test, ast.Constant) else None


def _has_items(iterated: ast.expr) -> bool:
    """Whether a loop over it runs at least once."""
    literal = isinstance(iterated, ast.List | ast.Tuple | ast.Set)
    return literal and any(not isinstance(item, ast.Starred) for item in iterated.elts)  # type: ignore[attr-defined]


def _catches_all(handler: ast.ExceptHandler) -> bool:
    kind = handler.type
    return kind is None or (isinstance(kind, ast.Name) and kind.id == "Exception")


def _suppresses(manager: ast.expr) -> bool:
    """`suppress(…)` or `contextlib.suppress(…)`."""
    match manager:
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress")):
            return True
        case _:
            return False


def _takes_all(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return any(map(_takes_all, pattern.patterns))
    return isinstance(pattern, ast.MatchAs) and (pattern.pattern is None or _takes_all(pattern.pattern))
