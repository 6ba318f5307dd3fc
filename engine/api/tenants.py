"""/v1/tenants: the operator's. A tenant's own token may read its tenant, and export it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any

import msgspec
from fastapi import Query as InQuery
from fastapi import Response
from pydantic import Field, StringConstraints

from engine.api import audit, shapes
from engine.api.bodies import Body, Query
from engine.api.replies import no_content, reply
from engine.api.route import Caller, Calling, make_router, needs
from engine.api.services import Served
from engine.api.tenant_settings import SettingsBody, merged
from engine.errors import Refusal
from engine.retention import sweep_removed
from engine.scopes import OPERATOR
from tenants import hooks, register, secret_values
from tenants.errors import StoreError
from tenants.records import Hook, Settings, Tenant
from tenants.rows import Everything, Rows

router = make_router(prefix="/v1/tenants", tags=["tenants"])

TenantName = Annotated[str, StringConstraints(pattern=shapes.TENANT_PATTERN)]


class NewTenant(Body):
    """A tenant to be made."""

    name: TenantName = Field(
        description="1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last", examples=["acme"]
    )
    settings: SettingsBody = Field(default=SettingsBody(), description="What differs from the engine's own settings")


class TenantChange(Body):
    """What shall change of a tenant."""

    settings: SettingsBody = Field(
        description="What is named is set, null resets it, and the rest stays", examples=[{"multiple_hooks": True}]
    )


class Page(Query):
    """A part of a list."""

    start: int = Field(default=0, ge=0, le=1 << 31, description="How many are passed over.")
    limit: int = Field(default=100, ge=1, le=1_000, description="How many are shown.")


@router.post("", status_code=201, response_model=shapes.Tenant, summary="Make a tenant")
@needs(OPERATOR)
async def create_tenant(body: NewTenant, caller: Calling, services: Served) -> Response:
    """Makes the tenant and the data key that its secrets are sealed with."""
    settings = merged(Settings(), body.settings, services.config)
    sent = body.model_dump(exclude_unset=True)

    def change(everything: Everything) -> Tenant:
        tenant = register.create(everything, body.name, settings, services.vault.new_data_key)
        rows = everything.of(tenant.id)
        _record(rows, caller, "Create a tenant", sent, 201, tenant)
        return tenant

    tenant = await services.write_all(change)
    audit.tell(caller, "Create a tenant", 201, id=tenant.id, name=tenant.name)
    return reply(shapes.tenant_shape(tenant), 201, {"Location": f"/v1/tenants/{tenant.name}"})


@router.get("", response_model=shapes.Tenants, summary="List tenants")
@needs(OPERATOR)
async def list_tenants(services: Served, page: Annotated[Page, InQuery()]) -> Response:
    """In order of creation."""
    found, total = await services.read_all(register.page, page.start, page.limit)
    listed = [shapes.tenant_shape(tenant) for tenant in found]
    return reply(shapes.Tenants(tenants=listed, total=total, start=page.start, limit=page.limit))


@router.get("/{tenant}", response_model=shapes.Tenant, summary="Read a tenant")
@needs(OPERATOR, "read:tenant")
async def get_tenant(caller: Calling) -> Response:
    """With its settings."""
    return reply(shapes.tenant_shape(caller.owner))


@router.patch("/{tenant}", response_model=shapes.Tenant, summary="Change a tenant's settings")
@needs(OPERATOR)
async def change_tenant(body: TenantChange, caller: Calling, services: Served) -> Response:
    """Sets what is named. `multiple_hooks` cannot be turned off while several hooks of a point are enabled."""
    sent = body.model_dump(exclude_unset=True)

    def change(everything: Everything) -> Tenant:
        rows = everything.of(caller.owner.id)
        rows.lock()
        settings = merged(register.by_id(everything, rows.tenant_id).settings, body.settings, services.config)
        if not settings.multiple_hooks:
            _check_single(rows)
        tenant = register.change(everything, rows.tenant_id, settings)
        _record(rows, caller, "Change a tenant's settings", sent, 200, tenant)
        return tenant

    return reply(shapes.tenant_shape(await services.write_all(change)))


@router.delete("/{tenant}", status_code=204, summary="Delete a tenant")
@needs(OPERATOR)
async def delete_tenant(caller: Calling, services: Served) -> Response:
    """Takes away all that is its: hooks, versions, secrets with the key that opens them, tokens, log. For good."""

    def change(everything: Everything) -> None:
        audit.check_operator(everything, caller)
        register.remove(everything, caller.owner.id)

    await services.write_all(change)
    audit.tell(caller, "Delete a tenant", 204, id=caller.owner.id, name=caller.owner.name)
    with contextlib.suppress(StoreError):  # it is removed; what is left yet, the next sweep takes away
        await sweep_removed(services.store, caller.owner.id)
    return no_content()


@router.get("/{tenant}/export", response_model=shapes.Export, summary="Export a tenant")
@needs(OPERATOR, "read:hooks")
async def export_tenant(caller: Calling, services: Served) -> Response:
    """Settings and hooks with their live sources, and the names of the secrets; not their values, tokens and log.

    The settings are null for a token without read:tenant.
    """

    def question(rows: Rows) -> list[tuple[Hook, list[str]]]:
        found, _ = hooks.page(rows)
        names = secret_values.names_by_hook(rows)
        return [(hook, names.get(hook.id, [])) for hook in found]

    found = await services.study(caller.owner.id, question)
    told = msgspec.to_builtins(shapes.tenant_shape(caller.owner))
    if caller.token.scopes.isdisjoint({OPERATOR, "read:tenant"}):
        told["settings"] = None
    return await asyncio.to_thread(_exported, told, found)


def _exported(tenant: dict[str, Any], found: list[tuple[Hook, list[str]]]) -> Response:
    listed = [shapes.hook_shape(hook, names, with_source=True) for hook, names in found]
    return reply({"tenant": tenant, "hooks": listed})


def _check_single(rows: Rows) -> None:
    """Raises Refusal 409, naming the hooks, when several of a point are enabled."""
    points: dict[str, list[str]] = {}
    for hook in hooks.page(rows, enabled=True)[0]:
        points.setdefault(hook.trigger_id, []).append(hook.name)
    for point, names in points.items():
        if len(names) > 1:
            told = (
                f"multiple_hooks cannot be off while {', '.join(names)} are all enabled on {point}; disable all but one"
            )
            raise Refusal(409, "several_hooks_enabled", told)


def _record(rows: Rows, caller: Caller, description: str, sent: dict[str, Any], status: int, tenant: Tenant) -> None:
    told = msgspec.to_builtins(shapes.tenant_shape(tenant))
    audit.record(rows, caller, description, request=sent, status=status, response=told)
