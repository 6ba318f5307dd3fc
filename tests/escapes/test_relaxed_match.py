"""Patterns read attributes in C, past every guard: what may stand in one, and in `__match_args__`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

SUBJECTS = {"a function": "hook", "a generator": "(x for x in [1])", "a class": "Error", "a method": "console.log"}
NAMES = "__globals__ __class__ __dict__ gi_frame _send format format_map obj register mro tb_frame __self__".split()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_a_keyword_of_a_class_pattern_is_an_attribute(reach: Callable[..., Outcome], subject: str, name: str) -> None:
    """`case object(__globals__=found)` would read it."""
    outcome = reach("found", f"match {subject}:\n    case object({name}=found):\n        pass")

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


PATTERNS = {
    "nested": "[{'a': object(__dict__=found)}]",
    "one of several": "(str(__class__=found) | object(__class__=found))",
    "behind a name": "object(__class__=(found as again))",
    "a value": "hook.__globals__",
    "a value far in": "console._send.x",
    "a key": "{console._send: found}",
    "a class": "console.__class__()",
    "a private class": "console._send()",
    "letters that are normalised": "object(\uff3f\uff3fdict__=found)",
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS.keys())
def test_no_place_in_a_pattern_reads_past_the_guards(reach: Callable[..., Outcome], pattern: str) -> None:
    """Values, keys and classes are attribute reads too."""
    outcome = reach("1", f"match [hook]:\n    case {pattern}:\n        pass")

    assert "rejected" == outcome.status


MATCH_ARGS = {  # ways to set it, each with a name that leads inwards
    "a text": "__match_args__ = '__dict__'",
    "a tuple": "__match_args__ = ('__globals__',)",
    "its own instances' dict": "__match_args__ = ('__dict__',)",
    "a list": "__match_args__ = ['__class__']",
    "an iterator": "__match_args__ = iter(['__class__'])",
    "a subclass of tuple": "__match_args__ = T(('__class__',))",
    "a subclass of str in it": "__match_args__ = (S('__class__'),)",
    "with an annotation": "__match_args__: tuple = ('__class__',)",
    "in a chain": "other = __match_args__ = ('__class__',)",
    "the other way round": "__match_args__ = other = ('__class__',)",
    "by unpacking": "(__match_args__,) = (('__class__',),)",
    "in place": "__match_args__ = ()\n    __match_args__ += ('__class__',)",
    "in a loop": "for __match_args__ in [('__class__',)]:\n        pass",
    "with a walrus": "(__match_args__ := ('__class__',))",
    "by import": "import json as __match_args__",
    "as a function": "def __match_args__(self):\n        pass",
    "as a class": "class __match_args__:\n        pass",
    "by a pattern": "match ('__class__',):\n        case __match_args__:\n            pass",
    "by an error": "try:\n        1 / 0\n    except ZeroDivisionError as __match_args__:\n        pass",
    "by with": "with C() as __match_args__:\n        pass",
    "global": "global __match_args__\n    __match_args__ = ('__class__',)",
    "format": "__match_args__ = ('format',)",
    "obj": "__match_args__ = ('obj',)",
    "a frame": "__match_args__ = ('gi_frame',)",
}
_CLASSES = """
class T(tuple):
    def __iter__(self):
        yield "x" if Once.asked else "__class__"
        Once.asked = True
class Once:
    asked = False
class S(str):
    def __str__(self):
        return "x"
class C:
    def __enter__(self):
        return ("__class__",)
    def __exit__(self, *given):
        pass
