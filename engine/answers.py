"""What an invocation answers: its hooks' responses by the rules of their point, one over the other; errors for callers.

Of a response that its point keeps whole, and of arguments without secrets, no byte is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import idna
import msgspec
from jsonschema_rs import ValidationError

from engine.errors import BadArguments
from engine.mask import Mask
from engine.outcome import Exchange, Kept, Outcome
from engine.points import Point
from sandbox.wire import VALUES, excess

_TOGETHER_BYTES = 1 << 20  # of the answers of several hooks: each of them is given what was answered so far
_TOGETHER_VALUES, _TOGETHER_DEPTH = 2 * VALUES, 200  # of them, likewise
_SECRET_CHARS = 4 << 10  # of a call's secret values together, each of which is looked for in many forms
_MOST_NAMES = 200  # of a response whose names may be claims: each is looked at
_NAMES = {
    "timeout": "TimeoutError",
    "out_of_memory": "MemoryError",
    "crashed": "CrashError",
    "no_callback": "CallbackError",
    "bad_result": "ResponseError",
    "rejected": "SyntaxError",
}
_URL = re.compile(r"https?://(?P<host>[^\s/?#\\@:\[\]%]+|\[[0-9a-f:.]+\])(:[0-9]+)?([/?#][^\s\\]*)?", re.IGNORECASE)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class BadResponse(ValueError):
    """The response is none that this point takes."""


def initial(point: Point, arguments: bytes) -> bytes:
    """JSON of what is answered when no hook answers: the point's default response, with what it passes on as it came.

    `arguments`: JSON that fits the point. Raises BadArguments for what cannot be looked into here.
    """
    if not point.without_hooks:
        return point.default_json
    answer = msgspec.json.decode(point.default_json) or {}
    for name, path in point.without_hooks.items():
        try:
            passed_on = _found(arguments, path)
        except RecursionError:  # it depends on who asks: what was decoded once may be too deep the next time
            raise BadArguments("the arguments are nested too deeply") from None
        if passed_on is not None:
            answer[name] = msgspec.Raw(passed_on)
    return msgspec.json.encode(answer)


def fitting(point: Point, response: bytes, so_far: bytes) -> bytes:
    """JSON of one hook's `response` by the point's rules, over what was answered `so_far` (`initial` before the first).

    A hook that answers nothing (`null`, or just the default response) changes nothing. Raises BadResponse, which ends
    the hook as `bad_result`: its message is for the hook's author.
    """
    if response in (b"null", point.default_json):
        return so_far
    selects = bool(point.kept) or point.claims is not None
    if not selects and point.response_validator is None:
        return response
    try:
        return _ruled(point, response, so_far) if selects else _checked(point, response)
    except RecursionError:
        raise BadResponse("the response is nested too deeply") from None


def error_of(point: Point, outcome: Outcome) -> bytes:
    """JSON of a failed hook's error as the caller gets it: {name?, message, statusCode, …own fields of the error}.

    `name` is the error's class, or stands for the end: TimeoutError, MemoryError, CrashError, CallbackError,
    ResponseError, SyntaxError. A plain `Error`, a text and a dict have none. Source: AUTH0.md sections 2.1, 2.5
    """
    told = _own_error(outcome)
    name = told.get("name")
    for field, source in point.error_fields.items():
        if source in told:
            told[field] = told[source]
    told |= point.errors.get(str(name), point.errors["default"])
    if name == "Error":
        del told["name"]
    return msgspec.json.encode(told)


def redacted(point: Point, arguments: bytes) -> bytes:
    """JSON of the arguments without the point's secret fields: what may be stored. `arguments` fit the point."""
    try:
        for path in point.secret:
            arguments = _without(arguments, path.split("."))
    except RecursionError:
        return b"{}"  # what cannot be looked into is not stored
    return arguments


def storable(point: Point, arguments: bytes, outcome: Outcome) -> Outcome:
    """The outcome as it may be stored: without the values of the arguments' secret fields, wherever they stand in it.

    Result, message, error, causes, log and calls. The same object for a point without secret fields.
    """
    try:
        secrets = {path: found for path in point.secret if (found := _found(arguments, path)) is not None}
        return _without_secrets(outcome, secrets) if secrets else outcome
    except RecursionError:  # what cannot be looked into is not stored
        return _bare(outcome)


