"""What an invocation answers: hooks' responses by the rules of AUTH0.md section 1, merged in order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.answers import BadResponse, fitting, initial
from engine.errors import BadArguments
from engine.outcome import Outcome
from engine.points import all_points, point_named

EXCHANGE, SIGN_UP, PHONE = map(point_named, ("credentials-exchange", "pre-user-registration", "send-phone-message"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=8,
)


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def answered(point: Any, *responses: Any, scope: Any = ...) -> Any:
    """What a caller gets when hooks answer so, one after the other."""
    so_far = initial(point, encoded(point.sample if scope is ... else point.sample | {"scope": scope}))
    for response in responses:
        so_far = fitting(point, encoded(response), so_far)
    return msgspec.json.decode(so_far)


@pytest.mark.parametrize(
    ("trigger_id", "default"),
    [
        ("credentials-exchange", {"scope": ["read:connections"]}),
        ("pre-user-registration", {}),
        ("send-phone-message", None),
        ("post-user-registration", {}),
        ("post-change-password", {}),
    ],
)
def test_without_hooks_the_default_response_is_answered(trigger_id: str, default: Any) -> None:
    assert default == answered(point_named(trigger_id))


@pytest.mark.parametrize(("asked", "default"), [(None, {}), ([], {"scope": []}), (["a", "b"], {"scope": ["a", "b"]})])
def test_without_hooks_the_scopes_are_those_that_came(asked: Any, default: Any) -> None:
    assert default == answered(EXCHANGE, scope=asked)
    assert {} == msgspec.json.decode(initial(EXCHANGE, encoded({"client": {}, "audience": "a"})))


@pytest.mark.parametrize("trigger_id", all_points())
@pytest.mark.parametrize("nothing", [None, ...])
def test_a_hook_that_answers_nothing_changes_nothing(trigger_id: str, nothing: Any) -> None:
    """`cb()` reaches us as the point's default response."""
    point = point_named(trigger_id)
    response = encoded(point.default_response if nothing is ... else nothing)
    for so_far in (initial(point, encoded(point.sample)), b'{"scope":["a"],"user":{"app_metadata":{"a":1}}}'):
        assert so_far == fitting(point, response, so_far)


@pytest.mark.parametrize("empty", [False, 0, ""])
def test_what_is_empty_and_no_object_is_no_response(empty: Any) -> None:
    """Source: AUTH0.md section 2.1."""
    assert {"scope": ["read:connections"]} == answered(EXCHANGE, empty)
    assert {} == answered(SIGN_UP, empty)


def test_a_starter_answers_as_the_model_says(run_hook: Callable[..., Outcome]) -> None:
    """AUTH0.md section 1, each point's sample call; of the whole user that a starter returns, the metadata count."""
    told = {
        point.id: answered(point, run_hook(point.starter, trigger_id=point.id).value())
        for point in all_points().values()
    }

    assert {
        "credentials-exchange": {"scope": ["read:connections"]},
        "pre-user-registration": {"user": {"user_metadata": {"hobby": "surfing"}, "app_metadata": {"plan": "full"}}},
        "send-phone-message": {},
        "post-user-registration": {},
        "post-change-password": {},
    } == told


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ({"scope": ["a"]}, {"scope": ["a"]}),
        ({"scope": []}, {"scope": []}),
        ({"scope": None}, {}),
        ({}, {}),
        ({"https://example.com/plan": {"a": [1]}}, {"https://example.com/plan": {"a": [1]}}),
        ({"scope": ["a"], "http://x.org/": None}, {"scope": ["a"], "http://x.org/": None}),
        ({"scope": ["a"], "sub": "admin", "aud": "x", "permissions": ["*"], "": 1}, {"scope": ["a"]}),
    ],
)
def test_of_a_token_the_scopes_and_the_claims_count_and_no_scope_is_none(response: Any, answer: Any) -> None:
    """AUTH0.md section 1.1: scope replaces what was granted; leaving it out drops all."""
    assert answer == answered(EXCHANGE, response)


CLAIMS = (
    "https://example.com/claim",
    "http://example.com",
    "HTTPS://Example.com:8443/a?b#c",
    "https://notauth0.com/",
    "https://auth0.com.example.org/",
    "https://example.com/https://auth0.com/",
    "https://[2001:db8::1]/x",
    "https://bücher.example/ü",
)
NO_CLAIMS = (
    "claim",
    "sub",
    "/claim",
    "//example.com/claim",
    "ftp://example.com/claim",
    "urn:example:claim",
    "https:example.com",
    "https://",
    "https:///claim",
    "https://auth0.com/claim",
    "https://AUTH0.com./claim",
    "https://tenant.auth0.com/claim",
    "http://auth0.com:8080",
    "https://sandbox.webtask.io/x",
    "https://webtask.run",
    "https://example.com\\@auth0.com/",
    "https://example.com@auth0.com/",
    "https://auth0.com@example.com/",
    "https://%61uth0.com/",
    "https://\uff41\uff55\uff54\uff48\uff10.com/",
    "https://auth0\u3002com/",
    "https://exa mple.com/",
    " https://example.com/",
    "https://example.com/\n",
)


