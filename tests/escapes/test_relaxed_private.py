"""Private names: a hook may use its own. What its classes inherit from ours, and from Python's, is not its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

_ENUM = "from enum import Enum, Flag, IntEnum\nclass E(Enum):\n    pass\n"
_ADDRESS = "import ipaddress\nclass I(ipaddress.IPv4Address):\n    pass\n"
REACHED = {  # what is reached: (before the hook, an expression that is true when it is)
    "a live module, by an Enum's _convert_": (
        _ENUM,
        "E._convert_('X', 'os', lambda name: name == 'sys').sys.value.modules['builtins'].open",
    ),
    "a live module, by name": (_ENUM, "getattr(E, '_convert_')('X', 'os', lambda name: name == 'sys').sys.value"),
    "a live module, by a Flag": (
        "from enum import Flag\nclass F(Flag):\n    pass\n",
        "F._convert_('X', 're', lambda name: name == 'enum').enum.value",
    ),
    "a class with a method of copying": (
        _ENUM,
        "require('copy').copy(E._create_('X', [('__reduce_ex__', lambda self, n: (lambda: 1, ())), ('a', 1)]).a) == 1",
    ),
    "a class with __del__": (_ENUM, "E._create_('X', [('__del__', lambda self: 1), ('a', 1)])"),
    "a class that says it is of another module": (_ENUM, "E._create_('X', ['a'], module='os')"),
    "object.__new__, unguarded": (_ENUM, "E._new_member_(require('datetime').timedelta)"),
    "the shared list of private networks": (_ADDRESS, "I('1.1.1.1')._constants._private_networks"),
    "the same, by a class of the hook's own": (
        f"{_ADDRESS}class C(I('1.1.1.1')._constants):\n    pass\n",
        "C._private_networks",
    ),
    "the same, by the class": (f"{_ADDRESS}class C(I._constants):\n    pass\n", "C._private_networks"),
    "the shared cache of netmasks": (
        "import ipaddress\nclass N(ipaddress.IPv4Network):\n    pass\n",
        "N._netmask_cache is not None",
    ),
    "the same, by super()": (
        "import ipaddress\nclass N(ipaddress.IPv4Network):\n    pass\n",
        "super(N, N)._netmask_cache is not None",
    ),
    "the members of the shared Enum": (_ENUM, "super(E, E)._member_map_ is not None"),
    "the names of the shared Enum": (_ENUM, "super(E, E)._member_names_ is not None"),
    "the values of the shared Enum": (_ENUM, "super(E, E)._value2member_map_ is not None"),
    "the defaults of a shared named tuple": (
        "from urllib.parse import urlsplit\n",
        "urlsplit('x')._field_defaults is urlsplit('y')._field_defaults",
    ),
    "the sender of the console": ("", "console._send"),
    "the sender of the console, by name": ("", "getattr(console, '_send')"),
    "the importer's job": ("", "require._job"),
    "the title of a facade": ("import json\n", "json._title"),
    "the members of a shared flag": ("import re\n", "type(re.A)._value2member_map_"),
    "the value of a shared flag": ("import re\n", "re.A._value_"),
}


@pytest.mark.parametrize(("before", "expression"), REACHED.values(), ids=REACHED.keys())
def test_a_private_name_reaches_nothing_that_is_not_the_hooks_own(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str, expression: str
) -> None:
    """A class of the hook's inherits privates of the class it derives from, and of the class of that. 2026-11-23."""
    outcome = attack(hook_of(f"if {expression}:\n    cb(None, 'PW' + 'NED')", before))

    assert outcome.status in {"raised", "rejected", "no_callback"}


