"""POST /oauth/token: what Auth0's clients exchange a client's id and secret for.

The client's id is a token's id and its secret is the token; the access token does the same for a day and ends with it.
Source: AUTH0.md section 4.7
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response
from pydantic import BaseModel, Field

from engine.api.bodies import decode
from engine.api.replies import reply
from engine.api.route import make_router, open_to_all
from engine.api.services import Served, Services
from engine.errors import Refusal
from engine.tokens import NewToken, digest
from tenants.errors import Missing
from tenants.records import Tenant, Token
from tenants.stamps import now_ms

router = make_router(tags=["oauth"])

_BODY_BYTES = 16 << 10
_MOST_FIELDS = 32
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_GRANT = "client_credentials"
_AUDIENCE = "/api/v2/"  # how the audience ends; before it stands the server as its client spells it
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenRequest(BaseModel):
    """A client's credentials. Other fields are passed over, as OAuth says."""

    grant_type: str = Field(examples=[_GRANT])
    client_id: str = Field(description="The id of a tenant's token.", examples=["01GEPVQEH9SX3RSTYY561TR92N"])
    client_secret: str = Field(description="The token itself.", examples=["hc_…"])
    audience: str = Field(
        description="The server's address, then /api/v2/.", examples=["https://localhost:8787/api/v2/"]
    )


class AccessToken(BaseModel):
    """A token for a day."""

    access_token: str = Field(examples=["hc_…"])
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds.", examples=[86_400])
    scope: str = Field(description="Separated by spaces.", examples=["read:hooks update:hooks"])


class OAuthError(BaseModel):
    """An error as RFC 6749 shapes it."""

    error: str = Field(examples=["access_denied"])
    error_description: str = Field(examples=["Unauthorized"])


class _Refused(Exception):
    """An answer in OAuth's shape."""

    def __init__(self, status: int, error: str, description: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(description)
        self.answer = reply(
            {"error": error, "error_description": description}, status, {**_NO_STORE, **(headers or {})}
        )


_SCHEMA = {"schema": TokenRequest.model_json_schema()}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthError, "description": "The request cannot be understood."},
    401: {"model": OAuthError, "description": "Unknown, revoked or expired, or an operator's; nobody is told which."},
    403: {"model": OAuthError, "description": "The audience is no API of this server."},
    413: {"model": OAuthError, "description": "The body is too large."},
    429: {"model": OAuthError, "description": "Too many requests, or too many that failed from one address."},
}


@router.post(
    "/oauth/token",
    response_model=AccessToken,
    responses=_ERRORS,
    openapi_extra={"requestBody": {"required": True, "content": {_FORM: _SCHEMA, _JSON: _SCHEMA}}},
    summary="Get an access token",
)
@open_to_all(body_bytes=_BODY_BYTES)
async def create_access_token(request: Request, services: Served) -> Response:
    """For a tenant's token, one that may do the same for a day, or as long as that one has left, and ends with it."""
    request.state.headers = services.rates.of_address(request.client.host if request.client else "")
    try:
        asked = _checked(await _fields(request))
        made = await _exchanged(services, request, asked)
    except _Refused as refused:
        return refused.answer
    except Refusal as refusal:  # of the body, or of a rate
        error = "too_many_requests" if refusal.status == 429 else "invalid_request"
        return _Refused(refusal.status, error, str(refusal), refusal.headers).answer
    expires_ms = made.token.expires_ms or 0
    told = {
        "access_token": made.text,
        "token_type": "Bearer",
        "expires_in": max((expires_ms - now_ms()) // 1000, 0),
        "scope": " ".join(sorted(made.token.scopes)),
    }
    return reply(told, 200, _NO_STORE)


async def _exchanged(services: Services, request: Request, asked: Mapping[str, str]) -> NewToken:
    address = request.client.host if request.client else ""
    try:
        with services.rates.attempts.attempt(address, digest(asked["client_secret"])):
            token, tenant = await _client(services, asked)
        request.state.headers = await services.rates.hit(services, tenant, "oauth")
        return await services.tokens.derive(token)
    except Missing:  # of the tenant, or of the token that has ended by now, too
        raise _Refused(401, "access_denied", "Unauthorized") from None


async def _client(services: Services, asked: Mapping[str, str]) -> tuple[Token, Tenant]:
    """The token that the client's secret is, if its id fits, and whose it is. Raises Missing."""
    token, tenant = await services.tokens.holder(asked["client_secret"])
    same = hmac.compare_digest(token.id.encode(), asked["client_id"].encode())
    if not same or tenant is None or token.parent_id is not None:
        raise Missing(what="token")
    return token, tenant


async def _fields(request: Request) -> dict[str, Any]:
    """The body's fields, by name; what is null is not there. Raises Refusal, _Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if kind == _JSON:
        found = decode(raw)
    elif kind == _FORM:
        found = _form(raw)
    else:
        raise _Refused(400, "invalid_request", f"the body must be {_FORM} or {_JSON}")
    if not isinstance(found, dict):
        raise _Refused(400, "invalid_request", "the body must be an object")
    return {name: value for name, value in found.items() if value is not None}


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise _Refused(400, "invalid_request", "the body is no form") from None
    if len(dict(pairs)) < len(pairs):
        raise _Refused(400, "invalid_request", "a parameter stands twice in the form")
    return dict(pairs)


def _checked(found: Mapping[str, Any]) -> dict[str, str]:
    """The fields that count, in the order in which they are missed. Raises _Refused."""
    grant = _text(found, "grant_type")
    if grant != _GRANT:
        raise _Refused(400, "unsupported_grant_type", f"Unsupported grant type: {grant:.100}")
    asked = {name: _text(found, name) for name in ("client_id", "client_secret")}
    audience = _text(found, "audience") if "audience" in found else ""
    if not audience:
        told = "No audience parameter was provided, and no default audience has been configured"
        raise _Refused(403, "access_denied", told)
    if not audience.endswith(_AUDIENCE):
        raise _Refused(403, "access_denied", f"Service not found: {audience:.200}")
    return asked


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is None or value == "":
        raise _Refused(400, "invalid_request", f"Missing required parameter: {name}")
    if not isinstance(value, str):
        raise _Refused(400, "invalid_request", f"Parameter {name} must be a string")
    return value
