"""Ordinary tools that read, call or evaluate for others: annotations, format, functools, operator, json, re, io."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from engine.outcome import Outcome

REFUSED = {"raised", "rejected"}
EVALUATED = {  # annotations, and what would evaluate a text
    "of a function": ("def f(x: \"print('PW' + 'NED')\"):\n    pass\n", "f.__annotations__"),
    "of a variable": ("x: \"print('PW' + 'NED')\" = 1\n", "__annotations__"),
    "of a class": ("class A:\n    x: \"print('PW' + 'NED')\" = 1\n", "A.__annotations__"),
    "of a class, by name": ("class A:\n    x: 'a' = 1\n", "getattr(A, '__annotations__')"),
    "of an object": ("class A:\n    x: 'a' = 1\n", "getattr(A(), '__annotations__')"),
    "get_type_hints": ("from typing import get_type_hints\n", "get_type_hints(hook)"),
    "get_type_hints of the module": ("import typing\n", "typing.get_type_hints(hook)"),
    "a forward reference": ("import typing\n", "typing.Optional['a'].__args__[0]._evaluate({}, {}, frozenset())"),
    "a forward reference's class": ("import typing\n", "typing.ForwardRef('a')"),
    "a forward reference of an alias": ("import typing\n", "typing.List['a'].copy_with(('a',))[0]"),
    "the bound of a variable": ("import typing\nT = typing.TypeVar('T', bound='a')\n", "T.__bound__._evaluate"),
    "singledispatch": ("import functools\n", "functools.singledispatch(hook)"),
    "an evaluated name": ("", "eval('1')"),
    "a guard in an annotation": ("class A:\n    x: hook.__globals__ = 1\n", "A.x"),
    "a private in an annotation": ("", "(lambda: 1)()\ndef f(x: console._send):\n    pass\nraise ValueError"),
    "a text that fstrings": ("", "f'{hook.__globals__}'"),
    "a text within an fstring's format": ("", "f'{1:{hook.__globals__}}'"),
}


@pytest.mark.parametrize(("before", "expression"), EVALUATED.values(), ids=EVALUATED.keys())
def test_no_annotation_is_evaluated_from_a_text(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str, expression: str
) -> None:
    """Annotations are expressions under the policy; those that are texts stay texts."""
    assert attack(hook_of(f"found = {expression}\ncb(None, 'PW' + 'NED' + str(found))", before)).status in REFUSED


LAZY = {
    "an alias's value": "type X = hook.__globals__\n",
    "an alias's value, asked for": "type X = int\nX.__value__\n",
    "a bound": "def f[T: hook.__globals__]():\n    pass\n",
    "constraints": "def f[T: (int, hook.__globals__)]():\n    pass\n",
    "a parameter's bound, asked for": "def f[T: int]():\n    return T.__bound__\nf()\n",
    "a class's parameter": "class A[__class__]:\n    pass\n",
    "a function's parameter": "def f[__builtins__]():\n    pass\n",
    "an alias's name": "type __builtins__ = int\n",
    "an alias's parameter": "type X[__import__] = int\n",
    "a base": "class A[T](hook.__globals__):\n    pass\n",
    "super in an alias": "class A:\n    type X = super().__init__.__globals__\n",
    "the cell in an alias": "class A:\n    type X = __class__\n",
    "parameters": "class A[T]:\n    pass\nA.__type_params__\n",
    "a module": "type X = int\nX.__module__\n",
}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695")
@pytest.mark.parametrize("before", LAZY.values(), ids=LAZY.keys())
def test_a_lazily_evaluated_type_is_under_the_policy(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str
) -> None:
    """Aliases, bounds and constraints are evaluated when somebody asks: they are checked before."""
    assert attack(hook_of("cb(None, 'PW' + 'NED')", before)).status in REFUSED


PARAMETERS = ["{0}, /", "{0}", "*{0}", "**{0}", "*, {0}", "{0}=1, /", "a, {0}, /, b"]
NAMES = "__builtins__ __import__ __build_class__ __class__ __globals__ __annotations__ __debug__".split()


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize(
    "form", ["def f({0}):\n    pass\n", "f = lambda {0}: 0\n", "class A:\n    def f({0}):\n        pass\n"]
)
def test_no_parameter_stands_before_a_name_of_the_interpreters(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], form: str, parameters: str
) -> None:
    """Positional-only ones were not looked at in RestrictedPython before 8.3 (CVE-2026-55830)."""
    for name in NAMES:
        source = form.format(parameters.format(name))
        assert (name, "rejected") == (name, attack(hook_of("cb(None, 'PW' + 'NED')", source)).status)


@pytest.mark.parametrize(
    "name", ["_getattr_", "_write_", "_getitem_", "_getiter_", "_inplacevar_", "_print_", "__roles__x"]
)
def test_the_guards_of_others_are_ordinary_names(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], name: str
) -> None:
    """A hook may call its own things what it likes: the guards here have names that nobody can spell."""
    body = f"{name} = lambda *given: 'PW' + 'NED'\nclass A:\n    pass\na = A()\na.x = [1]\na.x[0] += 1\ncb(None, a.x)"

    assert [2] == attack(hook_of(body)).value()


READERS = {  # tools that read an attribute by its name
    "format": "'{0.__globals__}'.format(hook)",
    "format by position": "'{.__globals__}'.format(hook)",
    "format of an item": "'{0[a].__globals__}'.format({'a': hook})",
    "format within a format": "'{0:{1.__globals__}}'.format(1, hook)",
    "format_map": "'{a.__globals__}'.format_map({'a': hook})",
    "format of a subclass": "S('{0.__globals__}').format(hook)",
    "format of str": "str.format('{0.__globals__}', hook)",
    "format by getattr": "getattr('{0.__globals__}', 'format')(hook)",
    "format by a caller": "operator.methodcaller('format', hook)('{0.__globals__}')",
    "format by a getter": "operator.attrgetter('format')('{0.__globals__}')(hook)",
    "format by a map": "list(map(str.format, ['{0.__globals__}'], [hook]))",
    "format by a partial": "functools.partial(str.format, '{0.__globals__}')(hook)",
    "format by a reduce": "functools.reduce(str.format, [hook], '{0.__globals__}')",
    "format of super": "S('{0.__globals__}').up(hook)",
    "format of a private": "'{0._send}'.format(console)",
    "format of an error's object": "'{0.obj}'.format(AttributeError('x', obj=hook))",
    "format of a frame": "'{0.gi_frame}'.format(x for x in [1])",
    "format of a UserString": "collections.UserString('{0.__globals__}').format(hook)",
    "format_map of a UserString": "collections.UserString('{a.__globals__}').format_map({'a': hook})",
    "the text of a UserString": "collections.UserString('{0.__globals__}').data.format(hook)",
    "attrgetter": "operator.attrgetter('__globals__')(hook)",
    "attrgetter of a path": "operator.attrgetter('log._send')(console)",
    "attrgetter of a subclass of str": "operator.attrgetter(S('__globals__'))(hook)",
    "methodcaller": "operator.methodcaller('__reduce_ex__', 2)(user)",
    "methodcaller of what is shared": "operator.methodcaller('__init__', 'x')(Error('x'))",
    "itemgetter": "operator.itemgetter('__globals__')(hook)",
    "Template": "string.Template('${a.__globals__}').substitute(a=hook)",
    "wraps": "functools.wraps(json.dumps)(hook).__wrapped__",
    "update_wrapper": "functools.update_wrapper(hook, json.dumps, ['__code__'], [])",
    "a cache of what is shared": "functools.lru_cache(json.dumps)",
    "a cached property under a special name": "type('A', (), {'__globals__': functools.cached_property(hook)})",
    "a context manager of what is shared": "contextlib.contextmanager(json.dumps)",
    "total_ordering of what is shared": "functools.total_ordering(Error)",
    "a Formatter": "string.Formatter()",
    "vars": "vars(hook)",
    "vars of a class": "vars(Error)",
    "vars of nothing": "vars()",
    "a dict of a class": "Error.__dict__",
    "a dict of a builtin class": "object.__dict__['__getattribute__'](hook, '__globals__')",
    "a dict of a builtin class, by name": "getattr(str, '__dict__')['format']('{0.__globals__}', hook)",
    "a dict of a builtin class, by a getter": "operator.attrgetter('__dict__')(object)['__reduce_ex__'](user, 2)",
    "a dict of a class, by format": "'{0.__dict__}'.format(Error)",
    "a dict of a class of the hook's": "S.__dict__",
    "a dict of a facade": "json.__dict__",
    "a dict of a function": "hook.__dict__",
    "a dict of super": "S('x').inner().__dict__",
    "memory": "io.BytesIO(b'x').getbuffer().obj.__class__.__base__",
    "json's defaults": "json.dumps.__kwdefaults__",
    "json's default": "json.dumps(hook, default=lambda it: it.__globals__)",
    "a pattern's callback": "re.sub('a', lambda match: match.__class__.__base__.x, 'a')",
    "an error's trace": "error_of().__traceback__",
    "an error's trace, given": "error_of().with_traceback(error_of().__traceback__)",
    "an error's context's trace": "error_of().__context__.__traceback__",
    "an error's object": "error_of().obj",
    "an error's object, by name": "getattr(error_of(), 'obj')",
    "an error's object, by vars": "vars(error_of())['obj']",
    "a generator's frame": "(x for x in [1]).gi_frame",
    "a generator's code": "getattr((x for x in [1]), 'gi_code')",
    "what a generator yields from": "(x for x in [1]).gi_yieldfrom",
    "a namedtuple's field": "collections.namedtuple('N', ['__class__'])",
    "a namedtuple's name": "collections.namedtuple(S('N'), ['a'])",
    "a namedtuple of a subclass of str": "collections.namedtuple('N', [S('a')])",
    "a namedtuple's module": "collections.namedtuple('N', ['a'], module='os')",
    "a NamedTuple's field": "typing.NamedTuple('N', [('__class__', int)])",
    "a NewType's module": "typing.NewType('N', int).__module__",
}
_TOOLS = """
import collections, contextlib, functools, io, json, operator, re, string, typing
class S(str):
    def up(self, *given):
        return super().format(*given)
    def inner(self):
        return super()
