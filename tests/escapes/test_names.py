"""The guards are names in the hook's namespace: no binding of the hook's own may stand before one of them."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable

import pytest

from engine.outcome import Outcome

EVIL = """
class Evil:
    def __new__(cls, *given):
        return given[0] if given else super().__new__(cls)
    def __call__(self, *given, **named):
        return given[0]
    def __enter__(self):
        return self
    def __exit__(self, *given):
        return False
    def __iter__(self):
        return iter((self, self))
    def __iadd__(self, other):
        return self
class Boom(Exception):
    def __call__(self, *given):
        return given[0]
evil = Evil()
"""
BINDINGS = {
    "assignment": "NAME = evil\nATTEMPT",
    "chained assignment": "a = NAME = evil\nATTEMPT",
    "annotated assignment": "NAME: int = evil\nATTEMPT",
    "bare annotation": "NAME: int\nATTEMPT",
    "augmented assignment": "global NAME\nNAME = evil\nNAME += 1\nATTEMPT",
    "tuple": "a, NAME = evil, evil\nATTEMPT",
    "list": "[a, NAME] = evil, evil\nATTEMPT",
    "starred": "a, *NAME = evil, evil\nATTEMPT",
    "nested": "(a, (b, NAME)) = 1, (2, evil)\nATTEMPT",
    "walrus": "(NAME := evil)\nATTEMPT",
    "walrus in a comprehension": "[(NAME := evil, ATTEMPT) for i in [1]]",
    "for": "for NAME in [evil]:\n    ATTEMPT",
    "for tuple": "for a, NAME in [(1, evil)]:\n    ATTEMPT",
    "comprehension": "[ATTEMPT for NAME in [evil]]",
    "set comprehension": "{str(ATTEMPT) for NAME in [evil]}",
    "dict comprehension": "{1: ATTEMPT for NAME in [evil]}",
    "generator": "list(ATTEMPT for NAME in [evil])",
    "with": "with evil as NAME:\n    ATTEMPT",
    "with tuple": "with evil as (a, NAME):\n    ATTEMPT",
    "except": "try:\n    raise Boom()\nexcept Boom as NAME:\n    ATTEMPT",
    "except star": (
        "try:\n    raise Boom()\nexcept* Boom as NAME:\n"
        "    try:\n        ATTEMPT\n    except Exception as error:\n        said = error\nraise said"
    ),
    "import as": "import json as NAME\nATTEMPT",
    "from import as": "from copy import copy as NAME\nATTEMPT",
    "function": "def NAME(*given):\n    return given[0]\nATTEMPT",
    "class": "class NAME(Evil):\n    pass\nATTEMPT",
    "parameter": "def f(NAME):\n    ATTEMPT\nf(evil)",
    "positional-only parameter": "def f(NAME, /):\n    ATTEMPT\nf(evil)",
    "keyword-only parameter": "def f(*, NAME):\n    ATTEMPT\nf(NAME=evil)",
    "star parameter": "def f(*NAME):\n    ATTEMPT\nf(evil)",
    "double star parameter": "def f(**NAME):\n    ATTEMPT\nf(x=evil)",
    "default parameter": "def f(NAME=evil):\n    ATTEMPT\nf()",
    "lambda": "(lambda NAME: ATTEMPT)(evil)",
    "lambda positional-only": "(lambda NAME, /: ATTEMPT)(evil)",
    "lambda keyword-only": "(lambda *, NAME=evil: ATTEMPT)()",
    "lambda star": "(lambda *NAME: ATTEMPT)(evil)",
    "lambda double star": "(lambda **NAME: ATTEMPT)(x=evil)",
    "global": "global NAME\nNAME = evil\nATTEMPT",
    "nonlocal": "NAME = 1\ndef f():\n    nonlocal NAME\n    NAME = evil\n    ATTEMPT\nf()",
    "delete": "NAME = evil\ndel NAME\nATTEMPT",
    "delete in a tuple": "a = NAME = evil\ndel (a, NAME)\nATTEMPT",
    "class body": "class A:\n    NAME = evil\n    ATTEMPT",
    "function in a class body": "class A:\n    def NAME(*given):\n        return given[0]\n    ATTEMPT",
    "in an f-string": "f'''{(NAME := evil)}{ATTEMPT}'''",
    "match": "match evil:\n    case NAME:\n        ATTEMPT",
    "match as": "match evil:\n    case Evil() as NAME:\n        ATTEMPT",
    "match star": "match [evil]:\n    case [*NAME]:\n        ATTEMPT",
    "match mapping": "match {'x': evil}:\n    case {'x': NAME}:\n        ATTEMPT",
    "match rest": "match {'x': evil}:\n    case {**NAME}:\n        ATTEMPT",
}
if sys.version_info >= (3, 12):
    BINDINGS |= {
        "type alias": "type NAME = evil\nATTEMPT",
        "type parameter": "def f[NAME]():\n    ATTEMPT\nf()",
        "type parameter of a class": "class A[NAME]:\n    ATTEMPT",
        "type parameter of an alias": "type X[NAME] = list[NAME]\nlist[X]\nATTEMPT",
    }
SHADOWED = {  # what a guard was called when a hook could not spell an underscore → what it must stop whoever is so called
    "a private attribute": ("_getattr_", "console._send"),
    "a computed attribute": ("_getattr_", "getattr(hook, '__code__')"),
    "a template": ("_getattr_", "'{0.__globals__}'.format(cb)"),
    "a shared class": ("_write_", "[0 for Error.stash in [1]]"),
    "a private write": ("_write_", "[0 for console._send in [1]]"),
}
STOPPED = (
    "AttributeError: a hook may not use the attribute",
    "AttributeError: '_send' is private to the",
    "TypeError: a hook may not change",
)
RESERVED = [
    "__builtins__",
    "__import__",
    "__build_class__",
    "__name__",
    "__class__",
    "__classdict__",
    "__debug__",
    "__loader__",
    "__spec__",
    "__annotations__",
    "__dict__",
    "__globals__",
]
WIDE = {
    "wide low lines": "_＿builtins＿_",  # noqa: RUF001 - read as __builtins__
    "dashed low lines": "_﹍import﹍_",  # noqa: RUF001 - read as __import__
    "full-width letters": "__ｂｕｉｌｔｉｎｓ__",  # noqa: RUF001 - read as __builtins__
    "mathematical letters": "__𝐧𝐚𝐦𝐞__",  # noqa: RUF001 - read as __name__
}


def _with(form: str, name: str, attempt: str) -> str:
    return form.replace("NAME", name).replace("ATTEMPT", attempt) + "\n"


@pytest.mark.parametrize(("name", "attempt"), SHADOWED.values(), ids=SHADOWED.keys())
@pytest.mark.parametrize("form", BINDINGS.values(), ids=BINDINGS.keys())
def test_a_private_name_is_the_hooks_own_and_stands_before_no_guard(
    reach: Callable[..., Outcome], form: str, name: str, attempt: str
) -> None:
    """RestrictedPython's names of guards are ordinary names here: whatever is bound to them, the guards are asked."""
    outcome = reach("1", _with(form, name, attempt), before=EVIL)

    assert ("raised", True) == (outcome.status, outcome.message.startswith(STOPPED)), outcome.message


