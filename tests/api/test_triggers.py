"""POST …/triggers/{trigger_id}: checked as every route is, answered by the point's rules, durable where it says so."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hearing import statements

from engine.points import point_named

EXCHANGE = "credentials-exchange"
CHANGED = "post-change-password"
REGISTRATION = "pre-user-registration"
PASS_ON = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': scope})\n"
NOTHING = "def hook(user, context, cb):\n    cb()\n"
JSON = {"Content-Type": "application/json"}


def path(tenant: str, point: str = EXCHANGE) -> str:
    return f"/v1/tenants/{tenant}/triggers/{point}"


def sent(server: Any, tenant: Any, point: str = EXCHANGE, body: bytes | None = None, **headers: str) -> Any:
    content = json.dumps(point_named(point).sample).encode() if body is None else body
    return server.ask("POST", path(tenant.name, point), tenant.token, content=content, headers=JSON | headers)


def test_a_blocking_point_answers_with_what_its_hook_said(acme: Any) -> None:
    acme.hook("more", PASS_ON.replace("scope}", "scope + ['extra']}"), EXCHANGE)
    answer = acme.trigger(EXCHANGE)
    told = answer.json()

    assert (200, "application/json; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert {"execution_id", "status", "data"} == told.keys()
    assert ("success", {"scope": ["read:connections", "extra"]}) == (told["status"], told["data"])


def test_without_a_hook_the_default_response_is_the_answer(acme: Any) -> None:
    answers = [acme.trigger(point).json() for point in (EXCHANGE, REGISTRATION)]

    assert [("success", {"scope": ["read:connections"]}), ("success", {})] == [
        (a["status"], a["data"]) for a in answers
    ]


def test_without_a_hook_a_non_blocking_point_has_nothing_to_do(acme: Any) -> None:
    answer = acme.trigger(CHANGED)

    assert (202, "queued") == (answer.status_code, answer.json()["status"])
    assert [] == acme.ask("GET", "executions").json()["executions"]


def test_an_error_of_a_hook_says_what_the_application_is_to_do(acme: Any) -> None:
    acme.hook("no", PASS_ON.replace("None, {'scope': scope}", "InvalidScopeError('not for this client')"), EXCHANGE)
    told = acme.trigger(EXCHANGE).json()

    assert {"execution_id", "status", "data", "fail"} == told.keys()
    assert ("error", point_named(EXCHANGE).fail) == (told["status"], told["fail"])
    assert ("InvalidScopeError", 400) == (told["data"]["name"], told["data"]["statusCode"])
    assert "not for this client" == told["data"]["message"]


def test_a_non_blocking_point_is_run_after_the_answer(acme: Any) -> None:
    hook = acme.hook("later", "def hook(user, context, cb):\n    print(user.email)\n    cb()\n", CHANGED)
    answer = acme.trigger(CHANGED)
    ended = acme.ended(answer.json()["execution_id"])

    assert (202, {"execution_id", "status"}) == (answer.status_code, answer.json().keys())
    assert ("success", 1, [hook["id"]]) == (ended["status"], ended["attempt"], ended["hooks"])
    assert ["user1@foo.com"] == [line["text"] for line in ended["outcome"]["hooks"][0]["outcome"]["logs"]]


def test_several_hooks_run_in_their_order_until_one_fails(server: Any) -> None:
    tenant = server.tenant(multiple_hooks=True)
    add = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': ['%s']})\n"
    for order, name in ((3, "third"), (1, "first"), (2, "second")):
        tenant.hook(name, add % name, EXCHANGE, order=order)
    last = tenant.trigger(EXCHANGE).json()["data"]
    tenant.hook("second", PASS_ON.replace("None, {'scope': scope}", "'enough'"), EXCHANGE)
    failed = tenant.trigger(EXCHANGE).json()
    shown = tenant.ended(failed["execution_id"])

    assert ({"scope": ["third"]}, "error") == (last, failed["status"])
    assert ["first", "second"] == [run["name"] for run in shown["outcome"]["hooks"]]


def test_the_same_key_and_body_are_one_execution(acme: Any) -> None:
    acme.hook("once", NOTHING, CHANGED)
    first, again = (acme.trigger(CHANGED, Idempotency_Key="order-17") for _ in range(2))
    other = acme.trigger(CHANGED, Idempotency_Key="order-18")

    assert [202, 202, 202] == [answer.status_code for answer in (first, again, other)]
    assert first.json() == again.json()
    assert first.json()["execution_id"] != other.json()["execution_id"]
    assert "order-17" == acme.ended(first.json()["execution_id"])["idempotency_key"]


def test_the_same_key_with_another_body_is_refused(acme: Any) -> None:
    acme.hook("once", NOTHING, CHANGED)
    changed = point_named(CHANGED).sample | {"user": {"id": "somebody else"}}
    acme.trigger(CHANGED, Idempotency_Key="order-17")

    assert 409 == acme.trigger(CHANGED, changed, Idempotency_Key="order-17").status_code


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a\tb"])
def test_a_key_is_visible_ascii(server: Any, acme: Any, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1"), b"Content-Type": b"application/json"}
    headers[b"Authorization"] = f"Bearer {acme.token}".encode()
    answer = server.client.post(path(acme.name, CHANGED), content=b"{}", headers=headers)

    assert (400, "invalid_headers") == (answer.status_code, answer.json()["errorCode"])


def test_a_blocking_point_takes_no_key(acme: Any) -> None:
    answer = acme.trigger(EXCHANGE, Idempotency_Key="order-17")

    assert (400, "invalid_headers") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize("wait", ["wait", "wait=", "wait=0", "wait=-1", "wait=soon", "wait=1, wait=2", "wait=1e3"])
def test_a_wish_for_another_deadline_is_a_number_of_seconds(acme: Any, wait: str) -> None:
    answer = acme.trigger(EXCHANGE, Prefer=wait)

    assert (400, "invalid_headers") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize("wait", ["wait=100000000", 'wait="5"', "respond-async, WAIT=5; strict", "handling=lenient"])
def test_other_wishes_are_no_fault(acme: Any, wait: str) -> None:
    assert 200 == acme.trigger(EXCHANGE, Prefer=wait).status_code


def test_a_client_may_shorten_the_deadline(acme: Any) -> None:
    """To one of the three seconds that there are otherwise."""
    endless = "def hook(client, scope, audience, context, cb):\n    print('begun')\n    while True:\n        pass\n"
    acme.hook("slow", endless, EXCHANGE)
    told = acme.trigger(EXCHANGE, Prefer="wait=1").json()
    (run,) = acme.ended(told["execution_id"])["outcome"]["hooks"]

    assert ("error", "TimeoutError") == (told["status"], told["data"]["name"])
    assert ["begun"] == [line["text"] for line in run["outcome"]["logs"]]
    assert run["outcome"]["usage"]["wall_ms"] < 2_500


def test_a_client_that_hangs_up_frees_the_worker(server: Any, acme: Any) -> None:
    acme.hook("slow", "def hook(client, scope, audience, context, cb):\n    while True:\n        pass\n", EXCHANGE)
    body = json.dumps(point_named(EXCHANGE).sample)
    host = server.url.removeprefix("http://")
    with socket.create_connection(tuple(host.split(":")), 60) as client:  # type: ignore[arg-type]
        head = f"POST {path(acme.name)} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {acme.token}\r\n"
        more = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        client.sendall((head + more).encode())
        until_leased(server, acme, 1)
    until_leased(server, acme, 0)
    recorded = until_recorded(acme)

    assert ("error", {EXCHANGE}) == (recorded["status"], {recorded["trigger_id"]})
    assert "the caller did not wait for the end" == recorded["outcome"]["message"]


def until_leased(server: Any, tenant: Any, number: int) -> None:
    """Asked again and again, for nobody tells it: of its own workers, since other tests' jobs may not have ended."""
    tenant_id = server.ask("GET", f"/v1/tenants/{tenant.name}").json()["id"]
    for _ in range(100_000):
        leased = [worker.tenant for worker in list(server.services.engine.pool._tenancies.leased)]
        if number == leased.count(tenant_id):
            return
        tenant.ask("GET", "/healthz")
    raise AssertionError(leased)


