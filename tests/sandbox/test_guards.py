"""What restricted code meets at run time: attributes, writes, classes, builtins."""

from __future__ import annotations

import builtins
import collections
import copy
import decimal
import enum
import http
import ipaddress
import math
import re
import uuid
from typing import Any

import pytest

from sandbox import compiler, guards, telling
from sandbox import vocabulary as words
from sandbox.document import Document
from sandbox.modules.facade import Facade
from sandbox.modules.kinds import SimpleNamespace

REFUSED = [*sorted(words.REFUSED_ATTRIBUTES), "__globals__", "__mro__", "__traceback__", "__self__", "__code__"]


class Name(str):
    """A name that answers for itself."""

    __slots__ = ()

    def startswith(self, *_: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __eq__(self, _: object) -> bool:
        return False


@pytest.fixture
def own() -> guards.Guards:
    """The guards of a job, installed in its namespace."""
    made = guards.Guards({"__name__": "hook"})
    guards.install(made, lambda *_: None, lambda *_: None)
    return made


def run(source: str, own: guards.Guards, **names: object) -> dict:
    """Run a source as a hook's, past the policy, among those builtins."""
    checked = compiler.check(source, ())
    assert checked.code is not None, checked.diagnostics
    own.namespace.update(names)
    exec(__import__("marshal").loads(checked.code), own.namespace)
    return own.namespace


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_leads_to_the_interpreter_is_refused_by_every_road(own: Any, name: str) -> None:
    for road in (own.read, own.read_or, lambda _, name: own.read_or(1, name, None)):
        with pytest.raises(AttributeError, match=f"a hook may not use the attribute '{name}'"):
            road(1, name)
    with pytest.raises(AttributeError):
        own.set_attribute(Document(), name, 1)
    assert not own.has_attribute(1, name)


@pytest.mark.parametrize("name", [Name("__class__"), Name("name"), 1, None, b"name"])
def test_a_name_must_be_a_plain_text(own: Any, name: Any) -> None:
    for road in (own.read, own.has_attribute, own.delete_attribute):
        with pytest.raises(TypeError, match="plain str"):
            road({}, name)


def test_getattr_has_a_default_for_what_is_missing(own: Any) -> None:
    assert own.read_or(1, "missing", 7) == 7
    assert own.read_or(1, "_missing", 7) == 7
    assert own.read_or(1, "real") == 1
    with pytest.raises(AttributeError):
        own.read_or(1, "missing")
    with pytest.raises(TypeError):
        own.read_or(1, "a", 2, 3)


@pytest.mark.parametrize("target", [int, str, Exception, Document, Facade, collections.Counter, guards.Guards])
def test_a_class_that_is_shared_may_not_be_written(own: Any, target: Any) -> None:
    for road in (own.writable, own.writable_private):
        with pytest.raises(TypeError, match="a hook may not change"):
            road(target)


@pytest.mark.parametrize("target", [len, math.sin, math, "".join, [].append, ExceptionGroup("a", [ValueError()])])
def test_what_is_not_the_hook_s_may_not_be_written(own: Any, target: Any) -> None:
    with pytest.raises(TypeError, match="a hook may not change"):
        own.writable(target)


def test_what_a_hook_makes_it_may_write(own: Any) -> None:
    run("class A:\n    pass\ndef f():\n    pass\na = A()\n", own)
    for target in (Document(), own.namespace["A"], own.namespace["a"], own.namespace["f"], SimpleNamespace()):
        assert own.writable(target) is target
        assert own.writable_private(target) is target
    assert isinstance(own.writable(ValueError()), ValueError)
    assert isinstance(own.writable(decimal.Context()), decimal.Context)


def test_setattr_and_delattr_pass_the_same_guards(own: Any) -> None:
    run("class A:\n    pass\nsetattr(A, 'x', 1)\ndelattr(A, 'x')\nsetattr(A, 'x', 2)\nsetattr(A, '_y', 3)\n", own)
    assert (own.namespace["A"].x, own.namespace["A"]._y) == (2, 3)
    for code in ("setattr(A, '__init__', 1)", "delattr(A, '__doc__')"):
        with pytest.raises(AttributeError):
            run(code, own)
    for code in ("setattr(int, 'x', 1)", "delattr(shared, 'items')", "setattr(shared, '_x', 1)"):
        with pytest.raises(TypeError):
            run(code, own, shared=Document)


@pytest.mark.parametrize("mark", [words.MARK, words.TOKEN, words.OWN])
def test_the_mark_of_a_job_can_neither_be_read_nor_set(own: Any, mark: str) -> None:
    run("class A:\n    pass\n", own)
    if words.kind_of(mark) == "refused":
        with pytest.raises(AttributeError):
            own.read(own.namespace["A"], mark)
        with pytest.raises(AttributeError):
            own.set_attribute(own.namespace["A"], mark, 1)
    assert mark not in telling.dir_of(own, own.namespace["A"])
    with pytest.raises(TypeError):
        telling.vars_of(own, own.namespace["A"])


def test_one_job_s_class_is_not_another_s(own: Any) -> None:
    run("class A:\n    pass\na = A()\n", own)
    other = guards.Guards({})
    for thing in ("A", "a"):
        with pytest.raises(TypeError):
            other.writable(own.namespace[thing])
        with pytest.raises(AttributeError):
            other.read(own.namespace[thing], "_x")


def test_each_job_has_builtins_of_its_own_and_every_one_of_them(own: Any) -> None:
    other = guards.Guards({})
    guards.install(other, lambda *_: None, lambda *_: None)
    mine, others = own.namespace["__builtins__"], other.namespace["__builtins__"]
    mine["planted"] = 1

    assert "planted" not in others
    assert ["None"] == [name for name, value in others.items() if value is None]
    assert all(
        mine[name] != others[name] for name in (*words.GUARDED, "__build_class__", "__import__") if name != "type"
    )


def test_a_class_is_the_hook_s_own_while_it_is_being_made(own: Any) -> None:
    source = "class A:\n    def __init_subclass__(cls):\n        cls.seen = True\nclass B(A):\n    pass\n"

    assert run(source, own)["B"].seen is True


def test_private_names_belong_to_what_the_hook_made(own: Any) -> None:
    run(
        "class A:\n    _y = 2\n    def __init__(self):\n        self._x = 1\na = A()\ndef f():\n    pass\nf._z = 3\n",
        own,
    )
    named = collections.namedtuple("Pair", "a b")(1, 2)  # noqa: PYI024 - what a hook may make
    read = own.read

    assert [1, 2, 2] == [read(own.namespace["a"], "_x"), read(own.namespace["a"], "_y"), read(own.namespace["A"], "_y")]
    assert (3, {"a": 1, "b": 2}) == (read(own.namespace["f"], "_z"), read(named, "_asdict")())
    for foreign, name in ((Facade("json", {}), "_title"), (decimal.Decimal(1), "_x"), (named, "_x"), (Document(_x=1), "_x")):  # fmt: skip
        with pytest.raises(AttributeError, match="is private to the"):
            read(foreign, name)


def test_special_names_tell_what_they_are_for(own: Any) -> None:
    run("class A:\n    'text'\n    def f(self): pass\n", own)
    read, a = own.read, own.namespace["A"]()

    assert ("A", "text", "A.f") == (read(type(a), "__name__"), read(a, "__doc__"), read(a.f, "__qualname__"))
    assert (type(a), int) == (read(a, "__class__"), read(1, "__class__"))
    assert read(ValueError(), "__cause__") is None
    for owner, name in ((Document(), "__cause__"), (1, "__dict__"), (a, "__members__"), (1, "__setitem__")):
        with pytest.raises((AttributeError, TypeError)):
            read(owner, name)


def test_a_special_text_that_somebody_replaced_is_none(own: Any) -> None:
    run("class A:\n    __slots__ = ()\n    def __len__(self): pass\na = A()\nA.__len__.__name__", own)
    run("def f(): pass\nclass B:\n    @property\n    def __repr__(self): return print\nb = B()", own)
    with pytest.raises(AttributeError):
        own.read(own.namespace["b"], "__members__")


def test_getattr_is_not_asked_for_names_of_python_s_own(own: Any) -> None:
    """Copy would call a `__deepcopy__` that it answers, dataclasses believe a `__dataclass_fields__`."""
    run(
        "asked = []\nclass A:\n    def __getattr__(self, name):\n        asked.append(name)\n        return 1\na = A()\n",
        own,
    )
    a = own.namespace["a"]

    assert [1, 1] == [a.x, own.read(a, "_y")]
    assert ["x", "_y"] == own.namespace["asked"]
    for name in ("__deepcopy__", "__dataclass_fields__", "__name__"):
        assert not hasattr(a, name)
    with pytest.raises(TypeError, match="without decorators"):
        run("class A:\n    @staticmethod\n    def __getattr__(name): pass\n", own)


PRIVATE = {
    "by the class": "E._member_map_",
    "a class method": "E._convert_",
    "of the metaclass": "getattr(E, '_create_')",
    "by super": "super(E, E)._member_names_",
    "of a base": "N._netmask_cache",
    "on an instance": "N('1.1.1.0/24')._constants",
    "by a parameter": "(lambda n: n._constants)(N('1.1.1.0/24'))",
}


@pytest.mark.parametrize("expression", PRIVATE.values(), ids=PRIVATE.keys())
def test_a_class_of_the_hook_s_inherits_no_private_names(own: Any, expression: str) -> None:
    source = f"class E(Enum):\n    def f(self): pass\nclass N(Network):\n    pass\nx = {expression}\n"
    source = source.replace("E._member_map_", "super(E, E)._member_map_")
    with pytest.raises(AttributeError, match="is private to the"):
        run(source, own, Enum=enum.Enum, Network=ipaddress.IPv4Network)


def test_a_proxy_of_what_is_shared_stands_before_a_copy(own: Any) -> None:
    """A proxy hands the mapping behind it to the `__eq__` of what it is compared with."""
    source = "class A:\n    def __eq__(self, other):\n        other['a'] = 5\n        return True\n"
    run(source, own)
    pattern = re.compile("(?P<a>x)")

    assert own.read(pattern, "groupindex") == own.namespace["A"]()
    assert own.read(http.HTTPStatus, "__members__") == own.namespace["A"]()
    assert {"a": 1} == dict(pattern.groupindex)
    assert "a" not in http.HTTPStatus.__members__


def test_dict_is_a_copy(own: Any) -> None:
    run("class A:\n    def __init__(self):\n        self.x = 1\na = A()\n", own)
    own.read(own.namespace["a"], "__dict__")["x"] = 2

    assert {"x": 1} == telling.vars_of(own, own.namespace["a"])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[].__len__()", 0),
        ("map(str.__len__, ['ab'])", [2]),
        ("{1: 2}.__getitem__(1)", 2),
        ("dict.__getitem__({1: 2}, 1)", 2),
        ("(1).__add__(2)", 3),
        ("A(5).__init__()", None),
        ("A.__init__(A(5), 6)", None),
        ("list.__init__(A(5), [1])", None),
        ("object.__setattr__(A(5), 'x', 1)", None),
        ("A(5).__setattr__('x', 1)", None),
        ("A.__new__(A).__class__ is A", True),
        ("object.__new__(B).__class__ is B", True),
        ("super(A, A(5)).__init__()", None),
    ],
)
def test_an_ordinary_method_may_be_called_by_its_special_name(own: Any, expression: str, expected: Any) -> None:
    classes = "class A(list):\n    def __init__(self, x=1):\n        self.x = x\nclass B:\n    pass\n"
    value = run(f"{classes}value = {expression}\n", own)["value"]

    assert expected == (list(value) if isinstance(value, map) else value)


