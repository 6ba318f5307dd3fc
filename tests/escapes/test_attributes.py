"""Attribute walks from an innocent value to the interpreter's own objects."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from engine.outcome import Outcome

WALKS = {
    "class of a class": "user.__class__.__base__",
    "subclasses": "().__class__.__base__.__subclasses__()",
    "mro": "int.mro()",
    "dunder mro": "int.__mro__",
    "globals of the hook": "hook.__globals__",
    "globals of require": "require.__globals__",
    "func of a method": "console.log.__func__",
    "self of a builtin": "print.__self__",
    "builtins": "hook.__builtins__",
    "code": "hook.__code__",
    "closure of cb": "cb.__closure__",
    "init of a class": "Error.__init__.__globals__",
    "closure of a guard": "Error.__init__.__closure__",
    "self of a guard": "getattr.__self__",
    "func of a guard": "getattr.__func__",
    "defaults": "hook.__defaults__",
    "defaults by keyword": "hook.__kwdefaults__",
    "getattribute": "object.__getattribute__(hook, '__globals__')",
    "getattribute of super": "super(Error, Error('')).__getattribute__",
    "bases": "Error.__bases__",
    "origin of an alias": "list[int].__origin__",
    "object of a method": "''.join.__self__",
    "class of a descriptor": "property.fget.__objclass__",
    "wrapped": "hook.__wrapped__",
    "directory": "user.__dir__()",
    "size": "user.__sizeof__()",
    "subclass hook": "Error.__subclasshook__",
    "annotations": "hook.__annotations__",
    "type parameters": "hook.__type_params__",
    "class of super": "hook.__thisclass__",
    "slots": "Error.__slots__",
    "pattern arguments": "Error.__match_args__",
    "module of a class": "Error.__module__",
    "loader": "require('json').__loader__",
    "spec": "require('json').__spec__",
    "reduce": "user.__reduce_ex__(2)",
    "wide underscore": "hook._﹍globals﹍﹍",  # noqa: RUF001 - read as __globals__
    "full-width letters": "hook.__ｇlobals__",  # noqa: RUF001 - read as __globals__
}
AT_RUN_TIME = {  # what a name leads to is known when it is read
    "private state": ("console._send", ""),
    "private channel of a facade": ("require('json')._title", ""),
    "private field of an argument": ("user._private", "user['_private'] = cb\n"),
    "private in a class": ("A().f()", "class A:\n    def f(self):\n        return console.__send\n"),
    "private of what shares a class": ("A.f(console)", "class A:\n    def f(self):\n        return self._send\n"),
    "private of a base": ("Error._stash", ""),
    "fields of what is no tuple": ("console._asdict()", ""),
    "an object of the class of a function": ("hook.__class__(1)", ""),
    "an object of the class of a facade": ("require('json').__class__('x', {})", ""),
    "an object of the class of a method": ("console.log.__class__(str, 1)", ""),
    "an object of the class of a generator": ("object.__new__((x for x in ()).__class__)", ""),
    "a class from the class of a function": ("A", "class A(hook.__class__):\n    pass\n"),
    "a method of the class of a facade": ("require('json').__class__.offered", ""),
    "a write to the class of a function": ("A", "A = hook.__class__\nA.stash = 1\n"),
    "class of a class makes none": ("int.__class__('X', (), {})", ""),
    "call of a class of a class": ("int.__class__.__call__('X', (), {})", ""),
    "new of a class of a class": ("int.__class__.__new__(int.__class__, 'X', (), {})", ""),
    "setitem of another": ("type(user).__setitem__(user, 'x', 1)", ""),
    "get of a descriptor": ("property.fget.__get__(property(cb))", ""),
    "get of the object of an error": ("AttributeError.obj.__get__(AttributeError())", ""),
    "super of what is shared": ("super(Error, Error('x')).__init__", ""),
    "super of an argument": ("super(type(user), user).__init__", ""),
    "super of a class": ("super(int, True).__add__", ""),
    "super of one class": ("super(A).x", "class A:\n    pass\n"),
    "super under another name": (
        "A().f()",
        "shadow = super\nclass A:\n    def f(self):\n        return shadow().__init__\n",
    ),
    "super of another": (
        "A().f()",
        "class A:\n    def f(self):\n        self = user\n        return super().keys\n",
    ),
    "a write through super": (
        "A().f()",
        "class A:\n    def f(self):\n        super().__setattr__('__class__', Error)\n",
    ),
    "a write to super": ("A().f()", "class A:\n    def f(self):\n        super().stash = 1\n"),
    "a name through super": (
        "A().f()",
        "class A:\n    def f(self):\n        return getattr(super(), '__reduce_ex__')\n",
    ),
    "the private of a base": (
        "A().f()",
        "class A:\n    def f(self):\n        return super(A, console)._send\n",
    ),
    "a template through super": (
        "A('{0.__globals__}').f()",
        "class A(str):\n    def f(self):\n        return super().format(cb)\n",
    ),
    "a map of a template through super": (
        "A('{x.__globals__}').f()",
        "class A(str):\n    def f(self):\n        return super().format_map({'x': cb})\n",
    ),
    "setattr of object": ("object.__setattr__(Error, 'stash', 1)", ""),
    "setattr of type": ("type.__setattr__(Error, 'stash', 1)", ""),
    "setattr of a document": ("type(user).__setattr__(user, 'x', 1)", ""),
    "setattr of an own class": ("A.__setattr__(Error, 'stash', 1)", "class A:\n    pass\n"),
    "setattr of an own object": ("A().__setattr__('__class__', Error)", "class A:\n    pass\n"),
    "setattr of object on an own object": (
        "object.__setattr__(A(), '__class__', Error)",
        "class A:\n    pass\n",
    ),
    "setattr as a method": (
        "A().x",
        "class A:\n    __setattr__ = object.__setattr__\na = A()\nsetattr(a, 'x', 1)\na.__setattr__('__class__', Error)\n",
    ),
    "delattr of object": ("object.__delattr__(Error, '__init__')", ""),
    "new of what is shared": ("object.__new__(type(user))", ""),
    "new of an own class for another": ("A.__new__(Error)", "class A:\n    pass\n"),
    "init of what is shared": ("type(user).__init__(user, x=1)", ""),
    "init_subclass of what is shared": ("Error.__init_subclass__()", ""),
    "set of a property of another": (
        "p.__set__(Error('x'), 1)",
        "class P(property):\n    pass\np = P(None, lambda owner, value: setattr(type(owner), 'stash', value))\n",
    ),
    "an object of the class of super": (
        "A().f()(A, A())",
        "class A:\n    def f(self):\n        return super().__class__\n",
    ),
    "dict of super": ("A().f()", "class A:\n    def f(self):\n        return super().__dict__\n"),
    "dict of a class": ("Error.__dict__", ""),
    "dict of a function": ("hook.__dict__", ""),
    "dict of a facade": ("require('json').__dict__", ""),
    "vars of a facade": ("vars(require('json'))", ""),
    "vars of a class": ("vars(A)", "class A:\n    pass\n"),
    "vars of the namespace": ("vars()", ""),
    "dir of the namespace": ("dir()", ""),
}
IN_DICTS = [
    "object.__dict__['__getattribute__'](hook, '__globals__')",
    "getattr(object, '__dict__')['__getattribute__'](hook, '__globals__')",
    "vars(object)['__getattribute__'](hook, '__globals__')",
    "str.__dict__['format']('{0.__globals__}', cb)",
    "type(hook).__dict__['__new__']",
    "Error.__dict__['__init__'](user)",
    "'{0.__dict__}'.format(str)",
    "A().__dict__['__class__']",
    "hook.__dict__.items()",
    "require('json').__dict__['dumps']",
    "console.__dict__",
    "module.__dict__['exports']",
    "super(A, A()).__dict__",
]
COMPUTED = {
    "getattr": "getattr(hook, '__globals__')",
    "getattr joined": "getattr(hook, '__glo' + 'bals__')",
    "getattr with default": "['PW', getattr(hook, '__globals__', None)][1]",
    "getattr reversed": "getattr(hook, '__slabolg__'[::-1])",
    "getattr of a code": "getattr(hook, '__code__')",
    "map": "list(map(getattr, [user], ['__reduce__']))",
    "partial": "require('functools').partial(getattr, user)('__reduce__')",
    "reduce": "require('functools').reduce(getattr, ['__class__', '__base__'], user)",
    "starmap": "list(require('itertools').starmap(getattr, [(user, '__reduce__')]))",
    "sort key": "sorted(['__reduce__'], key=lambda name: getattr(user, name))",
    "mro by name": "getattr(int, 'mro')()",
    "in a default": "(lambda found=getattr(hook, '__globals__'): found)()",
}
STOPPED = (
    "AttributeError: a hook may not",
    "AttributeError: 'super' object has no attribute",
    "AttributeError: '_",
    "TypeError: a hook may not change",
    "TypeError: super() stands in a method",
    "TypeError: super(type, obj)",
    "TypeError: type() ",
    "TypeError: vars() ",
    "TypeError: dir() ",
    "TypeError: object.__new__(X)",
    "TypeError: cannot make a ",
    "TypeError: a hook's class may not derive from ",
    "AttributeError: type object",
)
FIRST_OWN = re.compile(r"TypeError: __\w+__ of a class takes something of the hook's own first")
PATTERNS = [
    "case object(_send=found)",
    "case object(__class__=found)",
    "case object(__dict__=found)",
    "case object(__globals__=found)",
    "case object(tb_frame=found)",
    "case object(gi_frame=found)",
    "case object(mro=found)",
    "case object(format=found)",
    "case object(format_map=found)",
    "case object(obj=found)",
    "case object(register=found)",
    "case [object(_send=found), *rest]",
    "case {'x': object(_send=found)}",
    "case 1 | object(_send=found)",
    "case object(name=object(_send=found))",
    "case object(_send=found) as whole",
    "case console._send",
    "case console.__class__.name",
    "case hook.__globals__",
    "case {console._send: 1}",
    "case hook.__class__()",
]
STR_SUBCLASSES = {
    "startswith": "def startswith(self, *a):\n        return False",
    "endswith": "def endswith(self, *a):\n        return False",
    "contains nothing": "def __contains__(self, other):\n        return False",
    "no length": "def __len__(self):\n        return 0",
    "another text": "def __str__(self):\n        return 'username'",
    "nothing of its own": "pass",
}


@pytest.mark.parametrize("expression", WALKS.values(), ids=WALKS.keys())
def test_an_attribute_that_leads_inwards_is_refused_before_it_runs(
    reach: Callable[..., Outcome], expression: str
) -> None:
    """An attribute read written in the source is checked at compile time, whatever object it is read from."""
    outcome = reach(expression)

    assert outcome.status == "rejected"
    assert {found.rule for found in outcome.diagnostics} & {"attribute", "syntax"}


@pytest.mark.parametrize(("expression", "lines"), AT_RUN_TIME.values(), ids=AT_RUN_TIME.keys())
def test_an_attribute_is_judged_by_whose_it_is(reach: Callable[..., Outcome], expression: str, lines: str) -> None:
    """A private or special name is for what the hook made itself; of anything else it is refused as it is read."""
    outcome = reach(expression, lines)

    assert outcome.status == "raised"
    assert outcome.message.startswith(STOPPED) or FIRST_OWN.match(outcome.message), outcome.message


@pytest.mark.parametrize("expression", IN_DICTS)
def test_a_class_does_not_hand_out_its_dict(reach: Callable[..., Outcome], expression: str) -> None:
    """What a class holds, taken from its dict, has passed no guard: `__getattribute__` and `format` of C among it."""
    outcome = reach(expression, "class A:\n    def f(self):\n        pass\n")

    assert ("raised", True) == (
        outcome.status,
        outcome.message.startswith(("TypeError: ", "AttributeError: ", "KeyError: '__class__'")),
    )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_reads_no_attribute_that_a_guard_would_judge(reach: Callable[..., Outcome], pattern: str) -> None:
    """`match` reads attributes by itself: those that are not plainly public are refused in a pattern."""
    outcome = reach("found", f"found = 1\nmatch console:\n    {pattern}:\n        pass\n")

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("name", ["format", "format_map", "obj", "register", "mro", "__dict__", "gi_frame"])
def test_an_augmented_assignment_reads_no_attribute_that_a_guard_would_judge(
    reach: Callable[..., Outcome], name: str
) -> None:
    """`a.b += c` reads before it writes."""
    outcome = reach(
        "A.found", f"class A:\n    def __add__(self, other):\n        A.found = other\nuser.{name} += A()\n"
    )

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("expression", COMPUTED.values(), ids=COMPUTED.keys())
def test_a_computed_attribute_name_is_refused_at_run_time(reach: Callable[..., Outcome], expression: str) -> None:
    """Getattr is the guarded one, also when C code calls it."""
    outcome = reach(expression)

    assert outcome.status == "raised"
    assert outcome.message.startswith("AttributeError: a hook may not use the attribute")


@pytest.mark.parametrize("method", STR_SUBCLASSES.values(), ids=STR_SUBCLASSES.keys())
def test_a_name_of_a_str_subclass_does_not_pass_the_guard(reach: Callable[..., Outcome], method: str) -> None:
    """Only an exact str is a name: a subclass could lie about how it begins."""
    outcome = reach("getattr(hook, Name('__globals__'))", before=f"class Name(str):\n    {method}\n")

    assert ("raised", "TypeError: an attribute name is a plain str") == (outcome.status, outcome.message)


@pytest.mark.parametrize("setter", ["setattr(hook, '__code__', 1)", "delattr(Error, '__init__')"])
def test_a_computed_write_to_a_private_attribute_is_refused(reach: Callable[..., Outcome], setter: str) -> None:
    """Setattr and delattr take the names that getattr takes."""
    assert reach(setter).status == "raised"


def test_a_class_of_a_class_is_no_way_to_make_classes(reach: Callable[..., Outcome]) -> None:
    """The real `type` makes classes with any dunder method, and metaclasses: no hook gets hold of it. 2026-11-22."""
    outcome = reach("type(int)('X', (), {'__getattr__': lambda self, name: 'live ' + name})().field")

    assert outcome.status == "raised"


def test_a_metaclass_is_not_made_by_inheriting_from_the_class_of_a_class(reach: Callable[..., Outcome]) -> None:
    """`class M(type(int))` would be a metaclass of the hook's own. 2026-11-22."""
    outcome = reach("M('X', (), {}).made", "class M(type(int)):\n    made = 'M'\n")

    assert outcome.status in ("raised", "rejected")


