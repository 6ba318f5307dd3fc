from __future__ import annotations

import logging
import os
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hearing import statements

from engine.errors import BadConfig
from engine.scopes import OPERATOR
from engine.tokens import Tokens, digest, mint, new_token
from tenants import token_rows
from tenants.store import Store

HOOKS = "/api/v2/hooks"
SOMEBODYS = "hc_" + "B" * 43  # of a token's shape
NO_HEADER = {"statusCode": 401, "error": "Unauthorized", "message": "Missing authentication"}
BAD_HEADER = {
    "statusCode": 400,
    "error": "Bad Request",
    "message": "Bad HTTP authentication header format",
    "errorCode": "Bearer",
}
INVALID = {"statusCode": 401, "error": "Unauthorized", "message": "Invalid token"}


def about_who_asks(heard: list[str]) -> list[str]:
    """Of what the store was asked, what is about who asks and for whom: the queue asks other things by itself."""
    return [said for said in heard if "FROM tokens" in said or "tenants.name" in said]


@pytest.fixture(scope="module")
def strict(new_server: Callable[..., Any]) -> Any:
    """A server that takes five failures a minute of an address."""
    return new_server(failed_logins_per_minute=5)


def asked(server: Any, header: str) -> Any:
    return server.ask("GET", HOOKS, token="", headers={"Authorization": header})


def test_a_request_without_a_token_is_told_so(server: Any) -> None:
    answer = server.ask("GET", HOOKS, token="")

    assert (401, NO_HEADER) == (answer.status_code, answer.json())
    assert "Bearer" == answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic YTpi", "hc_abc", "Bearer a b", "Bearer a, Bearer b", "Bearera", "Token a"],
)
def test_another_header_than_bearer_is_told_so(server: Any, header: str) -> None:
    answer = asked(server, header)

    assert (400, BAD_HEADER) == (answer.status_code, answer.json())


def test_two_headers_are_none_whatever_they_say(server: Any, acme: Any) -> None:
    """Something between us and the client may have looked at the other one."""
    good = f"Bearer {acme.token}"
    answer = server.client.get(HOOKS, headers=[("Authorization", good), ("Authorization", good)])

    assert (400, BAD_HEADER) == (answer.status_code, answer.json())


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_read_as_http_says(server: Any, acme: Any, scheme: str) -> None:
    assert 200 == asked(server, scheme + acme.token).status_code


@pytest.mark.parametrize(
    "token", ["hc_", "x", "null", "é", "\xff", "hc_" + "A" * 43, "eyJhbGciOiJub25lIn0.e30.", "A" * 10_000]
)
def test_an_unknown_token_is_invalid_whatever_it_looks_like(server: Any, token: str) -> None:
    answer = server.client.get(HOOKS, headers={b"Authorization": b"Bearer " + token.encode("latin-1")})

    assert (401, INVALID) == (answer.status_code, answer.json())
    assert 'Bearer error="invalid_token"' == answer.headers["www-authenticate"]


def test_part_of_a_token_and_more_than_a_token_are_invalid(server: Any, acme: Any) -> None:
    near = [acme.token[:-1], acme.token + "A", acme.token.swapcase(), acme.token[3:], digest(acme.token).hex()]

    assert [401] * 5 == [asked(server, f"Bearer {token}").status_code for token in near]


def test_unknown_revoked_and_expired_look_the_same(server: Any, acme: Any) -> None:
    """To the byte, and the store is asked the same for each."""
    made = [server.ask("POST", f"/v1/tenants/{acme.name}/tokens", json={"name": "t", "scopes": ["read:hooks"]}).json()]
    assert 200 == asked(server, f"Bearer {made[0]['token']}").status_code
    server.ask("DELETE", f"/v1/tenants/{acme.name}/tokens/{made[0]['id']}")
    expired = expired_token(server, acme.name)
    answers, work = [], []
    for token in (mint(), made[0]["token"], expired):
        with statements() as heard:
            answers.append(asked(server, f"Bearer {token}"))
        work.append(about_who_asks(heard))

    assert [401] * 3 == [answer.status_code for answer in answers]
    assert 1 == len({answer.content for answer in answers})
    assert work[0] == work[1] == work[2]
    assert len(work[0]) == 1