def log_type(point: Point, arguments: bytes, *, failed: bool) -> str | None:
    """The type of the log event of an end; None: such an end leaves none. Source: AUTH0.md section 5.3."""
    try:
        for path, by_value in point.log_types.items():
            found = _found(arguments, path)
            types = by_value.get(str(msgspec.json.decode(found))) if found is not None else None
            if types is not None:
                return types["failure" if failed else "success"]
    except RecursionError:  # what cannot be looked into is of no special type
        pass
    return point.failure_log_type if failed else point.success_log_type


def _checked(point: Point, response: bytes) -> bytes:
    _check(point, msgspec.json.decode(response))
    return response


def _ruled(point: Point, response: bytes, so_far: bytes) -> bytes:
    answered = msgspec.json.decode(response)
    if not answered and not isinstance(answered, dict | list):
        return so_far  # false, 0 and "" are no response either. Source: AUTH0.md section 2.1
    _check(point, answered)
    merged = msgspec.json.encode(_merged(point, answered, msgspec.json.decode(so_far)))
    if len(merged) > max(_TOGETHER_BYTES, len(response)):
        said = f"the responses of the hooks are {len(merged)} bytes of JSON together"
        raise BadResponse(f"{said}; the most allowed is {_TOGETHER_BYTES}")
    if excess(merged, _TOGETHER_VALUES, _TOGETHER_DEPTH) == "values":
        raise BadResponse(f"the responses of the hooks hold more than {_TOGETHER_VALUES} values together")
    return merged


def _check(point: Point, answered: Any) -> None:
    """Raises BadResponse for what the point's rules refuse."""
    for path in point.plain_keys:
        for key in _keys(answered, path):
            if "." in key or key.startswith("$"):
                raise BadResponse(
                    f"the response does not fit the point {point.id}: {path}: the key {key!r:.100} "
                    f"{'has a dot in it' if '.' in key else 'begins with a $'}; write another one"
                )
    if point.claims is not None and isinstance(answered, dict) and len(answered) > _MOST_NAMES:
        raise BadResponse(f"the response has {len(answered)} names; the most allowed is {_MOST_NAMES}")
    if point.response_validator is None:
        return
    try:
        point.response_validator.validate(answered)  # to the first error: listing them all takes seconds
    except ValidationError as error:
        where = "".join(f"[{step!r}]" for step in error.instance_path)
        said = f"the response does not fit the point {point.id}: response{where}: {error.message[:500]}"
        raise BadResponse(said) from None


def _keys(answered: Any, path: str) -> Sequence[str]:
    value = _at(answered, path.split("."))
    return tuple(value) if isinstance(value, dict) else ()


def _merged(point: Point, answered: Any, so_far: Any) -> dict[str, Any]:
    """What counts of `answered`, over `so_far`, which becomes it: what is an object in both is merged key by key."""
    if not isinstance(answered, dict):
        raise BadResponse(f"the response does not fit the point {point.id}: it is no object")
    merged: dict[str, Any] = so_far if isinstance(so_far, dict) else {}
    for path in point.renewed:
        _drop(merged, path.split("."))
    for path in point.kept:
        names = path.split(".")
        value = _at(answered, names)
        if value is not None:
            _put(merged, names, value)
    if point.claims is not None:
        merged |= {key: value for key, value in answered.items() if _is_claim(key, point.claims)}
    return merged


