"""The fields of a YAML file that a person writes, read one by one: each fault is noted with its line, none ends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar

import yaml

_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}
_Plain = TypeVar("_Plain", bool, int)


class Loader(yaml.SafeLoader):
    """Nodes with their lines, and no aliases: a bomb is made of them."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node; raises ComposerError for an alias."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML has no types
            raise yaml.composer.ComposerError(None, None, "write it out; aliases are not read here", mark)
        return super().compose_node(parent, index)


class Fields:
    """Takes values from YAML nodes, and notes every fault that it meets."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, str]] = []  # line, what is wrong there

    def mapping(self, node: yaml.Node, where: str, known: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
        """The fields of a mapping; of those that are `known`, where that is said."""
        if not isinstance(node, yaml.MappingNode):
            names = f" of {', '.join(known)}" if known else ""
            self.fault(node, f"{where}: found {found(node)}; it is a mapping{names}")
            return {}
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in fields:
                self.fault(key, f"{where}: {name!r:.100} stands there twice")
            elif known and name not in known:
                self.fault(key, f"{where}: {name!r:.100} is no field{nearest(name, known)}")
            elif not name:
                self.fault(key, f"{where}: found {found(key)} as a name")
            else:
                fields[name] = value
        return fields

    def items(self, node: yaml.Node | None, where: str, wanted: str = "a list") -> list[yaml.Node]:
        """The items of a list; none where it is absent."""
        if node is None:
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.fault(node, f"{where}: found {found(node)}; it is {wanted}")
        return []

    def text(self, fields: dict[str, yaml.Node], name: str, where: str) -> str:
        """The text of a field; empty where there is none, which is a fault unless the field is absent."""
        node = fields.get(name)
        if node is None:
            return ""
        if kind_of(node) not in ("str", "timestamp"):
            quotes = ", in quotes if need be" if isinstance(node, yaml.ScalarNode) else ""
            self.fault(node, f"{where}: found {found(node)}; it is a text{quotes}")
            return ""
        text = str(node.value)
        if not text and ".dependencies." not in where:  # a version may be empty
            self.fault(node, f"{where}: it is empty")
        return text

    def value(self, fields: dict[str, yaml.Node], name: str, where: str, default: _Plain) -> _Plain:
        """A number, or true or false: of the type of its default."""
        node = fields.get(name)
        if node is None:
            return default
        try:
            value = Loader("").construct_object(node) if kind_of(node) in ("int", "bool") else None
        except ValueError:  # more digits than Python reads
            value = None
        if type(value) is type(default):
            return value
        wanted = {bool: "true or false", int: "a whole number"}[type(default)]
        self.fault(node, f"{where}.{name}: found {found(node)}; it is {wanted}")
        return default

    def fault(self, node: yaml.Node, said: str) -> None:
        """Note what is wrong, at the line of that node."""
        self.faults.append((line_of(node), said))


def nearest(name: str, known: Iterable[str]) -> str:
    """What could have been meant, as the end of a sentence; else what there is."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def line_of(node: yaml.Node) -> int:
    """Counted from 1."""
    line: int = node.start_mark.line
    return line + 1


def kind_of(node: yaml.Node) -> str:
    """'str', 'int', 'map' …: the last part of its tag."""
    tag: str = node.tag
    return tag.rpartition(":")[2]


def found(node: yaml.Node) -> str:
    """What a node is, and what it says."""
    if isinstance(node, yaml.ScalarNode):
        return _KINDS.get(kind_of(node), "something else") + (f" ({node.value!r:.60})" if node.value else "")
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