def until_recorded(tenant: Any) -> Any:
    for _ in range(10_000):
        if found := tenant.ask("GET", "executions").json()["executions"]:
            return found[0]
    raise AssertionError("nothing was recorded")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        [],
        None,
        "x",
        {"client": None, "audience": "a"},
        {"client": {}, "audience": 1},
        {"client": {}, "audience": None},
    ],
    ids=json.dumps,
)
def test_arguments_must_fit_the_point(server: Any, acme: Any, arguments: Any) -> None:
    answer = sent(server, acme, body=json.dumps(arguments).encode())

    assert (400, "bad_arguments") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"a": NaN}', b'{"client": {}, "audience": "\xed\xa0\x80"}', b"[" * 100_000, b"\0"],
    ids=["none", "half", "no UTF-8", "NaN", "a surrogate", "deep", "NUL"],
)
def test_what_is_no_json_is_the_clients_fault(server: Any, acme: Any, body: bytes) -> None:
    answer = sent(server, acme, body=body)

    assert 400 == answer.status_code, answer.text
    assert {"statusCode", "error", "message", "errorCode"} == answer.json().keys()


def test_arguments_have_a_bound_however_they_come(server: Any, acme: Any) -> None:
    most = server.config.arguments_bytes
    whole = json.dumps(point_named(EXCHANGE).sample | {"more": "x" * most}).encode()

    def pieces() -> Any:
        yield from (whole[at : at + 60_000] for at in range(0, len(whole), 60_000))

    answers = [sent(server, acme, body=content) for content in (whole, pieces())]  # type: ignore[arg-type]

    assert [(413, "payload_too_large")] * 2 == [(a.status_code, a.json()["errorCode"]) for a in answers]


