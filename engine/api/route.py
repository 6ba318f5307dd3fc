"""The way into every route: who asks, for which tenant, whether they may, how often; only then what they sent.

The order of AUTH0.md section 4.5: authentication, then path, then query and body, then whether the thing exists. A
route that does not say who may use it cannot be made.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from engine.api.authentication import authenticate
from engine.api.bodies import BODY_BYTES, BODY_VALUES, StrictRequest
from engine.api.refusals import refusal_of
from engine.api.services import Services
from engine.errors import Refusal
from engine.scopes import OPERATOR
from tenants import register
from tenants.errors import Missing
from tenants.records import Tenant, Token

ANY = "any"  # scope of what every token may
MANAGEMENT = "/api/v2"  # the API that Auth0's clients drive: the token names the tenant

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Who may use a route, and how much they may send."""

    scopes: tuple[str, ...]  # any of them will do; none: open to all
    body_bytes: int = BODY_BYTES
    body_values: int = BODY_VALUES  # of JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    token: Token
    tenant: Tenant | None  # whose things are asked for; None: an operator's question, of no tenant
    address: str
    user_agent: str
    method: str
    path: str

    @property
    def owner(self) -> Tenant:
        """The tenant, on the routes that have one."""
        assert self.tenant is not None, "the route has no tenant"
        return self.tenant


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Calling = Annotated[Caller, Depends(_caller)]


def needs(*scopes: str, body_bytes: int = BODY_BYTES, body_values: int = BODY_VALUES) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function: a token needs any of these scopes."""
    assert scopes, "without a scope it would be open to all"
    return _marking(Guard(scopes=scopes, body_bytes=body_bytes, body_values=body_values))


def open_to_all(*, body_bytes: int) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function: nobody needs a token."""
    return _marking(Guard(scopes=(), body_bytes=body_bytes))


def _marking(guard: Guard) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["guard"] = guard
        return endpoint

    return mark


def make_router(*, prefix: str = "", tags: list[str]) -> APIRouter:
    """A group of routes that are guarded."""
    return APIRouter(prefix=prefix, tags=[*tags], route_class=GuardedRoute)


def guard_of(route: APIRoute) -> Guard:
    """Who may use the route. Raises KeyError when it does not say."""
    guard: Guard = route.endpoint.__dict__["guard"]
    return guard


class GuardedRoute(APIRoute):
    """A route that asks who calls before it reads what was sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, behind the guard."""
        answer, guard = super().get_route_handler(), guard_of(self)

        async def guarded(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            strict.body_bytes, strict.body_values = guard.body_bytes, guard.body_values
            if guard.scopes:
                strict.state.caller = await _admitted(strict, guard)
            _check_path(self, strict)
            if self.body_field and await strict.body():
                check_type(strict.headers.get("content-type", ""))
                await strict.json()  # here: FastAPI would tell of its faults in words of its own
            try:
                return await answer(strict)
            except RequestValidationError as error:
                raise refusal_of(error, _model_of(self)) from None

        return guarded


async def _admitted(request: StrictRequest, guard: Guard) -> Caller:
    """The caller. Raises Refusal 400, 401, 403, 429, and Missing for a tenant that is not there, or not theirs."""
    services: Services = request.app.state.services
    address = request.client.host if request.client else ""
    request.state.headers = services.rates.of_address(address)  # until it is known whose they are
    token, own = await authenticate(services, request.headers.getlist("authorization"), address)
    await _count(services, own, request)
    tenant = await asked_tenant(services, own, request.path_params.get("tenant"))
    check_scope(token, guard)
    return Caller(
        token=token,
        tenant=tenant,
        address=address,
        user_agent=request.headers.get("user-agent", "")[:500],
        method=request.method,
        path=request.url.path,
    )


async def _count(services: Services, own: Tenant | None, request: Request) -> None:
    """One request of a tenant's. Raises Refusal 429; 403 for an operator's where there is nothing for one."""
    if own is not None:
        request.state.headers = await services.rates.hit(services, own)
    elif request.url.path.startswith(MANAGEMENT):
        raise Refusal(403, "operator_token", "This is an operator's token; here a tenant's own token is needed.")


async def asked_tenant(services: Services, own: Tenant | None, asked: str | None) -> Tenant | None:
    """The one that the path names, or the caller's own. Raises Missing, whether another's is there or not."""
    if own is None:
        return None if asked is None else await services.read_all(register.named, asked)
    if asked not in (None, own.name):
        raise Missing("there is no such tenant", what="tenant")
    return own


def check_scope(token: Token, guard: Guard) -> None:
    """Whether the token may. Raises Refusal 403."""
    if OPERATOR in token.scopes or ANY in guard.scopes or not token.scopes.isdisjoint(guard.scopes):
        return
    raise Refusal(403, "insufficient_scope", f"Insufficient scope, expected any of: {', '.join(guard.scopes)}")


def _check_path(route: APIRoute, request: Request) -> None:
    """Before the body is read. Raises Refusal 400."""
    _, faults = request_params_to_args(route.dependant.path_params, request.path_params)
    if faults:
        raise refusal_of(RequestValidationError(faults), None)


def check_type(found: str) -> None:
    """Of the Content-Type of a body that must be JSON. Raises Refusal 415."""
    if found.partition(";")[0].strip().lower() != "application/json":
        told = f"the body must be JSON, with Content-Type: application/json; found {found!r:.100}"
        raise Refusal(415, "unsupported_media_type", told)


def _model_of(route: APIRoute) -> type[BaseModel] | None:
    model = route.body_field.field_info.annotation if route.body_field else None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None
