"""The calls of calls.yaml make of a hook's `requests`, in a locked worker, what they make of the library itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answering import converse
from oracle import as_hook, calls, library_name, over_http_client

from sandbox import wire

CALLS = calls()


def perform(call: wire.Http) -> wire.Answer:
    """As the engine would, without its rules but for the scheme."""
    if not call.url.startswith("http://"):
        return wire.Failed("refused", "scheme", "http and https only")
    said, *rest = over_http_client(call.method, call.url, call.headers, call.body, (call.read_ms or 20_000) / 1000)
    return wire.Answered(*rest) if said == "answered" else wire.Failed(rest[0], "", rest[1])


def test_there_are_enough_calls() -> None:
    assert len(CALLS) >= 100


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_what_it_is_in_the_library(
    worker: Any, hook_job: Any, hosts: tuple[str, str], expected: dict[str, Any], name: str
) -> None:
    job = hook_job(as_hook(CALLS[name]), arguments={"user": dict(zip(("base", "other"), hosts, strict=True))})
    done, _ = converse(worker, job, perform)
    kind, value = expected[name]

    if kind == "ok":
        assert ("ok", value) == (done.status, json.loads(done.result or b"null")), done.message
    else:
        assert ("raised", library_name(value)) == (done.status, library_name(done.message.partition(":")[0]))