@pytest.mark.parametrize("name", ["_iter_", "_getitem_", "_unpack_sequence_", "_inplacevar_", "_apply_", "_print_"])
@pytest.mark.parametrize(("_", "attempt"), SHADOWED.values(), ids=SHADOWED.keys())
def test_no_name_of_restrictedpythons_is_a_guard(
    reach: Callable[..., Outcome], name: str, _: str, attempt: str
) -> None:
    """The rest of its names, for the whole file."""
    outcome = reach(attempt, before=f"{EVIL}{name} = evil\n")

    assert ("raised", True) == (outcome.status, outcome.message.startswith(STOPPED)), outcome.message


@pytest.mark.parametrize("form", BINDINGS.values(), ids=BINDINGS.keys())
def test_no_form_of_binding_takes_a_name_of_pythons_own(reach: Callable[..., Outcome], form: str) -> None:
    """A name that the interpreter looks up by itself is refused wherever a name can be bound."""
    outcome = reach("1", _with(form, "__builtins__", "evil"), before=EVIL)

    assert outcome.status == "rejected"
    assert "special-name" in {found.rule for found in outcome.diagnostics}


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize(
    "statement",
    [
        "NAME = lambda *a: cb",
        "global NAME",
        "class A:\n    NAME = cb",
        "class A:\n    global NAME\n    NAME = cb",
        "class A:\n    def NAME(self):\n        pass",
        "class A:\n    def f(self, NAME):\n        return super().f",
        "def f(NAME, /):\n    pass",
        "for NAME in [cb]:\n    pass",
        "import json as NAME",
        "del NAME",
    ],
)
def test_every_name_of_pythons_own_is_out_of_reach(reach: Callable[..., Outcome], statement: str, name: str) -> None:
    """Neither the builtins nor the cell of a class can be bound, in any scope."""
    outcome = reach("1", _with(statement, name, ""))

    assert outcome.status == "rejected"
    assert {found.rule for found in outcome.diagnostics} & {"special-name", "syntax"}


