"""The HTTP server under the API: uvicorn on a port that was taken before, ended by us and by no signal of its own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from engine.config import Config

_ANSWERING_S = 20  # for answers under way, when it is told to stop
_BACKLOG = 2048


class Server:
    """One app on one port."""

    def __init__(self, config: Config, app: ASGIApp, listening: socket.socket) -> None:
        self._listening = listening
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                ssl_certfile=config.tls_cert,
                ssl_keyfile=config.tls_key,
                timeout_graceful_shutdown=_ANSWERING_S,
            )
        )

    async def run(self, opened: Callable[[], None]) -> None:
        """Serve until `stop`; `opened` is called once requests are taken."""
        self._uvicorn.opened = opened
        await self._uvicorn.serve(sockets=[self._listening])

    def stop(self) -> None:
        """Take no more requests, end those under way, return from `run`. A second time: do not wait for them."""
        self._uvicorn.force_exit = self._uvicorn.should_exit
        self._uvicorn.should_exit = True


class _Uvicorn(uvicorn.Server):
    opened: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: uvicorn raises them again at its end, and then nothing of ours would be closed in order."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.opened()
