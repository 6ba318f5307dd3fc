"""The standard library rebuilds and fills what a hook's classes give it: nothing shared may be what they give."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

_SHARED = [
    "json",
    "hmac",
    "type(user)",
    "getattr",
    "require",
    "console",
    "Fraction",
    "Counter",
    "type(field())",
    "Error",
]
_BEFORE = """
import copy, hmac, json
from collections import Counter, UserDict, UserList
from dataclasses import asdict, dataclass, field
from fractions import Fraction
flag = []
"""
ROADS = {  # how an object is rebuilt: (its base, the call)
    "copy": ("object", "copy.copy(a)"),
    "deepcopy": ("object", "copy.deepcopy([a])"),
    "UserDict.__copy__": ("UserDict", "a.__copy__()"),
    "UserDict.copy": ("UserDict", "a.copy()"),
    "UserList.__copy__": ("UserList", "a.__copy__()"),
}


@pytest.mark.parametrize("target", _SHARED)
@pytest.mark.parametrize(("base", "call"), ROADS.values(), ids=ROADS.keys())
def test_what_is_rebuilt_is_the_hooks_own(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], base: str, call: str, target: str
) -> None:
    """`cls.__new__(cls)` of a class of the hook's could give a facade, which then is filled. 2026-11-23."""
    body = f"""
        class A({base}):
            def __new__(cls, *given):
                return target if flag else object.__new__(cls)
        target = {target}
        a = A()
        a.stash = "PW" + "NED"
        flag.append(1)
        try:
            {call}
        except TypeError as error:
            cb(Error(error.args[0].rpartition(", ")[2]))
        cb(None, "PW" + "NED")
    """
    outcome = attack(hook_of(body, _BEFORE))

    assert ("denied", "which is not the hook's own") == (outcome.status, outcome.message)


OTHERS = {
    "by an assignment": "class A:\n    __new__ = lambda cls: json\nA()",
    "by a tool": "class A:\n    __new__ = max\nA()",
    "by setattr": "class A:\n    pass\nsetattr(A, '__new__', lambda cls: json)\nA()",
    "beside a Fraction": "class B:\n    def __new__(cls):\n        return json.loads\nclass X(Fraction, B):\n    pass\nX(1, 2)",
    "an Enum's": "from enum import Enum\nclass E(Enum):\n    def __new__(cls, x):\n        return json.loads\n    a = 1",
    "an Enum without a mark": "from enum import Enum\nclass E(Enum):\n    _ignore_ = ['__made by this job__']\n    a = 1",
    "by a static method": "class A:\n    @staticmethod\n    def __new__(cls):\n        return json\nA()",
}


@pytest.mark.parametrize("lines", OTHERS.values(), ids=OTHERS.keys())
def test_no_class_of_the_hooks_makes_what_is_shared(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], lines: str
) -> None:
    """Whoever calls `__new__` may write to what comes of it."""
    outcome = attack(hook_of(f"{lines}\ncb(None, 'PW' + 'NED')", _BEFORE))

    assert outcome.status in {"raised", "rejected"}


TABLES = {  # what hands a table of the standard library to a text: (the call, what a later job asks, the answer)
    "textwrap": ("textwrap.wrap(S('q'))", "textwrap.fill('banana')", "banana"),
    "textwrap, of no text": ("textwrap.wrap(N())", "textwrap.fill('banana')", "banana"),
    "re.escape": ("re.escape(S('a'))", "re.escape('a.*')", r"a\.\*"),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_text_of_the_hooks_own_gets_no_live_table(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    table: tuple[str, str, str],
) -> None:
    """Its translate would change it for later jobs. 2026-11-23."""
    call, question, answer = table
    before = """
        import re, textwrap
        class N:
            def expandtabs(self, n):
                return self
            def translate(self, table):
                table.clear()
                table[97] = "EVIL"
                return "x"
        class S(str):
            expandtabs, translate = N.expandtabs, N.translate
    """
    attack(hook_of(f"try:\n    {call}\nexcept TypeError:\n    pass\ncb()", before))
    later = run_hook(hook_of(f"cb(None, {question})", "import re, textwrap\n"), tenant=tenant)

    assert ("ok", answer) == (later.status, later.value())


def test_an_alias_does_not_write_itself_into_what_it_makes(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """`Annotated[f, x](…)` left x in whatever f gave. 2026-11-23."""
    before = "import json\nfrom operator import itemgetter\nfrom typing import Annotated\n"
    attack(hook_of("Annotated[itemgetter(0), 'x']([json.dumps])\ncb()", before))
    outcome = run_hook(hook_of("cb(None, [name for name in dir(json.dumps)])", "import json\n"), tenant=tenant)

    assert ("ok", []) == (outcome.status, outcome.value())
