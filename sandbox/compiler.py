"""From source to code, under the policy: the `check` job. Runs nothing of the source.

Sources that make CPython's compiler spend gigabytes or minutes exist in under a kilobyte (THREATS: compile bombs); this
runs in a locked worker under its limits, and whatever it raises is a finding about the source.
"""

from __future__ import annotations

import ast
import marshal

from sandbox.policy import Policy
from sandbox.wire import Checked, Diagnostic

HOOK_FILENAME = "<hook>"  # SECURITY: constant; a name of the tenant's makes CPython read that file into its messages
CODE_BYTES = 2 << 20  # of marshalled code: twenty times the largest source allowed by default
_ENTRY = "hook"


def check(source: str, parameters: tuple[str, ...]) -> Checked:
    """The code of `source` for a point with `parameters`, or what is refused."""
    try:
        tree = ast.parse(source, HOOK_FILENAME)
        policy = Policy(source)
        policy.visit(tree)
        _check_entry(policy, tree, parameters)
        if policy.findings:
            return Checked(tuple(sorted(policy.findings, key=lambda finding: (finding.line, finding.column))), None)
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


def _check_entry(policy: Policy, tree: ast.Module, parameters: tuple[str, ...]) -> None:
    """A top-level `def hook` must take the point's arguments, by position."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == _ENTRY and not _takes(node.args, len(parameters)):
            message = f"hook takes {_count(node.args)} arguments; this point passes {len(parameters)}"
            policy.refuse(node, "arity", message, f"write def hook({', '.join(parameters)}):")


def _takes(arguments: ast.arguments, number: int) -> bool:
    most = len(arguments.posonlyargs) + len(arguments.args)
    least = most - len(arguments.defaults)
    required = [name for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if not default]
    return least <= number and (number <= most or arguments.vararg is not None) and not required


def _count(arguments: ast.arguments) -> int:
    return len(arguments.posonlyargs) + len(arguments.args)


def _refused(finding: Diagnostic) -> Checked:
    return Checked((finding,), None)


def _syntax_finding(error: SyntaxError) -> Diagnostic:
    line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
    end = error.end_offset if error.end_lineno == line and error.end_offset else column + 1
    return Diagnostic("syntax", line, column, max(end, column + 1), str(error.msg)[:1000], "")


def _whole(rule: str, message: str) -> Diagnostic:
    return Diagnostic(rule, 1, 1, 2, message[:1000], "")