LATER = {  # what a job does with privates that it inherits: (before, job, what a later job asks, the answer)
    "an Enum that has a stranger": (
        _ENUM,
        "super(E, E)._member_map_['stash'] = 'PW' + 'NED'\ncb()",
        "from enum import Enum\ncb(None, [str(each) for each in Enum.__members__.values()])",
        [],
    ),
    "an Enum that nobody can extend": (
        _ENUM,
        "super(E, E)._member_names_.append('x')\ncb()",
        "from enum import Enum\nclass E(Enum):\n    a = 1\ncb(None, E.a.value)",
        1,
    ),
    "no address is private": (
        f"{_ADDRESS}class C(I('1.1.1.1')._constants):\n    pass\n",
        "C._private_networks.clear()\ncb()",
        "import ipaddress\ncb(None, ipaddress.ip_address('10.9.8.7').is_private)",
        True,
    ),
    "a named tuple's defaults": (
        "from urllib.parse import urlsplit\n",
        "urlsplit('x')._field_defaults['stash'] = 'PW' + 'NED'\ncb()",
        "from urllib.parse import urlsplit\ncb(None, dict(urlsplit('x')._field_defaults))",
        {},
    ),
    "a named tuple's defaults, of statistics": (
        "from statistics import linear_regression\n",
        "linear_regression([1, 2], [1, 2])._field_defaults['stash'] = 'PW' + 'NED'\ncb()",
        "from statistics import linear_regression\ncb(None, dict(linear_regression([1, 2], [1, 2])._field_defaults))",
        {},
    ),
}


@pytest.fixture
def after(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> Callable[..., Outcome]:
    """`after(attack's body, later body, before="")` → Outcome of the later job of the same tenant."""

    def run(body: str, later: str, before: str = "") -> Outcome:
        assert attack(hook_of(body, before)).status in {"ok", "raised", "rejected", "no_callback", "timeout"}
        return run_hook(hook_of(later), tenant=tenant)

    return run


@pytest.mark.parametrize(("before", "body", "question", "answer"), LATER.values(), ids=LATER.keys())
def test_privates_that_are_inherited_carry_nothing_to_a_later_job(
    after: Callable[..., Outcome], before: str, body: str, question: str, answer: object
) -> None:
    """They are the same objects for all jobs of the worker. 2026-11-23."""
    later = after(body, question, before)

    assert ("ok", answer) == (later.status, later.value())


MANGLED = {  # how a class is called, and what Python makes of `self.__x` in it
    "an ordinary class": ("A", "_A__x"),
    "underscores in front": ("__A", "_A__x"),
    "underscores alone": ("___", "__x"),
    "underscores behind": ("A__", "_A____x"),
    "letters that are normalised": ("\uff21", "_A__x"),
}


@pytest.mark.parametrize(("name", "mangled"), MANGLED.values(), ids=MANGLED.keys())
def test_a_mangled_name_is_private_whatever_the_class_is_called(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], name: str, mangled: str
) -> None:
    """The guards see the name that Python stores: own objects answer, others do not."""
    own = hook_of("it = A()\ncb(None, [it.own(), dict(vars(it))])", _mangling(name) + f"\nA = {name}")
    foreign = hook_of("A().foreign(console)\ncb(None, 'PW' + 'NED')", _mangling(name) + f"\nA = {name}")

    assert [1, {mangled: 1}] == attack(own).value()
    assert "raised" == attack(foreign).status


def _mangling(name: str) -> str:
    return (
        f"class {name}:\n    def __init__(self):\n        self.__x = 1\n    def own(self):\n        return self.__x\n"
        "    def foreign(self, it):\n        it.__x = self.__x\n"
    )


@pytest.mark.parametrize("name", ["__x", "_A__x", "_x"])
@pytest.mark.parametrize("target", ["Error", "console", "require", "json", "json.dumps", "NAMESPACE_DNS", "hook2"])
def test_a_private_write_goes_to_what_is_the_hooks_own(reach: Callable[..., Outcome], name: str, target: str) -> None:
    """What is shared has no privates of a hook's."""
    before = "import json\nfrom uuid import NAMESPACE_DNS\nhook2 = 1\n"
    outcome = reach("1", f"{target}.{name} = 1", before=before)

    assert "raised" == outcome.status
