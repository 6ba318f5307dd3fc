"""What tells about objects: `vars`, `dir`, `hash` and `id` as a hook has them. Each takes what the job made first."""

from __future__ import annotations

import hashlib
import os
import types
from typing import Any

from sandbox import vocabulary as words
from sandbox.modules.kinds import SimpleNamespace
from sandbox.own import Own


def vars_of(own: Own, *given: Any) -> dict[str, Any]:
    """`vars(x)`, of an object of the hook's own. A copy: `copy` calls what stands under special names."""
    if len(given) != 1:
        raise TypeError("vars() takes one object here")
    if not has_vars(own, given[0]):
        raise TypeError(f"vars() is for an object of the hook's own, not for a {type(given[0]).__name__}")
    return dict(given[0].__dict__)


def has_vars(own: Own, owner: Any) -> bool:
    """Whether a hook may look at the attributes of `owner` together."""
    open_to_all = issubclass(type(owner), (SimpleNamespace, Exception))
    return (own.made(owner) or open_to_all) and hasattr(owner, "__dict__")


def dir_of(own: Own, *given: Any) -> list[str]:
    """`dir(x)`: the names that a hook may use."""
    if len(given) != 1:
        raise TypeError("dir() takes one object here")
    mine = own.made(given[0]) or own.has(given[0])
    kinds = ("public", "watched", "private") if mine else ("public", "watched")
    return [name for name in dir(given[0]) if words.kind_of(name) in kinds]


def hash_of(own: Own, value: Any, /) -> int:
    """`hash(x)`, keyed: it tells no address and nothing of the interpreter's own key."""
    method = getattr(type(value), "__hash__", None)
    raw = hash(value)
    if type(method) is types.FunctionType and method.__globals__ is own.namespace:
        return raw
    return keyed(own, raw)


def id_of(own: Own, value: Any, /) -> int:
    """`id(x)`: a number of the object's own, which is no address."""
    return keyed(own, id(value)) & (1 << 63) - 1


def keyed(own: Own, number: int) -> int:
    """A number that stands for `number` in this job."""
    own.key = own.key or os.urandom(16)
    digest = hashlib.blake2b(number.to_bytes(9, "little", signed=True), digest_size=8, key=own.key).digest()
    return int.from_bytes(digest, "little", signed=True)