@pytest.mark.parametrize(
    "expression",
    [
        "DNS.__init__(int=5)",
        "UUID.__init__(DNS, int=5)",
        "object.__setattr__(DNS, 'int', 5)",
        "object.__setattr__(A(), '__class__', A)",
        "A().__setattr__('__class__', A)",
        "object.__setattr__(A.f, 'x', 5)",
        "object.__delattr__(A(), '__dict__')",
        "object.__new__(UUID)",
        "str.__new__(str)",
        "A.__new__(UUID)",
        "super(A, A()).__new__(UUID)",
        "super(A, A()).__setattr__('__class__', UUID)",
        "dict.__setitem__(document, 'x', 1)",
        "[].__setitem__(0, 1)",
        "[].__iadd__([1])",
        "DNS.__setattr__('int', 5)",
        "A.__init__(DNS)",
        "UUID.__setattr__(DNS, 'int', 5)",
    ],
)
def test_but_not_on_what_is_not_the_hook_s(own: Any, expression: str) -> None:
    source = f"class A:\n    def f(self):\n        pass\nvalue = {expression}\n"
    names = {"DNS": uuid.UUID(int=7), "UUID": uuid.UUID, "document": Document()}
    with pytest.raises((AttributeError, TypeError)):
        run(source, own, **names)
    assert uuid.UUID(int=7).int == 7


