"""Cases: sample calls of a hook with what must come of them, in `NAME.cases.yaml` beside `NAME.py`.

point: post-change-password
secrets: {SIGNING_KEY: s3cret}          # of every case; a case may add its own, or take one away with null
cases:                                  # under the default rules for calls, whatever the settings of the machine
  - name: says who changed the password
    arguments: sample                   # or a mapping; absent: the point's sample call
    seed: 1                             # of the hook's `random`
    http:                               # mocks: each must be called, and there is no other host; see egress/recorded.py
      - when: {method: POST, url: "https://api.example.com/mail", json: {to: user1@foo.com}}
        reply: {status: 202, json: {id: 7}}
    expect:
      status: ok
      result: {mail: user1@foo.com}     # exactly; absent: not looked at
      message: part of the message
      line: 7
      logs: [part of the first log event, part of the second]   # absent: not looked at
"""

from __future__ import annotations

import asyncio
import io
import math
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import UNSET, UnsetType, inspect

from engine.app import Engine
from engine.egress.policy import EgressPolicy
from engine.egress.recorded import Mock, Recorded
from engine.errors import BadInput
from engine.hook import Hook
from engine.outcome import Outcome
from engine.points import point_named
from sandbox.wire import Status

ENDING = ".cases.yaml"


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must come of a call; what is not set is not looked at."""

    status: Status = "ok"
    result: Any = UNSET
    error: Any = UNSET  # exactly, {name, message, …}
    message: str = ""  # a part of it
    line: int | UnsetType = UNSET
    logs: list[str] | UnsetType = UNSET  # a part of each event, in order; all of them


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call."""

    name: str
    expect: Expectation = Expectation()
    arguments: dict[str, Any] | Literal["sample"] = "sample"
    secrets: dict[str, str | None] = {}  # over those of the file; null takes one away
    seed: int | None = None
    http: list[Mock] = []  # what other hosts answer; they are the only ones


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cases of one hook."""

    point: str
    cases: list[Case]
    secrets: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one case went."""

    file: Path  # of the hook
    case: str
    faults: tuple[str, ...]  # empty: it passed
    outcome: Outcome
    seconds: float


def find_cases(folder: Path) -> list[tuple[Path, CaseFile]]:
    """Every hook below `folder` with its cases, by name. Raises BadInput for a file that is not as described above."""
    if not folder.is_dir():
        raise BadInput(f"{str(folder)!r} is not a directory; name the one that holds hooks and their {ENDING} files")
    listed = sorted(folder.rglob(f"*{ENDING}"))
    if not listed:
        raise BadInput(f"there is no *{ENDING} file below {str(folder)!r}")
    strangers = sorted(set(folder.rglob("*.py")) - {_hook_of(path) for path in listed})
    if strangers:
        raise BadInput(f"{strangers[0]} has no cases; write {strangers[0].with_suffix(ENDING).name} beside it")
    return [(_hook_of(path), _parse(path)) for path in listed]


async def run_cases(engine: Engine, path: Path, file: CaseFile) -> AsyncIterator[Verdict]:
    """Run the cases of one hook, one after another. Raises BadInput, naming the file, for one that cannot be run."""
    source = await asyncio.to_thread(_read, path)
    for case in file.cases:
        begun, hosts = time.perf_counter(), Recorded(case.http)
        try:
            outcome = await _run(engine, source, file, case, hosts)
        except BadInput as error:
            raise BadInput(f"{path}, case {case.name!r}: {error}") from None
        seconds = time.perf_counter() - begun
        faults = _faults(case.expect, outcome, hosts)
        yield Verdict(file=path, case=case.name, faults=faults, outcome=outcome, seconds=seconds)


async def _run(engine: Engine, source: str, file: CaseFile, case: Case, hosts: Recorded) -> Outcome:
    secrets = {name: value for name, value in (file.secrets | case.secrets).items() if value is not None}
    hook = Hook(source, file.point, secrets=secrets, seed=case.seed, egress=EgressPolicy())
    sample = point_named(file.point).sample
    return await engine.run(hook, sample if case.arguments == "sample" else case.arguments, transport=hosts)


def _faults(expect: Expectation, outcome: Outcome, hosts: Recorded) -> tuple[str, ...]:
    found = [
        _differs("status", expect.status, outcome.status),
        _differs("result", expect.result, msgspec.json.decode(outcome.result)),
        _differs("error", expect.error, msgspec.json.decode(outcome.error)),
        _differs("line", expect.line, outcome.line),
        "" if expect.message in outcome.message else f"message: {expect.message!r} is not in {outcome.message!r}",
        _log_fault(expect.logs, [event.text for event in outcome.logs]),
        *(f"http: {call}" for call in hosts.unmatched),
        *(f"http: the mock {mock}" for mock in hosts.unused),
    ]
    faults = tuple(fault for fault in found if fault)
    return (*faults, f"it said: {outcome.message}") if faults and outcome.message else faults


def _differs(what: str, expected: Any, found: Any) -> str:
    return "" if expected is UNSET or expected == found else f"{what}: expected {expected!r}, found {found!r}"


def _log_fault(expected: list[str] | UnsetType, found: list[str]) -> str:
    if expected is UNSET or (
        len(expected) == len(found) and all(part in text for part, text in zip(expected, found, strict=True))
    ):
        return ""
    return f"logs: expected {expected!r}, found {found!r}"


class _Loader(yaml.SafeLoader):
    """YAML as JSON knows it: a time stays the text that it is, and there is no NaN."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    number: float = loader.construct_yaml_float(node)
    if not math.isfinite(number):
        said = f"{node.value} is no number of JSON; write null, or a text in quotes"
        raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
    return number


_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def _hook_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(ENDING) + ".py")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: the hook of these cases cannot be read: {error}") from None


def _parse(path: Path) -> CaseFile:
    try:
        return msgspec.convert(_load(path), CaseFile)
    except msgspec.ValidationError as error:
        said = f"{error}{_choices(str(error))}"
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        said = str(error)
    raise BadInput(f"{path}: {' '.join(said.split())}")


def _load(path: Path) -> Any:
    stream = io.StringIO(path.read_text(encoding="utf-8"))
    stream.name = path.name  # as errors say where they are
    return yaml.load(stream, _Loader)  # noqa: S506 - a safe loader


def _choices(said: str) -> str:
    """What may stand where something else does, if that can be listed; to go behind what msgspec says."""
    kind = _kind_at(said)
    if isinstance(kind, inspect.StructType) and said.startswith("Object contains unknown field"):
        return f"; its fields are {_joined([field.name for field in kind.fields], 'and')}"
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    values = [str(value) for each in kinds if isinstance(each, inspect.LiteralType) for value in each.values]
    if not values or not said.startswith("Invalid enum value"):
        return ""
    mapping = ["a mapping"] if any(isinstance(each, inspect.DictType) for each in kinds) else []
    return f"; write {_joined(values + mapping, 'or')}"


def _kind_at(said: str) -> inspect.Type | None:
    """What belongs at the place that a message ends with: "… - at `$.cases[0].http[0].when`"."""
    kind: inspect.Type | None = inspect.type_info(CaseFile)
    place = re.search(r" - at `\$([^`]*)`$", said)
    for name in re.findall(r"\.(\w+)|\[", place[1]) if place else ():
        fields = {field.name: field.type for field in getattr(kind, "fields", ())}
        kind = fields.get(name) if name else getattr(kind, "item_type", None)
    return kind


def _joined(names: list[str], last: str) -> str:
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