@pytest.mark.parametrize("name", sorted({*RESERVED} - {"__name__", "__debug__"}))
def test_a_name_of_pythons_own_is_not_read(reach: Callable[..., Outcome], name: str) -> None:
    """The builtins, the importer and the cell of a class cannot be spelt; `__name__` is a text that tells nothing."""
    outcome = reach(f"{name}", f"class A:\n    def f(self):\n        return {name}\n")

    assert ("rejected", "special-name") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("name", WIDE.values(), ids=WIDE.keys())
def test_a_name_is_checked_as_python_reads_it(reach: Callable[..., Outcome], name: str) -> None:
    """Python reads compatibility characters as plain ones; the check comes after that."""
    outcome = reach("1", f"{name} = cb\n")

    assert ("rejected", "special-name") == (outcome.status, outcome.diagnostics[0].rule)


def test_no_identifier_holds_a_space() -> None:
    """The names of the guards do, so that no character can spell one, not even by what Python reads it as."""
    spelt = [chr(number) for number in range(sys.maxunicode + 1) if f"a{chr(number)}".isidentifier()]

    assert [] == [character for character in spelt if " " in unicodedata.normalize("NFKC", f"a{character}")]


UNSPELT = {
    "attribute of a class": "class A:\n    pass\nsetattr(A, 'guarded getattr', evil)\nsetattr(A, 'guarded owner', evil)",
    "attribute of the entry": "setattr(hook, 'guarded getattr', evil)\nsetattr(hook, 'guarded owner', evil)",
    "attribute of the module": "setattr(module, 'guarded getattr', evil)\nsetattr(module, 'guarded owner', evil)",
    "fields of an argument": "user['guarded getattr'] = user['guarded owner'] = evil",
    "keyword arguments": "(lambda **given: given)(**{'guarded getattr': evil, 'guarded owner': evil})",
    "keywords of a class": (
        "class A:\n    def __init_subclass__(cls, **given):\n        pass\n"
        "class B(A, **{'guarded getattr': evil, 'guarded owner': evil}):\n    pass"
    ),
    "the dict of an object": "a = Boom()\na.__dict__ | {'guarded getattr': evil, 'guarded owner': evil}",
}


@pytest.mark.parametrize("attempt", [attempt for _, attempt in SHADOWED.values()], ids=SHADOWED.keys())
@pytest.mark.parametrize("line", UNSPELT.values(), ids=UNSPELT.keys())
def test_the_name_of_a_guard_given_as_a_text_binds_none(reach: Callable[..., Outcome], line: str, attempt: str) -> None:
    """Where a name is a text, it may hold a space; nothing of that is looked up as a variable."""
    outcome = reach(attempt, line + "\n", before=EVIL)

    assert ("raised", True) == (outcome.status, outcome.message.startswith(STOPPED)), outcome.message