def test_a_class_may_not_choose_a_metaclass_by_any_spelling(own: Any) -> None:
    with pytest.raises(TypeError, match="metaclass"):
        run("class A(**{'metaclass': object}):\n    pass\n", own)


@pytest.mark.parametrize("base", ["str", "int", "tuple", "UUID", "frozenset"])
@pytest.mark.parametrize("line", ["def __eq__(self, other): return True", "def __hash__(self): return 1", "__eq__ = f"])
def test_what_is_hashed_by_its_value_keeps_its_equality(own: Any, base: str, line: str) -> None:
    with pytest.raises(TypeError, match="may not change __"):
        run(f"def f(*a): pass\nclass A({base}):\n    {line}\n", own, UUID=uuid.UUID)


@pytest.mark.parametrize("base", ["E, str", "E, int", "F, bytes"])
def test_nor_does_it_inherit_another_equality(own: Any, base: str) -> None:
    source = f"class E:\n    def __eq__(self, other): return True\nclass F(E): pass\nclass A({base}): pass\n"
    with pytest.raises(TypeError, match="may not change __eq__"):
        run(source, own)


def test_a_guard_is_not_copied(own: Any) -> None:
    """A copy would hold the namespace of the job, and the memo of the copy as well."""
    for guard in own.namespace["__builtins__"].values():
        if hasattr(guard, "__self__") and guard.__self__ is own:
            with pytest.raises(TypeError, match="cannot be copied"):
                copy.deepcopy(guard)


