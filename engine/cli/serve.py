"""`hookcell serve`: the server, until it is told to stop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import socket

    from engine.api.services import Services
    from engine.app import Engine
    from engine.config import Config
    from engine.server import Server

_TOKEN_FILE = "operator.token"  # noqa: S105 - its name; in the data folder; written at the first start


@click.command(name="serve")
@click.option("--host", help="Address to listen at. Default: 127.0.0.1, this machine alone.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: 8787; 0: any that is free.")
@click.option("--data", metavar="DIR", help="Folder of the database, the master key, operator.token. Default: data.")
@click.option("--tls-cert", metavar="FILE", help="PEM of the server's certificate, with its chain.")
@click.option("--tls-key", metavar="FILE", help="PEM of its key.")
def command(**given: Any) -> None:
    """Run the server: Auth0's management API at /api/v2, the engine's own at /v1.

    The first start makes the data folder, the master key and an operator's token in it, readable by you alone. Every
    layer of the sandbox is proved before the port is opened. SIGTERM and Ctrl-C end it in order; a second
    one ends it at once. What is in the queue is run after the next start.
    """
    import asyncio

    import uvloop

    from engine.cli.data import config_of
    from engine.points import load_points

    config = config_of(given)
    load_points(config.points)
    _check_tls(config)
    loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with _bound(config) as listening, contextlib.suppress(asyncio.CancelledError), loop as runner:
        runner.run(_serve(config, listening))


def _check_tls(config: Config) -> None:
    """Raises BadConfig for files that are no certificate and key: before anything is started."""
    import ssl

    from engine.errors import BadConfig

    if config.tls_key and not config.tls_cert:
        raise BadConfig("tls_key is set, tls_cert is not: TLS needs both")
    if config.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is one
            names = " and ".join(name for name in (config.tls_cert, config.tls_key) if name)
            said = (
                error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "not a pair"
            )
            raise BadConfig(f"TLS with {names} cannot be: {said or error}") from None


def _bound(config: Config) -> socket.socket:
    """The port, taken, and not yet open: nobody is let in before the layers are proved. Raises BadConfig."""
    import socket

    from engine.errors import BadConfig

    try:
        ((family, _, _, _, address), *_) = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise BadConfig(f"{config.host}:{config.port} cannot be listened at: {error.strerror}") from None
    return listening


async def _serve(config: Config, listening: socket.socket) -> None:
    """Everything opened, in order, the port last; closed the other way round when a signal comes."""
    import asyncio
    import importlib
    import signal

    from engine.app import Engine

    loop, starting = asyncio.get_running_loop(), asyncio.current_task()
    assert starting is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, starting.cancel)
    importing = asyncio.create_task(asyncio.to_thread(importlib.import_module, "engine.api.app"))
    async with Engine(config) as engine:  # whose zygote starts while the API is imported
        await importing
        await _listen(config, listening, engine)


async def _listen(config: Config, listening: socket.socket, engine: Engine) -> None:
    import asyncio
    import signal

    from engine.api.app import make_app, open_services
    from engine.cli.terminal import say
    from engine.server import Server

    loop = asyncio.get_running_loop()
    async with open_services(config, engine) as services:
        server = Server(config, make_app(services), listening, services.live.close)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, server, services)
        _settle()
        await server.run(lambda: say(_told(config, listening)))


def _settle() -> None:
    """What the start has made lives until the end: the collector need not go through it again and again."""
    import gc

    gc.collect()
    gc.freeze()


def _stop(server: Server, services: Services) -> None:
    """Begin nothing more of the queue, answer who waits. A second time: wait for nothing; what is queued stays so."""
    services.queue.rest()
    if server.stopping:
        services.queue.hurry()
        services.engine.hurry()
    server.stop()


def _told(config: Config, listening: socket.socket) -> str:
    """'hookcell 0.1.0 listens at https://127.0.0.1:8787, …': never the token itself."""
    from pathlib import Path

    host, port = listening.getsockname()[:2]
    scheme, place = ("https" if config.tls_cert else "http"), f"[{host}]" if ":" in host else host
    token = Path(config.data) / _TOKEN_FILE
    told = f"the operator's token is in {token}" if token.exists() else "the operator's token has been taken away"
    return f"hookcell listens at {scheme}://{place}:{port}; data folder {config.data}; {told}"
