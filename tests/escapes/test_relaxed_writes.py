"""Writes: every form of assignment, in place or not, goes to what is the hook's own when it is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

SHARED = (
    "Error console require json json.dumps re.A NAMESPACE_DNS UTC type(user) print type int InvalidScopeError getattr "
    "typing.Mapping Template Decimal cb ZoneInfo('UTC')"
).split()
FORMS = {
    "plain": "{0}.stash = 1",
    "in place": "{0}.stash += 1",
    "in place, of what is there": "{0}.dumps |= 1",
    "by unpacking": "a, {0}.stash = 1, 2",
    "by unpacking a list": "[a, *{0}.stash] = 1, 2",
    "in a chain": "a = {0}.stash = 1",
    "in a loop": "for {0}.stash in [1]:\n    pass",
    "in a comprehension": "[1 for {0}.stash in [1]]",
    "in a generator": "list(1 for {0}.stash in [1])",
    "by with": "with nullcontext(1) as {0}.stash:\n    pass",
    "annotated": "{0}.stash: int = 1",
    "deleted": "del {0}.stash",
    "deleted with others": "a = 1\ndel a, {0}.stash",
    "in a conditional": "(user if not user else {0}).stash = 1",
    "of a walrus": "(a := {0}).stash = 1",
    "of an item": "[{0}][0].stash = 1",
    "of a call": "(lambda: {0})().stash = 1",
    "under a name": "a = {0}\na.stash = 1",
    "under a name, in place": "a = {0}\na.stash += 1",
    "under a name of a function around": "a = {0}\ndef f():\n    nonlocal a\n    a.stash = 1\nf()",
    "by setattr": "setattr({0}, 'stash', 1)",
    "by delattr": "delattr({0}, 'stash')",
    "by object": "object.__setattr__({0}, 'stash', 1)",
    "by type": "type.__setattr__({0}, 'stash', 1)",
    "by a map": "list(map(setattr, [{0}], ['stash'], [1]))",
    "by a partial": "partial(setattr, {0})('stash', 1)",
    "by a class's own": "class A:\n    pass\nA.__setattr__({0}, 'stash', 1)",
}
_BEFORE = (
    "import json, re, typing\nfrom contextlib import nullcontext\nfrom datetime import UTC\nfrom decimal import Decimal\n"
    "from functools import partial\nfrom string import Template\nfrom uuid import NAMESPACE_DNS\nfrom zoneinfo import ZoneInfo\n"
)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_no_form_of_assignment_writes_to_what_is_shared(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], form: str
) -> None:
    """The check stands at the target, whatever statement it is a target of."""
    for target in SHARED:
        outcome = attack(hook_of(f"{form.format(target)}\ncb(None, 'PW' + 'NED')", _BEFORE))
        assert (target, True) == (target, outcome.status in {"raised", "rejected"})


OPERATORS = "+ - * @ / // % ** << >> & ^ |".split()


@pytest.mark.parametrize("target", ["json", "re.A", "NAMESPACE_DNS", "Error", "console", "json.dumps", "UTC"])
def test_an_operator_in_place_changes_no_facade(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], target: str
) -> None:
    """`json |= …` binds a name of the hook's own, if anything; `re.A |= …` would write to the facade."""
    for operator in OPERATORS:
        attempt = (
            f"try:\n    {target} {operator}= {{'dumps': 'PW' + 'NED'}}\nexcept (TypeError, AttributeError):\n    pass"
        )
        outcome = attack(hook_of(f"global json, NAMESPACE_DNS, Error, console, UTC\n{attempt}\ncb()", _BEFORE))
        assert (operator, True) == (operator, outcome.status in {"ok", "raised", "rejected", "no_callback"})


WATCHED = ["format", "format_map", "register", "obj"]


@pytest.mark.parametrize("name", WATCHED)
@pytest.mark.parametrize("owner", ["a", "A", "A()", "error"])
def test_an_operator_in_place_does_not_read_a_watched_name(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], owner: str, name: str
) -> None:
    """`a.format += x` reads a.format in C and hands it to x's `__radd__`."""
    before = (
        "class Catch:\n    def __radd__(self, other):\n        cb_of[0](None, 'PW' + 'NED')\n        return other\ncb_of = []\n"
        "class A(str):\n    pass\n"
    )
    body = f"a, error = A('x'), AttributeError('x', obj=hook)\ncb_of.append(cb)\n{owner}.{name} += Catch()"

    assert "rejected" == attack(hook_of(body, before)).status


_TRAP = """
class A:
    _send = 0
class Heir(Error):
    pass
mine = A()
a = mine
kept = []
k = kept.append
def changing(target):
    global a
    try:
        yield
    finally:
        a = target
def trap(target):
    waiting = changing(target)
    next(waiting)
    circle = [waiting]
    circle.append(circle)
"""
RACES = {  # a statement, repeated, that makes an object which the collector may answer to; and what was reached
    "a write": ("a.stash{0} = [0]", "Error", "[name for name in dir(Error) if 'stash' in name]"),
    "a private read": ("k(([0], a._send))", "console", "any(found for made, found in kept)"),
    "a private write": ("a._s{0} = [0]", "Error", "[name for name in dir(Heir) if '_s' in name[:2]]"),
}


@pytest.mark.parametrize(("statement", "target", "won"), RACES.values(), ids=RACES.keys())
def test_what_is_checked_is_what_is_written_to(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], statement: str, target: str, won: str
) -> None:
    """From CPython 3.12 the collector runs between two reads of a name, and a generator's end binds it anew. 2026-11-23."""
    functions = []
    for number in range(10):
        lines = "\n".join(statement.format(f"{number}x{line}") for line in range(280)).replace("\n", "\n    ")
        functions.append(f"def attempt{number}(target):\n    global a\n    a = mine\n    trap(target)\n    {lines}\n")
    names = ", ".join(f"attempt{number}" for number in range(10))
    body = (
        f"for attempt in [{names}]:\n    try:\n        attempt({target})\n    except (TypeError, AttributeError):\n        pass\n"
        f"    if {won}:\n        cb(None, 'PW' + 'NED')"
    )
    outcome = attack(hook_of(body, f"{_TRAP}{''.join(functions)}"))

    assert outcome.status in {"no_callback", "raised"}