def test_hasattr_says_no_to_what_is_hidden(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """An attribute a hook may not use is not there."""
    pairs = "pairs = [(user, '__reduce__'), (hook, '__globals__'), (console, '_send'), (int, 'mro'), (user, '_x')]\n"
    outcome = attack(hook_of(f"user['_x'] = 1\n{pairs}cb(None, [hasattr(*pair) for pair in pairs])"))

    assert ("ok", [False] * 5) == (outcome.status, outcome.value())


@pytest.mark.parametrize(
    "name",
    [
        "globals",
        "locals",
        "eval",
        "exec",
        "compile",
        "open",
        "input",
        "memoryview",
        "breakpoint",
        "help",
        "exit",
        "license",
    ],
)
def test_a_builtin_that_reaches_out_is_not_there_under_another_name(reach: Callable[..., Outcome], name: str) -> None:
    """A builtin left out is refused where it is read, not only where it is called."""
    outcome = reach("f", f"f = {name}\n")

    assert ("rejected", ["builtin"]) == (outcome.status, [found.rule for found in outcome.diagnostics])


def test_the_builtins_do_not_come_out_of_a_private_name(reach: Callable[..., Outcome]) -> None:
    """Neither `__builtins__` nor `__import__` can be spelt."""
    outcome = reach("__builtins__['__import__']")

    assert ("rejected", "special-name") == (outcome.status, outcome.diagnostics[0].rule)


def test_numbers_of_objects_are_no_addresses_and_differ_from_job_to_job(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """`id` and `hash` are keyed: what they say of a shared object, or of a text, helps no other job."""
    before = "class A:\n    def hashed(self):\n        return super().__hash__()\na = A()\n"
    asked = (
        "id(Error), hash(Error), hash('text'), Error('').__hash__(), a.hashed(), object.__hash__(Error), hash(('x',))"
    )
    told = hook_of(
        f"found = repr(a)\ncb(None, [{asked}, hex(id(a))[2:] in found, hex(hash(a) << 4)[2:] in found])", before
    )
    first, second = attack(told).value(), attack(told).value()

    assert [False, False] == first[-2:]
    assert [] == [place for place in range(7) if first[place] == second[place]]
