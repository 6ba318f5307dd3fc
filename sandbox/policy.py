"""What a hook may be written in: RestrictedPython's transformer, unknown → refused, with our differences.

Ordinary Python stays as it is, at plain speed and semantics. A guard stands where the language alone cannot decide: at
writes to attributes, and at reads of names that are private, special or lead elsewhere (sandbox/vocabulary.py). What is
refused is refused here, with a rule, a place and a hint. Runs in a worker only: the compiler's time and memory are a
tenant's to waste.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from RestrictedPython.transformer import RestrictingNodeTransformer, copy_locations

from sandbox import vocabulary as words
from sandbox.places import Doubt, Places
from sandbox.require import Modules, check_import
from sandbox.wire import Diagnostic

if TYPE_CHECKING:
    Transformer = Any
else:
    Transformer = RestrictingNodeTransformer

MOST_FINDINGS = 100
_MOST_NESTED = 15
_CHANGE_A_COPY = frozenset({"update", "pop", "popitem", "setdefault", "clear"})

_SYNCHRONOUS = "a hook is one synchronous call: "
_HINTS = {
    "Await": _SYNCHRONOUS + "call the function without await",
    "AsyncFunctionDef": _SYNCHRONOUS + "write def",
    "AsyncFor": _SYNCHRONOUS + "write for",
    "AsyncWith": _SYNCHRONOUS + "write with",
}


_SPELLED = {"Await": "await", "AsyncFunctionDef": "async def", "AsyncFor": "async for", "AsyncWith": "async with"}


@dataclass(frozen=True, slots=True)
class _Scope:
    """A class or a function around the node being visited."""

    class_name: str | None = None  # None: a function or a comprehension
    first: str | None = None  # a function's first positional parameter: what super() binds to
    parameters: frozenset[str] = frozenset()  # of a function: nobody else binds them while it runs


class Policy(Transformer):  # type: ignore[misc]
    """Checks and rewrites one parsed hook. Afterwards `findings` says what is refused."""

    def __init__(self, source: str, modules: Modules = None) -> None:
        super().__init__()
        self._modules = modules
        self._places = Places(source)
        self.findings: list[Diagnostic] = []
        self._scopes: list[_Scope] = []
        self._nested = 0  # comprehensions around the node being visited
        self._shared: set[str] = set()  # names that inner functions bind anew
        self._loads: dict[str, ast.Name] = {}  # name → where it is first read
        self._bound: set[str] = set()  # names that the file itself binds somewhere

    # Findings

    def refuse(self, node: ast.AST, rule: str, message: str, hint: str = "") -> None:
        """Record a finding at `node`."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(self._places.diagnose(Doubt(node, rule, message, hint)))

    def error(self, node: ast.AST, info: str) -> None:
        """What RestrictedPython itself refuses, in its words."""
        self.refuse(node, "restricted", info)

    def warn(self, node: ast.AST, info: str) -> None:
        """RestrictedPython's warnings are about its print collector and about nodes that are refused anyway."""

    def not_allowed(self, node: ast.AST) -> None:
        """A statement or expression that no rule knows."""
        kind = type(node).__name__
        self.refuse(node, "statement", f"{_SPELLED.get(kind, kind)} is not available in a hook", _HINTS.get(kind, ""))

    # Names

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the overridden signature
        """`name` is bound at `node`: names of Python's own shape are for Python, but for a class's methods."""
        if name is None:
            return
        self._bound.add(name)
        allowed = words.METHODS if self._in_class() else words.FILE_NAMES
        by_value = name in words.BY_DEF and not isinstance(node, ast.FunctionDef)
        taken = words.is_dunder(name) or words.kind_of(name) == "refused"
        if taken and (name not in allowed or by_value):
            self.refuse(node, "special-name", f"a hook may not define {name!r}", words.reason(name))

    def visit_Name(self, node: ast.Name) -> Any:
        """A name is free; of Python's own, those that tell nothing may be read."""
        if not isinstance(node.ctx, ast.Load):
            self.check_name(node, node.id)
            return node
        self._loads.setdefault(node.id, node)
        readable = node.id in words.READABLE_NAMES or (self._in_class() and node.id in words.METHODS | words.FIELDS)
        if words.is_dunder(node.id) and not readable:
            self.refuse(node, "special-name", f"a hook may not use {node.id!r}", words.reason(node.id))
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        """A parameter's name is checked with its function; its annotation is an expression."""
        return self._visit_inside(node)

    def visit_Module(self, node: ast.Module) -> Any:
        """After all names are known: those that Python has and a hook has not."""
        for each in ast.walk(node):
            if isinstance(each, (ast.Nonlocal, ast.Global)):
                self._shared.update(each.names)
            elif isinstance(each, ast.NamedExpr):  # in a generator it binds in the function around it
                self._shared.add(each.target.id)
        self._visit_inside(node)
        for name, place in self._loads.items():
            if name in words.LEFT_OUT and name not in self._bound:
                self.refuse(place, "builtin", f"{name} is not available in a hook: {words.LEFT_OUT[name]}")
        return node

    def visit_Global(self, node: ast.Global) -> Any:
        """RestrictedPython checks stores only: the declaration binds the name as well."""
        for name in node.names:
            self.check_name(node, name)
        return node

    visit_Nonlocal = visit_Global

    def visit_Import(self, node: ast.Import) -> Any:
        """`import a.b as c`, of mapped modules."""
        for alias in node.names:
            self._check_import(node, alias.name, None)
            self.check_name(node, alias.asname or alias.name.partition(".")[0])
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """`from a import b as c`, of mapped modules and the names they offer."""
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if module != "__future__":
                self._check_import(node, module, alias.name)
            self.check_name(node, alias.asname or alias.name)
        return node

    def _check_import(self, node: ast.AST, module: str, name: str | None) -> None:
        if getattr(node, "is_lazy", 0):  # from Python 3.15: it goes past __import__
            self.refuse(node, "import", "a lazy import is not available in a hook", "leave out the word lazy")
        if fault := check_import(module, name, self._modules):
            self.refuse(node, "import", *fault)

    # Attributes and items

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """`a.b` stays for a public name; others go through the guard, and so does every write."""
        name = self._mangled(node.attr)
        kind = words.kind_of(name)
        reading = isinstance(node.ctx, ast.Load)
        if kind == "refused" or (kind == "special" and not reading):
            verb, why = ("use", words.reason(name)) if reading else ("change", words.reason_to_stay(name))
            self.refuse(node, "attribute", f"a hook may not {verb} the attribute {name!r}", why)
        if _is_dict_of(node.value) and node.attr in _CHANGE_A_COPY:
            self._refuse_copy(node)
        self.node_contents_visit(node)
        if not reading:
            return self._guard_write(node, private=kind == "private")
        return node if kind == "public" else self._guard_read(node, name, kind)

    def _guard_read(self, node: ast.Attribute, name: str, kind: words.Kind) -> ast.expr:
        guarded = _call(words.READ, node, node.value, ast.Constant(name))
        owner = node.value
        if kind != "private" or not isinstance(owner, ast.Name) or not self._stays_bound(owner):
            return guarded
        plain = ast.Attribute(ast.Name(owner.id, ast.Load()), node.attr, ast.Load())
        return _if_in(words.PLAIN, node, owner.id, plain, guarded)

    def _stays_bound(self, node: ast.Name) -> bool:
        """Whether a name is the same object in a check and in the use after it.

        SECURITY: between the two the collector may run, and with it the end of a suspended generator, which is code of
        the hook's: it could bind any name but a parameter of the function that is running.
        """
        scope = self._scopes[-1] if self._scopes else _Scope()
        return node.id in scope.parameters and node.id not in self._shared

    def _guard_write(self, node: ast.Attribute, *, private: bool) -> ast.Attribute:
        owner = node.value
        guarded = _call(words.WRITE_PRIVATE if private else words.WRITE, owner, owner)
        node.value = guarded
        if isinstance(owner, ast.Name) and self._stays_bound(owner):
            node.value = _if_in(words.OWN, owner, owner.id, ast.Name(owner.id, ast.Load()), guarded)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Items are plain Python: nothing that jobs share takes one. See tests/escapes/test_graph.py."""
        if not isinstance(node.ctx, ast.Load) and _is_dict_of(node.value):
            self._refuse_copy(node)
        return self._visit_inside(node)

    def _refuse_copy(self, node: ast.AST) -> None:
        self.refuse(node, "attribute", "__dict__ and vars() give a copy: this would change nothing", "use setattr")

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """`a.b += c` reads past the guard: what the guard would judge by its value is refused here."""
        target = node.target
        if isinstance(target, ast.Attribute) and target.attr in words.WATCHED:
            self.refuse(target, "attribute", f"a hook may not change the attribute {target.attr!r} in place")
        return self._visit_inside(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        """`__slots__ = …` and `__match_args__ = …` in a class: the names in them are checked when they are known."""
        target = node.targets[0]
        if self._in_class() and len(node.targets) == 1 and isinstance(target, ast.Name) and target.id in words.FIELDS:
            node.value = _call(words.NAMES, node.value, ast.Constant(target.id), self.visit(node.value))
            return node
        return self._visit_inside(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Annotations are expressions like any other."""
        return self._visit_inside(node)

    def _mangled(self, name: str) -> str:
        """`__name` within a class, as Python stores it. Source: the language reference, section 6.2.1."""
        owner = next((scope.class_name for scope in reversed(self._scopes) if scope.class_name), "").lstrip("_")
        private = name.startswith("__") and not name.endswith("__")
        return f"_{owner}{name}" if private and owner else name

    # Functions and classes

    @contextmanager
    def _within(self, scope: _Scope) -> Iterator[None]:
        self._scopes.append(scope)
        yield
        self._scopes.pop()

    def _in_class(self) -> bool:
        return bool(self._scopes) and self._scopes[-1].class_name is not None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """A function's defaults, decorators and annotations belong to what is around it."""
        self.check_name(node, node.name)
        if self._in_class() and node.name in words.BY_DEF:
            node.decorator_list.insert(0, _named(words.BY_DEF[node.name], node))
        self._visit_fields(node, "type_params", "decorator_list", "args", "returns")
        with self._within(_function(node.args)):
            self.check_function_argument_names(node)
            self._visit_fields(node, "body")
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        """As a function."""
        self._visit_fields(node, "args")
        with self._within(_function(node.args)):
            self.check_function_argument_names(node)
            self._visit_fields(node, "body")
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """A class ends with the mark of its job, by which the guards know it while it is being made already."""
        self.check_name(node, node.name)
        if any(keyword.arg == "metaclass" for keyword in node.keywords):
            self.refuse(node, "metaclass", "a hook's class may not choose a metaclass", "derive it from ABC or Enum")
        self._visit_fields(node, "type_params", "decorator_list", "bases", "keywords")
        with self._within(_Scope(class_name=node.name)):
            self._visit_fields(node, "body")
        mark = ast.Assign([ast.Name(words.MARK, ast.Store())], ast.Name(words.TOKEN, ast.Load()))
        copy_locations(mark, node)
        node.body.append(mark)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        """`super()` looks at the frame that calls it: it gets what it would find there."""
        plain = isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args and not node.keywords
        first = self._receiver() if plain else None
        if first is None:
            return self._visit_inside(node)
        return _call(words.SUPER, node, ast.Name("__class__", ast.Load()), ast.Name(first, ast.Load()))

    def _receiver(self) -> str | None:
        """What `super()` binds to here: the first parameter of the innermost function, within a class."""
        inner = self._scopes[-1] if self._scopes else _Scope()
        return inner.first if any(scope.class_name for scope in self._scopes) else None

    def _visit_type_parameter(self, node: Any) -> Any:
        self.check_name(node, node.name)
        return self._visit_inside(node)

    visit_TypeVar = visit_ParamSpec = visit_TypeVarTuple = _visit_type_parameter

    # Patterns: they read attributes by themselves, and nothing but names may stand in them

    def _visit_capture(self, node: Any) -> Any:
        self.check_name(node, node.rest if isinstance(node, ast.MatchMapping) else node.name)
        return self.visit_pattern(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        """`case Point(x=0)` reads `x`."""
        for name in node.kwd_attrs:
            self._check_pattern_attribute(node, name)
        return self.visit_pattern(node)

    def visit_pattern(self, node: Any) -> Any:
        """Patterns within patterns, and the values and classes in them."""
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.pattern):
                self.visit(inner)
            else:
                self._check_value(inner)
        return node

    def _check_value(self, node: ast.AST) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute):
                self._check_pattern_attribute(inner, inner.attr)
            elif isinstance(inner, ast.Name):
                self.visit_Name(inner)

    def _check_pattern_attribute(self, node: ast.AST, name: str) -> None:
        if words.kind_of(name) != "public":
            self.refuse(node, "attribute", f"a pattern may not use the attribute {name!r}", "compare it in the guard")

    visit_MatchAs = visit_MatchStar = visit_MatchMapping = _visit_capture
    visit_MatchValue = visit_MatchSingleton = visit_MatchSequence = visit_MatchOr = visit_pattern

    # The rest

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        """As a loop."""
        if node.is_async:
            self.refuse(node.target, "statement", "async for is not available in a hook", _HINTS["AsyncFor"])
        return self._visit_inside(node)

    def _visit_fields(self, node: Any, *fields: str) -> None:
        for field in fields:
            value = getattr(node, field, None)  # type_params: from Python 3.12
            if isinstance(value, list):
                value[:] = [self.visit(inner) for inner in value]
            elif value is not None:
                setattr(node, field, self.visit(value))

    def _visit_inside(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    def _visit_nested(self, node: Any) -> Any:
        """CPython 3.12 and 3.13 crash on some dozens of comprehensions within each other."""
        self._nested += 1
        if self._nested > _MOST_NESTED:
            self.refuse(node, "too-complex", f"comprehensions are nested more than {_MOST_NESTED} deep", "use loops")
        else:
            with self._within(_Scope(first=self._scopes[-1].first if self._scopes else None)):
                self._visit_inside(node)
        self._nested -= 1
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_nested
    visit_For = visit_With = visit_TryStar = visit_Match = visit_match_case = visit_TypeAlias = _visit_inside


def _function(arguments: ast.arguments) -> _Scope:
    positional = arguments.posonlyargs + arguments.args
    names = frozenset(each.arg for each in positional + arguments.kwonlyargs)
    return _Scope(first=positional[0].arg if positional else None, parameters=names)


def _named(guard: str, place: Any) -> ast.Name:
    name = ast.Name(guard, ast.Load())
    copy_locations(name, place)
    return name


def _is_dict_of(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return (isinstance(called, ast.Name) and called.id == "vars") or getattr(node, "attr", "") == "__dict__"


def _call(guard: str, place: Any, *arguments: ast.expr) -> ast.Call:
    call = ast.Call(func=ast.Name(guard, ast.Load()), args=list(arguments), keywords=[])
    copy_locations(call, place)
    return call


def _if_in(classes: str, place: Any, name: str, plain: ast.expr, guarded: ast.expr) -> ast.IfExp:
    """`plain if type(name) in classes else guarded`: for an object of the hook's own, no guard is called."""
    kind = ast.Call(func=ast.Name(words.TYPE, ast.Load()), args=[ast.Name(name, ast.Load())], keywords=[])
    made = ast.Compare(kind, [ast.In()], [ast.Name(classes, ast.Load())])
    choice = ast.IfExp(made, plain, guarded)
    copy_locations(choice, place)
    return choice
