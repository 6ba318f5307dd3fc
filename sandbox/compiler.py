"""From source to code, under the policy: the `check` job. Runs nothing of the source.

Sources that make CPython's compiler spend gigabytes or minutes exist in under a kilobyte (THREATS: compile bombs); this
runs in a locked worker under its limits, and whatever it raises is a finding about the source.
"""

from __future__ import annotations

import ast
import marshal
from collections.abc import Iterator

from msgspec.structs import replace

from sandbox.advice import advise, entry
from sandbox.advice.bindings import bound_names
from sandbox.policy import Policy
from sandbox.require import Modules, missing_module
from sandbox.wire import CODE_BYTES, Advice, Checked, Diagnostic

HOOK_FILENAME = "<hook>"  # SECURITY: constant; a name of the tenant's makes CPython read that file into its messages
_MOST_FINDINGS = 100  # as many as a frame takes


def check(
    source: str,
    parameters: tuple[str, ...],
    dependencies: tuple[str, ...] = (),
    advice: Advice | None = None,
    modules: Modules = None,
) -> Checked:
    """The code of `source` for a point with `parameters`, or what is refused; with `advice`, also what is doubtful.

    `modules`: those of the map that its tenant may import. None: all.
    """
    checked = _check(source, parameters, dependencies, modules)
    return checked if advice is None else replace(checked, warnings=_warnings(source, parameters, advice, modules))


def _check(source: str, parameters: tuple[str, ...], dependencies: tuple[str, ...], modules: Modules) -> Checked:
    try:
        tree = ast.parse(source, HOOK_FILENAME)
        policy = Policy(source, modules)
        missing = list(_missing_modules(tree, modules)) if "require" in source else []
        policy.visit(tree)
        _check_entry(policy, tree, parameters)
        for node, fault in missing:
            policy.refuse(node, "import", *fault)
        findings = _in_order([*_missing_dependencies(dependencies, modules), *policy.findings])
        if findings:
            return Checked(findings, None)
        code = marshal.dumps(compile(tree, HOOK_FILENAME, "exec", dont_inherit=True, optimize=0))
    except SyntaxError as error:
        return _refused(_syntax_finding(error))
    except (RecursionError, MemoryError):
        return _refused(_whole("too-complex", "the source is too deeply nested or too large to compile"))
    except (ValueError, OverflowError) as error:
        return _refused(_whole("syntax", f"the source cannot be read: {error}"))
    if len(code) > CODE_BYTES:
        return _refused(_whole("too-complex", f"the source compiles to {len(code)} bytes; the most is {CODE_BYTES}"))
    return Checked((), code)


def _warnings(source: str, parameters: tuple[str, ...], advice: Advice, modules: Modules) -> tuple[Diagnostic, ...]:
    """None where the source is too much for it: whether it is refused is not theirs."""
    try:
        return tuple(advise(ast.parse(source, HOOK_FILENAME), source, parameters, advice, modules))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _missing_modules(tree: ast.Module, modules: Modules) -> Iterator[tuple[ast.AST, tuple[str, str]]]:
    """Each `require("name")` that would fail, with why. Before the policy: it changes the tree."""
    nodes = list(ast.walk(tree))
    if "require" in bound_names(nodes):
        return
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="require"), args=[ast.Constant(value=str(name))], keywords=[]):
                fault = missing_module(str(name), modules)
                if fault is not None:
                    yield node, fault


def _missing_dependencies(names: tuple[str, ...], modules: Modules) -> Iterator[Diagnostic]:
    for name in names:
        fault = missing_module(name, modules)
        if fault is not None:
            yield _whole("dependency", *fault)


def _in_order(findings: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.line, finding.column))[:_MOST_FINDINGS])


def _check_entry(policy: Policy, tree: ast.Module, parameters: tuple[str, ...]) -> None:
    """A top-level `def hook` must take the point's arguments, by position."""
    for node in tree.body:
        if (
            isinstance(node, ast.FunctionDef)
            and node.name == entry.NAME
            and not entry.takes(node.args, len(parameters))
        ):
            message = f"hook takes {_count(node.args)} arguments; this point passes {len(parameters)}"
            policy.refuse(node, "arity", message, f"write def hook({', '.join(parameters)}):")


def _count(arguments: ast.arguments) -> int:
    return len(arguments.posonlyargs) + len(arguments.args)


def _refused(finding: Diagnostic) -> Checked:
    return Checked((finding,), None)


def _syntax_finding(error: SyntaxError) -> Diagnostic:
    line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
    end = error.end_offset if error.end_lineno == line and error.end_offset else column + 1
    return Diagnostic("syntax", line, column, max(end, column + 1), str(error.msg)[:1000], "")


def _whole(rule: str, message: str, hint: str = "") -> Diagnostic:
    return Diagnostic(rule, 1, 1, 2, message[:1000], hint[:1000])
