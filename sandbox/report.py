"""What an error tells the author of a hook: its name and text, what led to it, and the hook's own lines on the way.

No frame, path or class of ours is told. The error's class may be the hook's own, and may lie: everything but its text
is read by the slots of the builtin classes, past whatever the class says. Its `__str__` is the hook's code; it runs
here, within the job and its deadline.
"""

from __future__ import annotations

import contextlib
import difflib
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import CodeType, TracebackType
from typing import Any, TypeVar

from sandbox import document, wire
from sandbox.compiler import HOOK_FILENAME
from sandbox.console import utf8
from sandbox.require import MODULE_MAP

_MOST_CAUSES = 8  # that a frame holds; of more, the first and the last
_MOST_STEPS = 20  # of one cause; of more, the outermost and the innermost
_SEARCHED = 1_000  # errors of a chain that are looked at, at most
_COMPARED = 500  # names that a mistyped one is compared with, at most
_NAME_CHARS = 60  # of a name that is compared

_traceback_of = vars(BaseException)["__traceback__"].__get__
_cause_of = vars(BaseException)["__cause__"].__get__
_context_of = vars(BaseException)["__context__"].__get__
_is_suppressed = vars(BaseException)["__suppress_context__"].__get__
_members_of = vars(BaseExceptionGroup)["exceptions"].__get__
_attribute_of = vars(AttributeError)["name"].__get__
_owner_of = vars(AttributeError)["obj"].__get__
_name_of = vars(NameError)["name"].__get__