def expired_token(server: Any, tenant: str) -> str:
    """One that was given a second and is a second old: the clock is in its row."""
    token = server.ask("GET", f"/v1/tenants/{tenant}").json()["id"]
    made = new_token(token, "expired", ["read:hooks"], expires_in=0)
    server.services.store.write(token, token_rows.create, made.token, made.digest).result()
    return made.text


def test_another_tenants_name_and_no_tenants_name_are_the_same(server: Any, acme: Any) -> None:
    """The same bytes after the same questions, so that nobody can tell them apart by a clock either."""
    other = server.tenant()
    answers, work = [], []
    for name in (other.name, "no-such-tenant"):
        with statements() as heard:
            answers.append(server.ask("GET", f"/v1/tenants/{name}/hooks", token=acme.token))
        work.append(about_who_asks(heard))

    assert [404, 404] == [answer.status_code for answer in answers]
    assert answers[0].content == answers[1].content
    assert work[0] == work[1] != []


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", HOOKS + "/%00", {}),
        ("GET", HOOKS + "?page=x", {}),
        ("POST", HOOKS, {"content": b"{"}),
        ("POST", HOOKS, {"content": b"x" * (3 << 20)}),
        ("GET", "/v1/tenants/%2e%2e/hooks", {}),
        ("POST", "/v1/tenants", {"json": {}}),
        ("DELETE", "/v1/tokens/no", {}),
        ("POST", "/v1/master-key/rotation", {}),
    ],
)
def test_who_asks_is_looked_at_before_what_is_asked(server: Any, method: str, path: str, sent: Any) -> None:
    answer = server.ask(method, path, token=mint(), **sent)

    assert (401, INVALID) == (answer.status_code, answer.json())


def test_a_revoked_token_ends_at_once_on_another_node_too(new_server: Callable[..., Any], tmp_path: Path) -> None:
    """Two servers over one store; the other one has just seen the token."""
    one, other = (new_server(data=tmp_path) for _ in range(2))
    tenant = one.tenant()
    made = one.ask("POST", f"/v1/tenants/{tenant.name}/tokens", json={"name": "t", "scopes": ["read:hooks"]}).json()
    before = [node.ask("GET", HOOKS, token=made["token"]).status_code for node in (one, other, other)]
    one.ask("DELETE", f"/v1/tenants/{tenant.name}/tokens/{made['id']}")
    after = [node.ask("GET", HOOKS, token=made["token"]).status_code for node in (other, one)]

    assert [200, 200, 200] == before
    assert [401, 401] == after


def test_an_address_that_guesses_is_stopped_before_the_store_is_asked(strict: Any) -> None:
    known, fresh = strict.tenant(), strict.tenant()
    assert 200 == strict.ask("GET", HOOKS, token=known.token).status_code
    statuses: list[int] = []
    while 429 not in statuses and len(statuses) < 1_000:
        statuses.append(strict.ask("GET", HOOKS, token=mint()).status_code)
    with statements() as heard:
        refused = [strict.ask("GET", HOOKS, token=token) for token in (mint(), mint(), fresh.token)]

    assert [401] * 5 == statuses[:5]
    assert 429 in statuses
    assert [429] * 3 == [answer.status_code for answer in refused]
    assert [] == about_who_asks(heard)
    assert "too_many_requests" == refused[0].json()["errorCode"]
    assert 1 <= int(refused[0].headers["retry-after"]) <= 12
    assert 200 == strict.ask("GET", HOOKS, token=known.token).status_code
    assert 200 == strict.ask("GET", "/v1/tokens").status_code


def test_a_token_is_in_no_file_but_the_one_for_the_operator(new_server: Callable[..., Any], tmp_path: Path) -> None:
    server = new_server(data=tmp_path)
    tenant = server.tenant()
    server.ask("GET", HOOKS, token="hc_a-token-that-was-refused")
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert tmp_path / "hookcell.db" in kept
    for token in (tenant.token, server.operator, "hc_a-token-that-was-refused"):
        assert {"operator.token"} >= {path.name for path, found in kept.items() if token.encode() in found}