@pytest.mark.parametrize(("key", "counts"), [*((key, True) for key in CLAIMS), *((key, False) for key in NO_CLAIMS)])
def test_a_claim_is_an_absolute_url_of_a_host_that_is_not_reserved(key: str, *, counts: bool) -> None:
    assert ({key: 1} if counts else {}) == answered(EXCHANGE, {key: 1})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*CLAIMS, *NO_CLAIMS, "x"]) | st.text(), JSON))
def test_whatever_a_hook_answers_a_token_gets_only_scopes_and_claims(response: dict[str, Any]) -> None:
    """And what counted once counts as much the second time."""
    response.pop("scope", None)
    told = answered(EXCHANGE, response)

    assert told == {key: response[key] for key in told}
    assert all(key.lower().startswith(("http://", "https://")) for key in told)
    assert told == answered(EXCHANGE, told)


def test_later_hooks_see_and_change_what_earlier_ones_answered() -> None:
    """A claim stays until another hook sets it; the scopes are the last response's."""
    first = {"scope": ["a", "b"], "https://x.org/1": 1, "https://x.org/2": {"a": 1}}

    assert first == answered(EXCHANGE, first, None)
    assert {"scope": ["a"], "https://x.org/1": 1, "https://x.org/2": {"b": 2}} == answered(
        EXCHANGE, first, {"scope": ["a"], "https://x.org/2": {"b": 2}}
    )
    assert {"https://x.org/1": 1, "https://x.org/2": {"a": 1}} == answered(EXCHANGE, first, {})


@pytest.mark.parametrize(
    ("responses", "answer"),
    [
        ([{"user": {"user_metadata": {"a": 1}}}], {"user": {"user_metadata": {"a": 1}}}),
        ([{"user": {"email": "x", "user_metadata": None}, "context": {}}], {}),
        ([{"user": {"app_metadata": {}}}], {"user": {"app_metadata": {}}}),
        (
            [{"user": {"app_metadata": {"a": {"b.c": 1, "$d": 2}}}}],
            {"user": {"app_metadata": {"a": {"b.c": 1, "$d": 2}}}},
        ),
        (
            [{"user": {"app_metadata": {"a": 1, "b": {"c": 1}}}}, {"user": {"app_metadata": {"b": {"d": 2}}}}],
            {"user": {"app_metadata": {"a": 1, "b": {"d": 2}}}},
        ),
        (
            [{"user": {"app_metadata": {"a": 1}}}, {}, {"user": {"user_metadata": {"b": 2}}}],
            {"user": {"app_metadata": {"a": 1}, "user_metadata": {"b": 2}}},
        ),
    ],
)
def test_of_a_new_user_the_metadata_count_and_are_merged(responses: list[Any], answer: Any) -> None:
    """AUTH0.md section 1.2."""
    assert answer == answered(SIGN_UP, *responses)


@pytest.mark.parametrize("response", [{}, [1], "id-1", 7, True, {"MessageID": "a", "price": 1.10}])
def test_of_a_sent_message_any_response_counts_to_the_byte(response: Any) -> None:
    raw = b" " + encoded(response)

    assert raw == fitting(PHONE, raw, b'"before"')


@pytest.mark.parametrize(
    ("point", "response", "told"),
    [
        (EXCHANGE, ["a"], "credentials-exchange: response: "),
        (EXCHANGE, "a", "response: "),
        (EXCHANGE, 7, "response: "),
        (SIGN_UP, True, "response: "),
        (
            EXCHANGE,
            {f"https://x.org/{i}": i for i in range(201)},
            "the response has 201 names; the most allowed is 200",
        ),
        (EXCHANGE, {"scope": "a b"}, r"response\['scope'\]: "),
        (EXCHANGE, {"scope": ["a", 1]}, r"response\['scope'\]\[1\]: "),
        (SIGN_UP, [], "pre-user-registration: response: "),
        (SIGN_UP, {"user": []}, r"response\['user'\]: "),
        (SIGN_UP, {"user": {"app_metadata": "a"}}, r"response\['user'\]\['app_metadata'\]: "),
        (SIGN_UP, {"user": {"app_metadata": {"a.b": 1}}}, r"user.app_metadata: the key 'a.b' has a dot in it"),
        (SIGN_UP, {"user": {"user_metadata": {"$a": 1}}}, r"user.user_metadata: the key '\$a' begins with a \$"),
        (SIGN_UP, {"user": {"user_metadata": {"": 1, "a.": 1}}}, "the key 'a.'"),
    ],
)
def test_a_response_that_the_rules_refuse_is_told_with_its_place(point: Any, response: Any, told: str) -> None:
    with pytest.raises(BadResponse, match=told):
        answered(point, response)


