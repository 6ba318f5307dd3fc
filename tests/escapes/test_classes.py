"""Classes: metaclasses, builders, descriptors, decorators, and what of them is shared."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

REFUSED = {
    "metaclass": ("metaclass", "class A(metaclass=Error):\n    pass\n"),
    "magic method outside a class": ("special-name", "def __eq__(a, b):\n    pass\n"),
    "build_class": ("special-name", "A = __build_class__(cb, 'A')\n"),
    "slots with more": ("special-name", "class A:\n    __slots__ = ('x',)\n    __slots__ += ('__class__',)\n"),
    "slots and more": ("special-name", "class A:\n    x = __slots__ = ('__class__',)\n"),
    "annotated slots": ("special-name", "class A:\n    __slots__: tuple = ('__class__',)\n"),
    "slots in a loop": ("special-name", "class A:\n    for __slots__ in [('__class__',)]:\n        pass\n"),
    "unpacked match_args": ("special-name", "class A:\n    x, __match_args__ = 1, ('__class__',)\n"),
    "match_args by walrus": ("special-name", "class A:\n    (__match_args__ := ('__class__',))\n"),
    "a class given to an object": ("attribute", "class A:\n    pass\nA().__class__ = Error\n"),
    "a method given to a class": ("attribute", "class A:\n    pass\nA.__eq__ = cb\n"),
    "a method taken from a class": ("attribute", "class A:\n    pass\ndel A.__init__\n"),
    "an item of a dict": ("attribute", "class A:\n    pass\nA().__dict__['__class__'] = Error\n"),
    "update of a dict": ("attribute", "class A:\n    pass\nA().__dict__.update(x=1)\n"),
    "reduce through super": (
        "attribute",
        "class A:\n    def f(self):\n        return super().__reduce_ex__(2)\n",
    ),
    "getattribute through super": (
        "attribute",
        "class A:\n    def f(self):\n        return super().__getattribute__('__class__')\n",
    ),
    "thisclass of super": ("attribute", "class A:\n    def f(self):\n        return super().__thisclass__\n"),
}
GAINS_NOTHING = {  # class statements that are accepted, and what they must not lead to
    "metaclass in stars": (
        "A",
        "class A(**{'metaclass': Error}):\n    pass\n",
    ),
    "metaclass by a text of one's own": (
        "A",
        "class Text(str):\n    pass\nclass A(**{Text('metaclass'): Error}):\n    pass\n",
    ),
    "metaclass through type": ("M", "class M(type):\n    pass\n"),
    "metaclass through an alias of type": ("M", "class M(type[int]):\n    pass\n"),
    "init_subclass": (
        "B.found",
        (
            "class A:\n    def __init_subclass__(cls, **given):\n        cls.found = getattr(cls, '__subclasses__')\n"
            "class B(A):\n    pass\n"
        ),
    ),
    "init_subclass writes to a base": (
        "B",
        "class A(Error):\n    def __init_subclass__(cls):\n        Error.stash = cls\nclass B(A):\n    pass\n",
    ),
    "class_getitem": (
        "A[user]",
        "class A:\n    def __class_getitem__(cls, owner):\n        return getattr(owner, '__reduce__')\n",
    ),
    "getattr that answers for the guard": (
        "getattr(A(), '__globals__')",
        "class A:\n    def __getattr__(self, name):\n        return 'live ' + name\n",
    ),
    "getattr that answers for the guard of templates": (
        "'{0.__globals__}'.format(A())",
        "class A:\n    def __getattr__(self, name):\n        return 'live ' + name\n",
    ),
    "hash of a text": ("A", "class A(str):\n    def __hash__(self):\n        return 1\n"),
    "equality of a number": ("A", "class A(int):\n    def __eq__(self, other):\n        return True\n"),
    "equality as a lambda": ("A", "class A(int):\n    __eq__ = lambda self, other: True\n"),
    "equality by import": ("A", "class A(int):\n    from json import dumps as __eq__\n"),
    "equality in a loop": ("A", "class A(int):\n    for __eq__ in [cb]:\n        pass\n"),
    "equality of a mixin": (
        "A(1) == 2",
        (
            "class Equal:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 0\n"
            "class A(Equal, int):\n    pass\n"
        ),
    ),
    "equality of a subclass": ("B", "class A(int):\n    pass\nclass B(A):\n    __hash__ = None\n"),
    "slots": ("A", "class A:\n    __slots__ = ('__class__',)\n"),
    "slots by a generator": ("A", "class A:\n    __slots__ = (name for name in ['x', '__weakref__'])\n"),
    "slots by a text": ("A", "class A:\n    __slots__ = '__class__'\n"),
    "slots by a text of one's own": (
        "A",
        (
            "class Text(str):\n    def startswith(self, *given):\n        return False\n"
            "class A:\n    __slots__ = [Text('__class__')]\n"
        ),
    ),
    "match_args": ("A", "class A:\n    __match_args__ = ('__class__',)\n"),
    "match_args of a frame": ("A", "class A:\n    __match_args__ = ('tb_frame',)\n"),
    "match_args of an error": ("A", "class A(AttributeError):\n    __match_args__ = ('obj',)\n"),
    "match_args of a text": ("A", "class A(str):\n    __match_args__ = ('format',)\n"),
    "match_args that change": (
        "A",
        (
            "class Twice(tuple):\n    n = 0\n    def __iter__(self):\n        return iter(['x'])\n"
            "class A(AttributeError):\n    __match_args__ = Twice(['obj'])\n    found = __match_args__[0]\n"
            "setattr(A, '__match_args__', ('obj',))\n"
        ),
    ),
    "set_name": (
        "A",
        (
            "class Named:\n    def __set_name__(self, owner, name):\n        try:\n            setattr(owner, '__eq__', cb)\n"
            "        except AttributeError as error:\n            self.error = error\n"
            "class A:\n    x = Named()\nraise A.x.error\n"
        ),
    ),
    "set_name of a metaclass": (
        "A.x.found",
        (
            "class Named:\n    def __set_name__(self, owner, name):\n        self.found = type(type(owner))\n"
            "class A:\n    x = Named()\nA.x.found('X', (), {})\n"
        ),
    ),
    "a descriptor": (
        "A.x",
        (
            "class Get:\n    def __get__(self, owner, kind):\n        return getattr(kind, '__mro__')\n"
            "class A:\n    x = Get()\n"
        ),
    ),
    "a descriptor of an error": (
        "A().x",
        "class Get:\n    def __get__(self, owner, kind):\n        Error.stash = owner\nclass A:\n    x = Get()\n",
    ),
    "a traceback in exit": (
        "box[0]",
        (
            "box = []\nclass Exit:\n    def __enter__(self):\n        return self\n"
            "    def __exit__(self, kind, error, trace):\n        box.append(getattr(trace, 'tb_' + 'frame'))\n"
            "with Exit():\n    1 / 0\n"
        ),
    ),
    "a template of the traceback in exit": (
        "box[0]",
        (
            "box = []\nclass Exit:\n    def __enter__(self):\n        return self\n"
            "    def __exit__(self, kind, error, trace):\n        box.append('{0.tb_frame.f_globals}'.format(trace))\n"
            "with Exit():\n    1 / 0\n"
        ),
    ),
}
STOPPED = (
    "AttributeError: a hook may not",
    "TypeError: a hook may not change",
    "TypeError: a hook makes no metaclass",
    "TypeError: a hook's class may not",
    "TypeError: a class that derives from",
    "TypeError: __slots__ may not hold",
    "TypeError: __match_args__ may not hold",
    "TypeError: type() ",
)
SHARED = {
    "Error": "Error.stash = 1",
    "a subclass of Error": "InvalidScopeError.message = 1",
    "the class of a document": "type(user).stash = 1",
    "the class of a facade": "type(require('json')).offered = 1",
    "the class of the console": "type(console).log = print",
    "the class of module": "type(module).exports = hook",
    "Template": "require('string').Template.delimiter = '!'",
    "UUID": "require('uuid').UUID.stash = 1",
    "Counter": "require('collections').Counter.stash = 1",
    "Enum": "require('enum').Enum.stash = 1",
    "setattr": "setattr(Error, 'stash', 1)",
    "delattr": "delattr(Error, 'stash')",
    "del": "del Error.stash",
    "augmented": "Error.stash += 1",
    "annotated": "Error.stash: int = 1",
    "for target": "for Error.stash in [1]:\n    pass",
    "with target": "with require('decimal').localcontext() as Error.stash:\n    pass",
    "comprehension target": "[1 for Error.stash in [1]]",
    "unpacking": "Error.stash, x = 1, 2",
    "starred unpacking": "[*Error.stash] = [1]",
    "chained": "x = Error.stash = 1",
    "a shared function": "require('json').dumps.stash = 1",
    "require": "require.stash = 1",
    "cb": "cb.stash = 1",
    "an own alias": "own = Error\nown.stash = 1",
    "a private attribute": "Error._stash = 1",
    "a private attribute of the console": "console._send = print",
    "a private attribute by name": "setattr(Error, '_stash', 1)",
    "a private attribute in place": "console._budget += 1",
    "walrus in an index": "x = [0]\nx[(y := 0)] = Error.stash = 1",
    "except star": "try:\n    raise ValueError()\nexcept* ValueError:\n    pass\nError.stash = 1",
}


@pytest.mark.parametrize(("rule", "lines"), REFUSED.values(), ids=REFUSED.keys())
def test_a_class_that_changes_how_classes_work_is_refused(reach: Callable[..., Outcome], rule: str, lines: str) -> None:
    """The policy knows which magic methods a class may have; a metaclass it may not."""
    outcome = reach("1", before=lines) if lines.startswith("def __eq__") else reach("1", lines)

    assert ("rejected", rule) == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize(("expression", "lines"), GAINS_NOTHING.values(), ids=GAINS_NOTHING.keys())
def test_what_a_class_may_define_gains_nothing(reach: Callable[..., Outcome], expression: str, lines: str) -> None:
    """The method is accepted; what it is handed is as guarded as everything else."""
    outcome = reach(expression, lines)

    assert ("raised", True) == (outcome.status, outcome.message.startswith(STOPPED)), outcome.message


@pytest.mark.parametrize(
    "base", ["user", "console", "cb", "hook", "require('json')", "print", "Error('x')", "(x for x in ())"]
)
def test_an_object_as_a_base_makes_nothing_of_its_class(reach: Callable[..., Outcome], base: str) -> None:
    """`class A(thing)` calls the class of the thing, which `type()` may not even tell."""
    outcome = reach("A", f"thing = {base}\nclass A(thing):\n    pass\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("TypeError: "))


def test_no_equality_of_the_hooks_own_is_kept_for_the_next_job(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], run_hook: Callable[..., Outcome], tenant: str
) -> None:
    """A number that equals all others, in the cache of `re`, would answer for the flags of every later pattern."""
    mixed = """
    import re
    class Equal:
        def __eq__(self, other):
            return True
        def __hash__(self):
            return 0
    """
    attack(hook_of("class Flag(Equal, int):\n    pass\nre.compile('mixed', Flag(re.IGNORECASE))\ncb()", mixed))
    outcome = run_hook(hook_of("cb(None, re.sub('mixed', 'PWNED', 'MIXED'))", "import re\n"), tenant=tenant)

    assert ("ok", "MIXED") == (outcome.status, outcome.value())


@pytest.mark.parametrize("line", SHARED.values(), ids=SHARED.keys())
def test_a_write_to_what_is_shared_is_refused(reach: Callable[..., Outcome], line: str) -> None:
    """Every form of assignment passes the write guard, and the guard knows what is the job's own."""
    outcome = reach("1", line)

    assert outcome.status == "raised"
    assert outcome.message.startswith(
        ("TypeError: a hook may not change", "TypeError: cannot set", "TypeError: type() does not tell")
    )


