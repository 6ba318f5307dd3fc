"""What restricted code calls at run time: reads that the policy does not leave plain, writes, classes, builtins.

A policy of language, not the wall: they keep authors from reaching by accident or by trick for what no hook needs.
policy.py puts their names into the code; a hook cannot spell them. Public attributes, items, iteration and calls are
plain Python: a guard there would cost on every step and stop nothing.
"""

from __future__ import annotations

import abc
import builtins
import decimal
import types
import typing
from collections.abc import Callable
from typing import Any

from sandbox import telling
from sandbox import vocabulary as words
from sandbox.classes import Tells, type_of
from sandbox.document import Document
from sandbox.formats import formatting
from sandbox.modules.kinds import SimpleNamespace
from sandbox.modules.responses import Response
from sandbox.modules.sessions import Session
from sandbox.naming import FINAL, stands_for
from sandbox.own import Own, class_of

_NAMED_TUPLE = types.resolve_bases((typing.NamedTuple,))[0]  # what stands for tuple until the class is made
_RAW_FORMATS = (str.format, str.format_map)


def answering(method: Any) -> Any:
    """A hook's `__getattr__`. It is not asked for names of Python's own: libraries would take its answers for real."""
    if type(method) is not types.FunctionType:
        raise TypeError("__getattr__ is a method, without decorators")

    @stands_for("__getattr__")
    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807 - what it stands for
        if words.is_dunder(name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return method(self, name)

    return __getattr__


@stands_for("module")
class Module:
    """`module.exports = function`, for those who come from JavaScript."""

    exports: Any = None


FINAL[BaseExceptionGroup] = "a hook's class may not derive from ExceptionGroup"  # `except*` trusts its split
_OPEN = frozenset({Document, Module, SimpleNamespace})  # whose instances a job makes for itself
_OPEN_BASES = (BaseException, decimal.Context, Session, Response)


class Guards(Own):
    """What a job may do with what it made, and with the rest."""

    __slots__ = ()

    # Reads

    def read(self, owner: Any, name: str) -> Any:
        """`owner.name`, by the kind of the name. Raises AttributeError; TypeError for a subclass of str."""
        if type(name) is not str:
            raise TypeError("an attribute name is a plain str")
        if name[:1] != "_" and name not in words.JUDGED:
            return getattr(owner, name)
        match words.kind_of(name):
            case "watched":
                return self._watched(owner, name)
            case "private":
                return self._private(owner, name)
            case "special":
                return self._special(owner, name)
        raise AttributeError(f"a hook may not use the attribute {name!r}: {words.reason(name)}")

    def _watched(self, owner: Any, name: str) -> Any:
        """Some names are judged by what they lead to, not by whom: proxies forward what they stand for."""
        value = getattr(owner, name)
        bound_to = getattr(value, "__self__", None)
        if value in _RAW_FORMATS:
            return formatting(name, self.read)
        if type(value) is types.BuiltinMethodType and isinstance(bound_to, str) and value.__name__ == name:
            return types.MethodType(formatting(name, self.read), bound_to)
        if name == "register" and isinstance(bound_to, abc.ABCMeta):
            raise AttributeError("a hook may not register a class with another")  # it would stay so for later jobs
        if name == "obj" and (_is_attribute_error(owner) or type(value) is types.MemberDescriptorType):
            raise AttributeError("a hook may not have the object of an error")
        return _unproxied(value)

    def _private(self, owner: Any, name: str) -> Any:
        """A private name of what the hook made, unless it is inherited from what it did not."""
        if issubclass(class_of(owner), tuple) and name in words.NAMED_TUPLE:
            value = getattr(owner, name)
            return dict(value) if type(value) is dict else value
        known = self.made(owner) or self.has(owner) or self.is_super(owner)
        if known and not any(name in vars(kind) for kind in self.foreign(owner)):
            return getattr(owner, name)
        raise AttributeError(f"{name!r} is private to the {_kind(owner)} it belongs to")

    def _special(self, owner: Any, name: str) -> Any:
        """Names of Python's own shape. See sandbox/vocabulary.py."""
        if name in words.METHODS:
            return self._method(owner, name)
        if name == "__class__":
            return type_of(owner)
        if name == "__dict__" and telling.has_vars(self, owner):
            return telling.vars_of(self, owner)
        value = getattr(owner, name)
        if not _tells(owner, name, value):
            raise AttributeError(f"a hook may not use {name!r} of a {_kind(owner)}")
        return _unproxied(value)

    def _method(self, owner: Any, name: str) -> Any:
        """A method by its special name: of the hook's own, or one that changes nothing, or on an own object."""
        value = getattr(owner, name)
        own_function = getattr(value, "__func__", value)
        if type(own_function) is types.FunctionType and own_function.__globals__ is self.namespace:
            return value
        if name == "__hash__":
            return stands_for(name)(lambda *given: telling.keyed(self, value(*given)))
        bound = self.made(owner) or self.is_super(owner)
        if type(owner) is super and issubclass(type(object.__getattribute__(owner, "__self__")), type):
            bound = name == "__init_subclass__"  # within a class method: the others take an object first
        if name == "__new__" or not bound:
            return self._for_own(owner, name, value)
        return self._checked_names(value, 0) if name in ("__setattr__", "__delattr__") else value

    def _for_own(self, owner: Any, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method that changes nothing; or a class's, whose first argument must be the hook's own."""
        if name in words.PURE:
            return method
        if name != "__new__" and not issubclass(type(owner), type):
            raise AttributeError(f"a hook may not use {name!r} of a {_kind(owner)}")
        if name in ("__setattr__", "__delattr__"):
            method = self._checked_names(method, 1)
        is_own = self.has if name == "__new__" else self.made

        @stands_for(name)
        def call(*given: Any, **named: Any) -> Any:
            if not given or not is_own(given[0]):
                raise TypeError(f"{name} of a class takes something of the hook's own first")
            return method(*given, **named)

        return call

    def _checked_names(self, method: Callable[..., Any], place: int) -> Callable[..., Any]:
        @stands_for(getattr(method, "__name__", ""))
        def call(*given: Any) -> Any:
            if len(given) > place:
                _name_to_write(given[place])
            return method(*given)

        return call

    def read_or(self, owner: Any, name: str, *default: Any) -> Any:
        """The builtin getattr."""
        if len(default) > 1:
            raise TypeError(f"getattr expected at most 3 arguments, got {2 + len(default)}")
        try:
            return self.read(owner, name)
        except AttributeError:
            if default and words.kind_of(name) != "refused":
                return default[0]
            raise

    def has_attribute(self, owner: Any, name: str) -> bool:
        """The builtin hasattr: an attribute that a hook may not use is not there."""
        try:
            self.read(owner, name)
        except AttributeError:
            return False
        return True

    # Writes

    def writable(self, target: Any) -> Any:
        """The check of `x.a = …` and `del x.a`: only what is this job's own may change."""
        kind = type(target)
        if kind in _OPEN or self.made(target) or self.has(target):
            return target
        if issubclass(kind, _OPEN_BASES) and not issubclass(kind, BaseExceptionGroup):  # `except*` calls its split
            return target
        what = target.__name__ if issubclass(kind, type) else f"a {kind.__name__}"
        raise TypeError(f"a hook may not change {what}: it is not the hook's own")

    def writable_private(self, target: Any) -> Any:
        """The check of `x._a = …`."""
        if self.made(target) or self.has(target) or type(target) in _OPEN:
            return target
        raise TypeError(f"a hook may not change what is private to a {_kind(target)}")

    def set_attribute(self, target: Any, name: str, value: Any) -> None:
        """The builtin setattr."""
        self._writable_by_name(target, name)
        setattr(target, name, value)

    def delete_attribute(self, target: Any, name: str) -> None:
        """The builtin delattr."""
        self._writable_by_name(target, name)
        delattr(target, name)

    def _writable_by_name(self, target: Any, name: str) -> None:
        private = _name_to_write(name) == "private"
        (self.writable_private if private else self.writable)(target)

    # Classes

    def build_class(self, body: Any, name: str, /, *bases: Any, **keywords: Any) -> Any:
        """`__build_class__`, without metaclasses and within the rules for what a class derives from."""
        if "metaclass" in keywords:
            raise TypeError("a hook's class may not choose a metaclass")
        resolved = [base for base in types.resolve_bases(bases) if issubclass(type(base), type)]
        inherited = [kind for base in resolved for kind in base.__mro__[:-1]]
        for kind in inherited:
            if kind in FINAL:
                raise TypeError(FINAL[kind])
        self._check_equality(set(body.__code__.co_names), inherited)
        made = builtins.__build_class__(body, name, *bases, **keywords)
        if not self.has(made):
            raise TypeError(f"the class {name} has lost the mark of its job")  # _ignore_ of an Enum takes names away
        return made

    def _check_equality(self, names: set[str], inherited: list[type]) -> None:
        """What is not the hook's and says when two of its values are equal goes on saying so.

        SECURITY: the standard library keeps such values in caches, where an `__eq__` would run in later jobs.
        """
        foreign = [kind for kind in inherited if not self.has(kind)]
        by_value = [kind for kind in foreign if vars(kind).get("__hash__") is not None or kind is _NAMED_TUPLE]
        own = [set(vars(kind)) for kind in inherited if self.has(kind)]
        redefined = {"__eq__", "__hash__"}.intersection(names.union(*own)) if by_value else None
        if redefined:
            raise TypeError(f"a class that derives from {by_value[0].__name__} may not change {min(redefined)}")

    def making(self, method: Any) -> Any:
        """A hook's `__new__`, which gives what the hook made.

        SECURITY: `copy` and the standard library's own classes write attributes into whatever it gives.
        """
        if type(method) is not types.FunctionType:
            raise TypeError("__new__ is a method, without decorators")

        @stands_for("__new__")
        def __new__(cls: type, /, *given: Any, **named: Any) -> Any:  # noqa: N807 - what it stands for
            made = method(cls, *given, **named)
            if not self.made(made):
                raise TypeError(f"__new__ gave a {type(made).__name__}, which is not the hook's own")
            return made

        return __new__

    def super_of(self, *given: Any) -> Any:
        """`super()` with what the policy puts in, or `super(Class, self)`."""
        if len(given) != 2 or not self.has(given[0]):
            raise TypeError("super() stands in a method, or is given a class of the hook's own and an object of it")
        return super(given[0], given[1])


def _unproxied(value: Any) -> Any:
    """A mapping proxy over a copy: a proxy hands what is behind it to whoever compares with it."""
    return types.MappingProxyType(dict(value)) if type(value) is types.MappingProxyType else value


def _tells(owner: Any, name: str, value: Any) -> bool:
    """Whether a special name leads to what it is for, and not to what somebody put there."""
    if name in words.TEXTS:
        return value is None or type(value) is str
    if name in words.CHAIN:
        return issubclass(type(owner), BaseException)
    return name == "__members__" and type(value) is types.MappingProxyType


def _is_attribute_error(owner: Any) -> bool:
    real = object.__getattribute__(owner, "__self__") if type(owner) is super else owner
    return issubclass(type(real), AttributeError)


def _kind(owner: Any) -> str:
    return str(class_of(owner).__name__)


def _name_to_write(name: Any) -> words.Kind:
    if type(name) is not str:
        raise TypeError("an attribute name is a plain str")
    kind = words.kind_of(name)
    if kind in ("special", "refused"):
        raise AttributeError(f"a hook may not change the attribute {name!r}: {words.reason_to_stay(name)}")
    return kind


def check_names(field: str, given: Any) -> tuple[str, ...]:
    """The names in `__slots__` or `__match_args__`, which Python reads by itself.

    SECURITY: a pattern reads what `__match_args__` names of whatever passes isinstance, also by a Protocol's structure.
    """
    listed = (given,) if type(given) is str else tuple(given)
    allowed = ("public", "watched", "private") if field == "__slots__" else ("public",)
    for name in listed:
        if type(name) is not str or not (words.kind_of(name) in allowed or (name, field) == ("__dict__", "__slots__")):
            raise TypeError(f"{field} may not hold {name!r:.60}")
    return listed


_PLAIN_BUILTINS = {
    name: getattr(builtins, name) for name in [*words.FUNCTIONS, *words.CONSTANTS, *words.EXCEPTIONS]
} | {"type": Tells}


_GUARDED: dict[str, Callable[..., Any]] = {
    "getattr": Guards.read_or,
    "hasattr": Guards.has_attribute,
    "setattr": Guards.set_attribute,
    "delattr": Guards.delete_attribute,
    "super": Guards.super_of,
    "vars": telling.vars_of,
    "dir": telling.dir_of,
    "hash": telling.hash_of,
    "id": telling.id_of,
    "__build_class__": Guards.build_class,
}
for _name, _guard in _GUARDED.items():
    stands_for(_name)(_guard)


_BUILTINS = {**_PLAIN_BUILTINS, **dict.fromkeys([*_GUARDED, "__import__", "print"])}  # those of a job are still to come


def install(own: Guards, import_: Callable[..., Any], print_: Callable[..., None]) -> None:
    """Put the builtins of one job, and what policy.py puts into the code, into its namespace."""
    found = _BUILTINS.copy()
    for name, guard in _GUARDED.items():
        found[name] = types.MethodType(guard, own)
    found["__import__"], found["print"] = import_, print_
    own.namespace |= {
        "__doc__": None,
        words.READ: own.read,
        words.WRITE: own.writable,
        words.WRITE_PRIVATE: own.writable_private,
        words.SUPER: own.super_of,
        words.NAMES: check_names,
        words.TYPE: type,
        words.OWN: own.classes,
        words.PLAIN: own.plain,
        words.GETATTR: answering,
        words.NEW: own.making,
        words.TOKEN: own.token,
        "__builtins__": found,
    }
