"""Headers of every answer: those that the way in has set (rate limits), and those that keep browsers from guessing."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.services import Services

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class WithHeaders:
    """An ASGI app whose answers carry `request.state.headers` too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, state.get("headers") or _rates(scope))
            await send(message)

        await self._app(scope, receive, sending)


def _rates(scope: Scope) -> dict[str, str]:
    """Of a request that no route has taken: of its address. Source: AUTH0.md section 4.6."""
    if not scope["path"].startswith("/api/v2"):
        return {}
    services: Services = scope["app"].state.services
    return services.rates.of_address(scope["client"][0] if scope.get("client") else "")


def _add(message: Message, own: dict[str, str]) -> None:
    headers: list[tuple[bytes, bytes]] = message["headers"]
    there = {name for name, _ in headers}
    headers.extend((name.encode(), value.encode()) for name, value in own.items() if name.encode() not in there)
    headers.extend(header for header in ALWAYS if header[0] not in there)
