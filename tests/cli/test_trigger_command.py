"""`hookcell trigger`: a point of a running server is called, as an application calls it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from serving import Serving

from engine.points import point_named

BLOCKING, QUEUED = "credentials-exchange", "post-change-password"
REFUSING = 'def hook(client, scope, audience, context, cb):\n    cb(InvalidScopeError("not for \\x1b[31m this one"))\n'
GRANTING = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': scope + ['extra']})\n"


@pytest.fixture
def upload(served: Serving, tenant: str) -> Callable[..., None]:
    """`upload(point, source)`: the tenant's hook there."""

    def put(point: str, source: str) -> None:
        path = f"/v1/tenants/{tenant}/hooks/hook-{point}/source"
        answer = served.ask("PUT", path, params={"trigger_id": point}, content=source)
        assert answer.status_code in (200, 201), answer.text

    return put


@pytest.fixture
def call(write: Any) -> str:
    """A file with the blocking point's sample call."""
    saved: str = write("call.json", json.dumps(point_named(BLOCKING).sample))
    return saved


def test_the_response_is_printed(ask: Any, upload: Any, call: str) -> None:
    upload(BLOCKING, GRANTING)
    ran = ask("trigger", BLOCKING, "--arguments", call)

    assert (0, "") == (ran.status, ran.err)
    assert {"scope": [*point_named(BLOCKING).sample["scope"], "extra"]} == json.loads(ran.out)


def test_without_a_hook_the_default_response_is(ask: Any) -> None:
    assert {"scope": point_named(BLOCKING).sample["scope"]} == json.loads(ask("trigger", BLOCKING, "--sample").out)


def test_an_error_is_status_1_and_says_what_to_do(ask: Any, upload: Any, call: str) -> None:
    """Its text is nobody's command to the terminal."""
    upload(BLOCKING, REFUSING)
    ran = ask("trigger", BLOCKING, "--arguments", call)
    first, _, told = ran.out.partition("\n")

    assert (1, "") == (ran.status, ran.err)
    assert re.fullmatch(r"error: execution [0-9A-Z]{26}; do not go on", first)
    assert ("InvalidScopeError", 400) == (json.loads(told)["name"], json.loads(told)["statusCode"])
    assert "\x1b" not in ran.out


def test_json_is_the_whole_answer(ask: Any, upload: Any, call: str) -> None:
    upload(BLOCKING, REFUSING)
    ran = ask("trigger", BLOCKING, "--arguments", call, "--json")
    told = json.loads(ran.out)

    assert (1, "error", "closed") == (ran.status, told["status"], told["fail"])
    assert "not for \x1b[31m this one" == told["data"]["message"]


def test_the_arguments_may_come_from_standard_input(ask: Any, upload: Any) -> None:
    upload(BLOCKING, GRANTING)
    ran = ask("trigger", BLOCKING, "--arguments", "-", stdin=json.dumps(point_named(BLOCKING).sample).encode())

    assert 0 == ran.status


def test_a_call_that_nobody_waits_for_tells_its_execution(ask: Any, upload: Any) -> None:
    """Another one each time, or the same one with the same key."""
    upload(QUEUED, "cb()")
    told = [ask("trigger", QUEUED, "--sample", *more).out for more in ([], [], ["--key", "k"], ["--key", "k"])]

    assert all(re.fullmatch(r"queued: [0-9A-Z]{26}\n", each) for each in told)
    assert [3, True] == [len(set(told)), told[2] == told[3]]


def test_a_key_that_came_with_other_arguments_is_refused(ask: Any, upload: Any, write: Any) -> None:
    upload(QUEUED, "cb()")
    write("other.json", json.dumps(point_named(QUEUED).sample | {"user": {"id": "other"}}))
    assert 0 == ask("trigger", QUEUED, "--sample", "--key", "k").status

    assert "(409)" in ask("trigger", QUEUED, "--arguments", "other.json", "--key", "k").fault


def test_the_time_to_wait_ends_a_slow_hook(ask: Any, upload: Any, call: str) -> None:
    upload(BLOCKING, "while True: pass\n")
    ran = ask("trigger", BLOCKING, "--arguments", call, "--wait", "0.2", "--json")

    assert (1, "TimeoutError") == (ran.status, json.loads(ran.out)["data"]["name"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trigger", "post-change-pasword", "--sample"], "no extensibility point 'post-change-pasword'"),
        (["trigger", BLOCKING, "--arguments", "nowhere.json"], "there is no such file"),
        (["trigger", BLOCKING, "--sample", "--key", "k"], "(400)"),
        (["trigger", BLOCKING, "--sample", "--tenant", "no-such-tenant"], "(404)"),
        (["trigger", BLOCKING, "--sample", "--server", "http://127.0.0.1:9"], "cannot be reached"),
    ],
)
def test_what_cannot_be_called_is_one_line(ask: Any, arguments: list[str], said: str) -> None:
    assert said in ask(*arguments).fault


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"client": null}', b"\xff", b"[" * 10_000])
def test_arguments_that_are_none_are_told_by_the_server(ask: Any, write: Any, body: bytes) -> None:
    write("call.json", body)

    assert "(400)" in ask("trigger", BLOCKING, "--arguments", "call.json").fault


def test_an_unknown_point_is_told_with_the_nearest(ask: Any, call: str) -> None:
    fault = ask("trigger", "credential-exchange", "--arguments", call).fault

    assert "did you mean 'credentials-exchange'?" in fault
    assert "(404)" in fault


@pytest.mark.parametrize("options", [[], ["--sample", "--arguments", "call.json"]])
def test_either_a_file_or_the_sample_is_called(ask: Any, call: str, options: list[str]) -> None:  # noqa: ARG001 - it is there
    ran = ask("trigger", BLOCKING, *options)

    assert (2, True) == (ran.status, "say either --arguments FILE or --sample" in ran.err)


def test_a_token_without_the_scope_calls_nothing(ask: Any, served: Serving, tenant: str) -> None:
    fault = ask("trigger", BLOCKING, "--sample", HOOKCELL_TOKEN=served.token(tenant, "read:hooks")).fault

    assert "run:triggers" in fault
