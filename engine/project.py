"""A tenant as code: a folder with `tenant.yaml` and the hooks that it names. Read, checked and written here.

tenant: acme                       # whose hooks these are; --tenant and HOOKCELL_TENANT go before it
hooks:
  - name: Tell by mail             # letters, digits, spaces and hyphens; unique
    point: post-change-password
    source: hooks/tell-by-mail.py  # within this folder
    enabled: true                  # absent: true
    order: 0                       # ascending, where the tenant has multiple_hooks; absent: 0
    mode: invocation               # or tenant; absent: as the tenant's setting
    dependencies: [requests]       # or a mapping {requests: "2.32"}; absent: none

Every fault of a file is reported at once, with its line. There are no aliases: a small file cannot become a large one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from engine.errors import BadInput
from tenants.records import Mode

FILE = "tenant.yaml"
MOST_BYTES = 256 << 10  # of tenant.yaml
SOURCE_BYTES = 1 << 20  # of a hook's file: the most that a server can be set to take
MOST_ORDER = 1_000_000  # either way: the server's own bound
MOST_FAULTS = 50  # shown

_HOOK_NAME = re.compile(r"[a-zA-Z0-9]([ \-a-zA-Z0-9]*[a-zA-Z0-9])?")  # Source: AUTH0.md section 4.2
_TENANT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_Plain = TypeVar("_Plain", bool, int)

_MODES: dict[str, Mode] = {"tenant": "tenant", "invocation": "invocation"}


class BadProject(BadInput):
    """The folder cannot be used."""

    code = "bad_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One hook of a folder."""

    name: str  # of the hook
    point: str  # `trigger_id` on the wire
    path: str  # of its source, relative to the folder, as tenant.yaml has it
    source: str  # byte for byte, but for a byte order mark
    enabled: bool = True
    order: int = 0
    mode: Mode | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    line: int = 0  # of its point in tenant.yaml

    def as_body(self) -> dict[str, Any]:
        """What a deployment says of it."""
        body: dict[str, Any] = {"name": self.name, "trigger_id": self.point, "script": self.source}
        body |= {"enabled": self.enabled, "order": self.order, "dependencies": dict(self.dependencies)}
        return body if self.mode is None else body | {"mode": self.mode}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a folder says."""

    tenant: str | None  # None: it does not say whose hooks they are
    hooks: tuple[SourceFile, ...] = ()


def read_project(folder: Path) -> Project:
    """What the folder says, sources and all. Raises BadProject with every fault."""
    path = folder / FILE
    root, reader = _compose(path), _Reader(folder)
    if root is None:
        raise BadProject(f"{path}: it is empty; `hookcell init` writes a first one")
    project = reader.project(root)
    if reader.faults:
        raise BadProject(_told(path, reader.faults))
    return project


def check_points(folder: Path, project: Project, known: Iterable[str]) -> None:
    """Raises BadProject for every hook on an extensibility point that the server does not have."""
    known = list(known)
    strangers = [hook for hook in project.hooks if hook.point not in known]
    if strangers:
        said = "there is no extensibility point {!r}{}"
        faults = [(hook.line, said.format(hook.point, _nearest(hook.point, known))) for hook in strangers]
        raise BadProject(_told(folder / FILE, faults))


def written(project: Project) -> str:
    """The text of tenant.yaml; what is as it is by default is left out."""
    head = {} if project.tenant is None else {"tenant": project.tenant}
    hooks = [_as_yaml(hook) for hook in project.hooks]
    text: str = yaml.safe_dump(head | {"hooks": hooks}, sort_keys=False, allow_unicode=True, width=120)
    return text


def _as_yaml(hook: SourceFile) -> dict[str, Any]:
    said: dict[str, Any] = {"name": hook.name, "point": hook.point, "source": hook.path, "enabled": hook.enabled}
    if hook.order:
        said["order"] = hook.order
    if hook.mode is not None:
        said["mode"] = hook.mode
    if hook.dependencies:
        versions = dict(hook.dependencies)
        said["dependencies"] = versions if any(versions.values()) else list(versions)
    return said


def within(folder: Path, name: str) -> Path:
    """The file of that name below the folder, links followed. Raises ValueError for one that lies elsewhere."""
    if not name or "\0" in name or Path(name).is_absolute():
        raise ValueError(f"{name!r} is no path within the folder")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or path == folder.resolve():
        raise ValueError(f"{name!r} lies outside the folder")
    return path


def read_text(path: Path) -> str:
    """A hook's source, line ends as they are. Raises ValueError, saying why it cannot be read."""
    try:
        if not path.is_file():
            raise ValueError("there is no such file" if not path.exists() else "this is no file")
        with path.open("rb") as file:
            raw = file.read(SOURCE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    if len(raw) > SOURCE_BYTES:
        raise ValueError(f"it is larger than {SOURCE_BYTES} bytes")
    try:
        text = raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"it is not UTF-8: byte {raw[error.start]:#04x} at line {line}") from None
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise ValueError(f"it holds a NUL character at line {line}")
    if not text.strip():
        raise ValueError("it is empty")
    return text


