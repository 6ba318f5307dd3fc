"""The snippets: every form a hook may be written in, as data that is run, and the node types they are made of.

A snippet is top-level code that leaves its result in `value`; the files of snippets/ are its themes.
"""

from __future__ import annotations

import _ast
import ast
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("snippets")
PARAMETERS = ("user", "context", "cb")
HERE = sys.version_info[:2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One form of the language, shown by code that runs."""

    form: str  # what it shows; unique
    code: str  # ends with `value = …`
    value: Any  # JSON of what it leaves there
    theme: str  # the file it stands in
    module: str = ""  # of the map, when it shows a module
    since: str = "3.11"  # the Python that can first read it
    card: bool = True  # whether the language card shows it
    only_in_a_hook: str = ""  # why plain Python cannot run it
    only_at_top: str = ""  # why it cannot stand in a function

    @property
    def runs_here(self) -> bool:
        """Whether the running Python is new enough."""
        return version(self.since) <= HERE

    @property
    def hook(self) -> str:
        """A hook that hands the value over."""
        return self.code + '\ndef hook(user, context, cb):\n    cb(None, {"value": value})\n'

    @property
    def hook_within(self) -> str:
        """The same with all names local to a function: closures where there were globals."""
        tree = ast.parse("def run():\n    return value\ndef hook(user, context, cb):\n    cb(None, {'value': run()})\n")
        tree.body[0].body[:0] = ast.parse(self.code).body  # type: ignore[attr-defined]
        return ast.unparse(tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One form that is refused, shown by code that really is."""

    form: str
    code: str
    reason: str  # why no hook may, or need
    rule: str = ""  # of the finding, when it is refused at upload
    error: str = ""  # the error's class, when it is refused at run time
    node: str = ""  # the type of ast node that is refused with it, if a whole type is
    since: str = "3.11"

    @property
    def runs_here(self) -> bool:
        """Whether the running Python is new enough."""
        return version(self.since) <= HERE

    @property
    def hook(self) -> str:
        """A hook with the code in it, at the top of the file."""
        return f"{self.code}\ndef hook(user, context, cb):\n    cb()\n"


def version(text: str) -> tuple[int, ...]:
    """'3.12' → (3, 12)."""
    return tuple(map(int, text.split(".")))


def read(name: str) -> Any:
    """The data of one file beside this one."""
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def snippets() -> list[Snippet]:
    """All of them, theme by theme."""
    return [
        Snippet(**fields, theme=path.stem)
        for path in sorted(FOLDER.glob("*.yaml"))
        for fields in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


def refusals() -> list[Refusal]:
    """All of them, those at upload first."""
    return [Refusal(**fields) for fields in read("refused.yaml")["refused"]]


def as_json(value: Any) -> Any:
    """`value` as JSON carries it: a tuple is a list."""
    return json.loads(json.dumps(value))


def nodes_in(code: str) -> set[str]:
    """The names of the ast node types in `code`."""
    return {type(node).__name__ for node in ast.walk(ast.parse(code))}


def names_in(code: str) -> set[str]:
    """The names that `code` reads."""
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def modules_in(code: str) -> set[str]:
    """The modules that `code` imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def concrete_nodes() -> set[str]:
    """The node types of the running Python: what has no kinds of its own, in the parser's own table.

    `_ast` has no deprecated aliases (Num, Index …): those live in `ast`.
    """
    kinds = {kind for kind in vars(_ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)}
    return {kind.__name__ for kind in kinds if not kinds.intersection(kind.__subclasses__()) and kind is not ast.AST}
