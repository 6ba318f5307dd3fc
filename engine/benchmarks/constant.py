"""The other side of a ratio, a process of its own: our server, with an app that answers every call of a point alike.

It says its port, and ends with its input.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope

from engine.api.headers import WithHeaders
from engine.api.triggers import Triggers
from engine.config import Config
from engine.server import Server

_ANSWER = b'{"execution_id":"01KACT8J9R0Q2T7Y4W5E6D8F1G","status":"success","data":{}}'


class Constant(Triggers):
    """The trigger route, but nobody is asked who it is, and no hook runs."""

    async def _answer(self, scope: Scope, receive: Receive, tenant_name: str, trigger_id: str) -> Response:  # noqa: ARG002 - the overridden signature
        while (await receive()).get("more_body", False):
            pass
        return Response(_ANSWER, media_type="application/json; charset=utf-8")


async def _serve() -> None:
    app = FastAPI(openapi_url=None)
    app.add_middleware(Constant)
    app.add_middleware(WithHeaders)
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(), app, listening)

    def say() -> None:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()

    async def end() -> None:
        await asyncio.to_thread(sys.stdin.read)
        server.stop()

    await asyncio.gather(server.run(say), end())


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_serve())
