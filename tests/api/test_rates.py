from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import rates
from engine.api.rates import Attempts, network_of
from engine.errors import Refusal
from tenants.errors import Missing, Unavailable

RESETS = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}


class Clock:
    """Seconds that pass when a test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def failed(attempts: Attempts, address: str, token: bytes) -> None:
    with pytest.raises(Missing), attempts.attempt(address, token):
        raise Missing


def proved(attempts: Attempts, address: str, token: bytes) -> None:
    with attempts.attempt(address, token):
        pass


def test_no_thread_counts() -> None:
    before = threading.active_count()
    Attempts(30, time.monotonic).headers("192.0.2.1")

    assert before == threading.active_count()


@settings(deadline=None)
@given(per_minute=st.integers(1, 100_000), failures=st.integers(0, 5))
def test_the_reset_that_is_told_is_never_more_than_two_seconds_away(per_minute: int, failures: int) -> None:
    """Auth0's clients sleep until then, after a 409 too."""
    attempts = Attempts(per_minute, Clock())
    for number in range(min(failures, per_minute)):
        failed(attempts, "192.0.2.1", b"%d" % number)
    told = attempts.headers("192.0.2.1")

    assert set(told) == RESETS
    assert -1 <= int(told["x-ratelimit-reset"]) - time.time() <= 2
    assert per_minute - min(failures, per_minute) == int(told["x-ratelimit-remaining"])
    assert per_minute == int(told["x-ratelimit-limit"])


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", ""),
        pytest.param("x" * 60_000, "", id="long"),
    ],
)
def test_an_address_counts_for_the_network_that_one_subscriber_has(address: str, counted: str) -> None:
    assert counted == network_of(address)


def test_too_many_failures_are_refused_for_the_address_alone() -> None:
    attempts = Attempts(3, Clock())
    for number in range(3):
        failed(attempts, "2001:db8::1", b"%d" % number)
    with pytest.raises(Refusal) as refused:
        proved(attempts, "2001:db8::2", b"another")
    proved(attempts, "2001:db8:0:1::1", b"another")

    assert (429, "too_many_requests") == (refused.value.status, refused.value.code)
    assert "20" == refused.value.headers["Retry-After"]
    assert "0" == refused.value.headers["x-ratelimit-remaining"]


def test_an_address_over_the_limit_may_try_again_when_it_is_told_to() -> None:
    clock = Clock()
    attempts = Attempts(3, clock)
    for number in range(3):
        failed(attempts, "192.0.2.1", b"%d" % number)
    clock.now += 20
    proved(attempts, "192.0.2.1", b"good")

    with pytest.raises(Missing), attempts.attempt("192.0.2.1", b"bad"):
        raise Missing
    with pytest.raises(Refusal), attempts.attempt("192.0.2.1", b"bad"):
        raise Missing


def test_a_token_that_was_valid_lately_goes_on_from_an_address_over_the_limit() -> None:
    clock = Clock()
    attempts = Attempts(1, clock)
    proved(attempts, "192.0.2.1", b"good")
    failed(attempts, "192.0.2.1", b"bad")
    for _ in range(10):
        clock.now += rates._KNOWN_S - 1
        proved(attempts, "192.0.2.1", b"good")
        failed(attempts, "192.0.2.1", b"bad")
    clock.now += rates._KNOWN_S + 1
    failed(attempts, "192.0.2.1", b"bad")

    with pytest.raises(Refusal):
        proved(attempts, "192.0.2.1", b"good")


def test_a_known_token_that_is_revoked_is_a_stranger_again() -> None:
    attempts = Attempts(2, Clock())
    proved(attempts, "192.0.2.1", b"good")
    failed(attempts, "192.0.2.1", b"good")
    failed(attempts, "192.0.2.1", b"good")

    with pytest.raises(Refusal):
        proved(attempts, "192.0.2.1", b"good")


def test_valid_tokens_cost_nothing_however_many_they_are() -> None:
    attempts = Attempts(2, Clock())
    for number in range(100):
        proved(attempts, "192.0.2.1", b"%d" % number)

    assert "2" == attempts.headers("192.0.2.1")["x-ratelimit-remaining"]


def test_guesses_at_the_same_moment_are_no_way_round_the_limit() -> None:
    """Each counts while it is looked up, not only when it has failed."""
    attempts = Attempts(3, Clock())
    under_way = [attempts.attempt("192.0.2.1", b"%d" % number) for number in range(4)]
    for attempt in under_way[:3]:
        attempt.__enter__()

    with pytest.raises(Refusal):
        under_way[3].__enter__()
    for attempt in under_way[:3]:
        attempt.__exit__(None, None, None)
    assert "3" == attempts.headers("192.0.2.1")["x-ratelimit-remaining"]


