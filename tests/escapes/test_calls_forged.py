"""A compromised worker asks for calls of any kind: what leaves is one well-formed request to where the policy allows."""

from __future__ import annotations

import asyncio
import ipaddress

import h11
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.egress import exchange, headers
from engine.egress.broker import Broker
from engine.egress.policy import EgressPolicy
from engine.egress.transport import Request, Response, Timings
from sandbox import wire

POLICY = EgressPolicy(exchange_ms=7_000, request_bytes=1_000)
NASTY = "\r\n \t\0\x7f:/?#[]@%\\;,=&+é\u2028\uff11。\ud800"
HOSTS = """
    example.com EXAMPLE.com. 127.0.0.1 0x7f.1 2130706433 017700000001 [::1] [::ffff:7f00:1] [64:ff9b::a9fe:a9fe] 10.1.2.3
    169.254.169.254 localhost 8.8.8.8 [2606:4700:4700::1111] user:pass@example.com example.com\\@127.0.0.1 a..b -
""".split()
texts = st.text(st.sampled_from(NASTY + "abcXYZ012.-_"), max_size=30)
urls = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "//", "http:/", "http:\\\\", ""]),
        st.sampled_from(HOSTS) | texts,
        st.sampled_from(["", ":80", ":443", ":22", ":8080", ":0", ":65536", ":\uff18\uff10", ":"]),
        st.just("") | texts.map("/{}".format),
    ),
)
names = st.sampled_from(
    "Host host Content-Length Transfer-Encoding Connection Upgrade Expect Cookie Accept X-A Proxy-Authorization".split()
)
good = st.sampled_from(["example.com", "a.example", "8.8.8.8", *HOSTS]).map("http://{}/a?b".format)
plain = st.sampled_from([(), (("Accept", "*/*"),), (("X-A", "a b"), ("Cookie", "a=b"))])
fields = st.one_of(plain, plain, plain) | st.lists(
    st.tuples(names | texts, texts | st.just("chunked")), max_size=5
).map(tuple)
calls = st.builds(
    wire.Http,
    method=st.sampled_from([*"GET GET GET POST POST DELETE HEAD OPTIONS CONNECT get".split(), "GET\r\nX:", "é", ""]),
    url=st.one_of(good, good, urls),
    headers=fields,
    body=st.binary(max_size=1_100),
    connect_ms=st.none() | st.integers(0, 1 << 53),
    read_ms=st.none() | st.integers(0, 1 << 53),
)


class Seen:
    """A transport that writes down what would have left."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def fetch(self, request: Request, _: Timings) -> Response:
        self.requests.append(request)
        return Response(status=200, reason="", headers=(), body=b"", received_bytes=0)


def ask(call: wire.Http) -> tuple[wire.Answer, list[Request]]:
    seen = Seen()
    return asyncio.run(Broker(POLICY, lambda: seen).answer(call, 1e12)), seen.requests


def received(request: Request) -> tuple[h11.Request, bytes]:
    """What a strict server makes of it: exactly one request."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(exchange.serialise(request, exchange.new_parser()))
    head, body = server.next_event(), b""
    assert isinstance(head, h11.Request)
    while isinstance(event := server.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert (b"", False) == server.trailing_data
    return head, body


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls)
@example(wire.Http("GET", "http://example.com/", (("X", "a\r\nHost: b"),), b""))
@example(wire.Http("POST", "http://8.8.8.8:8080/a?b", (("Cookie", "a=b"),), b"GET / HTTP/1.1\r\n\r\n"))
def test_whatever_is_asked_one_plain_request_leaves_or_none(call: wire.Http) -> None:
    answer, requests = ask(call)
    if isinstance(answer, wire.Failed):
        assert ("refused", True, []) == (answer.kind, bool(answer.rule), requests)
        return
    (request,) = requests
    target = request.target
    head, body = received(request)
    sent = [(name.lower(), value) for name, value in head.headers]

    assert request.method in headers.METHODS
    assert (True, True) == (target.scheme in ("http", "https"), target.port in (80, 443) or target.port >= 1024)
    assert target.address is None or target.address.is_global
    assert (request.method.encode(), target.path.encode(), call.body) == (head.method, head.target, body)
    assert [target.authority.encode()] == [value for name, value in sent if name == b"host"]
    assert 1 >= len([name for name, _ in sent if name in (b"content-length", b"transfer-encoding")])
    assert max(request.connect_s, request.read_s) <= 7
    assert len(body) <= 1_000


@settings(deadline=None)
@given(st.sampled_from(HOSTS))
def test_no_host_that_is_special_is_asked(host: str) -> None:
    _, requests = ask(wire.Http("GET", f"http://{host}/", (), b""))

    assert all(
        request.target.address in (None, ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("2606:4700:4700::1111"))
        for request in requests
    )
    assert all("@" not in request.url for request in requests)
