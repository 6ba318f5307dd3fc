"""Lists of a running server, whole: page after page of them is asked for."""

from __future__ import annotations

import msgspec

from engine.client import Client, HookRow, Refused, Rejection, TenantRow, TokenRow, VersionRow

_PAGE = 100


def all_tenants(client: Client) -> list[TenantRow]:
    """Every tenant, in order of creation."""
    found: list[TenantRow] = []
    while page := client.get(_Tenants, "tenants", start=len(found), limit=_PAGE).tenants:
        found += page
    return found


def listed_hooks(client: Client, tenant: str) -> list[HookRow]:
    """Every hook of the tenant, in order of creation."""
    found: list[HookRow] = []
    while page := client.get(_Hooks, "tenants", tenant, "hooks", start=len(found), limit=_PAGE).hooks:
        found += page
    return found


def hooks_with_sources(client: Client, tenant: str) -> list[HookRow]:
    """The same, with their sources, as they were at one time."""
    return client.get(_Hooks, "tenants", tenant, "export").hooks


def listed_versions(client: Client, tenant: str, hook: str) -> list[VersionRow]:
    """Every version of a hook, newest first."""
    return client.get(_Versions, "tenants", tenant, "hooks", hook, "versions").versions


def listed_tokens(client: Client, *place: str) -> list[TokenRow]:
    """A tenant's tokens, or the operators': `place` is where they are made."""
    return client.get(_Tokens, *place).tokens


def known_points(client: Client) -> list[str]:
    """The ids of the server's extensibility points."""
    return [point.id for point in client.get(_Points, "points").points]


def rejections(error: Refused) -> list[Rejection]:
    """The hooks that a deployment was refused for; none where it was refused for something else."""
    try:
        return msgspec.convert(error.body.get("rejected", []), list[Rejection])
    except msgspec.ValidationError:
        return []


class _Tenants(msgspec.Struct):
    tenants: list[TenantRow]


class _Hooks(msgspec.Struct):
    hooks: list[HookRow]


class _Versions(msgspec.Struct):
    versions: list[VersionRow]


class _Tokens(msgspec.Struct):
    tokens: list[TokenRow]


class _Point(msgspec.Struct):
    id: str


class _Points(msgspec.Struct):
    points: list[_Point]
