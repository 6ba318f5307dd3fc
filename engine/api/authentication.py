"""Who asks: the token of the Authorization header, looked up by its digest.

For every single request, but on the one route that is asked all the time: there a tenant's token is remembered for
as long as nothing of its tenant has changed, its tokens included, on whatever node. Source: AUTH0.md 4.5. Nothing of
a token that was sent stands in any error.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from engine.api.services import Services
from engine.errors import Refusal
from engine.tokens import digest, is_valid
from tenants.errors import Missing
from tenants.records import Tenant, Token

_BEARER = re.compile(r"Bearer +([^\s,]+)", re.IGNORECASE | re.ASCII)  # RFC 6750, any token
_MOST_REMEMBERED = 20_000  # tokens


async def authenticate(services: Services, sent: list[str], address: str) -> tuple[Token, Tenant | None]:
    """Whose request this is, by its Authorization headers; no tenant: an operator's.

    Raises Refusal: 401 without a valid token, 400 for another header, 429 for guessing.
    """
    text = _bearer(sent)
    try:
        with services.rates.attempts.attempt(address, digest(text)):
            return await services.tokens.holder(text)
    except Missing:
        raise _invalid_token() from None


class Remembered:
    """Tenants' tokens that were valid, each with its tenant as it was then."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Token, Tenant]] = OrderedDict()  # used least lately first

    async def who(self, services: Services, sent: list[str], address: str) -> tuple[Token, Tenant | None]:
        """As `authenticate`, with the token's tenant; None of an operator's, which is looked up each time."""
        key = digest(_bearer(sent))
        known = self._known.get(key)
        if known is not None:
            token, tenant = known
            revision = services.revisions.at_once(tenant.id) or await services.revisions.of(tenant.id)
            if revision == tenant.revision and is_valid(token):
                self._remember(key, known)
                return known
            self._known.pop(key, None)
        token, own = await authenticate(services, sent, address)
        if own is not None:
            self._remember(key, (token, own))
        return token, own

    def _remember(self, key: bytes, known: tuple[Token, Tenant]) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)


def _invalid_token() -> Refusal:
    """Of whatever is no token, or none any more."""
    return Refusal(401, None, "Invalid token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _bearer(sent: list[str]) -> str:
    if not sent:
        raise Refusal(401, None, "Missing authentication", {"WWW-Authenticate": "Bearer"})
    found = _BEARER.fullmatch(sent[0].strip())
    if len(sent) > 1 or not found:
        raise Refusal(400, "Bearer", "Bad HTTP authentication header format", {"WWW-Authenticate": "Bearer"})
    return found[1]
