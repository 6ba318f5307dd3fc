"""A tenant as code: a folder with `tenant.yaml` and the hooks that it names. Read, checked and written here.

tenant: acme                       # whose hooks these are; --tenant and HOOKCELL_TENANT go before it
hooks:
  - name: Tell by mail             # letters, digits, spaces and hyphens; unique
    point: post-change-password
    source: hooks/tell-by-mail.py  # within this folder
    enabled: true                  # absent: true
    order: 0                       # ascending, where the tenant has multiple_hooks; absent: 0
    mode: invocation               # or tenant; absent: as the tenant's setting
    retry:                         # of a non-blocking point; absent: one attempt
      attempts: 5                  # all in all
      on: [timeout, raised]        # ends that are tried again; absent: every end but no_callback and bad_result
      first_ms: 1000               # before the second attempt; then twice that, and so on
      most_ms: 60000               # between two
    dependencies: [requests]       # or a mapping {requests: "2.32"}; absent: none

Every fault of a file is reported at once, with its line. There are no aliases: a small file cannot become a large one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from engine.errors import BadInput
from engine.fields import Fields, Loader, found, kind_of, line_of, nearest
from tenants.records import Mode, Retry, RetryOn

FILE = "tenant.yaml"
MOST_BYTES = 256 << 10  # of tenant.yaml
SOURCE_BYTES = 1 << 20  # of a hook's file: the most that a server can be set to take
MOST_ORDER = 1_000_000  # either way; this bound and the next two are the server's own
MOST_ATTEMPTS = 20
MOST_RETRY_MS = 86_400_000
MOST_FAULTS = 50  # shown

_HOOK_NAME = re.compile(r"[a-zA-Z0-9]([ \-a-zA-Z0-9]*[a-zA-Z0-9])?")  # Source: AUTH0.md section 4.2
_TENANT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_ENDS: tuple[RetryOn, ...] = get_args(RetryOn)
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
    retry: Retry = field(default_factory=Retry)
    dependencies: Mapping[str, str] = field(default_factory=dict)
    line: int = 0  # of its point in tenant.yaml

    def as_body(self) -> dict[str, Any]:
        """What a deployment says of it."""
        body: dict[str, Any] = {"name": self.name, "trigger_id": self.point, "script": self.source}
        body |= {"enabled": self.enabled, "order": self.order, "dependencies": dict(self.dependencies)}
        body |= {} if self.mode is None else {"mode": self.mode}
        return body if self.retry == Retry() else body | {"retry": asdict(self.retry)}


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
        faults = [(hook.line, said.format(hook.point, nearest(hook.point, known))) for hook in strangers]
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
    if hook.retry != Retry():
        said["retry"] = asdict(hook.retry) | {"on": list(hook.retry.on)}
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
        return yaml.compose(raw.decode("utf-8-sig"), Loader)
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
_HOOK_FIELDS = ("name", "point", "source", "enabled", "order", "mode", "retry", "dependencies")
_RETRY_FIELDS = tuple(Retry.__dataclass_fields__)


class _Reader(Fields):
    """Makes a Project of YAML nodes, and notes every fault that it meets."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def project(self, root: yaml.Node) -> Project:
        fields = self.mapping(root, "the file", _FIELDS)
        tenant = self.text(fields, "tenant", "tenant")
        if tenant and not _TENANT_NAME.fullmatch(tenant):
            self.fault(fields["tenant"], f"tenant: {tenant!r:.100} is no tenant's name (a to z, 0 to 9, hyphens)")
        if "hooks" not in fields:
            self.fault(root, "hooks: they are missing; write `hooks: []` for a tenant without hooks")
        nodes = self.items(fields.get("hooks"), "hooks")
        hooks = tuple(self._hook(node, f"hooks[{index}]") for index, node in enumerate(nodes))
        self._check_unique(hooks, nodes)
        return Project(tenant=tenant or None, hooks=hooks)

    def _hook(self, node: yaml.Node, where: str) -> SourceFile:
        fields = self.mapping(node, where, _HOOK_FIELDS)
        if isinstance(node, yaml.MappingNode):
            for name in ("name", "point", "source"):
                if name not in fields:
                    self.fault(node, f"{where}.{name}: it is missing")
        path = self.text(fields, "source", f"{where}.source")
        return SourceFile(
            name=self._name(fields, where),
            point=self.text(fields, "point", f"{where}.point"),
            path=path,
            source=self._source(fields["source"], path, where) if path else "",
            enabled=self.value(fields, "enabled", where, True),
            order=self._order(fields, where),
            mode=self._mode(fields, where),
            retry=self._retry(fields.get("retry"), f"{where}.retry"),
            dependencies=self._dependencies(fields.get("dependencies"), f"{where}.dependencies"),
            line=line_of(fields.get("point", node)),
        )

    def _name(self, fields: dict[str, yaml.Node], where: str) -> str:
        name = self.text(fields, "name", f"{where}.name")
        if name and not _HOOK_NAME.fullmatch(name):
            allowed = "letters, digits, spaces and hyphens, and at both ends a letter or digit"
            self.fault(fields["name"], f"{where}.name: {name!r:.100} is no name of a hook: {allowed}")
        return name

    def _mode(self, fields: dict[str, yaml.Node], where: str) -> Mode | None:
        if "mode" not in fields or kind_of(fields["mode"]) == "null":
            return None
        mode = self.text(fields, "mode", f"{where}.mode")
        if mode and mode not in _MODES:
            self.fault(fields["mode"], f"{where}.mode: found {mode!r:.100}; it is tenant or invocation")
        return _MODES.get(mode)

    def _retry(self, node: yaml.Node | None, where: str) -> Retry:
        plain = Retry()
        if node is None or kind_of(node) == "null":
            return plain
        fields = self.mapping(node, where, _RETRY_FIELDS)
        return Retry(
            attempts=self._count(fields, "attempts", where, plain.attempts, MOST_ATTEMPTS),
            on=self._ends(fields.get("on"), f"{where}.on") if "on" in fields else plain.on,
            first_ms=self._count(fields, "first_ms", where, plain.first_ms, MOST_RETRY_MS),
            most_ms=self._count(fields, "most_ms", where, plain.most_ms, MOST_RETRY_MS),
        )

    def _ends(self, node: yaml.Node | None, where: str) -> tuple[RetryOn, ...]:
        """In one order, each once, as the server keeps them."""
        items = {f"{index}": item for index, item in enumerate(self.items(node, where))}
        names = {self.text(items, index, f"{where}[{index}]"): item for index, item in items.items()}
        for name, item in names.items():
            if name and name not in _ENDS:
                self.fault(item, f"{where}: {name!r:.100} is no end{nearest(name, _ENDS)}")
        return tuple(end for end in _ENDS if end in names)

    def _count(self, fields: dict[str, yaml.Node], name: str, where: str, default: int, most: int) -> int:
        count = self.value(fields, name, where, default)
        if 1 <= count <= most:
            return count
        self.fault(fields[name], f"{where}.{name}: found {found(fields[name])}; it is 1 to {most}")
        return default

    def _order(self, fields: dict[str, yaml.Node], where: str) -> int:
        order = self.value(fields, "order", where, 0)
        if abs(order) <= MOST_ORDER:
            return order
        self.fault(fields["order"], f"{where}.order: found {found(fields['order'])}; the most is {MOST_ORDER}")
        return 0

    def _source(self, node: yaml.Node, path: str, where: str) -> str:
        try:
            return read_text(within(self.folder, path))
        except ValueError as error:
            self.fault(node, f"{where}.source: {path!r:.200}: {error}")
            return ""

    def _dependencies(self, node: yaml.Node | None, where: str) -> dict[str, str]:
        if isinstance(node, yaml.MappingNode):
            fields = self.mapping(node, where)
            return {name: self.text(fields, name, f"{where}.{name}") for name in fields}
        items = self.items(node, where, "a list of modules, or a mapping of modules to versions")
        named = {f"{index}": item for index, item in enumerate(items)}
        return {self.text(named, index, f"{where}[{index}]"): "" for index in named}

    def _check_unique(self, hooks: tuple[SourceFile, ...], nodes: list[yaml.Node]) -> None:
        lines: dict[str, int] = {}
        for index, (hook, node) in enumerate(zip(hooks, nodes, strict=True)):
            if hook.name and lines.setdefault(hook.name, line_of(node)) != line_of(node):
                other = lines[hook.name]
                self.fault(node, f"hooks[{index}].name: {hook.name!r:.100} is the name of the hook at line {other} too")
