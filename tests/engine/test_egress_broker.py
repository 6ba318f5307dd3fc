"""The broker of one job: what it admits, how often, for how long, and that it records every call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.egress.broker import Broker
from engine.egress.policy import EgressPolicy
from engine.egress.refusals import RULES, Refused, Unanswered
from engine.egress.transport import Request, Response, Timings
from engine.mask import Mask
from sandbox import wire

HELLO = Response(status=200, reason="OK", headers=(("X", "1"),), body=b"hello", received_bytes=5)
FAR = 1e12  # by the monotonic clock


class Answering:
    """A transport that answers what it is given, and remembers what it was asked."""

    def __init__(self, answer: Response | Exception = HELLO) -> None:
        self._answer = answer
        self.asked: list[Request] = []

    async def fetch(self, request: Request, timings: Timings) -> Response:
        self.asked.append(request)
        timings.first_byte_ms = 1.5
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Silent:
    """A transport that never answers."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def fetch(self, _: Request, __: Timings) -> Response:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError


def call(url: str = "https://api.example.com/a", **fields: Any) -> wire.Http:
    return wire.Http(**{"method": "GET", "url": url, "headers": (), "body": b""} | fields)


async def test_a_call_is_answered_and_recorded() -> None:
    broker = Broker(EgressPolicy(), lambda: transport)
    transport = Answering()
    answer = await broker.answer(call(), FAR)

    assert wire.Answered(200, "OK", (("X", "1"),), b"hello") == answer
    assert [("GET", 200, 1.5)] == [(each.method, each.status, each.timings.first_byte_ms) for each in broker.exchanges]
    assert broker.exchanges[0].ms >= 0


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("url", {"url": "https://api.example.com/a b"}),
        ("scheme", {"url": "ftp://api.example.com/"}),
        ("userinfo", {"url": "https://a:b@api.example.com/"}),
        ("port", {"url": "https://api.example.com:22/"}),
        ("host", {"url": "https://-/"}),
        ("address-spelling", {"url": "http://2130706433/"}),
        ("private-address", {"url": "http://127.0.0.1/"}),
        ("metadata-address", {"url": "http://169.254.169.254/"}),
        ("method", {"method": "CONNECT"}),
        ("method", {"method": "get"}),
        ("header", {"headers": (("Host", "other"),)}),
        ("header", {"headers": (("A", "b\r\nC: d"),)}),
        ("request-size", {"body": bytes((1 << 20) + 1)}),
    ],
)
async def test_what_a_rule_refuses_reaches_no_transport(rule: str, fields: dict[str, Any]) -> None:
    transport = Answering()
    broker = Broker(EgressPolicy(), lambda: transport)
    answer = await broker.answer(call(**fields), FAR)

    assert isinstance(answer, wire.Failed)
    assert ("refused", rule, []) == (answer.kind, answer.rule, transport.asked)
    assert [rule] == [each.refused for each in broker.exchanges]


async def test_a_host_that_is_not_on_the_list_is_refused() -> None:
    transport = Answering()
    broker = Broker(EgressPolicy(listed_only=True), lambda: transport)
    answer = await broker.answer(call(), FAR)

    assert ("host-not-allowed", []) == (getattr(answer, "rule", None), transport.asked)


async def test_one_call_more_than_allowed_is_refused_and_the_record_stays_bounded() -> None:
    transport = Answering()
    broker = Broker(EgressPolicy(calls=2), lambda: transport)
    answers = [await broker.answer(call(), FAR) for _ in range(50)]

    assert (2, 48) == (len(transport.asked), sum(getattr(each, "rule", "") == "call-count" for each in answers))
    assert [None, None, "call-count"] == [each.refused for each in broker.exchanges]


async def test_refused_calls_count_too() -> None:
    broker = Broker(EgressPolicy(calls=1), Answering)
    rules = [getattr(await broker.answer(call("http://10.0.0.1/"), FAR), "rule", None) for _ in range(2)]

    assert ["private-address", "call-count"] == rules


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [((None, None), (5.0, 5.0)), ((1_000, 2_000), (1.0, 2.0)), ((999_999, 1 << 50), (5.0, 5.0)), ((0, 0), (0.0, 0.0))],
)
async def test_a_hook_may_wait_less_than_the_policy_and_never_more(
    asked: tuple[int | None, int | None], allowed: tuple[float, float]
) -> None:
    transport = Answering()
    broker = Broker(EgressPolicy(exchange_ms=5_000), lambda: transport)
    await broker.answer(call(connect_ms=asked[0], read_ms=asked[1]), FAR)
    (request,) = transport.asked

    assert allowed == (request.connect_s, request.read_s)
    assert request.end <= asyncio.get_running_loop().time() + 5


async def test_no_call_outlasts_its_job() -> None:
    transport = Answering()
    end = asyncio.get_running_loop().time() + 0.25
    await Broker(EgressPolicy(), lambda: transport).answer(call(), end)

    assert end == transport.asked[0].end


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Unanswered("read_timeout", "too slow"), wire.Failed("read_timeout", "", "too slow")),
        (Refused("response-size", "too much"), wire.Failed("refused", "response-size", "too much")),
    ],
)
async def test_what_a_transport_raises_is_what_the_worker_is_told(raised: Exception, expected: wire.Failed) -> None:
    assert expected == await Broker(EgressPolicy(), lambda: Answering(raised)).answer(call(), FAR)


async def test_a_call_that_is_cancelled_is_recorded_as_abandoned() -> None:
    silent = Silent()
    broker = Broker(EgressPolicy(), lambda: silent)
    answering = asyncio.create_task(broker.answer(call(), FAR))
    await silent.begun.wait()
    answering.cancel()
    await asyncio.wait([answering])

    assert (True, ["abandoned"]) == (answering.cancelled(), [each.error for each in broker.exchanges])


async def test_secrets_are_masked_in_the_record_alone() -> None:
    transport = Answering()
    broker = Broker(EgressPolicy(), lambda: transport, Mask(["hush-hush"]))
    await broker.answer(call("https://api.example.com/hush-hush"), FAR)

    assert "https://api.example.com/hush-hush" == transport.asked[0].url
    assert "https://api.example.com/***" == broker.exchanges[0].url


def test_every_rule_says_what_it_refuses() -> None:
    assert all(said and not said.endswith(".") for said in RULES.values())
    with pytest.raises(AssertionError):
        Refused("no-such-rule", "")
