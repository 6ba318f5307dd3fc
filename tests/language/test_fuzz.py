"""A program within the policy does in a hook what it does in plain Python, whatever it is."""

from __future__ import annotations

import ast
import copy
import json
import marshal
import re
import string
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from corpus import PARAMETERS
from hypothesis import HealthCheck, Phase, find, given, settings
from programs import programs

from sandbox import formats
from sandbox.compiler import HOOK_FILENAME, check
from sandbox.guards import Guards, install
from sandbox.policy import Policy
from sandbox.require import HOOK_NAME

Ending = tuple[str, str, str, int | None]  # results, the error's class, its message, its line

STEADY = settings(
    derandomize=True,  # CI finds what it found yesterday
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@pytest.fixture(autouse=True)
def _nonsense_is_fine() -> Iterator[None]:
    """Random programs compare texts by `is` and call numbers: what the compiler warns of is not the question."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ended(code: Any, namespace: dict[str, Any]) -> Ending:
    """What running `code` left behind. Numbers in addresses are none of the program's."""
    kind, message, line = "", "", None
    try:
        exec(code, namespace)
    except Exception as error:  # noqa: BLE001 - of the program
        kind, message, line = type(error).__name__, str(error), _line_of(error)
    return _shown(namespace.get("results")), kind, _without_addresses(message), line


def _line_of(error: Exception) -> int | None:
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == HOOK_FILENAME:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _shown(results: Any) -> str:
    try:
        return _without_addresses(repr(results))
    except Exception as error:  # noqa: BLE001 - of the program
        return repr(error)


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def unrestricted(source: str) -> Ending:
    """In plain Python."""
    code = compile(source, HOOK_FILENAME, "exec", dont_inherit=True, optimize=0)
    return ended(code, {"__name__": HOOK_NAME})


def restricted(source: str) -> Ending:
    """Checked, rewritten and run among the guards."""
    checked = check(source, PARAMETERS)
    assert checked.diagnostics == ()
    assert checked.code is not None
    namespace: dict[str, Any] = {"__name__": HOOK_NAME}
    install(Guards(namespace), lambda *_: None, lambda *_: None)
    return ended(marshal.loads(checked.code), namespace)


@settings(STEADY, max_examples=300)
@given(programs())
def test_a_program_ends_the_same_in_a_hook_and_in_plain_python(source: str) -> None:
    assert unrestricted(source) == restricted(source), source


@settings(STEADY, max_examples=25)
@given(source=programs())
def test_a_program_ends_the_same_in_a_worker(engine_thread: Any, source: str) -> None:
    results, kind, message, line = unrestricted(source)
    outcome = engine_thread.run(f"{source}\ndef hook(user, context, cb):\n    cb(None, [repr(results)])\n")
    if kind:
        error = json.loads(bytes(outcome.error))
        assert ("raised", kind, message, line) == (outcome.status, error["name"], error["message"], outcome.line)
    else:
        assert ("ok", [results]) == (outcome.status, json.loads(bytes(outcome.result))), outcome.message


def _unmangled(_: Policy, name: str) -> str:
    return name


def _bare_super(self: Policy, node: ast.Call) -> Any:
    return self._visit_inside(node)


def _twice(self: Policy, node: ast.AugAssign) -> Any:
    """`x[f()] += y` as `x[f()] = x[f()] + y`."""
    again = copy.deepcopy(node.target)
    again.ctx = ast.Load()
    assigned = ast.Assign([node.target], ast.BinOp(again, node.op, node.value))
    return self.visit(ast.fix_missing_locations(ast.copy_location(assigned, node)))


def _unguarded_write(_: Policy, node: ast.Attribute, *, private: bool) -> ast.Attribute:
    """One that forgets what it writes to."""
    node.value = ast.Name("o", ast.Load(), lineno=node.lineno, col_offset=0, end_lineno=node.lineno, end_col_offset=1)
    assert isinstance(private, bool)
    return node


def _unconverted(_: Any, text: str) -> Any:
    return [(literal, field, spec, None) for literal, field, spec, _ in string.Formatter().parse(text)]


def _absent_is_none(_: Guards, owner: Any, name: str) -> Any:
    return getattr(owner, name, None)


PLANTED = {
    "private names are not mangled": (Policy, "_mangled", _unmangled),
    "super() does not know where it stands": (Policy, "visit_Call", _bare_super),
    "an augmented target is evaluated twice": (Policy, "visit_AugAssign", _twice),
    "a write goes to another object": (Policy, "_guard_write", _unguarded_write),
    "!r and !s are lost": (formats._GuardedFormatter, "parse", _unconverted),
    "an attribute that is missing is None": (Guards, "_private", _absent_is_none),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_bug_that_is_planted_is_found(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    """Or the comparison would prove nothing."""
    monkeypatch.setattr(*PLANTED[bug])
    search = settings(STEADY, max_examples=300, phases=[Phase.generate])

    assert find(programs(), lambda source: unrestricted(source) != restricted(source), settings=search)
