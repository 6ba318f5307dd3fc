"""Each point, each outcome and each refusal, over HTTP to `hookcell serve` and its workers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from serving import Serving, serving

from engine.points import all_points, point_named

OWN = "order-placed"
OWN_POINT = """\
id: order-placed
title: Order Placed
about: After an order was placed; may add a note to it.
blocking: true
fail: open
parameters: [order, context, cb]
arguments:
  type: object
  required: [order]
  properties:
    order: {type: object, required: [number], properties: {number: {type: integer}}}
    context: {type: object}
response: {type: [object, "null"], properties: {note: {type: string}}}
default_response: {note: none}
failure_log_type: fop
starter: |
  def hook(order, context, cb):
      cb(None, {"note": f"order {order.number}"})
sample: {order: {number: 7}}
"""
BLOCKING = ("credentials-exchange", "pre-user-registration", "send-phone-message", OWN)
METADATA = {"user_metadata": {"hobby": "surfing"}, "app_metadata": {"plan": "full"}}
ANSWERS: dict[str, Any] = {  # of the starters to the samples. Source: AUTH0.md section 1
    "credentials-exchange": {"scope": ["read:connections"]},
    "pre-user-registration": {"user": METADATA},
    "send-phone-message": {},
    OWN: {"note": "order 7"},
}
DEFAULTS: dict[str, Any] = {  # without a hook
    "credentials-exchange": {"scope": ["read:connections"]},
    "pre-user-registration": {},
    "send-phone-message": None,
    OWN: {"note": "none"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("points")
    (folder / "order-placed.yaml").write_text(OWN_POINT)
    data = tmp_path_factory.mktemp("data")
    settings = {"HOOKCELL_POINTS": str(folder), "HOOKCELL_WALL_MS": "3000", "HOOKCELL_API_PER_SECOND": "10000"}
    with serving(data, **settings) as running:
        yield running


class Walker:
    """A tenant with one hook at a time, and calls of its points."""

    def __init__(self, server: Serving, name: str, **settings: Any) -> None:
        self.server, self.name = server, name
        self.token = server.tenant(name, **settings)

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        return self.server.ask(method, f"/v1/tenants/{self.name}/{path}", self.token, **sent)

    def hook(self, point: str, *lines: str, name: str = "one", head: str = "", **query: Any) -> None:
        """A hook of these lines, or of a whole source."""
        shown = self.server.ask("GET", f"/v1/points/{point}").json()
        body = "".join(f"    {line}\n" for line in lines)
        source = f"{head}def hook({', '.join(shown['parameters'])}):\n{body}"
        made = self.ask("PUT", f"hooks/{name}/source", content=source, params={"trigger_id": point} | query)
        assert made.status_code in (200, 201), made.text

    def call(self, point: str, arguments: Any = None) -> Any:
        """The answer of a call with the point's sample."""
        given = self.server.ask("GET", f"/v1/points/{point}").json()["sample"] if arguments is None else arguments
        answer = self.ask("POST", f"triggers/{point}", json=given)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def ended(self, execution_id: str) -> Any:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = self.ask("GET", f"executions/{execution_id}")
            if answer.status_code == 200 and answer.json()["status"] not in ("queued", "running"):
                return answer.json()
        raise AssertionError(answer.text)


@pytest.fixture
def walker(server: Serving, request: pytest.FixtureRequest) -> Walker:
    number = len(server.ask("GET", "/v1/tenants?limit=1000").json()["tenants"])
    return Walker(server, f"walk-{number}", multiple_hooks="several" in request.node.name)


def test_the_operators_own_point_is_one_of_all(server: Serving) -> None:
    listed = [point["id"] for point in server.ask("GET", "/v1/points").json()["points"]]

    assert [*all_points(), OWN] == listed


@pytest.mark.parametrize("point", BLOCKING)
def test_a_starter_answers_the_sample(server: Serving, walker: Walker, point: str) -> None:
    before = walker.call(point)
    shown = server.ask("GET", f"/v1/points/{point}").json()
    walker.ask("PUT", f"hooks/one/source?trigger_id={point}", content=shown["starter"])
    told = walker.call(point)

    assert ("success", DEFAULTS[point]) == (before["status"], before["data"])
    assert {"execution_id": told["execution_id"], "status": "success", "data": ANSWERS[point]} == told


@pytest.mark.parametrize("point", ["post-change-password", "post-user-registration"])
def test_a_starter_of_a_point_that_nobody_waits_for_runs(walker: Walker, point: str) -> None:
    walker.ask("PUT", f"hooks/one/source?trigger_id={point}", content=point_named(point).starter)
    told = walker.call(point)
    ended = walker.ended(told["execution_id"])

    assert {"execution_id": told["execution_id"], "status": "queued"} == told
    assert ("success", ["ok"]) == (ended["status"], [run["outcome"]["status"] for run in ended["outcome"]["hooks"]])


