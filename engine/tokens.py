"""API tokens: opaque, 256 random bits, shown once to whom they are made for, kept as SHA-256.

Nothing here remembers who is valid: the store is asked each time, so a token that is removed ends at once, on every
node. It is found by its digest: how long that takes tells of digests, which nobody can choose, never of texts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ulid import ULID

from engine.errors import BadConfig, Refusal
from engine.scopes import OPERATOR
from tenants import schema, token_rows
from tenants.errors import Missing, Taken
from tenants.keyring import is_private, write_private
from tenants.records import Tenant, Token
from tenants.rows import Everything, Rows
from tenants.stamps import now_ms
from tenants.store import Store

_log = logging.getLogger("hookcell.tokens")

PREFIX = "hc_"
_TEXT = re.compile(rb"hc_[A-Za-z0-9_-]{43}")
_DERIVED_S = 86_400  # of a token given at /oauth/token
_MOST_DERIVED = 1_000  # of one token: more than a day's runs of CI; then the oldest ends


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token at its birth: the one moment at which its text is known."""

    token: Token
    text: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What the store keeps."""
        return digest(self.text)


def mint() -> str:
    """Another token's text."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(text: str) -> bytes:
    """SHA-256: 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def new_token(
    tenant_id: str | None,
    name: str,
    scopes: Iterable[str],
    *,
    expires_in: int | None = None,
    maker: Token | None = None,
) -> NewToken:
    """A token that the store does not know yet. `expires_in`: seconds; None: never. `tenant_id` None: an operator's.

    It does not outlive its maker, where that one ends by itself.
    """
    now = now_ms()
    ends = [] if expires_in is None else [now + expires_in * 1000]
    ends += [maker.expires_ms] if maker and maker.expires_ms is not None else []
    token = Token(
        id=str(ULID()),
        tenant_id=tenant_id,
        name=name,
        scopes=frozenset(scopes),
        created_ms=now,
        expires_ms=min(ends, default=None),
    )
    return NewToken(token, mint())


def is_valid(token: Token) -> bool:
    """Whether it has not expired."""
    return token.expires_ms is None or token.expires_ms > now_ms()


class Tokens:
    """The tokens that the store knows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def valid(self, text: str) -> Token:
        """The token of that text. Raises Missing: unknown, revoked or expired, which look the same."""
        return (await self.holder(text))[0]

    async def holder(self, text: str) -> tuple[Token, Tenant | None]:
        """The same, and whose it is, in one question. None: an operator's. Raises Missing."""
        token, tenant = await asyncio.wrap_future(self._store.read_all(token_rows.holder, digest(text)))
        if not is_valid(token):
            raise Missing(what="token")
        return token, tenant

    async def derive(self, parent: Token) -> NewToken:
        """A token that may do the same for a day, and ends with its parent. Raises Missing when that has ended."""
        assert parent.tenant_id is not None, "operators' tokens have no tenant to derive a token for"
        made = new_token(parent.tenant_id, parent.name, parent.scopes, expires_in=_DERIVED_S, maker=parent)
        made = replace(made, token=replace(made.token, parent_id=parent.id))
        await asyncio.wrap_future(self._store.write(parent.tenant_id, _keep_derived, made))
        return made

    def first_start(self, path: Path) -> bool:
        """Makes an operator's token, if none is valid; its text goes into a file that only its owner reads.

        Whether there was anything to do. Raises BadConfig for a file of other make.
        """
        with contextlib.suppress(Taken):  # another node was the first one at the same time
            return self._store.write_all(_begin, path).result()
        return self._store.write_all(_begin, path).result()


def end_operator(everything: Everything, token_id: str) -> None:
    """A change: the operator's token ends. Raises Missing; Refusal 409 for the last one that has no end of its own."""
    token_rows.lock_operators(everything)  # or two nodes end the last two, each in sight of the other one
    others = [token for token in token_rows.operators(everything) if token.id != token_id]
    token_rows.remove_operator(everything, token_id)
    if all(token.expires_ms is not None for token in others):
        told = "This is the last operator's token that does not expire; make another one first."
        raise Refusal(409, "last_operator_token", told)


def _begin(everything: Everything, path: Path) -> bool:
    """A change: somebody can come in. The file is on the disk before the store knows the token.

    Whatever stops the very first start in between, the next one takes the token from the file. Later the text of a
    file may be that of a token that was revoked: it is good for nothing any more, and another one takes its place.
    """
    first = token_rows.lock_operators(everything)
    there = token_rows.operators(everything)
    if any(is_valid(token) for token in there):
        return False
    made = new_token(None, "first operator", [OPERATOR])
    if first and not there:
        made = NewToken(made.token, _kept(path, made.text))
    else:
        _written(path, made.text, replace=True)
        _log.warning("no operator's token was valid any more: %s holds a new one", path)
    token_rows.create_operator(everything, made.token, made.digest)
    return True


def _keep_derived(rows: Rows, made: NewToken) -> None:
    token_rows.create(rows, made.token, made.digest)
    tokens = schema.tokens.c
    others = rows.select(schema.tokens, tokens.token_id).where(tokens.parent_id == made.token.parent_id)
    others = others.where(tokens.token_id != made.token.id).order_by(tokens.created_ms.desc(), tokens.token_id.desc())
    for over in rows.execute(others.offset(_MOST_DERIVED - 1)).scalars().all():
        token_rows.remove(rows, over)


def _kept(path: Path, text: str) -> str:
    """Writes the text into a new file; the text of the file, where a start was stopped before."""
    try:
        _written(path, text, replace=False)
    except FileExistsError:
        return _left(path)
    return text


def _written(path: Path, text: str, *, replace: bool) -> None:
    try:
        write_private(path, text + "\n", replace=replace)
    except FileExistsError:
        raise
    except OSError as error:
        raise BadConfig(f"{path} cannot be written: {error.strerror}") from None


def _left(path: Path) -> str:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            private, read = is_private(os.fstat(file.fileno())), file.read(1024)
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}") from None
    found = _TEXT.fullmatch(read.strip())
    if not private or not found:
        said = "others than its owner may read it" if found else "it holds no token"
        raise BadConfig(f"{path} cannot be the first operator's token: {said}. Remove it and start again.")
    return found[0].decode()