def test_arguments_may_come_in_pieces_and_be_large(server: Any, acme: Any) -> None:
    acme.hook("sized", PASS_ON.replace("scope}", "[str(len(audience))]}"), EXCHANGE)
    raw = json.dumps(point_named(EXCHANGE).sample | {"audience": "x" * 500_000}).encode()
    answer = sent(server, acme, body=(raw[at : at + 50_000] for at in range(0, len(raw), 50_000)))  # type: ignore[arg-type]

    assert {"scope": ["500000"]} == answer.json()["data"]


@pytest.mark.parametrize("kind", ["text/plain", "", "application/jsonx", "application/x-www-form-urlencoded"])
def test_arguments_are_json_by_their_content_type(server: Any, acme: Any, kind: str) -> None:
    answer = sent(server, acme, **{"Content-Type": kind})

    assert (415, "unsupported_media_type") == (answer.status_code, answer.json()["errorCode"])


def test_an_unknown_point_is_404_and_the_nearest_is_told(acme: Any) -> None:
    answer = acme.ask("POST", "triggers/credential-exchange", json={})

    assert (404, "unknown_point") == (answer.status_code, answer.json()["errorCode"])
    assert "did you mean 'credentials-exchange'?" in answer.json()["message"]


@pytest.mark.parametrize("who", ["nobody", "a stranger", "another tenant", "one without the scope", "two headers"])
def test_who_may_not_is_answered_as_by_any_other_route(server: Any, acme: Any, who: str) -> None:
    """To the byte, and with the same headers but for those that say how often."""
    tokens = {
        "nobody": [],
        "a stranger": ["hc_" + "A" * 43],
        "another tenant": [server.tenant().token],
        "one without the scope": [server.token(acme.name, ["read:logs"])],
        "two headers": [acme.token] * 2,
    }[who]
    headers = [("Authorization", f"Bearer {token}") for token in tokens] + [("Content-Type", "application/json")]
    ours = server.client.post(path(acme.name), content=b"{}", headers=headers)
    other = server.client.post(f"/v1/tenants/{acme.name}/run", content=b"{}", headers=headers)

    assert ours.status_code == other.status_code
    if who != "one without the scope":  # it names them
        assert ours.content == other.content
    assert named(ours) == named(other)


def named(answer: Any) -> set[str]:
    return {name for name in answer.headers if not name.startswith("x-ratelimit")} - {"date"}


def test_a_tenant_that_is_not_there_looks_as_one_that_is_anothers(server: Any, acme: Any) -> None:
    other = server.tenant()
    answers = [acme.ask("POST", path(name), json={}) for name in (other.name, "nobody-has-this-name", "A b")]

    assert [404] * 3 == [answer.status_code for answer in answers]
    assert 1 == len({answer.content for answer in answers})


def test_the_checks_come_in_the_order_of_every_route(server: Any, acme: Any) -> None:
    """Who asks, for whom, whether they may, what is asked for; only then what was sent."""
    weak = server.token(acme.name, ["read:logs"])
    asked = [("", acme.name), (weak, "nobody"), (weak, acme.name), (acme.token, acme.name)]
    point = "no-such-point"
    answers = [server.ask("POST", path(tenant, point), token, content=b"{") for token, tenant in asked]

    assert [401, 404, 403, 404] == [answer.status_code for answer in answers]


