"""`copy` calls what an object says it is made of, and dataclasses write source text: both in the interpreter's name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

_PLANTED = "lambda *given: ((lambda: Template), (), (None, {'stash': 'PW' + 'NED'}))"
PLANTED = {  # ways to have copy call a function that says how a copy is made
    "in a class": f"class A:\n    __reduce_ex__ = {_PLANTED}\ncopy.copy(A())",
    "in a class, the short one": f"class A:\n    __reduce__ = {_PLANTED}\ncopy.copy(A())",
    "deeply": f"class A:\n    __deepcopy__ = {_PLANTED}\ncopy.deepcopy(A())",
    "set on a class": f"class A:\n    pass\nA.__reduce_ex__ = {_PLANTED}\ncopy.copy(A())",
    "set on an object": f"class A:\n    pass\na = A()\na.__reduce_ex__ = {_PLANTED}\ncopy.copy(a)",
    "by setattr": f"class A:\n    pass\na = A()\nsetattr(a, '__reduce_ex__', {_PLANTED})\ncopy.copy(a)",
    "by object.__setattr__": (
        f"class A:\n    pass\na = A()\nobject.__setattr__(a, '__reduce_ex__', {_PLANTED})\ncopy.copy(a)"
    ),
    "by super()": (
        "class A:\n    def put(self, value):\n        super().__setattr__('__reduce_ex__', value)\n"
        f"a = A()\na.put({_PLANTED})\ncopy.copy(a)"
    ),
    "by super(A, A)": (
        f"class A:\n    pass\na = A()\nsuper(A, A).__setattr__(a, '__reduce_ex__', {_PLANTED})\ncopy.copy(a)"
    ),
    "by vars": f"class A:\n    pass\na = A()\nvars(a)['__reduce_ex__'] = {_PLANTED}\ncopy.copy(a)\nraise ValueError",
    "by __dict__": f"class A:\n    pass\na = A()\na.__dict__['__reduce_ex__'] = {_PLANTED}\ncopy.copy(a)",
    "by update of __dict__": f"class A:\n    pass\na = A()\na.__dict__.update(__reduce_ex__={_PLANTED})\ncopy.copy(a)",
    "a namespace": f"copy.copy(types.SimpleNamespace(**{{'__reduce_ex__': {_PLANTED}}}))",
    "a namespace's class": f"copy.copy(type(types.SimpleNamespace())(**{{'__reduce_ex__': {_PLANTED}}}))",
    "a namespace of a mapping": f"copy.copy(types.SimpleNamespace({{'__reduce_ex__': {_PLANTED}}}))",
    "a namespace's subclass": (
        "class N(types.SimpleNamespace):\n    def __init__(self, **named):\n        super().__init__(**named)\n"
        f"copy.copy(N(**{{'__reduce_ex__': {_PLANTED}}}))"
    ),
    "what stands behind our namespace": (
        "class N(types.SimpleNamespace):\n    pass\n"
        f"n = N()\nsuper(types.SimpleNamespace, n).__init__(**{{'__reduce_ex__': {_PLANTED}}})\ncopy.copy(n)"
    ),
    "an error": f"e = ValueError()\ne.__reduce_ex__ = {_PLANTED}\ncopy.copy(e)",
    "an error's state": f"e = ValueError()\ne.__setstate__({{'__reduce_ex__': {_PLANTED}}})\ncopy.copy(e)",
    "a partial's state": (
        f"p = functools.partial(print)\np.__setstate__((print, (), {{}}, {{'__reduce_ex__': {_PLANTED}}}))\ncopy.copy(p)"
    ),
    "a function": f"hook.__reduce_ex__ = {_PLANTED}\ncopy.copy(hook)",
    "an Enum's member": f"E = enum.Enum('E', [('__reduce_ex__', {_PLANTED}), ('a', 1)])\ncopy.copy(E.a)",
    "a cached property's name": (
        "class A:\n    pass\n"
        f"c = functools.cached_property({_PLANTED})\nc.__set_name__(A, '__reduce_ex__')\nA.c = c\na = A()\na.c\ncopy.copy(a)"
    ),
    "__setstate__ that is not there": (
        "class A:\n    def __init__(self):\n        self.x = 1\n    def __getattr__(self, name):\n"
        "        if name == '__setstate__':\n            return states.append\n        raise AttributeError(name)\n"
        f"states = []\na = A()\ncopy.copy(a)\nstates[0]['__reduce_ex__'] = {_PLANTED}\ncopy.copy(a)"
    ),
    "__setstate__ that is not there, deeply": (
        "class A:\n    def __init__(self):\n        self.x = 1\n    def __getattr__(self, name):\n"
        "        if name == '__setstate__':\n            return states.append\n        raise AttributeError(name)\n"
        f"states = []\na = A()\na.a = copy.copy(a)\nstates[0]['__reduce_ex__'] = {_PLANTED}\ncopy.deepcopy([a])"
    ),
    "a live dict by a pattern": (
        "class A:\n    __match_args__ = ('__dict__',)\na = A()\nmatch a:\n    case A(live):\n"
        f"        live['__reduce_ex__'] = {_PLANTED}\ncopy.copy(a)"
    ),
    "slots": f"class A:\n    __slots__ = ('__reduce_ex__',)\na = A()\na.__reduce_ex__ = {_PLANTED}\ncopy.copy(a)",
    "asdict": (
        "class A:\n    def __getattr__(self, name):\n        if name == '__deepcopy__':\n"
        f"            return {_PLANTED}\n        raise AttributeError(name)\n"
        "class D:\n    x: object\nD = dataclasses.dataclass(D)\ndataclasses.asdict(D(A()))\nraise ValueError"
    ),
}


@pytest.mark.parametrize("attempt", PLANTED.values(), ids=PLANTED.keys())
def test_a_hook_does_not_say_how_copies_are_made(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    attempt: str,
) -> None:
    """`copy` sets whatever attributes it is told to, of whatever it is handed: here of a shared class. 2026-11-23."""
    before = "import copy, dataclasses, enum, functools, types\nfrom string import Template\n"
    body = f"{attempt}\ncb(None, 'PW' + 'NED' if hasattr(Template, 'stash') else 'nothing')"
    outcome = attack(hook_of(body, before))
    later = run_hook(hook_of("cb(None, hasattr(require('string').Template, 'stash'))"), tenant=tenant)

    assert outcome.status in {"ok", "raised", "rejected"}
    assert ("ok", False) == (later.status, later.value())


_MEMO = """
    import copy, dataclasses
    memos = []
    class A:
        def __getattr__(self, name):
            if name == "__deepcopy__":
                return lambda memo: memos.append(memo)
            raise AttributeError(name)
    del console, require
