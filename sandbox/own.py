"""What one job made itself, by which the guards tell it from what is shared."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, NoReturn

from sandbox import vocabulary as words


class Own:
    """The namespace of the hook's functions, and its classes: each carries the mark of its job."""

    __slots__ = ("classes", "key", "namespace", "plain", "token")

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.classes: set[type] = set()  # as they are asked for: the mark decides
        self.plain: set[type] = set()  # those among them that inherit private names from nobody else
        self.namespace = namespace  # of the hook's functions
        self.token = object()  # the mark in the hook's classes
        self.key = b""  # of the hashes

    def __repr__(self) -> str:
        return "the hook"

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a guard cannot be copied")

    def forget(self) -> None:
        """The job has ended: let go of what it made."""
        for kept in (self.namespace, self.classes, self.plain):
            kept.clear()

    def has(self, target: Any) -> bool:
        """Whether `target` is a class or a function that this job made."""
        if issubclass(type(target), type):
            return target in self.classes or self._marked(target)
        return type(target) is types.FunctionType and target.__globals__ is self.namespace

    def _marked(self, kind: type) -> bool:
        marked = vars(kind).get(words.MARK) is self.token
        if marked and kind not in self.classes:
            self.classes.add(kind)
            if all(self.has(base) or not _private_names(base) for base in kind.__mro__):
                self.plain.add(kind)
        return marked

    def made(self, value: Any) -> bool:
        """Whether `value` is an instance of a class that this job made."""
        kind = type(value)
        return kind in self.classes or self._marked(kind)

    def foreign(self, owner: Any) -> Iterator[type]:
        """The classes that are not the hook's and may have put a name into `owner`, before one of the hook's has it."""
        kind: Any = object.__getattribute__(owner, "__self_class__") if type(owner) is super else class_of(owner)
        metaclass: tuple[type, ...] = type(kind).__mro__ if issubclass(type(owner), type) else ()
        return (each for each in (*kind.__mro__, *metaclass) if not self.has(each))

    def is_super(self, owner: Any) -> bool:
        """Whether `owner` is what `super()` gives in a class of the hook's."""
        return type(owner) is super and self.has(object.__getattribute__(owner, "__thisclass__"))


def class_of(owner: Any) -> type:
    """`owner`, if it is a class, or its class; whatever it says of itself."""
    return owner if issubclass(type(owner), type) else type(owner)


def _private_names(kind: type) -> bool:
    """Whether a class has names of its own that begin with an underscore. That of abstract classes tells nothing."""
    return any(words.kind_of(name) == "private" and name != "_abc_impl" for name in vars(kind))