def nested(levels: int) -> bytes:
    return b'{"https://x.org/":' + b"[" * levels + b"]" * levels + b"}"


def test_a_refusal_says_nothing_of_the_value_that_was_refused() -> None:
    """It is told to others than who may see the response, as the log."""
    for point, response in ((EXCHANGE, {"scope": "s3cret"}), (SIGN_UP, {"user": {"app_metadata": "s3cret"}})):
        with pytest.raises(BadResponse, match="it is not of type") as caught:
            answered(point, response)
        assert "s3cret" not in str(caught.value)


def is_too_deep(levels: int) -> bool:
    try:
        return fitting(EXCHANGE, nested(levels), b"{}") != nested(levels)
    except BadResponse:
        return True


def test_a_response_nested_beyond_reason_is_refused_wherever_it_is_looked_at() -> None:
    """How deep that is depends on who asks; it is never anything but a bad response."""
    told = [is_too_deep(levels) for levels in range(500, 1_100)]

    assert sorted(told) == told
    assert (False, True) == (told[0], told[-1])
    with pytest.raises(BadResponse, match="nested too deeply"):
        fitting(EXCHANGE, nested(100_000), b"{}")


def test_arguments_nested_too_deeply_for_a_look_are_refused() -> None:
    with pytest.raises(BadArguments, match="nested too deeply"):
        initial(EXCHANGE, nested(100_000))


def test_many_hooks_cannot_pile_up_more_than_one_mebibyte() -> None:
    """Each of them is given it; one response is bounded by itself."""
    half = {"user": {"app_metadata": {"a": "x" * (700 << 10)}}}
    other = {"user": {"app_metadata": {"b": "x" * (700 << 10)}}}
    large = {"user": {"app_metadata": {"a": "x" * (1500 << 10)}}}

    assert half == answered(SIGN_UP, half, half)
    assert large == answered(SIGN_UP, large)
    with pytest.raises(BadResponse, match="together; the most allowed is 1048576"):
        answered(SIGN_UP, half, other)


def seconds(work: Callable[[], Any]) -> float:
    """The quickest of three times."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        with contextlib.suppress(BadResponse, BadArguments):
            work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def test_what_is_wrong_in_every_place_is_refused_as_quickly_as_the_right_thing_is_taken() -> None:
    """Nobody else is served meanwhile; to list every fault would take four hundred times as long."""
    right, wrong = encoded({"scope": ["a"] * 15_000}), encoded({"scope": [11] * 15_000})
    taken, refused = (seconds(lambda raw=raw: fitting(EXCHANGE, raw, b"{}")) for raw in (right, wrong))
    assert refused < 20 * taken

    given = [{"client": {}, "audience": "a", "scope": [value] * 15_000} for value in ("a", 11)]
    taken, refused = (seconds(lambda each=each: EXCHANGE.encode_arguments(each, 1 << 20)) for each in given)
    assert refused < 20 * taken


def test_many_hooks_cannot_pile_up_more_values_than_two_may_answer_with() -> None:
    """Each of them is given it."""
    parts = [{"user": {"app_metadata": {name: [0] * 15_000}}} for name in "abc"]

    assert ["a", "b"] == sorted(answered(SIGN_UP, *parts[:2])["user"]["app_metadata"])
    with pytest.raises(BadResponse, match="more than 40000 values together"):
        answered(SIGN_UP, *parts)


METADATA = st.fixed_dictionaries(
    {}, optional={name: st.dictionaries(st.text("abc", max_size=2), JSON) for name in ("user_metadata", "app_metadata")}
)


@settings(deadline=None)
@given(st.lists(METADATA, max_size=4))
def test_hooks_that_add_metadata_add_up_whatever_they_add(users: list[dict[str, Any]]) -> None:
    """The last hook that names a key has its say."""
    told = answered(SIGN_UP, *({"user": user} for user in users)).get("user", {})
    for kind in ("user_metadata", "app_metadata"):
        expected: dict[str, Any] = {}
        for user in users:
            expected |= user.get(kind, {})
        assert expected == told.get(kind, {})
