"""What a hook may be written in: RestrictedPython's transformer, unknown → refused, with our differences.

Differences, one short method each: findings carry a rule, a place and a hint; guards stand only where they decide
something (attribute reads and every write), so that the rest is plain Python at plain speed and semantics; annotations
and augmented assignment to items and attributes are accepted; `print` is a builtin; a class is made by a guarded
`__build_class__`. Runs in a worker only: the compiler's time and memory are a tenant's to waste.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from RestrictedPython.transformer import ALLOWED_FUNC_NAMES, RestrictingNodeTransformer, copy_locations

from sandbox.guards import LEFT_OUT, REFUSED_ATTRIBUTES
from sandbox.require import check_import
from sandbox.wire import MESSAGE_CHARS, Diagnostic

if TYPE_CHECKING:
    Transformer = Any
else:
    Transformer = RestrictingNodeTransformer

MOST_FINDINGS = 100
_MOST_NESTED = 15

_HINTS = {
    "Await": "a hook is one synchronous call: call the function without await",
    "AsyncFunctionDef": "a hook is one synchronous call: write def",
    "AsyncFor": "a hook is one synchronous call: write for",
    "AsyncWith": "a hook is one synchronous call: write with",
    "TryStar": "write try/except",
    "Match": "write if/elif",
    "Nonlocal": "keep the value in a dict or a list and change that",
}


class Policy(Transformer):  # type: ignore[misc]
    """Checks and rewrites one parsed hook. Afterwards `findings` says what is refused, in the order of the source."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._lines = source.encode().splitlines()  # ast counts columns in bytes of UTF-8
        self.findings: list[Diagnostic] = []
        self._nested = 0  # comprehensions around the node being visited
        self._loads: dict[str, ast.Name] = {}  # name → where it is first read
        self._bound: set[str] = set()  # names that the file itself binds somewhere

    def refuse(self, node: ast.AST, rule: str, message: str, hint: str = "") -> None:
        """Record a finding at `node`."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(self._finding(node, rule, message, hint))

    def _finding(self, node: Any, rule: str, message: str, hint: str) -> Diagnostic:
        line = getattr(node, "lineno", 1)
        begin = self._column(line, getattr(node, "col_offset", 0))
        one_line = getattr(node, "end_lineno", line) == line
        end = self._column(line, node.end_col_offset) if one_line and hasattr(node, "end_col_offset") else begin + 1
        return Diagnostic(rule, line, begin, end, message[:MESSAGE_CHARS], hint[:MESSAGE_CHARS])

    def _column(self, line: int, offset: int) -> int:
        text = self._lines[line - 1] if line <= len(self._lines) else b""
        return len(text[:offset].decode(errors="replace")) + 1

    def error(self, node: ast.AST, info: str) -> None:
        """What RestrictedPython itself refuses, in its words."""
        self.refuse(node, "restricted", info)

    def warn(self, node: ast.AST, info: str) -> None:
        """RestrictedPython's warnings are about its print collector and about nodes that are refused anyway."""

    def not_allowed(self, node: ast.AST) -> None:
        """A statement or expression that no rule knows."""
        kind = type(node).__name__
        self.refuse(node, "statement", f"{kind} is not available in a hook", _HINTS.get(kind, ""))

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:  # noqa: FBT001, FBT002 - the overridden signature
        """Names of the guards begin with an underscore, so a hook's own must not."""
        if name is None or name == "_":
            return
        if name.startswith("_") and not (allow_magic_methods and name in ALLOWED_FUNC_NAMES and node.col_offset):
            hint = f"call it {name.strip('_') or 'something'!r}"
            self.refuse(node, "underscore-name", f"the name {name!r} begins with an underscore", hint)

    def visit_Name(self, node: ast.Name) -> Any:
        """Only the name is checked: print is an ordinary builtin here."""
        self.check_name(node, node.id)
        if isinstance(node.ctx, ast.Load):
            self._loads.setdefault(node.id, node)
        else:
            self._bound.add(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        """A parameter binds a name; its annotation is an expression."""
        self._bound.add(node.arg)
        return self._visit_inside(node)

    def visit_Module(self, node: ast.Module) -> Any:
        """After all names are known: those that Python has and a hook has not."""
        self._visit_inside(node)
        for name, place in self._loads.items():
            if name in LEFT_OUT and name not in self._bound:
                self.refuse(place, "builtin", f"{name} is not available in a hook: {LEFT_OUT[name]}")
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """`a.b` → `_getattr_(a, "b")`; `a.b = c` → `_write_(a).b = c`; `del a.b` alike."""
        if (node.attr.startswith("_") and node.attr != "_") or node.attr in REFUSED_ATTRIBUTES:
            self.refuse(node, "attribute", f"a hook may not use the attribute {node.attr!r}")
        self.node_contents_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return self._guard_write(node)
        return _call("_getattr_", node, node.value, ast.Constant(node.attr))

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """`a[b]` stays; `a[b] = c` → `_write_(a)[b] = c`; `del a[b]` alike."""
        self.node_contents_visit(node)
        return node if isinstance(node.ctx, ast.Load) else self._guard_write(node)

    def _guard_write(self, node: ast.Attribute | ast.Subscript) -> Any:
        node.value = _call("_write_", node.value, node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """`a.b += c` → `_write_(a).b += c`: the read is past the guard, so what it would replace is refused here."""
        if isinstance(node.target, ast.Attribute) and node.target.attr in ("format", "format_map"):
            self.refuse(node.target, "attribute", f"a hook may not change the attribute {node.target.attr!r}")
        return self._visit_inside(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Annotations are names and subscripts like any other expression."""
        return self._visit_inside(node)

    def visit_Import(self, node: ast.Import) -> Any:
        """`import a.b as c`, of mapped modules."""
        for alias in node.names:
            self._check_import(node, alias.name, None)
            self._bind(node, alias.asname or alias.name)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """`from a import b as c`, of mapped modules and the names they offer."""
        if node.module == "__future__":
            for alias in node.names:
                self._bind(node, alias.asname or alias.name)
            return node
        for alias in node.names:
            self._check_import(node, node.module if not node.level else "." + (node.module or ""), alias.name)
            self._bind(node, alias.asname or alias.name)
        return node

    def _bind(self, node: ast.AST, name: str) -> None:
        self._bound.add(name)
        self.check_name(node, name)

    def _check_import(self, node: ast.AST, module: str | None, name: str | None) -> None:
        if fault := check_import(module or ".", name):
            self.refuse(node, "import", *fault)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """Classes stay: `__build_class__` is guarded. A metaclass could run before it."""
        self._bind(node, node.name)
        for keyword in node.keywords:
            if keyword.arg == "metaclass" or keyword.arg is None:
                self.refuse(node, "metaclass", "a hook's class may not choose a metaclass")
        return self._visit_inside(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Functions stay; their names and parameters are checked."""
        self._bound.add(node.name)
        self.check_name(node, node.name, allow_magic_methods=True)
        self.check_function_argument_names(node)
        return self._visit_inside(node)

    def visit_Global(self, node: ast.Global) -> Any:
        """RestrictedPython checks stores only: `global _getattr_` must not pass either."""
        for name in node.names:
            self.check_name(node, name)
        return node

    def _visit_inside(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    def _visit_nested(self, node: Any) -> Any:
        """CPython 3.12 and 3.13 crash on some dozens of comprehensions within each other."""
        self._nested += 1
        if self._nested > _MOST_NESTED:
            self.refuse(node, "too-complex", f"comprehensions are nested more than {_MOST_NESTED} deep", "use loops")
        else:
            self._visit_inside(node)
        self._nested -= 1
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_nested
    visit_Assign = visit_For = visit_comprehension = visit_With = visit_Call = _visit_inside


def _call(guard: str, place: Any, *arguments: ast.expr) -> ast.Call:
    call = ast.Call(func=ast.Name(guard, ast.Load()), args=list(arguments), keywords=[])
    copy_locations(call, place)
    return call
