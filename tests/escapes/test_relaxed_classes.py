"""Classes of a hook's: super(), `__class__`, type, what they derive from, and what Python calls while it makes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

_PLAIN = "class A:\n    pass\n"
SUPERS = {  # super() of something else than the method's own object
    "of a shared class": ("", "super(Error, Error('x')).__init__('PW' + 'NED')"),
    "of a shared class, of a class": ("", "super(Error, Error).__new__(Error)"),
    "of nothing": ("", "super()"),
    "of one argument": (_PLAIN, "super(A)"),
    "of another's object": (_PLAIN, "super(A, user).__repr__()"),
    "by its own class": (_PLAIN, "type(super(A, A()))(Error, Error('x')).__reduce__"),
    "the class it is of": (_PLAIN, "super(A, A()).__thisclass__"),
    "the object it is of": (_PLAIN, "getattr(super(A, A()), '__self__')"),
    "the mro": (_PLAIN, "super(A, A()).mro()"),
    "__getattribute__": (_PLAIN, "super(A, A()).__getattribute__('__dict__')"),
    "__class__ as a name": ("class A:\n    def f(self):\n        return __class__\n", "A().f()"),
    "__class__ of a module": ("", "__class__"),
    "a class cell that is set": (
        "class A:\n    def f(self):\n        nonlocal __class__\n        __class__ = Error\n",
        "A",
    ),
    "another self": ("class A:\n    def f(self):\n        self = Error('x')\n        return super().args\n", "A().f()"),
    "a super of the hook's": (
        "class A:\n    def f(self):\n        super = lambda *given: Error\n        return super().__init__(Error('x'))\n",
        "A().f().x",
    ),
    "in a generator": (
        "class A:\n    def f(self):\n        return [super(Error, each) for each in [Error('x')]]\n",
        "A().f()",
    ),
    "in a class within": ("class A:\n    def f(self):\n        class B:\n            x = super()\n", "A().f()"),
}


@pytest.mark.parametrize(("before", "expression"), SUPERS.values(), ids=SUPERS.keys())
def test_super_is_of_the_hooks_own_class_and_object(
    reach: Callable[..., Outcome], before: str, expression: str
) -> None:
    """Its attributes are looked up past the class that would refuse them."""
    assert reach(expression, before=before).status in {"raised", "rejected"}


FOREIGN = {  # methods of a shared class, called on what is not the hook's own: (before, call, was it changed)
    "init of a uuid": (
        "import uuid\nclass U(uuid.UUID):\n    pass\nit = uuid.NAMESPACE_DNS\n",
        "super(U, U).__init__(it, int=5)",
        "it.int == 5",
    ),
    "init of a uuid, by the class": (
        "import uuid\nit = uuid.NAMESPACE_DNS\n",
        "uuid.UUID.__init__(it, int=5)",
        "it.int == 5",
    ),
    "init of an encoder, on a class": (
        "import json\nclass E(json.JSONEncoder):\n    pass\n",
        "super(E, E).__init__(Error, indent='PW' + 'NED')",
        "hasattr(Error, 'indent')",
    ),
    "setattr of object": (_PLAIN, "super(A, A).__setattr__(Error, 'stash', 1)", "hasattr(Error, 'stash')"),
    "setattr of object, by the class": ("", "object.__setattr__(Error, 'stash', 1)", "hasattr(Error, 'stash')"),
    "setattr of object, on a uuid": (
        "import uuid\nit = uuid.NAMESPACE_DNS\n",
        "object.__setattr__(it, 'int', 5)",
        "it.int == 5",
    ),
    "delattr of object": ("import json\n", "object.__delattr__(json, 'dumps')", "not hasattr(json, 'dumps')"),
    "setattr of type": (_PLAIN, "type.__setattr__(Error, 'stash', 1)", "hasattr(Error, 'stash')"),
    "set of a descriptor": (
        "import uuid\nit = uuid.NAMESPACE_DNS\n",
        "uuid.UUID.int.__set__(it, 5)",
        "it.int == 5",
    ),
    "set of a slot of a subclass": (
        "import uuid\nclass U(uuid.UUID):\n    pass\nit = uuid.NAMESPACE_DNS\n",
        "U.int.__set__(it, 5)",
        "it.int == 5",
    ),
    "set_name of a field": (
        "from dataclasses import field\nit = field()\n",
        "type(it).__set_name__(it, Error, 'x')",
        "False",
    ),
    "the class of an alias": ("", "type[int](Error('x')).stash = 1", "hasattr(Error, 'stash')"),
    "init_subclass": (
        "import string\n",
        "string.Template.__init_subclass__.__func__(Error)",
        "hasattr(Error, 'pattern')",
    ),
}


@pytest.mark.parametrize(("before", "call", "changed"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_method_that_changes_is_called_on_the_hooks_own_alone(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str, call: str, changed: str
) -> None:
    """`Base.__init__(self)` is ordinary, `Base.__init__(what all jobs share)` is not: super(A, A) gives both. 2026-11-23."""
    body = f"try:\n    {call}\nfinally:\n    if {changed}:\n        cb(None, 'PW' + 'NED')"

    assert attack(hook_of(body, before)).status in {"raised", "rejected"}


BASES = {  # classes that a hook's may not derive from, by every road
    "type": "class M(type):\n    pass",
    "what type tells": "class M(type(int)):\n    pass",
    "an alias of type": "class M(type[int]):\n    pass",
    "typing's": "import typing\nclass M(typing.Type[int]):\n    pass",
    "a group": "class G(ExceptionGroup):\n    pass",
    "an alias of a group": "class G(ExceptionGroup[ValueError]):\n    pass",
    "the class of a group": "class G(type(ExceptionGroup('x', [ValueError()]))):\n    pass",
    "a group among others": "class G(Error, ExceptionGroup):\n    pass",
    "by keyword": "class M(metaclass=type):\n    pass",
    "by keywords": "class M(**{'metaclass': type}):\n    pass",
    "entries that change": (
        "class B:\n    asked = 0\n    def __getattr__(self, name):\n        if name != '__mro_entries__':\n"
        "            raise AttributeError(name)\n        B.asked += 1\n"
        "        return lambda bases: (object,) if B.asked < 3 else (ExceptionGroup,)\n"
        "class G(B()):\n    pass\nif not issubclass(G, Exception):\n    raise TypeError"
    ),
    "entries that are a method": "class B:\n    def __mro_entries__(self, bases):\n        return (ExceptionGroup,)\nclass G(B()):\n    pass",
    "entries that are an attribute": "class B:\n    pass\nb = B()\nb.__mro_entries__ = lambda bases: (ExceptionGroup,)\nclass G(b):\n    pass",
    "behind a base that answers": (
        "import functools\nclass A:\n    def __init_subclass__(cls, **named):\n        pass\n"
        "class B(A, functools.cached_property):\n    pass"
    ),
    "type behind one": (
        "class A:\n    def __init_subclass__(cls, **named):\n        pass\nclass B(A, type):\n    pass"
    ),
    "a response behind one": (
        "import requests\nclass A:\n    def __init_subclass__(cls, **named):\n        pass\n"
        "class B(A, requests.Response):\n    pass"
    ),
    "cookies behind one": (
        "import requests\nclass A:\n    def __init_subclass__(cls, **named):\n        pass\n"
        "class B(A, type(requests.Session().cookies)):\n    pass"
    ),
    "a field behind one": (
        "from dataclasses import field\nclass A:\n    def __init_subclass__(cls, **named):\n        pass\n"
        "class B(A, type(field())):\n    pass"
    ),
    "a bool": "class B(bool):\n    pass",
    "the class of a function": "class F(type(lambda: 0)):\n    pass",
    "the class of a generator": "class F(type(x for x in [])):\n    pass",
    "the class of a method": "class F(type(console.log)):\n    pass",
    "the class of a facade": "class F(type(require('json'))):\n    pass",
    "the class of the console": "class F(type(console)):\n    pass",
    "the class of a field": "from dataclasses import field\nclass F(type(field())):\n    pass",
    "an equality beside a number": (
        "class E:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 5\n"
        "class N(E, int):\n    pass"
    ),
    "an equality beside a text": (
        "class E:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 5\n"
        "class N(E, str):\n    pass"
    ),
    "an equality of a base's base": (
        "class E:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 5\nclass F(E):\n    pass\n"
        "class N(F, bytes):\n    pass"
    ),
    "an equality by a comparison": "class N(int):\n    __eq__ = lambda self, other: True",
    "an equality in a loop": "class N(int):\n    for __eq__ in [lambda self, other: True]:\n        pass",
    "an equality by import": "class N(int):\n    import json as __eq__",
    "an equality that is set": "class N(int):\n    pass\nN.__eq__ = lambda self, other: True",
    "an equality that is set while the class is made": (
        "class M:\n    def __set_name__(self, owner, name):\n        setattr(owner, '__eq__', lambda self, other: True)\n"
        "class N(int):\n    m = M()"
    ),
}


@pytest.mark.parametrize("source", BASES.values(), ids=BASES.keys())
def test_a_class_derives_from_nothing_that_makes_classes_or_is_trusted_by_c(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], source: str
) -> None:
    """What a base is asked for twice may answer twice, and equality comes from any base. 2026-11-23."""
    assert attack(hook_of("cb(None, 'PW' + 'NED')", f"{source}\n")).status in {"raised", "rejected"}


REFUSED = (
    "__del__ __getattribute__ __reduce__ __reduce_ex__ __getstate__ __setstate__ __deepcopy__ __prepare__ "
    "__instancecheck__ __subclasscheck__ __subclasshook__ __mro_entries__ __class__ __dict__ __module__ __annotations__ "
    "__bases__ __getnewargs__ __getnewargs_ex__ __buffer__ __fspath__ __await__ __dataclass_fields__ __wrapped__"
).split()
BOUND = {
    "a method": "class A:\n    def {0}(self, *given):\n        pass",
    "a field": "class A:\n    {0} = 1",
    "an annotation": "class A:\n    {0}: int = 1",
    "an annotation alone": "class A:\n    {0}: int",
    "a walrus": "class A:\n    ({0} := 1)",
    "a loop": "class A:\n    for {0} in [1]:\n        pass",
    "a class": "class A:\n    class {0}:\n        pass",
    "an import": "class A:\n    import json as {0}",
    "an import from": "class A:\n    from json import dumps as {0}",
    "a pattern": "class A:\n    match 1:\n        case {0}:\n            pass",
    "a pattern's rest": "class A:\n    match {{}}:\n        case {{**{0}}}:\n            pass",
    "an error": "class A:\n    try:\n        1 / 0\n    except ZeroDivisionError as {0}:\n        pass",
    "global": "class A:\n    global {0}",
    "later": "class A:\n    pass\nA.{0} = 1",
    "setattr": "class A:\n    pass\nsetattr(A, '{0}', 1)",
    "object": "class A:\n    pass\nsetattr(A(), '{0}', 1)",
    "slots": "class A:\n    __slots__ = ('{0}', )\nif '{0}' == '__dict__':\n    raise TypeError",
    "super": "class A:\n    def f(self):\n        super().__setattr__('{0}', 1)\nA().f()",
    "object's own": "class A:\n    pass\nobject.__setattr__(A(), '{0}', 1)",
}


@pytest.mark.parametrize("source", BOUND.values(), ids=BOUND.keys())
def test_a_special_name_is_bound_by_no_form(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], source: str
) -> None:
    """A class's namespace is written by many forms; the list of what it may hold is one."""
    for name in REFUSED:
        outcome = attack(hook_of("cb(None, 'PW' + 'NED')", f"{source.format(name)}\n"))
        assert (name, True) == (name, outcome.status in {"raised", "rejected"})


