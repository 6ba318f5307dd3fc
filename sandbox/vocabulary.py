"""Which names a hook may use, and why the others are left out. Data, read by the policy and by the guards.

The names of the guards hold a space: a hook cannot spell them, whatever it calls its own things.
"""

from __future__ import annotations

import builtins
from typing import Literal

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

READ = "guarded getattr"  # of names that the policy does not read plainly
WRITE = "guarded owner"  # what a write to a public attribute goes to
WRITE_PRIVATE = "guarded own"  # what a write to a private attribute goes to
SUPER = "guarded super"
NAMES = "guarded names"  # of __slots__ and __match_args__
TYPE = "real type"
OWN = "own classes"  # the hook's, of which the guards know already
PLAIN = "plain classes"  # those among them that inherit no private names
GETATTR = "guarded __getattr__"
NEW = "guarded __new__"
TOKEN = "own token"  # noqa: S105 - an object that stands for the job
MARK = "__made by this job__"  # in the namespace of every class of the hook's; dunder in shape, so Enum lets it be
GUARDS = frozenset({READ, WRITE, WRITE_PRIVATE, SUPER, NAMES, TYPE, OWN, PLAIN, GETATTR, NEW, TOKEN})

Kind = Literal["public", "watched", "private", "special", "refused"]

WATCHED = frozenset(  # public names judged by what they lead to
    {"format", "format_map", "register", "obj", "groupindex"}
)

NAMED_TUPLE = frozenset({"_asdict", "_replace", "_make", "_fields", "_field_defaults"})  # public in all but name

TEXTS = frozenset({"__name__", "__qualname__", "__doc__"})
CHAIN = frozenset({"__cause__", "__context__", "__suppress_context__", "__notes__"})  # of exceptions

_NUMBERS = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or".split()
_COMPARED = "lt le eq ne gt ge".split()
_READ_ONLY = (  # methods that change nothing, whoever they are called on
    "repr str bytes format bool int float complex index round trunc floor ceil neg pos abs invert len length_hint "
    "contains iter next reversed getitem missing call enter exit copy"
).split()
_CHANGING = (
    "new init post_init init_subclass class_getitem set_name getattr setattr delattr get set delete setitem delitem "
    "hash replace"
).split()


def _dunder(*names: str) -> frozenset[str]:
    return frozenset(f"__{name}__" for name in names)


PURE = _dunder(*_NUMBERS, *(f"r{name}" for name in _NUMBERS), *_COMPARED, *_READ_ONLY)
METHODS = PURE | _dunder(*(f"i{name}" for name in _NUMBERS if name != "divmod"), *_CHANGING)  # what a class may define
BY_DEF = {"__getattr__": GETATTR, "__new__": NEW}  # methods behind a guard: they are written with def
FIELDS = frozenset({"__slots__", "__match_args__"})  # what a class may set beside
FILE_NAMES = frozenset(  # what a file may set and read
    {"__all__", "__author__", "__copyright__", "__license__", "__version__"}
)
READABLE_NAMES = FILE_NAMES | {"__name__", "__doc__", "__debug__"}
READABLE = TEXTS | CHAIN | METHODS | {"__class__", "__dict__", "__members__"}  # attributes

_INTERPRETER = "it leads into the interpreter"
_CLASSES = "it changes how classes work"
_COPYING = "copying would call what it returns; give the class a method that makes the copy"
_ASYNC = "a hook is one synchronous call"

