"""Decorators in our version. The standard ones write to what they are given, or copy whatever it carries.

So each takes functions and classes of the hook's own, or writes to nothing.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import re
import typing
from collections.abc import Callable
from typing import Any

from sandbox.modules.caches import exact, forget_subscriptions
from sandbox.modules.job import Job
from sandbox.modules.kinds import Type, cached_property
from sandbox.naming import stands_for

_PLAIN_CLASSES = (type, abc.ABCMeta)
_NOT_BY_PLACE = frozenset({"format", "format_map", "obj"})  # patterns would read a text's or an error's


def make_abc(job: Job) -> dict[str, Any]:
    """`abstractmethod` marks the function."""

    @stands_for("abstractmethod")
    def abstractmethod(funcobj: Any) -> Any:
        return abc.abstractmethod(_own_function(job, funcobj, "abstractmethod"))

    return {"abstractmethod": abstractmethod}


def make_contextlib(job: Job) -> dict[str, Any]:
    """`contextmanager` copies what the function carries."""

    @stands_for("contextmanager")
    def contextmanager(func: Any) -> Any:
        return contextlib.contextmanager(_own_function(job, func, "contextmanager"))

    return {"contextmanager": contextmanager}


MARKERS = {"ClassVar": typing.ClassVar, "InitVar": dataclasses.InitVar, "KW_ONLY": dataclasses.KW_ONLY}
_MARKED = re.compile(rf"\s*\w+\s*\.\s*(?=(?:{'|'.join(MARKERS)})\b)")
GENERATED = {  # the builtins of the text that dataclasses compile
    "hash": hash,
    "super": super,
    "type": type,
    "object": object,
    "setattr": setattr,
    "NotImplemented": NotImplemented,
}


def _field(**options: Any) -> Any:
    """dataclasses.field. Its flags are asked more than once, so they say the same each time."""
    for name in ("init", "repr", "hash", "compare", "kw_only"):
        if type(options.get(name)) not in (bool, type(None)) and options[name] is not dataclasses.MISSING:
            raise TypeError(f"{name} of a field is True or False")
    return dataclasses.field(**options)


def make_dataclasses(job: Job) -> dict[str, Any]:
    """`dataclass` changes the class, and builds source text from its field names."""

    @stands_for("dataclass")
    def dataclass(cls: Any = None, /, **options: bool) -> Any:
        @stands_for("dataclass")
        def decorate(target: Any) -> type:
            if type(target) not in _PLAIN_CLASSES or not job.made(target):
                raise TypeError("dataclass decorates a class of the hook's own, and no Enum")
            _check_fields(job, target)
            _name_markers(target)
            made: type = dataclasses.dataclass(**options)(target)
            if _NOT_BY_PLACE.intersection(vars(made).get("__match_args__", ())):
                made.__match_args__ = ()  # type: ignore[misc, attr-defined]  # SECURITY: a class below could be a text
            return made

        return decorate if cls is None else decorate(cls)

    return {"dataclass": dataclass, "field": stands_for("field")(_field)}


def _check_fields(job: Job, target: type) -> None:
    """SECURITY: field names become source text; a name that the text does not bind is looked up in GENERATED."""
    foreign = [kind for kind in target.__mro__[:-1] if not job.made(kind)]
    if any(vars(kind).get("__hash__") is not None for kind in foreign):  # SECURITY: see guards.Guards._check_equality
        raise TypeError(f"a dataclass cannot be a {foreign[0].__name__}: that says by itself when two are equal")
    for kind in target.__mro__:
        for name, annotation in getattr(kind, "__annotations__", {}).items():
            if type(name) is not str or not name.isidentifier() or name.startswith("__"):
                raise TypeError(f"a dataclass cannot have the field {name!r:.60}")
            if (name in GENERATED or name in MARKERS or name == "BUILTINS") and _is_init_var(annotation):
                raise TypeError(f"a dataclass cannot have the InitVar {name!r}")


def _name_markers(target: type) -> None:
    """Annotations that are texts: dataclasses looks for `typing.ClassVar` where a hook's imports are not."""
    for name, annotation in vars(target).get("__annotations__", {}).items():
        if type(annotation) is str:
            target.__annotations__[name] = _MARKED.sub("", annotation, count=1)


def _is_init_var(annotation: Any) -> bool:
    written = exact(annotation)
    by_name = type(written) is str and "InitVar" in written
    return by_name or annotation is dataclasses.InitVar or type(annotation) is dataclasses.InitVar


def make_functools(job: Job) -> dict[str, Any]:
    """`wraps` copies a function's name and text: the standard one copies whatever attributes it is told to."""

    @stands_for("total_ordering")
    def total_ordering(cls: Any) -> Any:
        if not (issubclass(type(cls), type) and job.made(cls)):
            raise TypeError("total_ordering decorates a class of the hook's own")
        return functools.total_ordering(cls)

    @stands_for("wraps")
    def wraps(wrapped: Any) -> Callable[[Any], Any]:
        texts = {name: getattr(wrapped, name, None) for name in ("__name__", "__qualname__", "__doc__")}

        @stands_for("wraps")
        def name_it(wrapper: Any) -> Any:
            for name, text in texts.items():
                if job.made(wrapper) and type(text) is str:
                    setattr(wrapper, name, text)
            return wrapper

        return name_it

    return {"total_ordering": total_ordering, "wraps": wraps, "cached_property": cached_property, **_caches(job)}


def _caches(job: Job) -> dict[str, Any]:
    """`cache` and `lru_cache`: they copy whatever the function carries."""

    def cached(function: Any, maxsize: Any, typed: Any) -> Any:
        return functools.lru_cache(maxsize, typed)(_own_function(job, function, "a cache"))

    @stands_for("lru_cache")
    def lru_cache(maxsize: Any = 128, typed: Any = False) -> Any:  # noqa: FBT002 - the standard signature
        if callable(maxsize):
            return cached(maxsize, 128, typed)

        @stands_for("lru_cache")
        def decorate(user_function: Any) -> Any:
            return cached(user_function, maxsize, typed)

        return decorate

    @stands_for("cache")
    def cache(user_function: Any) -> Any:
        return cached(user_function, None, None)

    return {"lru_cache": lru_cache, "cache": cache}


def make_typing(_: Job) -> dict[str, Any]:
    """What marks a class or a function for type checkers marks it for nobody else here."""
    forget_subscriptions()

    return {"Type": Type, **_MARKS}


def _mark(name: str) -> Callable[[Any], Any]:
    @stands_for(name)
    def mark(decorated: Any) -> Any:
        return decorated

    return mark


_MARKS = {name: _mark(name) for name in ("final", "no_type_check", "overload", "override")}


def _own_function(job: Job, function: Any, decorator: str) -> Any:
    if issubclass(type(function), type) or not job.made(function):
        raise TypeError(f"{decorator} is for a function of the hook's own")
    return function