@pytest.mark.parametrize("line", ["return thing", "return len", "return None"])
def test_new_gives_what_the_hook_made(own: Any, line: str) -> None:
    """Or copy, UserDict and others would write attributes into something shared."""
    source = f"class A:\n    def __new__(cls):\n        {line}\nA()\n"
    with pytest.raises(TypeError, match="is not the hook's own"):
        run(source, own, thing=uuid.UUID(int=7))
    with pytest.raises(TypeError, match="without decorators"):
        run("class A:\n    @classmethod\n    def __new__(cls): pass\n", own)


def test_new_still_makes(own: Any) -> None:
    source = (
        "class A:\n    one = None\n    def __new__(cls, x):\n        if cls.one is None:\n"
        "            cls.one = super().__new__(cls)\n        return cls.one\n    def __init__(self, x):\n        self.x = x\n"
        "class B(str):\n    def __new__(cls, text):\n        return super().__new__(cls, text.upper())\n"
        "value = [A(1) is A(2), A.one.x, B('a') + 'b']\n"
    )

    assert [True, 2, "Ab"] == run(source, own)["value"]


def test_a_class_that_has_lost_its_mark_is_none(own: Any) -> None:
    with pytest.raises(TypeError, match="lost the mark"):
        run(f"class E(Enum):\n    _ignore_ = [{words.MARK!r}]\n    a = 1\n", own, Enum=enum.Enum)