REASONS = {  # of names that a hook may not use as an attribute, a method or a variable
    "__del__": "it would run at a time that nobody chose; use with, or try and finally",
    "__getattribute__": "it would answer for every attribute; define __getattr__, a property or a method",
    "__traceback__": "it holds frames; the report of an error names the lines anyway",
    "__annotations__": "it may hold anything; dataclasses.fields names the fields of a dataclass",
    "__file__": "a hook is not a file on a disk",
    "__import__": "write import, or require(…)",
    "__class__": "use type(…); an object keeps its class",
    "__getattr__": "write it as a method: def __getattr__(self, name):",
    "__new__": "write it as a method: def __new__(cls):",
    "__wrapped__": "it leads past a decorator",
    "mro": "it leads from a class to those it is made of; use isinstance or issubclass",
    "__mro__": "it leads from a class to those it is made of; use isinstance or issubclass",
    "__bases__": "it leads from a class to those it is made of; use isinstance or issubclass",
    "__subclasses__": "it leads from a class to all classes; keep a list in __init_subclass__",
    "__module__": "a hook is one file",
    "__weakref__": "a hook has no weak references",
    "__buffer__": "it hands out memory",
    "__release_buffer__": "it hands out memory",
    "__fspath__": "a hook has no files",
    **dict.fromkeys(("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__deepcopy__"), _COPYING),
    **dict.fromkeys(("__getnewargs__", "__getnewargs_ex__"), _COPYING),
    **dict.fromkeys(("__metaclass__", "__prepare__", "__instancecheck__", "__subclasscheck__"), _CLASSES),
    **dict.fromkeys(("__subclasshook__", "__mro_entries__"), _CLASSES),
    **dict.fromkeys(("__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__"), _ASYNC),
}

_PROTOCOL = frozenset({"_is_protocol", "_is_runtime_protocol"})  # isinstance would go by a class's names

# Attributes that lead from an innocent object to the interpreter's own. RestrictedPython knows most.
REFUSED_ATTRIBUTES = INSPECT_ATTRIBUTES | {"mro"}
JUDGED = REFUSED_ATTRIBUTES | WATCHED  # among the names without an underscore


def kind_of(name: str) -> Kind:
    """How an attribute of that name is treated."""
    if is_dunder(name):
        return "special" if name in READABLE else "refused"
    if name.startswith("_"):
        return "refused" if name in _PROTOCOL else "private"
    if name in REFUSED_ATTRIBUTES:
        return "refused"
    return "watched" if name in WATCHED else "public"


def is_dunder(name: str) -> bool:
    """Whether Python keeps names of this shape for itself."""
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def reason(name: str) -> str:
    """Why a hook may not use `name`, or what to write instead."""
    if name in METHODS and name not in REASONS:
        return "it has a meaning in a class alone: define it there"
    return REASONS.get(name, _CLASSES if name in _PROTOCOL else _INTERPRETER)


def reason_to_stay(name: str) -> str:
    """Why a hook may not change `name`, or what to write instead."""
    if name in TEXTS:
        return "functools.wraps names a function after another"
    return "define it in the class" if name in METHODS | FIELDS else reason(name)


LEFT_OUT = {  # builtins that a hook does not have, and why
    **dict.fromkeys(("eval", "exec", "compile"), "code comes from the hook's file alone"),
    **dict.fromkeys(("open", "input"), "a hook has no files and no terminal"),
    **dict.fromkeys(("globals", "locals"), "it would hand out the namespace with the guards in it"),
    "memoryview": "it writes under other objects; use bytes or bytearray",
    **dict.fromkeys(("breakpoint", "help", "exit", "quit", "copyright", "credits", "license"), "it is for a terminal"),
    **dict.fromkeys(
        ("BaseException", "SystemExit", "KeyboardInterrupt", "GeneratorExit"),
        "they end processes and generators; use Exception",
    ),
    "BaseExceptionGroup": "use ExceptionGroup",
    **dict.fromkeys(("aiter", "anext"), _ASYNC),
}

FUNCTIONS = """
    abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float
    format frozenset hex int isinstance issubclass iter len list map max min next object oct ord pow property range
    repr reversed round set slice sorted staticmethod str sum tuple zip
""".split()  # as Python has them
CONSTANTS = "None True False NotImplemented Ellipsis __debug__".split()
GUARDED = "delattr dir getattr hasattr hash id print setattr super type vars".split()  # our versions
EXCEPTIONS = sorted(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and name not in LEFT_OUT and name[0] != "_"
)
BUILTIN_NAMES = [*FUNCTIONS, *CONSTANTS, *GUARDED, *EXCEPTIONS]
