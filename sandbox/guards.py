"""What restricted code calls at run time: attribute reads, writes, imports, and the builtins a hook has.

A policy of language, not the wall: they keep authors from reaching by accident or by trick for what no hook needs.
Names of the `_getattr_` family are put in by policy.py; a hook cannot spell them. Iteration, items and calls are
plain Python: a guard there would cost on every step and stop nothing.
"""

from __future__ import annotations

import _string  # type: ignore[import-not-found]  # string.Formatter splits field names with it
import abc
import builtins
import decimal
import string
import types
from collections import ChainMap, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from sandbox.document import Document
from sandbox.require import HOOK_NAME, MODULE_MAP

# Names that lead from an innocent object to the interpreter's own, beside all that begin with an underscore.
REFUSED_ATTRIBUTES = INSPECT_ATTRIBUTES | {"mro"}

_FORMATS = ("format", "format_map")
_RAW_FORMATS = (str.format, str.format_map)
_WATCHED = frozenset({*_FORMATS, "register", "obj"})


def check_attribute(name: str) -> str:
    """`name`, if a hook may use it on any object. Raises AttributeError; TypeError for a subclass of str."""
    if type(name) is not str:
        raise TypeError("an attribute name is a plain str")
    if name.startswith("_") or name in REFUSED_ATTRIBUTES:
        raise AttributeError(f"a hook may not use the attribute {name!r}")
    return name


def get_attribute(owner: Any, name: str) -> Any:
    """`owner.name`. `str.format` comes as a version whose fields pass this same guard."""
    check_attribute(name)
    value = getattr(owner, name)
    if name in _WATCHED:
        return _watched(owner, name, value)
    return value


def _watched(owner: Any, name: str, value: Any) -> Any:
    """What some names lead to is judged by what came, not by whom it came from: proxies forward what they stand for."""
    if value in _RAW_FORMATS:
        raise AttributeError(f"call {name} on a text, not on the class")
    if type(value) is types.BuiltinMethodType and isinstance(value.__self__, str) and name in _FORMATS:
        return _formatter_of(value.__self__, name)
    if name == "register" and isinstance(getattr(value, "__self__", None), abc.ABCMeta):
        raise AttributeError("a hook may not register a class with another")  # it would stay so for later jobs
    if name == "obj" and isinstance(owner, AttributeError):
        raise AttributeError("a hook may not have the object of an error")
    return value