def test_an_operator_may_trigger_for_any_tenant(server: Any, acme: Any) -> None:
    answer = server.ask("POST", path(acme.name), json=point_named(EXCHANGE).sample)

    assert (200, "success") == (answer.status_code, answer.json()["status"])


def test_a_token_that_was_revoked_triggers_nothing_more(server: Any, acme: Any) -> None:
    made = server.ask("POST", f"/v1/tenants/{acme.name}/tokens", json={"name": "t", "scopes": ["run:triggers"]}).json()
    statuses = []
    for _ in range(2):
        answer = server.ask("POST", path(acme.name), made["token"], json=point_named(EXCHANGE).sample)
        statuses.append(answer.status_code)
        server.ask("DELETE", f"/v1/tenants/{acme.name}/tokens/{made['id']}")

    assert [200, 401] == statuses


def test_a_token_is_asked_of_the_store_once_while_nothing_changes(acme: Any) -> None:
    """And again after a change of anything of its tenant."""

    def asked() -> bool:
        with statements() as heard:
            assert 200 == acme.trigger(EXCHANGE).status_code
        return any("tokens.digest =" in statement for statement in heard)

    found = [asked(), asked(), asked()]
    acme.hook("one", PASS_ON, EXCHANGE)
    found += [asked(), asked()]

    assert [True, False, False, True, False] == found


def test_a_tenant_that_was_deleted_triggers_nothing_more(server: Any) -> None:
    tenant = server.tenant()
    before = tenant.trigger(EXCHANGE).status_code
    server.ask("DELETE", f"/v1/tenants/{tenant.name}")

    assert [200, 401] == [before, tenant.trigger(EXCHANGE).status_code]


def test_a_change_of_a_hook_is_seen_by_the_next_call(acme: Any) -> None:
    """Of its source, its secrets, whether it is enabled, and whether it is there; many times each."""
    told = "def hook(client, scope, audience, context, cb):\n    cb(None, {'scope': [str(%s)]})\n"
    for number in range(25):
        acme.hook("one", told % number, EXCHANGE)
        assert {"scope": [f"{number}"]} == acme.trigger(EXCHANGE).json()["data"]
    acme.hook("one", told % "len(context.webtask.secrets.KEY)", EXCHANGE)
    for number in range(1, 25):
        acme.ask("PUT", "hooks/one/secrets/KEY", json={"value": "x" * number})
        assert {"scope": [f"{number}"]} == acme.trigger(EXCHANGE).json()["data"]
    for number in range(25):
        acme.ask("PATCH", "hooks/one", json={"enabled": bool(number % 2)})
        assert {"scope": ["24" if number % 2 else "read:connections"]} == acme.trigger(EXCHANGE).json()["data"]
    acme.ask("PATCH", "hooks/one", json={"enabled": True})
    acme.ask("DELETE", "hooks/one")
    assert {"scope": ["read:connections"]} == acme.trigger(EXCHANGE).json()["data"]


def test_another_method_is_none_of_a_trigger(acme: Any) -> None:
    answers = [acme.ask(method, f"triggers/{EXCHANGE}") for method in ("GET", "PUT", "DELETE")]

    assert [405] * 3 == [answer.status_code for answer in answers]


@pytest.mark.parametrize("end", ["/", "/more"])
def test_another_path_is_none_of_a_trigger(acme: Any, end: str) -> None:
    assert 404 == acme.ask("POST", f"triggers/{EXCHANGE}{end}", json={}).status_code


def test_an_answer_carries_the_headers_of_every_answer(acme: Any) -> None:
    answers = [acme.trigger(EXCHANGE), acme.trigger(EXCHANGE, [])]

    assert [200, 400] == [answer.status_code for answer in answers]
    for answer in answers:
        assert ("nosniff", "no-store") == (answer.headers["x-content-type-options"], answer.headers["cache-control"])


def test_a_password_is_stored_nowhere(acme: Any) -> None:
    acme.hook("leaky", "def hook(user, context, cb):\n    print(user.password)\n    cb(user.password)\n", REGISTRATION)
    sample = point_named(REGISTRATION).sample
    sample = sample | {"user": sample["user"] | {"password": "correct horse battery staple"}}
    answer = acme.trigger(REGISTRATION, sample)
    shown = acme.ended(answer.json()["execution_id"])

    assert "password" not in shown["arguments"]["user"]
    assert "correct horse" not in json.dumps(shown)
    assert "correct horse" not in acme.ask("GET", "logs").text
