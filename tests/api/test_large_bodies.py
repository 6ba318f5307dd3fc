"""Bodies that are made to cost more than they are long: refused early, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api.bodies import decode
from engine.errors import Refusal

POINT = "post-change-password"
HOOK = "def hook(user, context, cb):\n    cb()\n"
WORST_S = 1.0  # that anybody else waits, on a machine with other work; with nothing else to do it is a tenth
MANY = 1_300_000


def many(item: str, count: int = MANY) -> str:
    return ",".join([item] * count)


def names(value: str, count: int = MANY) -> str:
    return ",".join(f'"{number:x}":{value}' for number in range(count))


def hook(inner: str) -> str:
    return f'{{"hooks":[{{"name":"a","trigger_id":"{POINT}","script":"x",{inner}}}]}}'


DEPLOYMENTS: dict[str, Callable[[], str]] = {
    "unknown names in one hook": lambda: hook(names("0")),
    "wrong dependencies": lambda: hook(f'"dependencies":{{{names("0")}}}'),
    "good dependencies": lambda: hook(f'"dependencies":{{{names(chr(34) * 2)}}}'),
    "numbers for hooks": lambda: f'{{"hooks":[{many("0", 7_000_000)}]}}',
    "empty hooks": lambda: f'{{"hooks":[{many("{}", 9_999)}]}}',
    "hooks with wrong names": lambda: f'{{"hooks":[{many("{" + names("0", 190) + "}", 9_999)}]}}',
    "objects for a name": lambda: hook(f'"order":[{many("{}", 5_000_000)}]'),
    "long numbers": lambda: f'{{"hooks":[{many("1" * 4_300, 3_500)}]}}',
    "a text of escapes": lambda: hook('"order":"' + "\\n" * 7_000_000 + '"'),
    "blanks": lambda: " " * 15_000_000,
}


class Heart(threading.Thread):
    """Asks the server, one time after the other, whether it lives."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.worst, self._url, self._over, self.beats = 0.0, url, threading.Event(), threading.Semaphore(0)

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._over.is_set():
                begun = time.perf_counter()
                client.get("/healthz")
                self.worst = max(self.worst, time.perf_counter() - begun)
                self.beats.release()

    def __enter__(self) -> Self:
        self.start()
        self.beats.acquire(timeout=60)
        self.worst = 0.0  # the first one has connected
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def roomy(server: Any) -> Any:
    """A tenant that may have many hooks."""
    return server.tenant(most_hooks=10_000)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_deployment_keeps_others_from_being_answered(roomy: Any, name: str) -> None:
    body = DEPLOYMENTS[name]().encode()
    with Heart(roomy.url) as heart:
        answer = send(roomy, body)

    assert (400, "invalid_body") == (answer.status_code, answer.json()["errorCode"])
    assert heart.worst < WORST_S


def send(api: Any, body: bytes, method: str = "PUT", path: str = "deployment?dry_run=true") -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
    answer: httpx.Response = api.client.request(method, f"/v1/tenants/{api.name}/{path}", headers=headers, content=body)
    return answer


def test_a_large_deployment_that_is_good_keeps_nobody_waiting(roomy: Any) -> None:
    """15 MB, and ten thousand values."""
    filling = "# " + "a, [" * 24_000 + "\n"
    hooks = [{"name": f"h{n}", "trigger_id": POINT, "script": HOOK + filling, "enabled": False} for n in range(150)]
    body = json.dumps({"hooks": hooks}).encode()
    with Heart(roomy.url) as heart:
        answer = send(roomy, body)

    assert (200, 150) == (answer.status_code, len(answer.json()["changes"]))
    assert heart.worst < WORST_S


@pytest.mark.parametrize(
    "body",
    ["[" + many("0", 500_000) + "]", "{" + names("0", 90_000) + "}", many("[", 500_000)],
    ids=["list", "names", "deep"],
)
def test_a_body_of_a_megabyte_keeps_nobody_waiting(acme: Any, body: str) -> None:
    with Heart(acme.url) as heart:
        answers = [send(acme, body.encode(), "POST", "check") for _ in range(3)]

    assert [400] * 3 == [answer.status_code for answer in answers]
    assert heart.worst < WORST_S


@pytest.mark.parametrize(
    "body", ["[0,0,0]", "[[],0]", '{"a":[{}]}', '["\\\\",0,0]', '["\\",",0,0]', "[,,", '"' * 99 + ",,,"]
)
def test_values_are_counted_before_they_are_made(body: str) -> None:
    with pytest.raises(Refusal, match="more than 2 values"):
        decode(body.encode(), 2)


@pytest.mark.parametrize(
    "body", ['"[,{"', '["[,{",",,,"]', '["\\\\",",,"]', '["\\",,",0]', '[",\\\\\\",,",1]', "[]", "7"]
)
def test_what_stands_in_a_text_is_no_value(body: str) -> None:
    assert json.loads(body) == decode(body.encode(), 2)


def count(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, below))


VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('ab,[{"\\é')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('ab,[{"\\')), inner),
)


@given(VALUES)
@settings(deadline=None)
def test_any_value_is_taken_where_there_is_room_for_its_parts(value: Any) -> None:
    """An empty list or object may count twice."""
    assert value == decode(json.dumps(value).encode(), 2 * count(value))


@given(VALUES)
@settings(deadline=None)
def test_no_more_values_are_made_than_there_is_room_for(value: Any) -> None:
    """One more than commas and openings, at the most."""
    most = count(value) - 2
    if most > 0:
        with pytest.raises(Refusal):
            decode(json.dumps(value).encode(), most)


def test_an_object_has_a_thousand_names_at_the_most() -> None:
    assert 1_000 == len(decode(("{" + names("0", 1_000) + "}").encode()))
    with pytest.raises(Refusal, match="more than 1000 names"):
        decode(("{" + names("0", 1_001) + "}").encode())


def test_an_integer_has_a_hundred_digits_at_the_most() -> None:
    assert 10**99 == decode(b"1" + b"0" * 99)
    with pytest.raises(Refusal, match="more than 100 digits"):
        decode(b"1" * 101)


def test_a_form_for_a_token_is_not_read_further_than_it_may_be_long(server: Any) -> None:
    """Nobody has said yet who they are."""
    answer = server.client.post("/oauth/token", content=b"a" * 20_000, headers={"Content-Type": "application/json"})

    assert (413, "invalid_request") == (answer.status_code, answer.json()["error"])
    assert "16384" in answer.json()["error_description"]


def test_a_client_that_goes_away_is_no_fault(server: Any, acme: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of its body."""
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": b"def", "more_body": True}, {"type": "http.disconnect"}]
    scope = {
        "type": "http",
        "method": "PUT",
        "path": f"/v1/tenants/{acme.name}/hooks/a/source",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {acme.token}".encode())],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    with caplog.at_level(logging.WARNING):
        asyncio.run(server.app(scope, receive, send))

    assert 400 == sent[0]["status"]
    assert [] == caplog.records
