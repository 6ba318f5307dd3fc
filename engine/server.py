"""The HTTP server under the API: uvicorn on a port that was taken before, ended by us and by no signal of its own."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from engine.config import Config
from engine.connections import KEEP_ALIVE_S, Clock, Connection, Door, most_connections

_ANSWERING_S = 20  # for answers under way, when it is told to stop
_BACKLOG = 2048


class Server:
    """One app on one port."""

    def __init__(
        self, config: Config, app: ASGIApp, listening: socket.socket, stopping: Callable[[], None] = lambda: None
    ) -> None:
        self._listening = listening
        self._stopping = stopping  # called when it is told to stop: answers without end must end
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.ERROR,  # a client's faults are no news of ours, and any client could fill a disk
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                ssl_certfile=config.tls_cert,
                ssl_keyfile=config.tls_key,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=_ANSWERING_S,
            )
        )
        self._uvicorn.most = most_connections(config.workers)

    async def run(self, opened: Callable[[], None]) -> None:
        """Serve until `stop`; `opened` is called once requests are taken."""
        self._uvicorn.opened = opened
        await self._uvicorn.serve(sockets=[self._listening])

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._uvicorn.should_exit

    def stop(self) -> None:
        """Take no more requests, end those under way, return from `run`. A second time: do not wait for them."""
        self._uvicorn.force_exit = self._uvicorn.should_exit
        self._uvicorn.should_exit = True
        self._stopping()


class _Uvicorn(uvicorn.Server):
    """uvicorn, but for who lets connections in and who ends it."""

    opened: Callable[[], None]
    most: int  # connections

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: uvicorn raises them again at its end, and then nothing of ours would be closed in order."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Without uvicorn's own listening, which bounds nothing."""
        await self.lifespan.startup()
        make = functools.partial(
            Connection, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        self.servers = []
        self._doors = [Door(each, self.most, make, self.config.ssl) for each in sockets or []]
        self._clock = Clock(self.server_state.connections)
        for door in self._doors:
            door.open(self.config.backlog)
        self.started = True
        self.opened()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """The doors first. What is overdue ends meanwhile as well."""
        for door in self._doors:
            door.close()
        await super().shutdown(sockets)
        self._clock.stop()