@pytest.mark.parametrize(
    ("error", "data"),
    [
        ("InvalidScopeError('no')", {"name": "InvalidScopeError", "statusCode": 400, "error": "invalid_scope"}),
        ("InvalidRequestError('no')", {"name": "InvalidRequestError", "statusCode": 400, "error": "invalid_request"}),
        ("ServerError('no')", {"name": "ServerError", "statusCode": 500, "error": "server_error"}),
        ("Error('no')", {"statusCode": 500, "error": "server_error"}),
        ("'no'", {"statusCode": 500, "error": "server_error"}),
    ],
)
def test_the_errors_of_a_credentials_exchange(walker: Walker, error: str, data: Any) -> None:
    """Source: AUTH0.md section 1.1."""
    walker.hook("credentials-exchange", f"cb({error})")
    told = walker.call("credentials-exchange")

    assert ("error", "closed") == (told["status"], told["fail"])
    assert data | {"message": "no", "error_description": "no"} == told["data"]


def test_the_error_of_a_registration_has_a_text_for_people(walker: Walker) -> None:
    """Source: AUTH0.md section 1.2."""
    walker.hook("pre-user-registration", "cb(PreUserRegistrationError('for the log', 'for people'))")
    data = walker.call("pre-user-registration")["data"]

    assert ("PreUserRegistrationError", 400, "extensibility_error") == tuple(
        data[name] for name in ("name", "statusCode", "code")
    )
    assert ("for the log", "for people") == (data["description"], data["friendly_message"])


def test_the_error_of_a_message_names_itself(walker: Walker) -> None:
    """Source: AUTH0.md section 1.5."""
    walker.hook("send-phone-message", "cb(SendPhoneMessageError('no credit'))")
    told = walker.call("send-phone-message")

    assert ("SendPhoneMessageError", "no credit") == (told["data"]["name"], told["data"]["message"])


def test_scopes_are_replaced_and_claims_are_urls_of_other_hosts(walker: Walker) -> None:
    """Source: AUTH0.md section 1.1."""
    claims = {"https://example.com/claim": 1, "https://x.auth0.com/claim": 2, "plain": 3, "http://webtask.io/": 4}
    walker.hook("credentials-exchange", f"cb(None, {claims!r})")
    without = walker.call("credentials-exchange")["data"]
    walker.hook("credentials-exchange", f"cb(None, {claims | {'scope': ['a', 'b']}!r})")

    assert {"https://example.com/claim": 1} == without
    assert {"https://example.com/claim": 1, "scope": ["a", "b"]} == walker.call("credentials-exchange")["data"]


def test_of_a_registration_only_metadata_counts(walker: Walker) -> None:
    """Source: AUTH0.md section 1.2."""
    user = {"user_metadata": {"a": 1}, "app_metadata": {"b": 2}, "email": "other@foo.com"}
    walker.hook("pre-user-registration", f"cb(None, {{'user': {user!r}, 'more': 1}})")

    assert {"user": {"user_metadata": {"a": 1}, "app_metadata": {"b": 2}}} == walker.call("pre-user-registration")[
        "data"
    ]


@pytest.mark.parametrize("key", ["a.b", "$a"])
def test_metadata_has_plain_keys(walker: Walker, key: str) -> None:
    walker.hook("pre-user-registration", f"cb(None, {{'user': {{'app_metadata': {{{key!r}: 1}}}}}})")
    told = walker.call("pre-user-registration")

    assert ("error", "ResponseError") == (told["status"], told["data"]["name"])
    assert key in told["data"]["message"]


def test_several_hooks_see_what_those_before_them_answered(walker: Walker) -> None:
    for order, name in enumerate(("a", "b", "c")):
        line = f"cb(None, {{'scope': context.webtask.response['scope'] + ['{name}']}})"
        walker.hook("credentials-exchange", line, name=name, order=order)
    told = walker.call("credentials-exchange")
    ended = walker.ended(told["execution_id"])

    assert {"scope": ["read:connections", "a", "b", "c"]} == told["data"]
    assert ["a", "b", "c"] == [run["name"] for run in ended["outcome"]["hooks"]]


ENDS = {  # what a hook does → the outcome's status, the name of the error
    "cb(Error('no'))": ("denied", None),
    "raise KeyError('x')": ("raised", "KeyError"),
    "return": ("no_callback", "CallbackError"),
    "cb(None, {'scope': 1, 'note': 1})": ("bad_result", "ResponseError"),
    "cb(None, {1, 2})": ("bad_result", "ResponseError"),
    "while True: pass": ("timeout", "TimeoutError"),
    "x = bytearray(10 ** 9)": ("out_of_memory", "MemoryError"),
}


