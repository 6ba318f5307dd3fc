"""The guards are names in the hook's namespace: no form of binding may put another object under one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

BINDINGS = {
    "assignment": "{} = 1",
    "annotated assignment": "{}: int = 1",
    "bare annotation": "{}: int",
    "augmented assignment": "{} += 1",
    "tuple": "a, {} = 1, 2",
    "list": "[a, {}] = 1, 2",
    "starred": "a, *{} = 1, 2",
    "nested": "(a, (b, {})) = 1, (2, 3)",
    "walrus": "({} := 1)",
    "walrus in a comprehension": "[({} := i) for i in [1]]",
    "for": "for {} in []:\n    pass",
    "for tuple": "for a, {} in []:\n    pass",
    "comprehension": "[1 for {} in []]",
    "set comprehension": "{{1 for {} in []}}",
    "dict comprehension": "{{1: 1 for {} in []}}",
    "generator": "(1 for {} in [])",
    "async generator": "(1 async for {} in user)",
    "with": "with cb as {}:\n    pass",
    "with tuple": "with cb as (a, {}):\n    pass",
    "except": "try:\n    pass\nexcept Exception as {}:\n    pass",
    "import as": "import json as {}",
    "from import as": "from json import dumps as {}",
    "function": "def {}():\n    pass",
    "class": "class {}:\n    pass",
    "parameter": "def f({}):\n    pass",
    "positional-only parameter": "def f({}, /):\n    pass",
    "keyword-only parameter": "def f(*, {}):\n    pass",
    "star parameter": "def f(*{}):\n    pass",
    "double star parameter": "def f(**{}):\n    pass",
    "default parameter": "def f({}=1):\n    pass",
    "lambda": "lambda {}: 1",
    "lambda positional-only": "lambda {}, /: 1",
    "lambda keyword-only": "lambda *, {}=1: 1",
    "lambda star": "lambda *{}: 1",
    "lambda double star": "lambda **{}: 1",
    "global": "global {}",
    "nonlocal": "def f():\n    nonlocal {}",
    "delete": "del {}",
    "delete in a tuple": "del (a, {})",
    "class body": "class A:\n    {} = 1",
    "in an f-string": "f'{{({} := 1)}}'",
    "match": "match 1:\n    case {}:\n        pass",
}
GUARDS = ["_getattr_", "_write_", "__builtins__", "__import__", "__build_class__", "__name__"]
WIDE = {
    "wide low line": "_write＿",  # noqa: RUF001 - read as _write_
    "dashed low line": "﹍getattr﹍",  # noqa: RUF001 - read as _getattr_
    "full-width letters": "_ｇｅｔａｔｔｒ_",  # noqa: RUF001 - read as _getattr_
    "mathematical letters": "_𝐰𝐫𝐢𝐭𝐞_",  # noqa: RUF001 - read as _write_
}


@pytest.mark.parametrize("statement", BINDINGS.values(), ids=BINDINGS.keys())
def test_no_form_of_binding_takes_the_name_of_a_guard(reach: Callable[..., Outcome], statement: str) -> None:
    """A name with an underscore in front is refused wherever a name can be bound."""
    outcome = reach("1", statement.format("_getattr_") + "\n")

    assert outcome.status == "rejected"
    assert {found.rule for found in outcome.diagnostics} & {"underscore-name", "statement", "syntax"}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("statement", ["{} = lambda *a: cb", "global {}", "{}(user, 'x')"])
def test_every_guard_is_out_of_reach(reach: Callable[..., Outcome], statement: str, guard: str) -> None:
    """Neither binding nor reading: the name of a guard cannot be spelt."""
    outcome = reach("1", statement.format(guard) + "\n")

    assert ("rejected", "underscore-name") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("name", WIDE.values(), ids=WIDE.keys())
def test_a_name_is_checked_as_python_reads_it(reach: Callable[..., Outcome], name: str) -> None:
    """Python reads compatibility characters as plain ones; the check comes after that."""
    outcome = reach("1", f"{name} = cb\n")

    assert outcome.status == "rejected"
    assert outcome.diagnostics[0].rule in ("underscore-name", "syntax")


@pytest.mark.parametrize("guard", GUARDS)
def test_a_future_import_binds_no_guard(attack: Callable[..., Outcome], guard: str) -> None:
    """`from __future__ import annotations as _write_` is an import like any other: its name is checked. 2026-11-22."""
    outcome = attack(f"from __future__ import annotations as {guard}\ndef hook(user, context, cb):\n    cb()\n")

    assert ("rejected", "underscore-name") == (outcome.status, outcome.diagnostics[0].rule)


def test_a_comprehension_does_not_bind_in_the_file(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """The variable of a comprehension is its own, so it shadows no builtin outside."""
    outcome = attack(
        hook_of("[0 for getattr in [1]]\ncb(None, hasattr(user, '__class__') or getattr(user, 'username'))")
    )

    assert ("ok", "user1") == (outcome.status, outcome.value())


@pytest.mark.parametrize("name", ["getattr", "setattr", "type", "print", "Error", "isinstance", "str"])
def test_shadowing_a_builtin_changes_only_the_hooks_own_name(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    name: str,
) -> None:
    """A hook may call its own variables as it likes; the next job has the builtin again."""
    source = hook_of("cb(None, 1)", f"{name} = None\n")
    first = attack(source)
    second = run_hook(hook_of(f"cb(None, callable({name}))"), tenant=tenant)

    assert ("ok", "ok", True) == (first.status, second.status, second.value())


def test_a_keyword_argument_does_not_set_private_state(reach: Callable[..., Outcome]) -> None:
    """Names of keyword arguments are not checked, so no function a hook can call has a private parameter."""
    assert reach("1", "cb(_settled=True)\n").status == "raised"


def test_a_global_of_one_job_is_gone_in_the_next(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """Every job has a namespace of its own."""
    attack(hook_of("global kept\nkept = 'PW' + 'NED'\ncb()"))
    outcome = run_hook(hook_of("cb(None, kept)"), tenant=tenant)

    assert ("raised", "NameError: name 'kept' is not defined") == (outcome.status, outcome.message)


def test_the_parameters_of_the_point_are_no_way_to_a_guard(attack: Callable[..., Outcome]) -> None:
    """Arguments come by the point's names; a field of the caller's JSON binds nothing."""
    arguments = {"user": {"_getattr_": 1}, "context": {"connection": {}}, "_write_": 1, "__builtins__": {}}
    outcome = attack("def hook(user, context, cb):\n    user.x = 1\n    cb(None, user.x)\n", arguments)

    assert outcome.status == "ok"
