"""Auth0's own client for Python, the newest line, unmodified, over HTTP: every call about hooks, every error it maps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from auth0.management import Auth0
from auth0.management import errors as auth0_errors
from auth0.management.core.api_error import ApiError

POINT = "post-change-password"
SCRIPT = "def hook(user, context, cb):\n    cb()\n"
MASK = "_VALUE_NOT_SHOWN_"
UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
AT_ONCE: Any = {"max_retries": 0}  # an error is told as it comes, without the client's own retries


Connect = Callable[..., Auth0]


@pytest.fixture
def client_of() -> Iterator[Connect]:
    """`client_of(tenant, token=…)`. The client leaves its connections open unless they are given to it."""
    with httpx.Client(timeout=60) as connections:
        yield lambda tenant, token=None: Auth0(
            base_url=f"{tenant.url}/api/v2", token=token or tenant.token, httpx_client=connections
        )


@pytest.fixture
def auth0(acme: Any, client_of: Connect) -> Auth0:
    return client_of(acme)


def create(auth0: Auth0, name: str, **fields: Any) -> Any:
    return auth0.hooks.create(name=name, **{"script": SCRIPT, "trigger_id": POINT} | fields)


def test_a_hook_lives_from_create_to_delete(auth0: Auth0) -> None:
    made = create(auth0, "welcome", enabled=True, dependencies={"json": ""})
    assert ("welcome", SCRIPT, POINT, True) == (made.name, made.script, made.trigger_id, made.enabled)
    assert {"json": ""} == dict(made.dependencies)

    got = auth0.hooks.get(made.id)
    assert (made.id, SCRIPT) == (got.id, got.script)
    part = auth0.hooks.get(made.id, fields="id,name")
    assert ("welcome", None) == (part.name, part.script)

    changed = auth0.hooks.update(made.id, name="farewell", script=SCRIPT + "# 2\n", enabled=False, dependencies={})
    assert ("farewell", SCRIPT + "# 2\n", False) == (changed.name, changed.script, changed.enabled)
    assert {} == dict(changed.dependencies)
    auth0.hooks.delete(made.id)
    with pytest.raises(auth0_errors.NotFoundError):
        auth0.hooks.get(made.id)


def test_a_list_is_followed_over_three_pages(auth0: Auth0) -> None:
    """The client asks on until a page is empty."""
    made = [create(auth0, f"hook {number}").id for number in range(5)]

    assert made == [hook.id for hook in auth0.hooks.list(per_page=2)]
    pages = [[hook.id for hook in page.items or []] for page in auth0.hooks.list(per_page=2).iter_pages()]
    assert [made[:2], made[2:4], made[4:]] == pages[:3]
    assert [hook_id for page in pages for hook_id in page] == made


def test_a_list_is_filtered(auth0: Auth0) -> None:
    on = create(auth0, "on", enabled=True)
    create(auth0, "off")

    assert ["on"] == [hook.name for hook in auth0.hooks.list(enabled=True)]
    assert ["on", "off"] == [hook.name for hook in auth0.hooks.list(trigger_id=POINT)]
    assert [] == list(auth0.hooks.list(trigger_id="credentials-exchange"))
    ids = list(auth0.hooks.list(fields="id", enabled=True))
    assert [(on.id, None)] == [(hook.id, hook.script) for hook in ids]


def test_secrets_are_added_changed_read_and_deleted(auth0: Auth0) -> None:
    hook_id = create(auth0, "keeps secrets").id
    secrets = auth0.hooks.secrets

    assert {} == dict(secrets.get(hook_id))
    secrets.create(hook_id, request={"A": "1", "B": "2"})
    secrets.update(hook_id, request={"A": "3"})
    assert {"A": MASK, "B": MASK} == dict(secrets.get(hook_id))
    secrets.delete(hook_id, request=["A"])
    assert {"B": MASK} == dict(secrets.get(hook_id))


def test_the_log_is_listed_and_read(auth0: Auth0) -> None:
    create(auth0, "logged")

    events = list(auth0.logs.list(search="type:sapi", per_page=1))
    assert "Create a Hook" == events[0].description
    assert len(events) == len({event.log_id for event in events})
    assert events[0].log_id is not None
    assert "sapi" == auth0.logs.get(events[0].log_id).type


def failed(kind: type[Any], call: Any) -> Any:
    """The body of the error that `call` ends with."""
    with pytest.raises(kind) as raised:
        call()
    body = raised.value.body
    return body if isinstance(body, dict) else body.model_dump()


def test_400_is_a_bad_request(auth0: Auth0) -> None:
    rejected = failed(auth0_errors.BadRequestError, lambda: create(auth0, "bad", script="import os\n"))
    assert "invalid_body" == rejected["errorCode"]
    assert "line 1, column 1: rule `import`" in rejected["message"]
    extra: Any = {"additional_body_parameters": {"foo": 1}}
    told = failed(auth0_errors.BadRequestError, lambda: create(auth0, "bad", request_options=extra))
    assert "Additional properties not allowed: foo" in told["message"]
    told = failed(auth0_errors.BadRequestError, lambda: auth0.hooks.list(fields="nope"))
    assert "invalid_query_string" == told["errorCode"]
    told = failed(auth0_errors.BadRequestError, lambda: auth0.hooks.get("not_an_id"))
    assert "invalid_uri" == told["errorCode"]


def test_401_is_unauthorized(acme: Any, client_of: Connect) -> None:
    for call in (lambda auth0: auth0.hooks.list(), lambda auth0: auth0.hooks.secrets.get(UNKNOWN)):
        told = failed(auth0_errors.UnauthorizedError, lambda call=call: call(client_of(acme, "hc_" + "x" * 43)))
        assert (401, "Unauthorized") == (told["statusCode"], told["error"])


def test_403_is_forbidden_and_names_the_scope(server: Any, acme: Any, client_of: Connect) -> None:
    reader = client_of(acme, server.token(acme.name, ["read:hooks"]))

    assert [] == list(reader.hooks.list())
    for call, scope in (
        (lambda: create(reader, "no"), "create:hooks"),
        (lambda: reader.hooks.update(UNKNOWN, enabled=True), "update:hooks"),
        (lambda: reader.hooks.delete(UNKNOWN), "delete:hooks"),
        (lambda: reader.hooks.secrets.create(UNKNOWN, request={"A": "1"}), "update:hooks"),
        (lambda: reader.hooks.secrets.update(UNKNOWN, request={"A": "1"}), "update:hooks"),
        (lambda: reader.hooks.secrets.delete(UNKNOWN, request=["A"]), "delete:hooks"),
        (reader.logs.list, "read:logs"),
    ):
        told = failed(auth0_errors.ForbiddenError, call)
        assert "insufficient_scope" == told["errorCode"]
        assert f"Insufficient scope, expected any of: {scope}" == told["message"]


def test_404_is_not_found(auth0: Auth0) -> None:
    for call in (
        lambda: auth0.hooks.get(UNKNOWN),
        lambda: auth0.hooks.update(UNKNOWN, enabled=True),
        lambda: auth0.hooks.secrets.get(UNKNOWN),
    ):
        assert "HookDoesNotExist" == failed(auth0_errors.NotFoundError, call)["errorCode"]


def test_404_of_a_call_for_which_the_client_maps_none_keeps_its_status(auth0: Auth0) -> None:
    made = create(auth0, "there")
    for call, code in (
        (lambda: auth0.hooks.delete(UNKNOWN), "HookDoesNotExist"),
        (lambda: auth0.hooks.secrets.create(UNKNOWN, request={"A": "1"}), "HookDoesNotExist"),
        (lambda: auth0.hooks.secrets.update(UNKNOWN, request={"A": "1"}), "HookDoesNotExist"),
        (lambda: auth0.hooks.secrets.delete(UNKNOWN, request=["A"]), "HookDoesNotExist"),
        (lambda: auth0.hooks.secrets.update(made.id, request={"A": "1"}), "SecretDoesNotExist"),
    ):
        told = failed(ApiError, call)
        assert (404, code) == (told["statusCode"], told["errorCode"])


def test_409_is_a_conflict(auth0: Auth0) -> None:
    made = create(auth0, "taken")
    auth0.hooks.secrets.create(made.id, request={"A": "1"})

    told = failed(auth0_errors.ConflictError, lambda: create(auth0, "taken", request_options=AT_ONCE))
    assert "HookNameAlreadyExists" == told["errorCode"]
    again = lambda: auth0.hooks.secrets.create(made.id, request={"A": "1"}, request_options=AT_ONCE)  # noqa: E731
    assert "SecretAlreadyExists" == failed(auth0_errors.ConflictError, again)["errorCode"]


def test_a_conflict_costs_the_clients_own_retries_a_few_seconds(auth0: Auth0) -> None:
    """It asks three times, and sleeps until the reset that it was told, at most 2 s and a fifth each time."""
    create(auth0, "taken")

    started = time.monotonic()
    failed(auth0_errors.ConflictError, lambda: create(auth0, "taken"))
    assert time.monotonic() - started < 8


def test_429_is_too_many_requests_and_passes_within_a_second(server: Any, client_of: Connect) -> None:
    tenant = server.tenant(api_per_second=2)
    auth0 = client_of(tenant)

    def ask_often() -> None:
        for _ in range(50):
            auth0.hooks.list(request_options=AT_ONCE)

    told = failed(auth0_errors.TooManyRequestsError, ask_often)
    assert "too_many_requests" == told["errorCode"]
    assert "Global limit has been reached" == told["message"]
    assert [] == list(auth0.hooks.list())
