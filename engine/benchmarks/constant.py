"""The other side of a ratio, a process of its own: our server, with an app that answers every call of a point alike.

It says its port, and ends with its input.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

import uvloop
from fastapi import FastAPI
from starlette.types import Receive, Scope

from engine.api.services import Services
from engine.api.triggers import Triggers
from engine.config import Config
from engine.server import Server

_ANSWER = b'{"execution_id":"01KACT8J9R0Q2T7Y4W5E6D8F1G","status":"success","data":{}}'


class Constant(Triggers):
    """The trigger route, but nobody is asked who it is, and no hook runs."""

    def __init__(self) -> None:
        super().__init__(FastAPI(openapi_url=None), cast("Services", None))  # which it does not ask

    async def _answer(self, scope: Scope, receive: Receive, tenant_name: str, trigger_id: str) -> tuple[int, bytes]:  # noqa: ARG002 - the overridden signature
        while (await receive()).get("more_body", False):
            pass
        return 200, _ANSWER


async def _serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(), Constant(), listening)

    def say() -> None:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()

    async def end() -> None:
        await asyncio.to_thread(sys.stdin.read)
        server.stop()

    await asyncio.gather(server.run(say), end())


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_serve())