"""
GUARDS = ["getattr", "setattr", "hasattr", "super", "vars", "dir", "hash", "id", "print", "type", "cb"]


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("call", ["copy.deepcopy([A(), {0}])", "copy.deepcopy([A(), [{0}]])"])
def test_what_deepcopy_remembers_leads_nowhere(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], guard: str, call: str
) -> None:
    """It copies a method's object too: a guard's is the job's, with the namespace and the real type. 2026-11-23."""
    body = f"""
        try:
            {call.format(guard)}
        except Exception:
            pass
        for memo in memos:
            for made in memo.values():
                if isinstance(made, dict) and ("real type" in made or "namespace" in made or "open" in made):
                    cb(None, "PW" + "NED")
    """
    assert attack(hook_of(body, _MEMO)).status in {"no_callback", "raised", "rejected"}


@pytest.mark.parametrize("guard", GUARDS)
def test_what_deepcopy_keeps_alive_is_not_the_jobs_own(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], guard: str
) -> None:
    """Under its own address it keeps what it has copied: the live set of the hook's classes, and their mark. 2026-11-23."""
    body = f"""
        try:
            copy.deepcopy([A(), {guard}])
        except Exception:
            pass
        memo = memos[0]
        kept = memo[int(object.__repr__(memo).split("0x")[1].rstrip(">"), 16)]
        for live in kept:
            if isinstance(live, set):
                live.add(Error)
        Error.stash = 1
        cb(None, "PW" + "NED")
    """
    assert "raised" == attack(hook_of(body, _MEMO)).status


@pytest.mark.parametrize("guard", GUARDS)
def test_a_copy_of_a_guard_is_no_other_guard(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], guard: str
) -> None:
    """Or it would guard for another job, which nobody runs."""
    body = (
        f"cb(None, 'PW' + 'NED' if copy.copy({guard}) is not {guard} and copy.deepcopy({guard}) != {guard} else 'same')"
    )

    assert attack(hook_of(body, "import copy\n")).status in {"ok", "raised"}


