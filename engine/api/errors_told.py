"""The errors that any route may answer with, as the OpenAPI document tells them. Source: AUTH0.md section 4.5."""

from __future__ import annotations

import http
from typing import Any

Json = Any

ERROR_SCHEMA: Json = {
    "title": "Error",
    "type": "object",
    "description": "What went wrong. Some errors tell more in properties of their own.",
    "required": ["statusCode", "error", "message"],
    "properties": {
        "statusCode": {"type": "integer", "description": "As the status of the answer."},
        "error": {"type": "string", "description": "The reason phrase of the status."},
        "message": {"type": "string", "description": "For people."},
        "errorCode": {"type": "string", "description": "For programs; some errors have none."},
        "rejected": {
            "type": "array",
            "description": "Of a deployment: the hooks whose scripts are rejected.",
            "items": {
                "type": "object",
                "required": ["name", "message", "diagnostics"],
                "properties": {
                    "name": {"type": "string"},
                    "message": {"type": "string"},
                    "diagnostics": {"type": "array", "items": {"type": "object"}},
                },
            },
        },
    },
}

_RETRY = {"Retry-After": {"description": "Seconds until it is worth another try.", "schema": {"type": "string"}}}
_RATE = {
    "x-ratelimit-limit": {"description": "Requests at once.", "schema": {"type": "string"}},
    "x-ratelimit-remaining": {"description": "How many of them are left.", "schema": {"type": "string"}},
    "x-ratelimit-reset": {"description": "UNIX time at which there is another one.", "schema": {"type": "string"}},
}
_CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}}


def _told(
    status: int, description: str, code: str | None, message: str, headers: dict[str, Json] | None = None
) -> dict[str, Json]:
    example = {"statusCode": status, "error": http.HTTPStatus(status).phrase, "message": message}
    return {
        "description": description,
        "x-status": str(status),
        **({"headers": headers} if headers else {}),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": example | ({"errorCode": code} if code else {}),
            }
        },
    }


RESPONSES: dict[str, dict[str, Json]] = {
    "BadRequest": _told(
        400,
        "The Authorization header, the path, the query or the body is not as it must be; or a script is rejected.",
        "invalid_body",
        "Payload validation error: 'Expected type boolean but found type string' on property enabled.",
    ),
    "Unauthorized": _told(401, "There is no token, or none that is valid.", None, "Invalid token", _CHALLENGE),
    "Forbidden": _told(
        403,
        "The token has none of the scopes that this needs; or there are as many as there may be.",
        "insufficient_scope",
        "Insufficient scope, expected any of: read:hooks",
    ),
    "NotFound": _told(
        404,
        "There is no such thing, or it is another tenant's: the answer is the same.",
        "HookDoesNotExist",
        "there is no such hook",
    ),
    "Conflict": _told(
        409,
        "The name is in use, or what is there has changed.",
        "HookNameAlreadyExists",
        "there is a hook welcome already",
    ),
    "PayloadTooLarge": _told(
        413,
        "The body is larger than is allowed here.",
        "payload_too_large",
        "the body is larger than 1048576 bytes, the most that is allowed here",
    ),
    "UriTooLong": _told(
        414,
        "The query is longer than is read here.",
        "uri_too_long",
        "The query is longer than 8000 bytes, the most that is allowed here",
    ),
    "UnsupportedMediaType": _told(
        415,
        "The body is of another type than this takes.",
        "unsupported_media_type",
        "the body must be JSON, with Content-Type: application/json; found 'text/plain'",
    ),
    "TooManyRequests": _told(
        429,
        "The tenant asks too often; or too many tokens from this address were not valid.",
        "too_many_requests",
        "Global limit has been reached",
        _RATE | _RETRY,
    ),
    "Unavailable": _told(
        503,
        "The store, or every worker, is busy or out of reach; the same request may do later.",
        "store_unavailable",
        "The store cannot be read or written now.",
        _RETRY,
    ),
}
