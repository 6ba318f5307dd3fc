"""One extensibility point as the engine uses it: what it is called with, what its hooks may answer, how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jsonschema_rs
import msgspec

from engine.errors import BadArguments
from engine.excess import excess_of

Fail = Literal["open", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One extensibility point. The fields up to `log_types` are those of its YAML file; docs/points.md."""

    id: str  # `trigger_id` on the wire
    title: str  # for people
    about: str  # one sentence: when it runs and what it may change
    blocking: bool  # whether the caller waits for the outcome
    fail: Fail  # what the caller does without an answer: goes on as with none (open), or refuses (closed)
    parameters: tuple[str, ...]  # of the hook, in order; `context` and `cb` last
    arguments: Any  # JSON Schema of an invocation's arguments
    secret: tuple[str, ...]  # dotted paths of arguments that are never stored
    response: Any  # JSON Schema of what cb() may be given
    default_response: Any  # the result when cb() was given none. Source: AUTH0.md section 2.1
    without_hooks: Mapping[str, str]  # what is answered as it came: name in the response → dotted path of an argument
    kept: tuple[str, ...]  # dotted paths of a response that count; none here and no claims: all of it counts
    renewed: tuple[str, ...]  # those of `kept` that an answer without them takes away
    claims: tuple[str, ...] | None  # keys that are http(s) URLs count, but for these hosts and those below; None: none
    plain_keys: tuple[str, ...]  # dotted paths of objects whose keys have no `.` in them and no `$` before
    errors: Mapping[str, Mapping[str, Any]]  # name of an error, or `default` → what its answer says beside its own
    error_fields: Mapping[str, str]  # field of the error's answer → field of the error that stands there too
    failure_log_type: str  # log event type of a failure, as in AUTH0.md section 5.3
    success_log_type: str | None  # of a success; None: there is none
    log_types: Mapping[str, Mapping[str, Mapping[str, str]]]  # path of an argument → its value → success, failure
    starter: str  # source of a first hook
    sample: dict[str, Any]  # arguments to try a hook with

    fields: tuple[str, ...]  # what `arguments` names: "user.email"; "user.app_metadata.*" may hold anything
    validator: jsonschema_rs.Validator  # of `arguments`
    response_validator: jsonschema_rs.Validator | None  # of `response`; None: it says nothing, or nobody waits for it
    default_json: bytes  # `default_response`

    def encode_arguments(self, arguments: Mapping[str, Any] | bytes, most_bytes: int) -> bytes:
        """JSON of an invocation's arguments.

        Raises BadArguments: no JSON, too large or too deep, too many values, or not this point's shape.
        """
        raw = arguments if isinstance(arguments, bytes) else _encode(arguments)
        if len(raw) > most_bytes:
            raise BadArguments(f"the arguments are {len(raw)} bytes of JSON; the most allowed is {most_bytes}")
        if said := excess_of(raw):
            raise BadArguments(f"the arguments hold {said}")
        self._check_shape(_decode(raw))
        return raw

    def _check_shape(self, given: Any) -> None:
        try:
            self.validator.validate(given)  # to the first error: listing them all takes seconds
        except jsonschema_rs.ValidationError as error:
            where = "".join(f"[{step!r}]" for step in error.instance_path)
            wanted = ", ".join(self.parameters[:-1])
            raise BadArguments(
                f"the arguments do not fit the point {self.id} (an object with {wanted}): "
                f"arguments{where}: {error.message[:500]}"
            ) from None


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise BadArguments("the arguments are nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadArguments(f"the arguments are not JSON: {error}") from None


def _encode(arguments: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(arguments)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise BadArguments(f"the arguments are not JSON: {error}") from None