_INJECTED = "x=[print('PW' + 'NED') for i in [1]]"
SOURCES = {  # ways to have a dataclass compile a name that is none, or leave a name free
    "a field that is an init only sometimes": (
        "class Flaky:\n    left = 2\n    def __bool__(self):\n        Flaky.left -= 1\n        return Flaky.left < 0\n"
        "@dataclass\nclass A:\n    exec: object = field(init=Flaky())\n"
    ),
    "an InitVar that is no argument": (
        "from dataclasses import InitVar\n@dataclass\nclass A:\n    exec: InitVar[object] = field(init=False, default=1)\n"
        "    def __post_init__(self, exec):\n        self.exec = exec\n"
    ),
    "an InitVar that is no argument, as a text": (
        "from dataclasses import InitVar\n@dataclass\nclass A:\n    open: 'InitVar[int]' = field(init=False, default=1)\n"
        "    x: InitVar[int] = 1\n    def __post_init__(self, *given):\n        self.exec = given[0]\n"
    ),
    "an InitVar that is a module": (
        "from dataclasses import InitVar\n@dataclass\nclass A:\n    BUILTINS: InitVar[object] = field(init=False, default=1)\n"
        "    def __post_init__(self, module):\n        self.exec = module.open\n"
    ),
    "an InitVar of a base": (
        "from dataclasses import InitVar\n@dataclass\nclass B:\n    exec: InitVar[object] = field(init=False, default=1)\n"
        "@dataclass\nclass A(B):\n    x: int = 1\n    def __post_init__(self, exec):\n        self.exec = exec\n"
    ),
    "the same, with a factory": (
        "class Flaky:\n    left = 2\n    def __bool__(self):\n        Flaky.left -= 1\n        return Flaky.left < 0\n"
        "@dataclass\nclass A:\n    exec: object = field(default_factory=list, init=Flaky())\n"
    ),
    "the same, in keyword fields": (
        "class Flaky:\n    left = 0\n    def __bool__(self):\n        Flaky.left += 1\n        return Flaky.left in (1, 4, 5)\n"
        "@dataclass\nclass A:\n    exec: object = field(init=Flaky(), kw_only=Flaky())\n"
    ),
    "a field of another class": (
        "F = type(field())\nclass G(F):\n    name = property(lambda self: names.pop(), lambda self, to: None)\n"
        f"for place in range(30):\n    names = ['x'] * 50\n    names[-1 - place] = {_INJECTED!r}\n    try:\n"
        "        @dataclass(repr=False, eq=False)\n        class A:\n"
        "            x: int = G(1, field().default_factory, True, False, None, False, None, False)\n"
        "    except SyntaxError:\n        pass\n"
    ),
    "a field that is renamed": (
        f"f = field(default=1)\nf.name = {_INJECTED!r}\n@dataclass(repr=False, eq=False)\nclass A:\n    x: int = f\n"
    ),
    "a field that is named by its owner": (
        "f = field(default=1)\nf.__set_name__(None, 'exec')\n@dataclass\nclass A:\n    x: int = f\n"
    ),
    "a field of fields()": (
        "from dataclasses import fields\n@dataclass\nclass A:\n    x: int = 1\n"
        f"fields(A)[0].name = {_INJECTED!r}\n@dataclass\nclass B(A):\n    pass\n"
    ),
    "a default that is a name": (
        "@dataclass\nclass A:\n    exec: object = field(init=False, default_factory=lambda: 1)\n    del exec\n"
    ),
    "fields that answer": (
        "class M:\n    def __getattr__(self, name):\n        raise AttributeError(name)\n"
        "dataclass(M())\n@dataclass\nclass A:\n    exec: int = 1\n"
    ),
    "an annotation that is a text": (
        "@dataclass\nclass A:\n    x: \"__import__('os')\" = 1\n    exec: \"print('PW' + 'NED')\" = 1\n"
    ),
    "an annotation that says it is a ClassVar": (
        "@dataclass\nclass A:\n    exec: 'typing.ClassVar' = 1\n    x: 'os.InitVar' = 2\n"
    ),
}


@pytest.mark.parametrize("before", SOURCES.values(), ids=SOURCES.keys())
def test_a_dataclass_compiles_nothing_of_a_hooks(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str
) -> None:
    """It runs, with the real builtins, a text made of names that it takes from Field objects. 2026-11-23."""
    body = "found = getattr(A(), 'exec', 1)\ncb(None, 'PW' + 'NED' if callable(found) else 'nothing')"
    outcome = attack(hook_of(body, f"from dataclasses import dataclass, field\n{before}"))

    assert outcome.status in {"ok", "raised", "rejected"}


OPTIONS = "init repr eq order unsafe_hash frozen match_args kw_only slots".split()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("target", ["Error", "type(user)", "Template", "UUID", "type(date(2026, 1, 1))", "E"])
def test_no_option_of_a_dataclass_changes_what_is_shared(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], option: str, target: str
) -> None:
    """The decorator writes to the class it is given, so it takes the hook's own alone."""
    before = (
        "from dataclasses import dataclass\nfrom datetime import date\nfrom enum import Enum\n"
        "from string import Template\nfrom uuid import UUID\nclass E(Enum):\n    a = 1\n"
    )
    outcome = attack(hook_of(f"dataclass({option}=True)({target})\ncb(None, 'PW' + 'NED')", before))

    assert "raised" == outcome.status
