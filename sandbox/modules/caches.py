"""The standard library keeps what it was asked with, and a worker lives for many jobs of its tenant.

What it keeps of a hook must neither run nor tell in a later job: caches get exact texts and numbers, which have no
methods of the hook's, or keep nothing. SECURITY: tests/escapes/test_facades.py
"""

from __future__ import annotations

import _strptime  # type: ignore[import-not-found]
import dataclasses
import fractions
import functools
import ipaddress
import re
import string
import textwrap
import typing
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from sandbox.naming import final

_CACHED: tuple[Any, ...] = (
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress._BaseNetwork,  # noqa: SLF001 - what both networks inherit
)
_done: list[str] = []  # what has been replaced


def harden() -> None:
    """Replace what the standard library keeps things with. In the zygote, once."""
    if _done:
        return
    _replace(re, "_compile", _with_exact_pattern)
    _replace(re, "_compile_template" if hasattr(re, "_compile_template") else "_compile_repl", _with_exact_texts)
    _replace(_strptime, "_strptime", _with_exact_texts)
    _replace(urllib.parse, "quote_from_bytes", _with_exact_texts)
    _replace(urllib.parse, "urlsplit", bare)
    if hasattr(fractions, "_hash_algorithm"):  # from Python 3.12
        _replace(fractions, "_hash_algorithm", bare)
    for kind in (ipaddress._BaseV4, ipaddress._BaseV6):  # noqa: SLF001 - what addresses and networks inherit
        _replace(kind, "_make_netmask", _without_netmasks)
    for kind in _CACHED:
        for name, value in list(vars(kind).items()):
            if isinstance(value, property | functools.cached_property):
                setattr(kind, name, _plain_property(value))
    _replace(re, "escape", _with_exact_texts)
    _replace(textwrap.TextWrapper, "_munge_whitespace", _with_a_text)
    _replace(typing._BaseGenericAlias, "__call__", _without_a_trace)  # type: ignore[attr-defined]  # noqa: SLF001
    _replace(string.Template, "flags", int)  # a flag keeps the combinations it was asked for
    _replace(dataclasses, "_EMPTY_METADATA", lambda _: MappingProxyType(_Nothing()))
    final(dataclasses.Field)  # its names become source text


def forget_subscriptions() -> None:
    """The caches of typing keep what stood in brackets."""
    for forget in typing._cleanups:  # type: ignore[attr-defined]  # noqa: SLF001 - nobody else empties them
        forget()


def bare(value: Any) -> Any:
    """A function without the cache around it, which would tell what others have asked."""
    return value.__wrapped__ if hasattr(value, "cache_info") else value


def exact(value: Any) -> Any:
    """A text or a number of a subclass as one of the class itself, past the methods of the subclass."""
    kind = type(value)
    if kind is str or kind is bytes or kind is int:
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, bytes):
        return bytes.__bytes__(value)
    return int.__int__(value) if issubclass(kind, int) else value


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))
    _done.append(name)


def _with_exact_pattern(compile_: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(compile_)
    def compile_exact(pattern: Any, flags: Any) -> Any:
        number = exact(flags)
        if type(number) is not int:
            raise TypeError("flags of a pattern are an int")
        return compile_(exact(pattern), number)

    return compile_exact


def _with_exact_texts(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        return function(*map(exact, given), **{name: exact(value) for name, value in named.items()})

    return call


def _with_a_text(munge: Callable[[Any, str], str]) -> Callable[[Any, Any], str]:
    """It hands its table to the text's own translate."""

    @functools.wraps(munge)
    def munge_exact(wrapper: Any, text: Any) -> str:
        written = exact(text)
        if type(written) is not str:
            raise TypeError(f"expected a text, got a {type(text).__name__}")
        return munge(wrapper, written)

    return munge_exact


def _without_a_trace(_: Any) -> Callable[..., Any]:
    """`List[int]()`, without the alias written into what comes of it: that may be anything."""

    def call(alias: Any, *given: Any, **named: Any) -> Any:
        if not alias._inst:  # noqa: SLF001 - as the standard one asks
            raise TypeError(f"Type {alias._name} cannot be instantiated")  # noqa: SLF001 - as the standard one says
        return alias.__origin__(*given, **named)

    return call


def _without_netmasks(make: Any) -> Any:
    @functools.wraps(make.__func__)
    def make_netmask(kind: Any, given: Any) -> Any:
        try:
            return make.__func__(kind, exact(given))
        finally:
            kind._netmask_cache.clear()  # noqa: SLF001 - nobody else empties it

    return classmethod(make_netmask)


def _plain_property(value: Any) -> property:
    """A property that computes each time."""
    return property(value.func if isinstance(value, functools.cached_property) else bare(value.fget))


class _Nothing(Mapping[Any, Any]):
    """Empty, and not to be filled: a proxy hands what is behind it to whoever compares with it."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0