def get_attribute_or(owner: Any, name: str, *default: Any) -> Any:
    """The builtin getattr, guarded."""
    if len(default) > 1:
        raise TypeError(f"getattr expected at most 3 arguments, got {2 + len(default)}")
    check_attribute(name)
    try:
        return get_attribute(owner, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def has_attribute(owner: Any, name: str) -> bool:
    """The builtin hasattr: an attribute that a hook may not use is not there."""
    try:
        get_attribute_or(owner, name)
    except AttributeError:
        return False
    return True


class _GuardedFormatter(string.Formatter):
    """str.format whose `{0.name}` passes the guard: the C version would not. One for each call: it counts fields."""

    def __init__(self) -> None:
        self._numbered = 0

    def parse(self, format_string: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
        """The fields, those without a number numbered: `{}` and `{.name}` alike."""
        for literal, field, spec, conversion in super().parse(format_string):
            if field is not None and (not field or field[0] in ".["):
                yield literal, f"{self._numbered}{field}", spec, conversion
                self._numbered += 1
            else:
                yield literal, field, spec, conversion

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str | int]:
        """The object of a field, every attribute on the way through the guard."""
        first, rest = _string.formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, name in rest:
            value = get_attribute(value, name) if is_attribute else value[name]
        return value, first


def _formatter_of(text: str, name: str) -> Callable[..., str]:
    exact = str.__str__(text)
    if name == "format":
        return lambda *args, **kwargs: _GuardedFormatter().vformat(exact, args, kwargs)
    return lambda mapping: _GuardedFormatter().vformat(exact, (), mapping)


class Module:
    """`module.exports = function`, for those who come from JavaScript."""

    exports: Any = None


_OPEN = frozenset({dict, list, Document, Module})  # the usual ones, first
_CONTAINERS = (dict, list, bytearray, deque, ChainMap, BaseException, decimal.Context)


class Own:
    """What one job made itself: the classes it may write to, and the namespace its functions live in."""

    __slots__ = ("classes", "namespace")

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.classes: set[type] = set()
        self.namespace = namespace

    def has(self, target: Any) -> bool:
        """Whether `target` is a class or a function that this job made."""
        if isinstance(target, type):
            return target in self.classes
        return type(target) is types.FunctionType and target.__globals__ is self.namespace

    def writable(self, target: Any) -> Any:
        """The check of `x.a = …`, `x[k] = …`, `del x.a`: only what is this job's own may change."""
        kind = type(target)
        if kind in _OPEN or kind in self.classes or isinstance(target, _CONTAINERS) or self.has(target):
            return target
        what = target.__name__ if isinstance(target, type) else f"a {kind.__name__}"
        raise TypeError(f"a hook may not change {what}: it is not the hook's own")

    def set_attribute(self, target: Any, name: str, value: Any) -> None:
        """The builtin setattr, guarded."""
        setattr(self.writable(target), check_attribute(name), value)

    def delete_attribute(self, target: Any, name: str) -> None:
        """The builtin delattr, guarded."""
        delattr(self.writable(target), check_attribute(name))

    def build_class(self, body: Any, name: str, *bases: Any, **keywords: Any) -> type:
        """`__build_class__`: remembers the class as the job's own, so that it may be written to."""
        if "metaclass" in keywords:
            raise TypeError("a hook's class may not choose a metaclass")
        made: type = builtins.__build_class__(body, name, *bases, **keywords)
        self.classes.add(made)
        return made


def type_of(value: Any) -> type:
    """The builtin type with one argument, where the answer is a class that a hook can name.

    Not of a class: that is `type` itself, which makes classes of anything. Not of functions, methods, aliases or what
    is ours: their classes make proxies and pieces of the engine.
    """
    kind = type(value)
    nameable = getattr(builtins, kind.__name__, None) is kind or value is None
    if isinstance(value, type) or not (nameable or kind.__module__ in _NAMEABLE):
        raise TypeError(f"type() does not tell the class of a {kind.__name__}")
    return kind


_OURS = {HOOK_NAME, "sandbox.document", "sandbox.errors"}  # and classes of mapped modules, but makers of proxies
_NAMEABLE = frozenset(_OURS | (MODULE_MAP.keys() - {"typing", "functools"}))

LEFT_OUT = {  # builtins that a hook does not have, and why
    **dict.fromkeys(("eval", "exec", "compile"), "code comes from the hook's file alone"),
    **dict.fromkeys(("open", "input"), "a hook has no files and no terminal"),
    **dict.fromkeys(("globals", "locals", "vars", "dir"), "it would hand out the namespace with the guards in it"),
    **dict.fromkeys(("id", "hash"), "it would tell addresses and the hash seed of the process"),
    "memoryview": "it writes under other objects; use bytes or bytearray",
    **dict.fromkeys(("breakpoint", "help", "exit", "quit", "copyright", "credits", "license"), "it is for a terminal"),
    **dict.fromkeys(
        ("BaseException", "SystemExit", "KeyboardInterrupt", "GeneratorExit"), "no hook needs it; use Exception"
    ),
    **dict.fromkeys(("ExceptionGroup", "BaseExceptionGroup"), "except* is not available"),
    **dict.fromkeys(("aiter", "anext"), "a hook is one synchronous call"),
    "super": "methods are inherited, but one that is overridden cannot be reached",
}

BUILTIN_NAMES = """
    abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float
    frozenset hex int isinstance issubclass iter len list map max min next object oct ord pow property range repr
    reversed round set slice sorted staticmethod str sum tuple zip
    None True False NotImplemented Ellipsis
    ArithmeticError AssertionError AttributeError BufferError EOFError Exception FloatingPointError IndexError
    KeyError LookupError MemoryError NameError NotImplementedError OSError OverflowError RecursionError ReferenceError
    RuntimeError StopIteration TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError
    UnicodeError UnicodeTranslateError ValueError ZeroDivisionError ConnectionError PermissionError Warning
    DeprecationWarning UserWarning RuntimeWarning
""".split()

_PLAIN_BUILTINS = {name: getattr(builtins, name) for name in BUILTIN_NAMES} | {
    "getattr": get_attribute_or,
    "hasattr": has_attribute,
    "type": type_of,
}


def install(own: Own, import_: Callable[..., Any], print_: Callable[..., None]) -> None:
    """Put the builtins of one job, and the names that policy.py puts into the code, into its namespace."""
    own.namespace["_getattr_"] = get_attribute
    own.namespace["_write_"] = own.writable
    own.namespace["__builtins__"] = {
        **_PLAIN_BUILTINS,
        "setattr": own.set_attribute,
        "delattr": own.delete_attribute,
        "__build_class__": own.build_class,
        "__import__": import_,
        "print": print_,
    }
