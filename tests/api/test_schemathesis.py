"""Every operation of the OpenAPI document is asked what it did not expect: no 5xx, and no answer that it does not tell of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engine.api.app import make_routes
from engine.api.document import document_of

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8  # of an operation and a token
THE_TENANT = "/v1/tenants/{tenant}"
OF_A_HOOK = {"hook": "/v1/tenants/{tenant}/hooks/", "id": "/api/v2/hooks/"}  # parameter that names one → where

schema = schemathesis.openapi.from_dict(document_of(make_routes(None)))  # type: ignore[arg-type] - nothing is asked of it
schema = schema.exclude(operation_id="follow_log_events")  # it never ends; see test_following.py
schema.config.phases.coverage.unexpected_methods = set()  # 405 is Starlette's
turns = itertools.count()


@pytest.fixture(scope="module")
def tenant(server: Any) -> Any:
    """One for all operations, as the next finds what the last one has left."""
    return server.tenant(api_per_second=100_000)


@pytest.fixture(scope="module")
def ask(server: Any, tenant: Any) -> Callable[[Any, str], None]:
    """Ask the running server; every other case is about what is there."""
    other = server.tenant()

    def there(case: Any) -> None:
        path, parameters = case.operation.path, case.path_parameters
        if "tenant" in parameters and (path, case.method.upper()) != (THE_TENANT, "DELETE"):
            parameters["tenant"] = other.name if path == THE_TENANT else tenant.name
        for name, above in OF_A_HOOK.items():
            if path.startswith(above) and next(turns) % 2:
                query = {"trigger_id": POINT, "enabled": "false"}
                made = tenant.ask("PUT", "hooks/there/source", content=HOOK, params=query).json()
                parameters[name] = made.get("id", "there")

    def call(case: Any, token: str) -> None:
        there(case)
        headers = {"Authorization": f"Bearer {token}"}
        answer = case.call(base_url=server.url, headers=headers)
        case.validate_response(answer, checks=CHECKS, headers=headers)

    return call


def bounded(test: Any) -> Any:
    """The same cases each time, in a bounded time."""
    checks = list(HealthCheck)
    return settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=checks)(test)


@pytest.mark.slow
@schema.parametrize()
@bounded
def test_an_operator_gets_no_answer_that_is_not_told_of(case: Any, server: Any, ask: Any) -> None:
    ask(case, server.operator)


@pytest.mark.slow
@schema.parametrize()
@bounded
def test_a_tenant_gets_no_answer_that_is_not_told_of(case: Any, tenant: Any, ask: Any) -> None:
    ask(case, tenant.token)