@pytest.mark.parametrize("base", ["object", "dict", "list", "Exception", "set"])
def test_other_classes_choose_their_equality(own: Any, base: str) -> None:
    source = f"class A({base}):\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"

    assert run(source + "value = [hash(A()), A() == 5]\n", own)["value"] == [1, True]


@pytest.mark.parametrize("base", ["ExceptionGroup", "type", "type[int]"])
def test_some_classes_are_nobody_s_base(own: Any, base: str) -> None:
    with pytest.raises(TypeError):
        run(f"class A({base}):\n    pass\n", own)


@pytest.mark.parametrize("names", ["('__class__',)", "('x', 'gi_frame')", "(Name('x'),)", "[1]", "['__weakref__']"])
@pytest.mark.parametrize("field", ["__slots__", "__match_args__"])
def test_names_that_python_reads_by_itself_are_checked(own: Any, field: str, names: str) -> None:
    with pytest.raises(TypeError, match=f"{field} may not hold"):
        run(f"class A:\n    {field} = {names}\n", own, Name=Name)


@pytest.mark.parametrize("name", ["_x", "format", "obj"])
def test_a_pattern_reads_public_names_alone_by_place(own: Any, name: str) -> None:
    run(f"class A:\n    __slots__ = ['{name}']\n", own)
    with pytest.raises(TypeError, match="__match_args__ may not hold"):
        run(f"class A:\n    __match_args__ = ('{name}',)\n", own)


def test_hash_and_id_tell_no_address_and_stay_the_same(own: Any) -> None:
    thing = object()
    other = guards.Guards({})

    assert telling.id_of(own, thing) == telling.id_of(own, thing) != id(thing)
    assert telling.hash_of(own, "a") == telling.hash_of(own, "a") != hash("a")
    assert telling.hash_of(own, 1) == telling.hash_of(own, 1.0) == telling.hash_of(own, True)
    assert telling.hash_of(own, thing) != telling.hash_of(other, thing)
    assert own.read(thing, "__hash__")() == telling.hash_of(own, thing)
    with pytest.raises(TypeError):
        telling.hash_of(own, [])


def test_dir_names_what_a_hook_may_use(own: Any) -> None:
    run("class A:\n    _x = y = 1\n", own)

    assert ["_x", "y"] == telling.dir_of(own, own.namespace["A"]())
    assert [] == telling.dir_of(own, object())
    assert "mro" not in telling.dir_of(own, int)


@pytest.mark.parametrize("name", sorted(words.LEFT_OUT))
def test_a_builtin_that_is_left_out_is_not_there(own: Any, name: str) -> None:
    assert name not in own.namespace["__builtins__"]


def test_every_builtin_that_is_offered_is_there(own: Any) -> None:
    offered = own.namespace["__builtins__"]

    assert set(words.BUILTIN_NAMES) | {"__import__", "__build_class__"} == set(offered)
    for name in [*words.GUARDED, "__import__", "__build_class__"]:
        assert offered[name] is not getattr(builtins, name)


def test_a_job_cannot_change_the_builtins_of_another(own: Any) -> None:
    other = guards.Guards({})
    guards.install(other, lambda *_: None, lambda *_: None)
    own.namespace["__builtins__"]["len"] = None

    assert other.namespace["__builtins__"]["len"] is len


@pytest.mark.parametrize(
    "name", ["getattr", "hasattr", "setattr", "delattr", "super", "vars", "dir", "hash", "id", "type"]
)
def test_a_guard_names_itself_as_what_it_stands_for(own: Any, name: str) -> None:
    guard = own.namespace["__builtins__"][name]
    with pytest.raises(TypeError) as caught:
        guard(1, 2, 3, 4, 5)

    assert "Own" not in str(caught.value) + repr(guard)
    assert "sandbox" not in repr(guard)