def test_one_new_token_used_many_times_at_once_counts_once() -> None:
    """A client's first requests, all at the same moment."""
    attempts = Attempts(3, Clock())
    under_way = [attempts.attempt("192.0.2.1", b"good") for _ in range(50)]
    for attempt in under_way:
        attempt.__enter__()
    for attempt in under_way:
        attempt.__exit__(None, None, None)

    assert "3" == attempts.headers("192.0.2.1")["x-ratelimit-remaining"]
    assert set() == attempts._trying


def test_a_store_that_cannot_answer_is_nobodys_failure() -> None:
    attempts = Attempts(3, Clock())
    for number in range(10):
        with pytest.raises(Unavailable), attempts.attempt("192.0.2.1", b"%d" % number):
            raise Unavailable

    assert "3" == attempts.headers("192.0.2.1")["x-ratelimit-remaining"]


@pytest.fixture(scope="module")
def small(new_server: Callable[..., Any]) -> Any:
    """A server that answers two requests a second."""
    return new_server(api_per_second=2)


def until_refused(tenant: Any, path: str = "/api/v2/hooks") -> tuple[list[Any], Any]:
    """The answers before the first refusal, and that one."""
    before = []
    for _ in range(1_000):
        answer = tenant.ask("GET", path)
        if answer.status_code == 429:
            return before, answer
        before.append(answer)
    pytest.fail("a thousand requests went through")


def test_a_tenant_that_asks_too_often_is_refused_and_told_when_to_come_back(small: Any) -> None:
    before, refused = until_refused(small.tenant(api_per_second=3))

    assert {200} == {answer.status_code for answer in before}
    assert len(before) >= 3
    assert {
        "statusCode": 429,
        "error": "Too Many Requests",
        "message": "Global limit has been reached",
        "errorCode": "too_many_requests",
    } == refused.json()
    assert "1" == refused.headers["retry-after"]
    assert ("3", "0") == (refused.headers["x-ratelimit-limit"], refused.headers["x-ratelimit-remaining"])
    for answer in (*before, refused):
        assert int(answer.headers["x-ratelimit-reset"]) <= time.time() + 2


def test_the_setting_counts_where_a_tenant_has_none_of_its_own(small: Any) -> None:
    _, refused = until_refused(small.tenant(api_per_second=None))

    assert "2" == refused.headers["x-ratelimit-limit"]


def test_one_tenants_requests_are_not_anothers(small: Any) -> None:
    flooding, quiet = small.tenant(api_per_second=1), small.tenant(api_per_second=1)
    until_refused(flooding)

    assert 200 == quiet.ask("GET", "/api/v2/hooks").status_code


def test_all_tokens_of_a_tenant_count_together(small: Any) -> None:
    tenant = small.tenant(api_per_second=1)
    other = small.token(tenant.name, ["read:hooks"])
    until_refused(tenant)
    answers = [small.ask("GET", "/api/v2/hooks", token=other).status_code for _ in range(10)]

    assert 429 in answers


def test_the_tenants_log_tells_of_it_once_however_often_it_is_refused(small: Any) -> None:
    tenant = small.tenant(api_per_second=1)
    for _ in range(3):
        until_refused(tenant)
    told = small.ask("GET", f"/v1/tenants/{tenant.name}/logs", params={"q": "type:api_limit"})

    assert ["api_limit"] == [event["type"] for event in told.json()]


def test_every_answer_says_how_many_are_left(small: Any) -> None:
    """Those to nobody known too."""
    tenant = small.tenant(api_per_second=50)
    answers = [
        tenant.ask("GET", "/api/v2/hooks"),
        tenant.ask("GET", "/api/v2/hooks/01GEPVQEH9SX3RSTYY561TR92N"),
        tenant.ask("GET", "/api/v2/hooks", params={"page": "no"}),
        small.ask("GET", "/api/v2/hooks", token=""),
        small.ask("GET", "/api/v2/hooks", token="hc_unknown"),
        small.ask("GET", "/v1/tokens"),
    ]

    assert [200, 404, 400, 401, 401, 200] == [answer.status_code for answer in answers]
    assert all(answer.headers.keys() >= RESETS for answer in answers)
    assert {"50"} == {answer.headers["x-ratelimit-limit"] for answer in answers[:3]}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v2/rules", 404), ("PUT", "/api/v2/hooks", 405)])
def test_an_answer_of_no_route_says_so_too(small: Any, method: str, path: str, status: int) -> None:
    """Also without a token: of the address then."""
    answer = small.ask(method, path, token="")

    assert status == answer.status_code
    assert 0 <= int(answer.headers["x-ratelimit-reset"]) - time.time() + 1 <= 3
    assert {"x-ratelimit-limit", "x-ratelimit-remaining"} <= set(answer.headers)
