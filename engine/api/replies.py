"""Answers: JSON of what a route returns, and of everything that was raised. The one place where errors become HTTP.

Shape of an error: {"statusCode": 404, "error": "Not Found", "message": "…", "errorCode": "…"}. Source: AUTH0.md 4.5
"""

from __future__ import annotations

import http
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from engine.errors import EngineError
from tenants import errors

_log = logging.getLogger("hookcell.api")

_STORE: dict[type[errors.StoreError], tuple[int, str]] = {
    errors.Missing: (404, "not_found"),
    errors.Taken: (409, "already_exists"),
    errors.TooMany: (403, "too_many_entities"),
    errors.Stale: (409, "stale"),
    errors.Unstorable: (400, "invalid_body"),
    errors.TooLong: (400, "too_long"),
    errors.Unavailable: (503, "store_unavailable"),
    errors.KeyLost: (503, "key_lost"),
}
_CODES = {
    (errors.Missing, "hook"): "HookDoesNotExist",
    (errors.Missing, "secret"): "SecretDoesNotExist",
    (errors.Missing, "version"): "VersionDoesNotExist",
    (errors.Missing, "execution"): "ExecutionDoesNotExist",
    (errors.Taken, "hook"): "HookNameAlreadyExists",
    (errors.Taken, "secret"): "SecretAlreadyExists",
}
_AGAIN = {"Retry-After": "1"}  # of every 503: it passes by itself, or an operator ends it

_encoder = msgspec.json.Encoder()


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON: of mappings, lists, dataclasses and structs."""
    return Response(_encoder.encode(value), status, headers, "application/json; charset=utf-8")


def no_content() -> Response:
    """204."""
    return Response(status_code=204)


def refusal(status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as the API tells it."""
    told = {"statusCode": status, "error": http.HTTPStatus(status).phrase, "message": message}
    return reply(told | ({"errorCode": code} if code else {}), status, headers)


def add_errors(app: FastAPI) -> None:
    """Have the app answer what is raised in it."""

    async def answer(_: Request, error: Exception) -> Response:
        return answer_of(error)

    for kind in (*_ANSWERS, Exception):
        app.add_exception_handler(kind, answer)


def answer_of(error: Exception) -> Response:
    """What is answered where that was raised."""
    return next((told(error) for kind, told in _ANSWERS.items() if isinstance(error, kind)), None) or _of_fault(error)


def _of_engine(error: Exception) -> Response:
    assert isinstance(error, EngineError)
    if error.status == 500:
        return _of_fault(error)
    headers = getattr(error, "headers", {})
    return refusal(error.status, error.code, str(error), headers | (_AGAIN if error.status == 503 else {}))


def _of_store(error: Exception) -> Response:
    assert isinstance(error, errors.StoreError)
    status, code = _STORE.get(type(error), (500, ""))
    if status == 500:
        return _of_fault(error)
    code = _CODES.get((type(error), error.what), code)
    return refusal(status, code, str(error), _AGAIN if status == 503 else None)


def _of_http(error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, None, str(error.detail), error.headers)


def _of_disconnect(_: Exception) -> Response:
    """No fault of anybody's, and nobody reads it."""
    return refusal(400, None, "The client went away before its request was complete.")


def _of_fault(error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return refusal(500, "internal", "Something went wrong on our side; it has been noted.")


_ANSWERS: dict[type[Exception], Callable[[Exception], Response]] = {
    EngineError: _of_engine,
    errors.StoreError: _of_store,
    HTTPException: _of_http,
    ClientDisconnect: _of_disconnect,
}
