"""A server that is killed in the middle of writes has lost none that it acknowledged, and holds no half of any."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ROUNDS, WRITES, AT_ONCE = 20, 1_000, 32
TENANTS = ("acme", "globex", "initech", "umbrella")
PAIR = ("left", "right")  # hooks that are always deployed together
ENVIRONMENT = {"HOOKCELL_API_PER_SECOND": "100000", "HOOKCELL_RESERVE": "2", "HOOKCELL_DRAIN_MS": "0"}


@dataclass
class Acknowledged:
    """What the servers said was written."""

    tokens: set[tuple[str, str]] = field(default_factory=set)  # (tenant, id)
    hooks: set[tuple[str, str]] = field(default_factory=set)  # (tenant, name)
    pairs: set[tuple[str, str]] = field(default_factory=set)  # (tenant, SHA-256 of both sources)

    @property
    def writes(self) -> int:
        return len(self.tokens) + len(self.hooks) + len(self.pairs)

    def of(self, tenant: str) -> tuple[set[str], set[str], set[str]]:
        """What one tenant was told."""
        tokens, hooks, pairs = ({what for owner, what in each if owner == tenant} for each in self._all)
        return tokens, hooks, pairs

    @property
    def _all(self) -> tuple[set[tuple[str, str]], ...]:
        return self.tokens, self.hooks, self.pairs


@pytest.mark.slow
def test_twenty_killed_servers_have_lost_nothing_they_acknowledged(serve: Callable[..., Any], tmp_path: Path) -> None:
    chance = random.Random(20261123)
    acknowledged, before = Acknowledged(), 0
    for round_ in range(ROUNDS):
        server = serve(**ENVIRONMENT)
        if round_ == 0:
            _make_tenants(server)
        asyncio.run(_write_until_killed(server, acknowledged, round_, chance.randrange(20, 200)))
        assert acknowledged.writes > before, "nothing was acknowledged in this round"
        before = acknowledged.writes
        _check_file(tmp_path / "data" / "hookcell.db")
    server = serve(**ENVIRONMENT)

    assert acknowledged.writes > ROUNDS * 20
    for tenant in TENANTS:
        _check_tenant(server, tenant, acknowledged)
    assert 0 == server.stop()


def _client(server: Any) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.operator}"}, timeout=60)


def _make_tenants(server: Any) -> None:
    with _client(server) as client:
        for tenant in TENANTS:
            settings = {"most_hooks": 10_000, "most_versions": 10_000, "multiple_hooks": True}
            made = client.post("/v1/tenants", json={"name": tenant, "settings": settings})
            assert made.status_code == 201, made.text


async def _write_until_killed(server: Any, acknowledged: Acknowledged, round_: int, after: int) -> None:
    """1,000 writes, many at once; SIGKILL as soon as `after` of them are acknowledged."""
    numbers = iter(range(round_ * WRITES, (round_ + 1) * WRITES))
    kill_at = acknowledged.writes + after
    headers = {"Authorization": f"Bearer {server.operator}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:

        async def work() -> None:
            for number in numbers:
                await _write(client, number, acknowledged)
                if acknowledged.writes == kill_at:
                    server.kill()

        ended = await asyncio.gather(*(work() for _ in range(AT_ONCE)), return_exceptions=True)
    faults = [error for error in ended if error is not None and not isinstance(error, httpx.TransportError)]
    assert [] == faults
    assert acknowledged.writes >= kill_at


async def _write(client: httpx.AsyncClient, number: int, acknowledged: Acknowledged) -> None:
    """A token, a hook or a pair of hooks."""
    tenant = TENANTS[number % len(TENANTS)]
    path = f"/v1/tenants/{tenant}"
    match number // len(TENANTS) % 5:
        case 0 | 1 | 2:
            made = await client.post(f"{path}/tokens", json={"name": f"n{number}", "scopes": ["read:hooks"]})
            assert made.status_code == 201, made.text
            acknowledged.tokens.add((tenant, made.json()["id"]))
        case 3:
            put = await client.put(
                f"{path}/hooks/hook-{number}/source",
                params={"trigger_id": "post-change-password"},
                content="def hook(user, context, cb): cb()\n",
            )
            assert put.status_code == 201, put.text
            acknowledged.hooks.add((tenant, f"hook-{number}"))
        case _:
            script = f"def hook(user, context, cb): cb()  # {number}\n"
            hooks = [{"name": name, "trigger_id": "post-change-password", "script": script} for name in PAIR]
            deployed = await client.put(f"{path}/deployment", json={"hooks": hooks})
            assert deployed.status_code == 200, deployed.text
            acknowledged.pairs.add((tenant, hashlib.sha256(script.encode()).hexdigest()))


def _check_file(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()


def _check_tenant(server: Any, tenant: str, acknowledged: Acknowledged) -> None:
    tokens, hooks, pairs = acknowledged.of(tenant)
    with _client(server) as client:
        listed = client.get(f"/v1/tenants/{tenant}/tokens").json()["tokens"]
        exported = client.get(f"/v1/tenants/{tenant}/export").json()["hooks"]
        left, right = (_versions(client, tenant, name) for name in PAIR)

    assert tokens
    assert set() == tokens - {token["id"] for token in listed}
    assert hooks
    assert set() == hooks - {hook["name"] for hook in exported}
    assert pairs
    assert set() == pairs - set(left)
    assert left == right


def _versions(client: httpx.Client, tenant: str, name: str) -> list[str]:
    """SHA-256 of every version's source, newest first."""
    listed = client.get(f"/v1/tenants/{tenant}/hooks/{name}/versions").json()["versions"]
    return [version["source_sha256"] for version in listed]