def error_of():
    try:
        try:
            1 / 0
        finally:
            console.nothing
    except AttributeError as error:
        return error
"""


@pytest.mark.parametrize("expression", READERS.values(), ids=READERS.keys())
def test_no_tool_reads_past_the_guards(reach: Callable[..., Outcome], expression: str) -> None:
    """Whoever reads by a name reads as the hook may."""
    assert reach(expression, before=_TOOLS).status in REFUSED


GROUPS = {  # `except*` trusts what split returns: CPython 3.11 to 3.13 confused types
    "a subclass": "class G(ExceptionGroup):\n    def split(self, kind):\n        return 1\nit = G('x', [ValueError()])",
    "an attribute": "it = ExceptionGroup('x', [ValueError()])\nit.split = lambda kind: 1",
    "setattr": "it = ExceptionGroup('x', [ValueError()])\nsetattr(it, 'split', lambda kind: 1)",
    "object": "it = ExceptionGroup('x', [ValueError()])\nobject.__setattr__(it, 'split', lambda kind: 1)",
    "an error's own": "it = ExceptionGroup('x', [ValueError()])\nException.__setattr__(it, 'split', lambda kind: 1)",
    "its state": "it = ExceptionGroup('x', [ValueError()])\nit.__setstate__({'split': lambda kind: 1})",
    "its dict": "it = ExceptionGroup('x', [ValueError()])\nit.__dict__['split'] = lambda kind: 1",
    "its vars": "it = ExceptionGroup('x', [ValueError()])\nvars(it)['split'] = lambda kind: 1\nassert vars(it)",
    "in place": "it = ExceptionGroup('x', [ValueError()])\nit.split += 1",
    "its class": "it = ExceptionGroup('x', [ValueError()])\ntype(it).split = lambda self, kind: 1",
    "a part's derive": "it = ExceptionGroup('x', [ExceptionGroup('y', [ValueError()])])\nit.exceptions[0].derive = 1",
    "a private": "it = ExceptionGroup('x', [ValueError()])\nit._split = 1",
}


@pytest.mark.parametrize("source", GROUPS.values(), ids=GROUPS.keys())
def test_a_group_splits_as_python_says(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], source: str
) -> None:
    """CVE-2025-22153: an overridden split made `except*` read what is no tuple as one."""
    body = f"{source}\ntry:\n    raise it\nexcept* ValueError as caught:\n    cb(None, 'PW' + 'NED')"

    assert attack(hook_of(body)).status in REFUSED


ADDRESSES = {  # what would tell an address, or the interpreter's key
    "id": "id(user)",
    "hash": "hash(hook)",
    "a hash of object": "object.__hash__(console)",
    "a hash of a type": "type.__hash__(Error)",
    "a hash of a text": "str.__hash__('a')",
    "a hash by super()": "A('a').up()",
    "a hash in a dataclass": "hash(D('a'))",
    "a hash of a tuple": "hash(('a', hook))",
    "a hash of a frozenset": "hash(frozenset(['a']))",
    "a hash by a map": "list(map(hash, ['a']))[0]",
}


@pytest.mark.parametrize("expression", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_a_hash_and_an_id_are_keyed_for_each_job(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    expression: str,
) -> None:
    """The same in one job, another in the next of the same worker: neither an address nor a key is in them."""
    before = (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass D:\n    x: object\n"
        "class A(str):\n    def up(self):\n        return super().__hash__()\n"
    )
    source = hook_of(f"cb(None, [{expression}, {expression}])", before)
    first, second = attack(source), run_hook(source, tenant=tenant)

    assert ("ok", "ok") == (first.status, second.status)
    assert first.value()[0] == first.value()[1]
    assert first.value()[0] != second.value()[0]