WALKS = {  # from a descriptor to what is behind it
    "a property's function": "A.x.fget.__globals__",
    "a property's function, by name": "getattr(A.x.fget, '__globals__')",
    "a shared property's function": "IPv4Address.is_private.fget.__globals__",
    "a property that is got": "IPv4Address.is_private.__get__(1)",
    "a method's function": "A().m.__func__",
    "a class method's function": "A.c.__func__",
    "a static method's function": "staticmethod(hook).__wrapped__",
    "a class method around a property": "classmethod(A.x).__wrapped__",
    "a property around a class method": "classmethod(property(lambda cls: cls)).__func__",
    "a cached property's function": "cached_property(hook).func",
    "a partial's function": "partial(hook).func.__globals__",
    "a slot": "A.s.__objclass__",
    "a function that is bound": "hook.__get__(1).__self__",
    "a method of C": "print.__self__",
    "a cache's function": "cache(hook).__wrapped__",
    "a context manager's frame": "contextmanager(g)().gen.gi_frame",
}


@pytest.mark.parametrize("expression", WALKS.values(), ids=WALKS.keys())
def test_a_descriptor_leads_to_no_function_that_is_not_the_hooks(
    reach: Callable[..., Outcome], expression: str
) -> None:
    """Properties, methods and caches hand out functions; what a function is made of stays."""
    before = (
        "from functools import cache, cached_property, partial\nfrom contextlib import contextmanager\n"
        "from ipaddress import IPv4Address\ndef g():\n    yield\n"
        "class A:\n    __slots__ = ('s',)\n    @property\n    def x(self):\n        return 1\n    def m(self):\n        pass\n"
        "    @classmethod\n    def c(cls):\n        pass\n"
    )
    assert reach(expression, before=before).status in {"raised", "rejected"}
