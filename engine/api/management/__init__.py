"""/api/v2: the part of Auth0's Management API that is about hooks, for Auth0's own clients. Source: AUTH0.md."""

from engine.api.management.clients import router as _clients
from engine.api.management.hooks import router as _hooks
from engine.api.management.logs import router as _logs
from engine.api.management.secrets import router as _secrets

routers = (_hooks, _secrets, _logs, _clients)