@pytest.mark.parametrize(
    "name", ["InvalidScopeError", "Error", "type(user)", "type(console)", "type(module)", "Template"]
)
def test_the_dataclass_decorator_does_not_change_a_shared_class(
    attack: Callable[..., Outcome],
    hook_of: Callable[..., str],
    run_hook: Callable[..., Outcome],
    tenant: str,
    name: str,
) -> None:
    """`dataclass(Shared)` would write __init__ and __eq__ into a class that the next job uses. 2026-11-22."""
    attack(hook_of(f"try:\n    dataclass({name})\nexcept TypeError:\n    pass\ncb()", _DATACLASS))
    outcome = run_hook(hook_of("cb(None, [InvalidScopeError('x').message, Error('a') == Error('a')])"), tenant=tenant)

    assert ("ok", ["x", False]) == (outcome.status, outcome.value())


_DATACLASS = "from dataclasses import dataclass\nfrom string import Template\n"
_INJECTED = "x, 'PW' + 'NED', __import__('os').getpid()) or (self.x"


def test_a_dataclass_field_name_is_never_compiled_from_a_document(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """dataclass() of an object that answers any attribute compiles what it answers as field names. 2026-11-22."""
    outcome = attack(
        hook_of(
            f"""
            user["__mro__"] = (object, object)
            user["__dict__"] = {{"__annotations__": {{{_INJECTED!r}: int}}}}
            user["__qualname__"] = "q"
            user["x"] = 1
            dataclass(init=False, repr=False)(user)
            cb(None, str(user["__eq__"](user, user)))
            """,
            _DATACLASS,
        )
    )

    assert outcome.status == "raised"


def test_a_dataclass_field_name_is_never_compiled_from_a_renamed_field(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """A field keeps its name: a subclass is compiled from the names its base's fields have by then. 2026-11-22."""
    outcome = attack(
        hook_of(
            f"""
            named = field(default=1)
            class A:
                x: int = named
            A = dataclass(A)
            named.name = {_INJECTED!r}
            class B(A):
                pass
            B = dataclass(init=False, repr=False)(B)
            cb(None, str(B() == B()))
            """,
            "from dataclasses import dataclass, field\n",
        )
    )

    assert outcome.status in ("raised", "ok")


def test_a_dataclass_field_name_is_never_compiled_from_an_enum(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """Enum('E', [(name, value)]) makes a class with any attribute, `__annotations__` too. 2026-11-22."""
    outcome = attack(
        hook_of(
            f"""
            E = Enum("E", [("__annotations__", {{{_INJECTED.replace("x,", "name,").replace("self.x", "self.name")!r}: int}}), ("a", 1)])
            dataclass(init=False, repr=False)(E)
            cb(None, str(E.a == E.a))
            """,
            "from enum import Enum\n" + _DATACLASS,
        )
    )

    assert outcome.status == "raised"


@pytest.mark.parametrize("name", ["__repr__", "__reduce__", "__getattr__", "__hash__", "__exit__"])
def test_an_enum_by_call_takes_no_magic_method(reach: Callable[..., Outcome], name: str) -> None:
    """The functional form of Enum is no way to the magic methods that the policy refuses. 2026-11-22."""
    outcome = reach("E", f"E = require('enum').Enum('E', [('{name}', lambda *given: 'PW' + 'NED'), ('a', 1)])\n")

    assert outcome.status == "raised"


def test_an_enum_by_call_takes_no_module_name(reach: Callable[..., Outcome]) -> None:
    """A class that says it comes from another module makes dataclass() look into that module. 2026-11-22."""
    assert reach("E", "E = require('enum').Enum('E', ['a'], module='os')\n").status == "raised"


@pytest.mark.parametrize(
    "call",
    [
        "E._create_('X', [('__reduce__', lambda *given: 0), ('a', 1)])",
        "getattr(E, '_create_')('X', ['a'])",
        "E.made('_create_')('X', [('__del__', cb), ('a', 1)])",
        "E._convert_('X', 'os', lambda name: name == 'sys').sys.value.modules",
        "getattr(E, '_convert_')('X', 'os', lambda name: name == 'sys').sys.value.modules",
        "E.made('_convert_')('X', 'os', lambda name: name == 'sys').sys.value.modules",
    ],
)
def test_an_enum_is_not_made_by_the_private_methods_of_its_class(reach: Callable[..., Outcome], call: str) -> None:
    """`_create_` makes a class with any attribute, `_convert_` makes members of what a module of the interpreter holds."""
    made = "class E(Enum):\n    @classmethod\n    def made(cls, name):\n        return getattr(cls, name)\n"
    outcome = reach(call, made, before="from enum import Enum\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("AttributeError: ")), outcome.message


def test_a_class_of_the_jobs_own_may_be_changed(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """The guard refuses what is shared, not what the hook made."""
    body = "class A:\n    n = 1\nA.n += 1\nA.m = 2\nsetattr(A, 'k', 3)\ncb(None, [A.n, A.m, A.k])"

    assert [2, 2, 3] == attack(hook_of(body)).value()


def test_a_property_that_raises_is_the_hooks_own_trouble(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """A property of the hook's runs nowhere but in its job."""
    before = "class A:\n    @property\n    def message(self):\n        raise ValueError('mine')\n"

    assert attack(hook_of("cb(A())", before)).status == "denied"


def test_a_class_body_sees_the_guards_of_its_job(reach: Callable[..., Outcome]) -> None:
    """Names in a class body are looked up past it, so that it cannot stand before a guard."""
    outcome = reach("A.found", "class A:\n    getattr = 1\n    found = console._send\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("AttributeError: '_send' is private"))


def test_a_decorator_gets_only_what_it_decorates(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A decorator is a call with the function; nothing else is in it."""
    before = "def seen(*given, **named):\n    return [len(given), len(named)]\n"

    assert [1, 0] == attack(hook_of("@seen\ndef f():\n    pass\ncb(None, f)", before)).value()