"""


@pytest.mark.parametrize("line", MATCH_ARGS.values(), ids=MATCH_ARGS.keys())
@pytest.mark.parametrize("base", ["object", "str", "AttributeError"])
def test_the_names_of_a_positional_pattern_are_checked(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], line: str, base: str
) -> None:
    """`case A(found)` reads the attribute that `__match_args__` names, in C. 2026-11-23: `__dict__` was let through."""
    body = "match A():\n    case A(found):\n        cb(None, 'PW' + 'NED' + str(found))"
    outcome = attack(hook_of(body, f"{_CLASSES}class A({base}):\n    {line}\n"))

    assert outcome.status in {"raised", "rejected"}


LATE = {  # when the class is there already
    "assigned": "A.__match_args__ = ('__dict__',)",
    "by setattr": "setattr(A, '__match_args__', ('__dict__',))",
    "by type's own method": "type.__setattr__(A, '__match_args__', ('__dict__',))",
    "by object's": "object.__setattr__(A, '__match_args__', ('__dict__',))",
    "while it is made": "class B:\n    def __init_subclass__(cls):\n        cls.__match_args__ = ('__dict__',)\n"
    "class A(B):\n    pass",
    "by a member": "class M:\n    def __set_name__(self, owner, name):\n        owner.__match_args__ = ('__dict__',)\n"
    "class A:\n    m = M()",
    "by super()": "super(A, A).__setattr__('__match_args__', ('__dict__',))",
}


@pytest.mark.parametrize("line", LATE.values(), ids=LATE.keys())
def test_the_names_of_a_positional_pattern_are_not_changed_later(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], line: str
) -> None:
    """No write goes to a special name."""
    body = f"{line}\nmatch A():\n    case A(found):\n        cb(None, 'PW' + 'NED' + str(found))"
    outcome = attack(hook_of(body, "class A:\n    pass\n"))

    assert outcome.status in {"raised", "rejected"}


GENERATED = {  # classes whose __match_args__ somebody else writes: (before, subject, pattern)
    "the format of C, by a dataclass that is a text": (
        "@dataclass(init=False, repr=False, eq=False)\nclass A(str):\n    format: object\n",
        "A('{0.__init__.__globals__}')",
        "found(Error('x'))",
    ),
    "format_map, by a dataclass that is a text": (
        "@dataclass(init=False, repr=False, eq=False)\nclass A(str):\n    format_map: object\n",
        "A('{x.__init__.__globals__}')",
        "found({'x': Error('x')})",
    ),
    "the same, by a base that is a dataclass": (
        "@dataclass(init=False, repr=False, eq=False)\nclass M:\n    format: object\nclass A(M, str):\n    pass\n",
        "A('{0.__init__.__globals__}')",
        "found(Error('x'))",
    ),
    "the object of an error": (
        "@dataclass(init=False, repr=False, eq=False)\nclass A(AttributeError):\n    obj: object\n",
        "A('x', obj=hook)",
        "found",
    ),
}


@pytest.mark.parametrize(("before", "subject", "use"), GENERATED.values(), ids=GENERATED.keys())
def test_a_dataclass_names_no_attribute_for_patterns_that_is_watched(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str, subject: str, use: str
) -> None:
    """A dataclass writes the names of its fields into `__match_args__`. 2026-11-23."""
    body = f"match {subject}:\n    case A(found):\n        cb(None, 'PW' + 'NED' + str({use}))"
    outcome = attack(hook_of(body, f"from dataclasses import dataclass\n{before}"))

    assert outcome.status in {"raised", "rejected"}


def test_the_live_dict_of_an_object_is_not_had_by_a_pattern(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """With it and copy, any attribute of anything is written, and then anything is read. 2026-11-23."""
    before = """
        import copy, json, typing
        class A:
            __match_args__ = ("__dict__",)
            def __init__(self):
                self.a = 1
        class L(typing.Iterable):
            def __iter__(self):
                return iter(())
        def assign(target, names):
            a = A()
            match a:
                case A(live):
                    live["__reduce_ex__"] = lambda n: ((lambda: target), (), (None, names))
            copy.copy(a)
    """
    body = """
        assign(L, {"__match_args__": ("__globals__",), "__subclasshook__": lambda kind: True})
        match json.dumps:
            case L(found):
                cb(None, "PW" + "NED" + str(found["__builtins__"]["open"]))
    """
    outcome = attack(hook_of(body, before))

    assert outcome.status in {"raised", "rejected"}


def test_patterns_of_ordinary_python_stay(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """What the checks leave: own fields, positional and by name."""
    before = "class P:\n    __match_args__ = ('x', 'y')\n    def __init__(self):\n        self.x, self.y = 1, 2\n"
    body = "match P():\n    case P(x, y):\n        pass\nmatch P():\n    case P(x=1) as found:\n        cb(None, [x, y, found.y])"

    assert [1, 2, 2] == attack(hook_of(body, before)).value()


STRUCTURES = {  # (a Protocol's member, a field, a subject that has both)
    "the frame of a generator": ("def send(self):\n        pass", "gi_frame", "(x for x in [1])"),
    "the format of a text": ("def join(self):\n        pass", "format", "'{0.__globals__}'"),
    "the privates of a console": ("def log(self):\n        pass", "obj", "AttributeError('x', obj=hook)"),
}


@pytest.mark.parametrize(("member", "name", "subject"), STRUCTURES.values(), ids=STRUCTURES.keys())
@pytest.mark.parametrize("later", ["R._is_protocol = R._is_runtime_protocol = True", "pass"])
def test_a_class_by_structure_names_no_attribute_for_patterns(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], member: str, name: str, subject: str, later: str
) -> None:
    """A runtime Protocol takes anybody's objects, and a named tuple names any public attribute. 2026-11-23."""
    before = (
        "import typing\nfrom collections import namedtuple\n@typing.runtime_checkable\nclass P(typing.Protocol):\n"
        f"    {member}\nclass R(namedtuple('N', [{name!r}]), P):\n    pass\n"
    )
    body = f"{later}\nmatch {subject}:\n    case R(found):\n        cb(None, 'PW' + 'NED')"

    assert attack(hook_of(body, before)).status in {"no_callback", "raised", "rejected"}