@pytest.mark.parametrize("line", list(ENDS))
def test_each_end_is_an_answer_where_somebody_waits(walker: Walker, line: str) -> None:
    status, name = ENDS[line]
    walker.hook(OWN, line)
    told = walker.call(OWN)
    ended = walker.ended(told["execution_id"])

    assert ("error", "open", name) == (told["status"], told["fail"], told["data"].get("name"))
    assert ("error", status) == (ended["status"], ended["outcome"]["hooks"][0]["outcome"]["status"])
    assert told["data"]["message"]


@pytest.mark.parametrize("line", [line for line in ENDS if "{" not in line])
def test_each_end_is_a_log_event_where_nobody_waits(walker: Walker, line: str) -> None:
    """And nothing else: the call was acknowledged."""
    status, _ = ENDS[line]
    walker.hook("post-change-password", line)
    told = walker.call("post-change-password")
    ended = walker.ended(told["execution_id"])
    (event,) = walker.ask("GET", "logs?q=type:fcph").json()

    assert ("queued", "error") == (told["status"], ended["status"])
    assert status == ended["outcome"]["hooks"][0]["outcome"]["status"]
    assert told["execution_id"] == event["details"]["execution_id"]


def test_a_hook_that_is_tried_again_sees_the_same_id_and_another_attempt(walker: Walker) -> None:
    walker.hook("post-change-password", "w = context.webtask", "print(w.execution_id, w.attempt)", "cb('no')")
    retry = {"attempts": 3, "first_ms": 1, "most_ms": 1}
    changed = walker.ask("PATCH", "hooks/one", json={"retry": retry})
    told = walker.call("post-change-password")
    ended = walker.ended(told["execution_id"])
    (log,) = ended["outcome"]["hooks"][0]["outcome"]["logs"]

    assert retry == {name: changed.json()["retry"][name] for name in retry}
    assert ("dead", 3) == (ended["status"], ended["attempt"])
    assert f"{told['execution_id']} 3" == log["text"]


@pytest.mark.parametrize(
    ("point", "arguments", "where"),
    [
        ("credentials-exchange", {"client": [], "audience": "a"}, "['client']"),
        ("credentials-exchange", {"client": {}, "audience": "a", "scope": "x"}, "['scope']"),
        ("credentials-exchange", {"client": {}}, "audience"),
        ("pre-user-registration", {"user": None, "context": {"connection": {}}}, "['user']"),
        ("pre-user-registration", {"user": {}, "context": {"connection": None}}, "['connection']"),
        ("post-user-registration", {"user": {}, "context": {}}, "connection"),
        ("post-change-password", {"user": {}, "context": None}, "['context']"),
        ("post-change-password", [], "object"),
        ("send-phone-message", {"recipient": 1}, ""),
        (OWN, {"order": {"number": "7"}}, "['number']"),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, str) else value,
)
def test_arguments_are_checked_and_null_is_no_object(walker: Walker, point: str, arguments: Any, where: str) -> None:
    """Source: AUTH0.md section 2.3."""
    answer = walker.ask("POST", f"triggers/{point}", json=arguments)

    assert (400, "bad_arguments") == (answer.status_code, answer.json()["errorCode"])
    assert where in answer.json()["message"]


def test_a_message_needs_one_of_two_types(walker: Walker) -> None:
    sample = point_named("send-phone-message").sample
    answers = [
        walker.ask("POST", "triggers/send-phone-message", json=sample | {"context": sample["context"] | change})
        for change in ({"message_type": "sms"}, {"message_type": "voice"}, {"message_type": "fax"}, {"action": "x"})
    ]

    assert [200, 200, 400, 400] == [answer.status_code for answer in answers]


def test_calls_survive_an_end_in_order(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was acknowledged is run by the next start, if it was not before; what ran is recorded."""
    data = tmp_path_factory.mktemp("data")
    with serving(data, HOOKCELL_API_PER_SECOND="10000") as first:
        walker = Walker(first, "acme")
        walker.hook("post-change-password", "print('ran')", "cb()")
        walker.hook("credentials-exchange", "cb(None, {'scope': []})", name="two")
        ids = [walker.call("post-change-password")["execution_id"] for _ in range(50)]
        ids.append(walker.call("credentials-exchange")["execution_id"])
        assert 0 == first.stop()
    with serving(data, HOOKCELL_API_PER_SECOND="10000") as second:
        walker.server = second
        found = [walker.ended(each) for each in ids]

    assert ["success"] * 51 == [each["status"] for each in found]