_UNNAMED = {"<module>", "<locals>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}  # parts of a qualified name

Item = TypeVar("Item")


def causes(error: BaseException) -> tuple[wire.Cause, ...]:
    """The error itself, then what led to it, as the hook's author may see it."""
    return tuple(wire.Cause(cut(describe(each)), steps(each)) for each in _ends(_chain(error), _MOST_CAUSES))


def _ends(items: Iterable[Item], most: int) -> list[Item]:
    """All of `items`, or the first and the last of them: `most` together."""
    left = iter(items)
    return [*islice(left, most // 2), *deque(left, most - most // 2)]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, the members of a group, its cause, and so on; each once, whatever circles there are."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _SEARCHED:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += reversed(_led_to(each))


def _led_to(error: BaseException) -> list[BaseException]:
    grouped = issubclass(type(error), BaseExceptionGroup)
    members = _members_of(error)[:_MOST_CAUSES] if grouped else ()
    cause = _cause_of(error)
    if cause is None and not _is_suppressed(error):
        cause = _context_of(error)
    return [*members] if cause is None else [*members, cause]


def steps(error: BaseException) -> tuple[wire.Step, ...]:
    """The lines of the hook's file that the error passed through, outermost call first."""
    return tuple(_ends(_each_step(error), _MOST_STEPS))


def _each_step(error: BaseException) -> Iterator[wire.Step]:
    """A recursion's equal steps are told once, and so is a comprehension within its line."""
    last = None
    for place in _own_places(error):
        step = wire.Step(place.tb_lineno, _function(place.tb_frame.f_code))
        if step != last:
            yield step
        last = step


def _own_places(error: BaseException) -> Iterator[TracebackType]:
    place = _traceback_of(error)
    while place is not None:
        if place.tb_frame.f_code.co_filename == HOOK_FILENAME and place.tb_lineno:
            yield place
        place = place.tb_next


def _function(code: CodeType) -> str:
    """`hook`, `hook.inner`, `A.method`; empty for the file itself."""
    return ".".join(part for part in code.co_qualname.split(".") if part not in _UNNAMED)[:200]


def line_of(error: BaseException) -> int | None:
    """The innermost line of the hook's own."""
    line = None
    for place in _own_places(error):
        line = place.tb_lineno
    return line


def was_raised(error: BaseException) -> bool:
    """Or it has only been made, and passed nowhere."""
    return _traceback_of(error) is not None


def describe(error: BaseException) -> str:
    """`KeyError: 'email'`, and what its author may have meant."""
    said = text(error)
    return f"{name(error)}: {said}{_hint(error)}" if said else name(error)


def name(error: BaseException) -> str:
    """The name of its class."""
    return utf8(str(type(error).__name__))[:200]


def text(error: Any) -> str:
    """What it says itself."""
    try:
        return utf8(str.__str__(str(error))[: wire.MESSAGE_CHARS])  # an exact text: __str__ may return one that is not
    except BaseException:  # noqa: BLE001 - a tenant's own __str__; it can get hold of GeneratorExit
        return "(it cannot be shown)"


def cut(message: str) -> str:
    """`message` as a frame can carry it."""
    said = utf8(message)
    return said if len(said) <= wire.MESSAGE_CHARS else said[: wire.MESSAGE_CHARS - 1] + "…"


def as_json(name: str, message: str, error: Any) -> bytes:
    """{name, message, …own attributes}, what is no JSON or too large left out. Source: AUTH0.md section 2.1."""
    shown: dict[str, Any] = {"name": name, "message": message}
    try:
        own = vars(error) if isinstance(error, BaseException) else error if isinstance(error, dict) else {}
        for key, value in list(own.items())[:20]:
            shown.setdefault(str(key), document.plain(value, "error", 0))
        raw = document.encode(shown)
    except BaseException:  # noqa: BLE001 - the tenant's own objects may raise anything
        raw = document.encode({"name": name, "message": message})
    large = len(raw) > wire.ERROR_BYTES or wire.excess(raw, wire.VALUES, wire.DEPTH + 1)
    return document.encode({"name": name[:100], "message": "too large"}) if large else raw


def _hint(error: BaseException) -> str:
    """Python prints one with a traceback, which a hook has not."""
    try:
        if issubclass(type(error), AttributeError):
            return _attribute_hint(_attribute_of(error), _owner_of(error))
        if issubclass(type(error), NameError):
            return _name_hint(_name_of(error), error)
    except BaseException:  # noqa: BLE001 - a tenant's own objects are looked at
        return ""
    return ""


def _attribute_hint(missing: Any, owner: Any) -> str:
    if type(missing) is not str or owner is None:
        return ""
    by_item = f". A dict is read by item: write [{missing[:_NAME_CHARS]!r}]" if type(owner) is dict else ""
    if by_item and missing in owner:
        return by_item
    return _nearest(missing, _attributes(owner)) or by_item


def _attributes(owner: Any) -> Iterator[Any]:
    """What can be read of it with a dot: of a facade what it offers, and nothing that its class has."""
    if type(owner) is document.Document:
        yield from owner
    with contextlib.suppress(AttributeError):
        own = object.__getattribute__(owner, "__dict__")  # past the class's own __getattr__
        yield from own if type(own) is dict else ()
    kind = owner if isinstance(owner, type) else type(owner)
    for base in kind.__mro__:
        if not base.__module__.startswith("sandbox"):
            yield from vars(base)


def _name_hint(missing: Any, error: BaseException) -> str:
    """Among the names of the function where it was missed, of the file, and the builtins."""
    if type(missing) is not str:
        return ""
    if missing in MODULE_MAP:
        return f". Did you forget to import {missing!r}?"
    names: list[Any] = []
    for place in _own_places(error):
        code, scope = place.tb_frame.f_code, place.tb_frame.f_globals
        names = [*code.co_varnames, *code.co_cellvars, *code.co_freevars, *scope, *scope["__builtins__"]]
    return _nearest(missing, names)


def _nearest(missing: str, names: Iterable[Any]) -> str:
    """Private names are offered for private ones alone, and what is no name, as those of the guards, for none."""
    texts = [each for each in islice(names, _COMPARED) if type(each) is str and len(each) <= _NAME_CHARS]
    private = missing.startswith("_")
    offered = [each for each in texts if each.isidentifier() and (each[0] != "_" or (private and each[-1] != "_"))]
    near = difflib.get_close_matches(missing[:_NAME_CHARS], offered, 1, 0.7)
    return f". Did you mean {near[0]!r}?" if near and near[0] != missing else ""
