"""What a call finds when something was changed while its body was on its way: it begins when the body is here."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import Any

from engine.points import point_named
from tenants import token_rows

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
SAY = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': ['%s']})\n"
NOTHING = "def hook(user, context, cb):\n    cb()\n"


class Slow:
    """A call whose body is still to come: the server has looked at its token, for it says 100 Continue."""

    def __init__(self, tenant: Any, point: str) -> None:
        self._body = json.dumps(point_named(point).sample).encode()
        host, _, port = tenant.url.removeprefix("http://").partition(":")
        self._client = socket.create_connection((host, int(port)), timeout=30)
        head = (
            f"POST /v1/tenants/{tenant.name}/triggers/{point} HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {tenant.token}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(self._body)}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        )
        self._client.sendall(head.encode())
        self._until(b"100 Continue\r\n\r\n")

    def _until(self, end: bytes) -> bytes:
        received = b""
        while not received.endswith(end):
            received += self._client.recv(4096)
        return received

    def end(self) -> tuple[int, Any]:
        """(status, JSON) of the answer, once the body is sent."""
        received = b""
        with self._client:
            self._client.sendall(self._body)
            while piece := self._client.recv(65_536):
                received += piece
        head, _, told = received.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(told)


def test_a_hook_that_was_changed_runs_as_it_is_now(acme: Any) -> None:
    acme.hook("h", SAY % "old", EXCHANGE)
    acme.trigger(EXCHANGE)
    slow = Slow(acme, EXCHANGE)
    acme.hook("h", SAY % "new", EXCHANGE)
    status, told = slow.end()

    assert (200, {"scope": ["new"]}) == (status, told["data"])


def test_a_hook_that_was_deleted_does_not_run(acme: Any) -> None:
    acme.hook("h", SAY % "old", EXCHANGE)
    acme.trigger(EXCHANGE)
    slow = Slow(acme, EXCHANGE)
    assert 204 == acme.ask("DELETE", "hooks/h").status_code
    status, told = slow.end()

    assert 200 == status
    assert ["old"] != told["data"]["scope"]


def test_a_hook_that_was_made_is_queued(acme: Any) -> None:
    acme.trigger(CHANGED)
    slow = Slow(acme, CHANGED)
    acme.hook("h", NOTHING, CHANGED)
    status, told = slow.end()

    assert 202 == status
    assert 200 == acme.ask("GET", f"executions/{told['execution_id']}").status_code


def test_a_tenant_that_was_removed_has_no_hooks(server: Any, acme: Any) -> None:
    acme.hook("h", SAY % "old", EXCHANGE)
    acme.trigger(EXCHANGE)
    slow = Slow(acme, EXCHANGE)
    assert 204 == server.ask("DELETE", f"/v1/tenants/{acme.name}").status_code
    status, told = slow.end()

    assert (404, "not_found") == (status, told["errorCode"])


def test_a_token_that_has_expired_since_its_last_call_calls_nothing(server: Any, acme: Any) -> None:
    """Nothing of the tenant has changed: the time is looked at, too."""
    acme.hook("h", SAY % "old", EXCHANGE)
    tenant = server.ask("GET", f"/v1/tenants/{acme.name}").json()["id"]
    given = json.dumps(point_named(EXCHANGE).sample).encode()

    def call(token: str) -> int:
        where, kind = f"/v1/tenants/{acme.name}/triggers/{EXCHANGE}", {"Content-Type": "application/json"}
        status: int = server.ask("POST", where, token, content=given, headers=kind).status_code
        return status

    before = call(acme.token)
    remembered = server.app._remembered
    (key,) = [key for key, (token, own) in remembered._known.items() if own.id == tenant]
    token, own = remembered._known[key]
    remembered._known[key] = dataclasses.replace(token, expires_ms=1), own
    rows = server.services.store.write(tenant, _expire, token.id)
    rows.result()
    after = call(acme.token)

    assert (200, 401) == (before, after)


def _expire(rows: Any, token_id: str) -> None:
    """Its time was over long ago; what is remembered of the tenant stays as it is."""
    table = token_rows._TOKENS
    rows.execute(rows.update(table).where(table.c.token_id == token_id).values(expires_ms=1))
