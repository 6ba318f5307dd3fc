"""Grant an application only the scopes that its plan allows.

The plan stands in the application's metadata. Scopes beyond the plan are dropped; when none is left, the token
is refused. Needs no secret.
"""

SCOPES_OF_PLAN = {
    "free": {"read:connections"},
    "full": {"read:connections", "read:users", "write:users"},
}


def hook(client, scope, audience, context, cb):
    plan = (client.get("metadata") or {}).get("plan", "free")
    if plan not in SCOPES_OF_PLAN:
        return cb(ServerError(f"application {client.id} has the unknown plan {plan!r}"))
    requested = scope or []
    granted = [name for name in requested if name in SCOPES_OF_PLAN[plan]]
    dropped = [name for name in requested if name not in granted]
    if dropped:
        console.warn(f"{client.id}: the plan {plan} does not allow {', '.join(dropped)}")
    if requested and not granted:
        return cb(InvalidScopeError(f"the plan {plan} allows none of: {', '.join(requested)}"))
    cb(None, {"scope": granted})
