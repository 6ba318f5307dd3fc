"""Who asks: the token of the Authorization header, looked up by its digest for every single request.

Source: AUTH0.md 4.5. Nothing of a token that was sent stands in any error.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers

from engine.api.services import Services
from engine.errors import Refusal
from engine.tokens import digest
from tenants.errors import Missing
from tenants.records import Tenant, Token

_BEARER = re.compile(r"Bearer +([^\s,]+)", re.IGNORECASE | re.ASCII)  # RFC 6750, any token


async def authenticate(services: Services, headers: Headers, address: str) -> tuple[Token, Tenant | None]:
    """Whose request this is; no tenant: an operator's.

    Raises Refusal: 401 without a valid token, 400 for another header, 429 for guessing.
    """
    text = _bearer(headers.getlist("authorization"))
    with_challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    try:
        with services.rates.attempts.attempt(address, digest(text)):
            return await services.tokens.holder(text)
    except Missing:
        raise Refusal(401, None, "Invalid token", with_challenge) from None


def _bearer(sent: list[str]) -> str:
    if not sent:
        raise Refusal(401, None, "Missing authentication", {"WWW-Authenticate": "Bearer"})
    found = _BEARER.fullmatch(sent[0].strip())
    if len(sent) > 1 or not found:
        raise Refusal(400, "Bearer", "Bad HTTP authentication header format", {"WWW-Authenticate": "Bearer"})
    return found[1]