def test_a_token_is_in_no_line_of_the_log(
    server: Any, acme: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not at the finest level, neither a good one nor a refused one; the client here is not the server."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, logger=name)
    refused = mint()
    asked(server, f"Bearer {refused}")
    asked(server, f"Basic {refused}")
    acme.ask("POST", "tokens", json={"name": "x", "scopes": ["read:hooks"], "unknown": acme.token})
    asked(server, f"Bearer {acme.token}")
    told = caplog.text + "".join(capfd.readouterr())

    assert refused not in told
    assert acme.token not in told


def test_a_new_token_shows_its_text_to_nobody_who_prints_it() -> None:
    made = new_token("t", "name", ["read:hooks"])

    assert made.text not in repr(made) + str(made)
    assert made.digest == digest(made.text)
    assert made.digest not in made.text.encode()


def test_tokens_are_256_random_bits() -> None:
    made = [mint() for _ in range(100)]

    assert all(re.fullmatch(r"hc_[A-Za-z0-9_-]{43}", text) for text in made)
    assert 100 == len(set(made))


def test_a_header_that_is_never_ended_is_not_waited_for_by_others(server: Any, acme: Any) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
        connection.sendall(b"GET /api/v2/hooks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hc_")

        assert 200 == acme.ask("GET", HOOKS).status_code


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store(f"sqlite:///{tmp_path}/hookcell.db")
    store.open()
    yield store
    store.close()


async def test_the_first_start_leaves_a_token_for_the_operator_alone(
    store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, tokens = tmp_path / "operator.token", Tokens(store)
    before = os.umask(0)
    try:
        first = tokens.first_start(path)
    finally:
        os.umask(before)
    text = path.read_text().strip()

    assert first
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert frozenset({OPERATOR}) == (await tokens.valid(text)).scopes
    assert ("", "") == capfd.readouterr()


async def test_a_later_start_makes_no_token_though_the_file_is_gone(store: Store, tmp_path: Path) -> None:
    """Who keeps the token elsewhere deletes the file."""
    path, tokens = tmp_path / "operator.token", Tokens(store)
    tokens.first_start(path)
    path.unlink()

    assert not tokens.first_start(path)
    assert not path.exists()
    assert 1 == len(store.read_all(token_rows.operators).result())


async def test_a_first_start_that_was_stopped_halfway_is_ended_by_the_next(store: Store, tmp_path: Path) -> None:
    """The file was written, and the store did not learn of it."""
    path, tokens, text = tmp_path / "operator.token", Tokens(store), mint()
    path.touch(0o600)
    path.write_text(text + "\n")

    assert tokens.first_start(path)
    assert frozenset({OPERATOR}) == (await tokens.valid(text)).scopes
    assert text + "\n" == path.read_text()


async def test_processes_that_start_at_once_over_one_folder_have_one_token(store: Store, tmp_path: Path) -> None:
    path, together = tmp_path / "operator.token", threading.Barrier(4)

    def start(_: int) -> bool:
        together.wait(60)
        return Tokens(store).first_start(path)

    with ThreadPoolExecutor(4) as threads:
        started = list(threads.map(start, range(4)))

    assert any(started)
    assert 1 == len(store.read_all(token_rows.operators).result())
    assert frozenset({OPERATOR}) == (await Tokens(store).valid(path.read_text().strip())).scopes


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (SOMEBODYS, 0o644, "others than its owner may read it"),
        (SOMEBODYS, 0o660, "others than its owner may read it"),
        ("", 0o600, "holds no token"),
        (SOMEBODYS[:-1], 0o600, "holds no token"),
        ("0" * 64, 0o600, "holds no token"),
    ],
)
async def test_a_file_that_somebody_else_made_is_no_operators_token(
    store: Store, tmp_path: Path, text: str, mode: int, said: str
) -> None:
    path = tmp_path / "operator.token"
    path.write_text(text)
    path.chmod(mode)

    with pytest.raises(BadConfig, match=rf"{said}\. Remove it") as refused:
        Tokens(store).first_start(path)
    assert not text or text not in str(refused.value)
    assert [] == store.read_all(token_rows.operators).result()


async def test_a_folder_that_takes_no_file_stops_the_first_start(store: Store) -> None:
    with pytest.raises(BadConfig, match="cannot be written"):
        Tokens(store).first_start(Path("/proc/self/operator.token"))

    assert [] == store.read_all(token_rows.operators).result()
