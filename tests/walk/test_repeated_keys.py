"""What one tenant's repeated calls are to another tenant's queue: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

import msgspec
import uvloop
from serving import PATIENCE_S, Serving

from engine.benchmarks.load import Client, endless, request
from engine.points import point_named

POINT = "post-change-password"
SOURCE = "def hook(user, context, cb):\n    cb()\n"
CALLS = 200
POLL_S = 0.05


def call_of(server: Serving, name: str) -> bytes:
    """A call of its hook, as bytes."""
    token = server.tenant(name)
    path, params = f"/v1/tenants/{name}/hooks/it/source", {"trigger_id": POINT}
    assert 201 == server.ask("PUT", path, token, content=SOURCE, params=params).status_code
    body = msgspec.json.encode(point_named(POINT).sample)
    return request(f"/v1/tenants/{name}/triggers/{POINT}", token, body)


def bursts(one: bytes) -> Iterator[list[bytes]]:
    """Forty at once, again and again."""
    each = endless(one)
    while True:
        yield [next(each) for _ in range(40)]


def test_who_repeats_a_key_all_the_time_slows_nobody_elses_queue_down(serve: Callable[..., Serving]) -> None:
    server = serve()
    repeated = call_of(server, "evil").replace(b"\r\n", b"\r\nIdempotency-Key: again\r\n", 1)
    call = call_of(server, "other")
    port = int(server.url.rpartition(":")[2])

    def until_none_waits() -> None:
        """The operator looks: a tenant's own requests are counted."""
        path, params, deadline = "/v1/tenants/other/executions", {"status": "queued"}, time.monotonic() + PATIENCE_S
        while server.ask("GET", path, params=params).json()["executions"]:
            assert time.monotonic() < deadline, "calls still wait"
            time.sleep(POLL_S)

    async def flood() -> None:
        for burst in bursts(repeated):
            await Client(port, 40, "127.0.0.3").send(burst)
            await asyncio.sleep(0.04)

    async def beside() -> tuple[int, float]:
        for one in (call, repeated):
            await Client(port).send([one])
        flooding = asyncio.create_task(flood())
        begun = time.monotonic()
        tally = await Client(port, 8, "127.0.0.2").send([call] * CALLS)
        await asyncio.to_thread(until_none_waits)
        took_s = time.monotonic() - begun
        flooding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flooding
        return tally.statuses[202], took_s

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken_in, took_s = runner.run(beside())

    assert CALLS == taken_in
    assert took_s < 2.0