def _told(path: Path, faults: list[tuple[int, str]]) -> str:
    """One fault a line, as compilers print them."""
    lines = [f"{path}:{line}: {said}" for line, said in sorted(faults)]
    more = [f"{path}: and {len(lines) - MOST_FAULTS} more"] if len(lines) > MOST_FAULTS else []
    return "\n".join(lines[:MOST_FAULTS] + more)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


class _Loader(yaml.SafeLoader):
    """Nodes with their lines, and no aliases: a bomb is made of them."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "write it out; aliases are not read here", mark)
        return super().compose_node(parent, index)


def _compose(path: Path) -> yaml.Node | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise BadProject(f"{path}: there is no such file; `hookcell init` or `hookcell pull` makes one") from None
    except OSError as error:
        raise BadProject(f"{path}: it cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise BadProject(f"{path}: it is larger than {MOST_BYTES} bytes")
    try:
        return yaml.compose(raw.decode("utf-8-sig"), _Loader)
    except UnicodeDecodeError:
        raise BadProject(f"{path}: it is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        said = error.problem or "it is not YAML"
        raise BadProject(f"{path}:{line}: {said}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadProject(f"{path}: it is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadProject(f"{path}: it is nested too deeply") from None


_FIELDS = ("tenant", "hooks")
_HOOK_FIELDS = ("name", "point", "source", "enabled", "order", "mode", "dependencies")
_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}


class _Reader:
    """Makes a Project of YAML nodes, and notes every fault that it meets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[tuple[int, str]] = []

    def project(self, root: yaml.Node) -> Project:
        fields = self._mapping(root, "the file", _FIELDS)
        tenant = self._text(fields, "tenant", "tenant")
        if tenant and not _TENANT_NAME.fullmatch(tenant):
            self._fault(fields["tenant"], f"tenant: {tenant!r:.100} is no tenant's name (a to z, 0 to 9, hyphens)")
        if "hooks" not in fields:
            self._fault(root, "hooks: they are missing; write `hooks: []` for a tenant without hooks")
        nodes = self._items(fields.get("hooks"), "hooks")
        hooks = tuple(self._hook(node, f"hooks[{index}]") for index, node in enumerate(nodes))
        self._check_unique(hooks, nodes)
        return Project(tenant=tenant or None, hooks=hooks)

    def _hook(self, node: yaml.Node, where: str) -> SourceFile:
        fields = self._mapping(node, where, _HOOK_FIELDS)
        if isinstance(node, yaml.MappingNode):
            for name in ("name", "point", "source"):
                if name not in fields:
                    self._fault(node, f"{where}.{name}: it is missing")
        path = self._text(fields, "source", f"{where}.source")
        return SourceFile(
            name=self._name(fields, where),
            point=self._text(fields, "point", f"{where}.point"),
            path=path,
            source=self._source(fields["source"], path, where) if path else "",
            enabled=self._value(fields, "enabled", where, True),
            order=self._order(fields, where),
            mode=self._mode(fields, where),
            dependencies=self._dependencies(fields.get("dependencies"), f"{where}.dependencies"),
            line=_line(fields.get("point", node)),
        )

    def _name(self, fields: dict[str, yaml.Node], where: str) -> str:
        name = self._text(fields, "name", f"{where}.name")
        if name and not _HOOK_NAME.fullmatch(name):
            allowed = "letters, digits, spaces and hyphens, and at both ends a letter or digit"
            self._fault(fields["name"], f"{where}.name: {name!r:.100} is no name of a hook: {allowed}")
        return name

    def _mode(self, fields: dict[str, yaml.Node], where: str) -> Mode | None:
        if "mode" not in fields or _kind(fields["mode"]) == "null":
            return None
        mode = self._text(fields, "mode", f"{where}.mode")
        if mode and mode not in _MODES:
            self._fault(fields["mode"], f"{where}.mode: found {mode!r:.100}; it is tenant or invocation")
        return _MODES.get(mode)

    def _order(self, fields: dict[str, yaml.Node], where: str) -> int:
        order = self._value(fields, "order", where, 0)
        if abs(order) <= MOST_ORDER:
            return order
        self._fault(fields["order"], f"{where}.order: found {_found(fields['order'])}; the most is {MOST_ORDER}")
        return 0

    def _source(self, node: yaml.Node, path: str, where: str) -> str:
        try:
            return read_text(within(self.folder, path))
        except ValueError as error:
            self._fault(node, f"{where}.source: {path!r:.200}: {error}")
            return ""

    def _dependencies(self, node: yaml.Node | None, where: str) -> dict[str, str]:
        if isinstance(node, yaml.MappingNode):
            fields = self._mapping(node, where)
            return {name: self._text(fields, name, f"{where}.{name}") for name in fields}
        items = self._items(node, where, "a list of modules, or a mapping of modules to versions")
        named = {f"{index}": item for index, item in enumerate(items)}
        return {self._text(named, index, f"{where}[{index}]"): "" for index in named}

    def _mapping(self, node: yaml.Node, where: str, known: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
        """The fields of a mapping; of those that are `known`, where that is said."""
        if not isinstance(node, yaml.MappingNode):
            names = f" of {', '.join(known)}" if known else ""
            self._fault(node, f"{where}: found {_found(node)}; it is a mapping{names}")
            return {}
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in fields:
                self._fault(key, f"{where}: {name!r:.100} stands there twice")
            elif known and name not in known:
                self._fault(key, f"{where}: {name!r:.100} is no field{_nearest(name, known)}")
            elif not name:
                self._fault(key, f"{where}: found {_found(key)} as a name")
            else:
                fields[name] = value
        return fields

    def _items(self, node: yaml.Node | None, where: str, wanted: str = "a list") -> list[yaml.Node]:
        if node is None:
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._fault(node, f"{where}: found {_found(node)}; it is {wanted}")
        return []

    def _text(self, fields: dict[str, yaml.Node], name: str, where: str) -> str:
        """The text of a field; empty where there is none, which is a fault unless the field is absent."""
        node = fields.get(name)
        if node is None:
            return ""
        if _kind(node) not in ("str", "timestamp"):
            quotes = ", in quotes if need be" if isinstance(node, yaml.ScalarNode) else ""
            self._fault(node, f"{where}: found {_found(node)}; it is a text{quotes}")
            return ""
        text = str(node.value)
        if not text and ".dependencies." not in where:  # a version may be empty
            self._fault(node, f"{where}: it is empty")
        return text

    def _value(self, fields: dict[str, yaml.Node], name: str, where: str, default: _Plain) -> _Plain:
        """A number, or true or false: of the type of its default."""
        node = fields.get(name)
        if node is None:
            return default
        try:
            value = _Loader("").construct_object(node) if _kind(node) in ("int", "bool") else None
        except ValueError:  # more digits than Python reads
            value = None
        if type(value) is type(default):
            return value
        wanted = {bool: "true or false", int: "a whole number"}[type(default)]
        self._fault(node, f"{where}.{name}: found {_found(node)}; it is {wanted}")
        return default

    def _check_unique(self, hooks: tuple[SourceFile, ...], nodes: list[yaml.Node]) -> None:
        lines: dict[str, int] = {}
        for index, (hook, node) in enumerate(zip(hooks, nodes, strict=True)):
            if hook.name and lines.setdefault(hook.name, _line(node)) != _line(node):
                other = lines[hook.name]
                self._fault(
                    node, f"hooks[{index}].name: {hook.name!r:.100} is the name of the hook at line {other} too"
                )

    def _fault(self, node: yaml.Node, said: str) -> None:
        self.faults.append((_line(node), said))


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _kind(node: yaml.Node) -> str:
    """'str', 'int', 'map' …: the last part of its tag."""
    tag: str = node.tag
    return tag.rpartition(":")[2]


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return _KINDS.get(_kind(node), "something else") + (f" ({node.value!r:.60})" if node.value else "")
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