@pytest.mark.parametrize("name", ["__builtins__", "__import__", "__build_class__", "__name__"])
def test_a_future_import_binds_no_name_of_pythons_own(attack: Callable[..., Outcome], name: str) -> None:
    """`from __future__ import annotations as __name__` is an import like any other: its name is checked. 2026-11-22."""
    outcome = attack(f"from __future__ import annotations as {name}\ndef hook(user, context, cb):\n    cb()\n")

    assert ("rejected", "special-name") == (outcome.status, outcome.diagnostics[0].rule)


def test_a_comprehension_does_not_bind_in_the_file(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """The variable of a comprehension is its own, so it shadows no builtin outside."""
    outcome = attack(
        hook_of("[0 for getattr in [1]]\ncb(None, hasattr(user, '__reduce__') or getattr(user, 'username'))")
    )

    assert ("ok", "user1") == (outcome.status, outcome.value())


@pytest.mark.parametrize("name", ["getattr", "setattr", "type", "print", "Error", "isinstance", "str"])
def test_shadowing_a_builtin_changes_only_the_hooks_own_name(
    attack: Callable[..., Outcome],
    run_hook: Callable[..., Outcome],
    hook_of: Callable[..., str],
    tenant: str,
    name: str,
) -> None:
    """A hook may call its own variables as it likes; the next job has the builtin again."""
    source = hook_of("cb(None, 1)", f"{name} = None\n")
    first = attack(source)
    second = run_hook(hook_of(f"cb(None, callable({name}))"), tenant=tenant)

    assert ("ok", "ok", True) == (first.status, second.status, second.value())


def test_a_keyword_argument_does_not_set_private_state(reach: Callable[..., Outcome]) -> None:
    """Names of keyword arguments are not checked, so no function a hook can call has a private parameter."""
    assert reach("1", "cb(_settled=True)\n").status == "raised"


def test_a_global_of_one_job_is_gone_in_the_next(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """Every job has a namespace of its own."""
    attack(hook_of("global kept\nkept = 'PW' + 'NED'\ncb()"))
    outcome = run_hook(hook_of("cb(None, kept)"), tenant=tenant)

    assert ("raised", "NameError: name 'kept' is not defined") == (outcome.status, outcome.message)


def test_the_parameters_of_the_point_are_no_way_to_a_guard(attack: Callable[..., Outcome]) -> None:
    """Arguments come by the point's names; a field of the caller's JSON binds nothing."""
    named = {"guarded owner": 1, "guarded getattr": 1, "__builtins__": {}}
    arguments = {"user": dict(named), "context": {"connection": {}} | named} | named
    outcome = attack("def hook(user, context, cb):\n    user.x = 1\n    cb(None, user.x)\n    Error.x = 1\n", arguments)

    assert ("ok", 1) == (outcome.status, outcome.value())
    assert ["after cb: TypeError: a hook may not change Error:"] == [log.text[:49] for log in outcome.logs]


NEVER_A_METHOD = """
    __del__ __getattribute__ __reduce__ __reduce_ex__ __getstate__ __setstate__ __getnewargs__ __getnewargs_ex__
    __deepcopy__ __instancecheck__ __subclasscheck__ __subclasshook__ __mro_entries__ __prepare__ __metaclass__
    __class__ __annotations__ __annotate__ __buffer__ __release_buffer__ __fspath__ __dict__ __weakref__ __module__
    __qualname__ __doc__ __bases__ __mro__ __abstractmethods__ __isabstractmethod__ __wrapped__ __func__ __self__
    __code__ __globals__ __builtins__ __import__ __build_class__ __classcell__ __classdict__ __type_params__
    __dataclass_fields__ __orig_bases__ __orig_class__ __parameters__ __origin__ __args__ __typing_subst__ __dir__
    __sizeof__ __await__ __aiter__ __anext__ __aenter__ __aexit__ __cause__ __context__ __traceback__ __notes__
    __firstlineno__ __static_attributes__ __conditional_annotations__ __objclass__ __get_validators__ __name__
""".split()
IN_A_CLASS = {
    "def": "def NAME(self, *given):\n    pass",
    "decorated def": "@staticmethod\ndef NAME(*given):\n    pass",
    "property": "@property\ndef NAME(self):\n    pass",
    "assignment": "NAME = f",
    "chained assignment": "x = NAME = f",
    "tuple": "x, NAME = f, f",
    "list": "[x, NAME] = f, f",
    "starred": "x, *NAME = f, f",
    "nested": "(x, (y, NAME)) = f, (f, f)",
    "annotated": "NAME: int = f",
    "bare annotation": "NAME: int",
    "augmented": "NAME += f",
    "lambda": "NAME = lambda self, *given: f",
    "import as": "import json as NAME",
    "from import as": "from json import dumps as NAME",
    "for": "for NAME in [f]:\n    pass",
    "for tuple": "for x, NAME in [(f, f)]:\n    pass",
    "with": "with f as NAME:\n    pass",
    "with tuple": "with f as (x, NAME):\n    pass",
    "except": "try:\n    pass\nexcept Error as NAME:\n    pass",
    "except star": "try:\n    pass\nexcept* Error as NAME:\n    pass",
    "del": "del NAME",
    "nested class": "class NAME:\n    pass",
    "global": "global NAME",
    "walrus": "(NAME := f)",
    "walrus in a default": "def m(self, x=(NAME := f)):\n    pass",
    "walrus in a decorator": "@(NAME := f)\ndef m(self):\n    pass",
    "walrus in a base": "class B((NAME := Error)):\n    pass",
    "walrus in an annotation": "x: (NAME := f) = 1",
    "walrus in an f-string": "f'{(NAME := f)}'",
    "match": "match f:\n    case NAME:\n        pass",
    "match as": "match f:\n    case 1 as NAME:\n        pass",
    "match star": "match f:\n    case [*NAME]:\n        pass",
    "match rest": "match f:\n    case {**NAME}:\n        pass",
    "match in a class": "match f:\n    case Error(NAME):\n        pass",
    "in a branch": "if f:\n    NAME = f",
    "in a loop": "while f:\n    def NAME(self):\n        pass",
    "in finally": "try:\n    pass\nfinally:\n    NAME = f",
    "in a class in the class": "class B:\n    NAME = f",
}
if sys.version_info >= (3, 12):
    IN_A_CLASS |= {
        "type alias": "type NAME = f",
        "type parameter": "def m[NAME](self):\n    pass",
        "generic class": "class B[T]:\n    NAME = f",
    }


@pytest.mark.parametrize("form", IN_A_CLASS.values(), ids=IN_A_CLASS.keys())
def test_no_form_of_binding_gives_a_class_a_method_that_python_calls_unasked(
    reach: Callable[..., Outcome], form: str
) -> None:
    """Each name, bound in the body of a class in that form, is a finding of its own."""
    bodies = ["    " + form.replace("NAME", name).replace("\n", "\n    ") for name in NEVER_A_METHOD]
    outcome = reach("1", "".join(f"class A:\n{body}\n" for body in bodies))

    refused = {name for found in outcome.diagnostics for name in re.findall(r"may not define '(\w+)'", found.message)}
    assert ("rejected", set()) == (outcome.status, set(NEVER_A_METHOD) - refused)


@pytest.mark.parametrize("name", NEVER_A_METHOD)
def test_a_class_is_not_given_such_a_method_later(reach: Callable[..., Outcome], name: str) -> None:
    """Neither the class nor an object of it, by a computed name."""
    made = "class A:\n    pass\n"
    for line in (f"setattr(A, '{name}', cb)", f"setattr(A(), '{name}', cb)", f"A().__setattr__('{name}', cb)"):
        outcome = reach("1", made + line + "\n")

        assert ("raised", True) == (
            outcome.status,
            outcome.message.startswith(f"AttributeError: a hook may not change the attribute '{name}'"),
        )