def _at(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _put(into: dict[str, Any], names: Sequence[str], value: Any) -> None:
    *above, last = names
    for name in above:
        if not isinstance(into.get(name), dict):
            into[name] = {}
        into = into[name]
    there = into.get(last)
    into[last] = there | value if isinstance(there, dict) and isinstance(value, dict) else value


def _drop(from_: dict[str, Any], names: Sequence[str]) -> None:
    *above, last = names
    holder = _at(from_, above)
    if isinstance(holder, dict):
        holder.pop(last, None)


def _is_claim(key: str, reserved: Sequence[str]) -> bool:
    """Whether it is an absolute http(s) URL of another host than these and those below them."""
    found = _URL.fullmatch(key)
    if found is None:
        return False
    host = found["host"]
    try:
        host = host if host.isascii() else idna.encode(host, uts46=True).decode()  # wide letters are letters
    except idna.IDNAError:
        return False
    host = host.lower().rstrip(".")
    return bool(host) and not any(host == name or host.endswith(f".{name}") for name in reserved)


def _own_error(outcome: Outcome) -> dict[str, Any]:
    """What the hook's error says itself; of an end without one, what stands for it."""
    own = msgspec.json.decode(outcome.error)
    if isinstance(own, dict):
        return {"message": outcome.message} | own
    name = _NAMES.get(outcome.status)
    return {"name": name, "message": outcome.message} if name else {"message": outcome.message}


def _found(raw: bytes, path: str) -> bytes | None:
    """The JSON at a dotted path of objects; None: there is nothing, or null."""
    for name in path.split("."):
        fields = _fields(raw)
        if fields is None or name not in fields:
            return None
        raw = bytes(fields[name])
    return None if raw == b"null" else raw


def _without(raw: bytes, names: Sequence[str]) -> bytes:
    """JSON without the field at a path, also in each object of a list on the way."""
    if raw[:1] == b"[":
        return msgspec.json.encode([msgspec.Raw(_without(bytes(item), names)) for item in _list.decode(raw)])
    fields = _fields(raw)
    if fields is None or names[0] not in fields:
        return raw
    if len(names) == 1:
        del fields[names[0]]
    else:
        fields[names[0]] = msgspec.Raw(_without(bytes(fields[names[0]]), names[1:]))
    return msgspec.json.encode(fields)


def _fields(raw: bytes) -> dict[str, msgspec.Raw] | None:
    """Of a JSON object, whose values stay as they were written; None: it is none. A name that comes twice: the last."""
    try:
        return _object.decode(raw)
    except msgspec.ValidationError:
        return None


def _without_secrets(outcome: Outcome, secrets: Mapping[str, bytes]) -> Outcome:
    """`secrets`: path → JSON of the value."""
    result = bytes(outcome.result)
    for path, value in secrets.items():
        if _found(result, path) == value:  # a hook may answer with what it was given
            result = _without(result, path.split("."))
    texts = [text for value in secrets.values() for text in _texts(msgspec.json.decode(value))]
    if sum(map(len, texts)) > _SECRET_CHARS:
        return _bare(outcome)
    return _masked(msgspec.structs.replace(outcome, result=msgspec.Raw(result)), Mask(texts, brief=True))


def _bare(outcome: Outcome) -> Outcome:
    """What can be kept when nobody can tell where the secrets stand."""
    return Outcome(status=outcome.status, message="", line=outcome.line, usage=outcome.usage)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _texts(below)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _masked(outcome: Outcome, mask: Mask) -> Outcome:
    replace = msgspec.structs.replace
    return replace(
        outcome,
        message=mask.text(outcome.message),
        result=msgspec.Raw(mask.stored(bytes(outcome.result))),
        error=msgspec.Raw(mask.stored(bytes(outcome.error))),
        logs=tuple(replace(event, text=mask.text(event.text)) for event in outcome.logs),
        causes=tuple(replace(cause, message=mask.text(cause.message)) for cause in outcome.causes),
        egress=tuple(_masked_call(exchange, mask) for exchange in outcome.egress),
    )


def _masked_call(exchange: Exchange, mask: Mask) -> Exchange:
    return msgspec.structs.replace(
        exchange,
        url=mask.url(exchange.url),
        message=mask.text(exchange.message),
        request=_masked_kept(exchange.request, mask),
        response=_masked_kept(exchange.response, mask),
    )


def _masked_kept(kept: Kept | None, mask: Mask) -> Kept | None:
    if kept is None:
        return None
    return msgspec.structs.replace(
        kept, headers=mask.headers(kept.headers), body=mask.text(kept.body), reason=mask.text(kept.reason)
    )
