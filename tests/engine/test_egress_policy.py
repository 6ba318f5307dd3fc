"""Where hooks may call: lists, ports, exceptions, and what is said to those who write them wrongly."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from engine.egress.addresses import _METADATA, METADATA, special
from engine.egress.policy import EgressPolicy, check_addresses, check_target
from engine.egress.refusals import Refused
from engine.egress.urls import parse

ALL_OPEN = ("0.0.0.0/0", "::/0")


def refusal(policy: EgressPolicy, url: str, *found: str) -> Refused | None:
    """Why a call is refused whose name leads to `found`; None when it passes."""
    target = parse(url)
    try:
        check_target(policy, target)
        check_addresses(policy, target, [ipaddress.ip_address(address) for address in found])
    except Refused as refused:
        return refused
    return None


def rule(policy: EgressPolicy, url: str, *found: str) -> str:
    refused = refusal(policy, url, *found)
    return refused.rule if refused else ""


def said(policy: EgressPolicy, url: str, *found: str) -> str:
    refused = refusal(policy, url, *found)
    assert refused is not None
    return refused.said


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://api.example.com/", ""),
        ("http://API.EXAMPLE.COM.:8080/", ""),
        ("http://example.com/", "host-not-allowed"),
        ("http://b.api.example.com/", "host-not-allowed"),
        ("http://xapi.example.com/", "host-not-allowed"),
        ("http://api.example.com.evil.example/", "host-not-allowed"),
        ("http://api.example.comx/", "host-not-allowed"),
        ("http://a.wild.example/", ""),
        ("http://a.b.c.wild.example/", ""),
        ("http://wild.example/", "host-not-allowed"),
        ("http://xwild.example/", "host-not-allowed"),
        ("http://a.wild.example.evil.example/", "host-not-allowed"),
        ("http://xn--mnchen-3ya.example/", ""),
        ("http://8.8.8.8/", ""),
        ("http://8.8.4.4/", "host-not-allowed"),
        ("http://[2606:4700:4700::1111]/", ""),
        ("http://[2606:4700:4700:0::1111]/", ""),
        ("http://127.0.0.1/", "host-not-allowed"),
        ("http://api.example.com:22/", "port"),
    ],
)
def test_only_listed_hosts_may_be_called_where_the_policy_says_so(url: str, refused: str) -> None:
    """An exact name or any depth below a star, but not the name below which the star stands."""
    policy = EgressPolicy(
        listed_only=True,
        hosts=("API.Example.com.", "*.Wild.example", "München.example", "8.8.8.8", "[2606:4700:4700::1111]"),
    )

    assert refused == rule(policy, url)


def test_an_empty_list_allows_no_host() -> None:
    assert "host-not-allowed" == rule(EgressPolicy(listed_only=True), "http://example.com/")


@pytest.mark.parametrize("url", ["http://db.internal:5432/", "http://10.0.0.1/", "http://8.8.8.8/"])
def test_an_exception_lists_no_host(url: str) -> None:
    """It says that an address may be private, not that the host may be called."""
    policy = EgressPolicy(listed_only=True, exceptions=("db.internal:5432", *ALL_OPEN))

    assert "host-not-allowed" == rule(policy, url)


@pytest.mark.parametrize(
    ("ports", "port", "refused"),
    [
        (("80", "443", "1024-65535"), 80, ""),
        (("80", "443", "1024-65535"), 81, "port"),
        (("80", "443", "1024-65535"), 1023, "port"),
        (("80", "443", "1024-65535"), 1024, ""),
        (("80", "443", "1024-65535"), 65535, ""),
        (("443",), 80, "port"),
        (("8000-8001",), 8001, ""),
        (("8000-8001",), 8002, "port"),
        ((), 443, "port"),
    ],
)
def test_only_the_ports_of_the_policy_may_be_called(ports: tuple[str, ...], port: int, refused: str) -> None:
    assert refused == rule(EgressPolicy(ports=ports), f"http://example.com:{port}/")


@pytest.mark.parametrize(
    ("exception", "url", "found", "refused"),
    [
        # a name
        ("db.internal", "http://db.internal/", "10.0.0.1", ""),
        ("DB.Internal.", "http://db.internal:8080/", "10.0.0.1", ""),
        ("db.internal", "http://db.internal/", "fd00::1", ""),
        ("db.internal", "http://db.internal/", "::ffff:10.0.0.1", ""),
        ("db.internal", "http://db.internal:22/", "10.0.0.1", "port"),
        ("db.internal", "http://a.db.internal/", "10.0.0.1", "private-address"),
        ("db.internal", "http://xdb.internal/", "10.0.0.1", "private-address"),
        ("db.internal", "http://10.0.0.1/", "10.0.0.1", "private-address"),
        ("db.internal", "http://db.internal/", "169.254.169.254", "metadata-address"),
        ("bücher.internal", "http://xn--bcher-kva.internal/", "10.0.0.1", ""),
        # a name and a port
        ("db.internal:22", "http://db.internal:22/", "10.0.0.1", ""),
        ("db.internal:22", "http://db.internal:22/", "8.8.8.8", ""),
        ("db.internal:22", "http://db.internal/", "10.0.0.1", "private-address"),
        ("db.internal:22", "http://db.internal:23/", "10.0.0.1", "port"),
        ("db.internal:22", "http://other.internal:22/", "8.8.8.8", "port"),
        ("db.internal:22", "http://10.0.0.1:22/", "10.0.0.1", "port"),
        # an address
        ("127.0.0.1", "http://127.0.0.1:8080/", "127.0.0.1", ""),
        ("127.0.0.1", "http://localhost/", "127.0.0.1", ""),
        ("127.0.0.1", "http://localhost/", "127.0.0.2", "private-address"),
        ("127.0.0.1", "http://[::1]/", "::1", "private-address"),
        ("127.0.0.1", "http://127.0.0.1:22/", "127.0.0.1", "port"),
        ("127.0.0.1:81", "http://127.0.0.1:81/", "127.0.0.1", ""),
        ("127.0.0.1:81", "http://[::ffff:127.0.0.1]:81/", "::ffff:127.0.0.1", ""),
        ("127.0.0.1:81", "http://127.0.0.1:8080/", "127.0.0.1", "private-address"),
        ("127.0.0.1:81", "http://127.0.0.2:81/", "127.0.0.2", "port"),
        ("127.0.0.1:81", "http://localhost:81/", "127.0.0.1", "port"),
        ("127.0.0.1:8080", "http://localhost:8080/", "127.0.0.1", ""),
        ("127.0.0.1:8080", "http://localhost:8081/", "127.0.0.1", "private-address"),
        ("::1", "http://[0::1]:8080/", "::1", ""),
        ("[::1]", "http://[::1]/", "::1", ""),
        ("[::1]:8080", "http://[::1]:8080/", "::1", ""),
        ("[::1]:8080", "http://[::1]:8081/", "::1", "private-address"),
        ("[::1]:81", "http://[::1]:81/", "::1", ""),
        # a range
        ("10.1.0.0/16", "http://10.1.255.255/", "10.1.255.255", ""),
        ("10.1.0.0/16", "http://a.internal/", "10.1.2.3", ""),
        ("10.1.0.0/16", "http://10.2.0.0/", "10.2.0.0", "private-address"),
        ("10.1.0.0/16", "http://10.1.0.1:22/", "10.1.0.1", "port"),
        ("10.1.0.0/16:22", "http://10.1.0.1:22/", "10.1.0.1", ""),
        ("10.1.0.0/16:22", "http://8.8.8.8:22/", "8.8.8.8", "port"),
        ("10.1.0.0/16:22", "http://a.internal:22/", "10.1.0.1", "port"),
        ("10.1.0.0/16:8080", "http://a.internal:8080/", "10.1.0.1", ""),
        ("10.1.0.0/16:8080", "http://a.internal/", "10.1.0.1", "private-address"),
        ("fd00:1::/32", "http://[fd00:1::5]/", "fd00:1::5", ""),
        ("[fd00:1::/32]:22", "http://[fd00:1::5]:22/", "fd00:1::5", ""),
        ("fd00:1::/32", "http://[fd00:2::5]/", "fd00:2::5", "private-address"),
        # what carries another address
        ("10.0.0.0/8", "http://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1", ""),
        ("10.0.0.0/8", "http://[::ffff:11.0.0.1]/", "::ffff:11.0.0.1", "private-address"),
        ("10.0.0.0/8", "http://[::10.0.0.1]/", "::10.0.0.1", "private-address"),
        ("10.0.0.0/8", "http://[64:ff9b::10.0.0.1]/", "64:ff9b::10.0.0.1", "private-address"),
        ("10.0.0.0/8", "http://[2002:a00:1::]/", "2002:a00:1::", "private-address"),
        ("10.0.0.0/8", "http://[2606:4700::5efe:10.0.0.1]/", "2606:4700::5efe:10.0.0.1", "private-address"),
        ("64:ff9b::/96", "http://a.example/", "64:ff9b::8.8.8.8", ""),
        ("64:ff9b::/96", "http://a.example/", "64:ff9b::10.0.0.1", "private-address"),
        ("64:ff9b::10.0.0.1", "http://a.example/", "64:ff9b::10.0.0.1", ""),
        ("64:ff9b::/96", "http://a.example/", "64:ff9b::169.254.169.254", "metadata-address"),
        ("::ffff:0:0/96", "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", "private-address"),
        ("::/0", "http://[::1]/", "::1", ""),
        ("::/0", "http://10.0.0.1/", "10.0.0.1", "private-address"),
        ("0.0.0.0/0", "http://10.0.0.1/", "10.0.0.1", ""),
        ("0.0.0.0/0", "http://[::1]/", "::1", "private-address"),
    ],
)
def test_an_exception_opens_what_it_names_and_nothing_else(exception: str, url: str, found: str, refused: str) -> None:
    """By name or by address, on every port of the policy or on its own one."""
    assert refused == rule(EgressPolicy(exceptions=(exception,)), url, found)


def test_a_range_of_carriers_opens_what_is_open_itself() -> None:
    """Behind a NAT64 the private network needs an exception of its own."""
    policy = EgressPolicy(exceptions=("64:ff9b::/96", "10.1.0.0/16:8080"))

    assert "" == rule(policy, "http://a.internal:8080/", "64:ff9b::10.1.0.1")
    assert "private-address" == rule(policy, "http://a.internal/", "64:ff9b::10.1.0.1")
    assert "private-address" == rule(policy, "http://a.internal:8080/", "64:ff9b::10.2.0.1")


def test_every_address_of_an_answer_must_pass() -> None:
    """Wherever it stands in the answer."""
    policy = EgressPolicy(exceptions=("10.0.0.1",))

    assert "" == rule(policy, "http://a.example/", "8.8.8.8", "10.0.0.1", "2606:4700:4700::1111")
    for answer in (("10.0.0.2", "8.8.8.8"), ("8.8.8.8", "10.0.0.2"), ("8.8.8.8", "10.0.0.1", "::1")):
        assert "private-address" == rule(policy, "http://a.example/", *answer)


@pytest.mark.parametrize("address", sorted(_METADATA))
def test_no_exception_opens_a_metadata_service(address: str) -> None:
    """Not by range, not by name, not by a name and a port; one by its address can never work, so there is none."""
    shown = f"[{address}]" if ":" in address else address
    policy = EgressPolicy(exceptions=(*ALL_OPEN, "metadata", "metadata:80"))
    for written in (address, shown, f"{shown}:80", f"{address}/{ipaddress.ip_address(address).max_prefixlen}"):
        with pytest.raises(ValueError, match="no exception opens a cloud's metadata service; leave it out"):
            EgressPolicy(exceptions=(written,))

    assert "metadata-address" == rule(policy, f"http://{shown}/")
    assert "metadata-address" == rule(policy, "http://metadata/", address)
    assert "metadata-address" == rule(policy, "http://metadata/", "8.8.8.8", address)


@given(st.lists(st.ip_addresses(), min_size=1, max_size=4))
def test_a_name_is_refused_when_it_leads_to_one_special_address(found: list[Any]) -> None:
    """And passes otherwise."""
    purposes = {special(address) for address in found}
    expected = "metadata-address" if METADATA in purposes else "private-address" if purposes - {None} else ""

    assert expected == rule(EgressPolicy(), "http://a.example/", *map(str, found))


@given(st.ip_addresses(), st.ip_addresses())
@example(ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("::ffff:0:0"))
def test_an_exception_for_one_address_opens_that_one(opened: Any, other: Any) -> None:
    """And its v4-mapped form; found on 2026-11-23 by a property that did not know of the latter."""
    assume(special(opened) != METADATA)
    policy = EgressPolicy(exceptions=(str(opened),))
    same = opened in (other, getattr(other, "ipv4_mapped", None))

    assert "" == rule(policy, "http://a.example/", str(opened))
    assert same or rule(EgressPolicy(), "http://a/", str(other)) == rule(policy, "http://a/", str(other))


@pytest.mark.parametrize(
    ("policy", "url", "found", "expected"),
    [
        (
            EgressPolicy(listed_only=True),
            "http://example.com/x?token=s3",
            (),
            "example.com is not a host that hooks may call here; ask the operator to list it",
        ),
        (
            EgressPolicy(),
            "http://example.com:22/",
            (),
            "example.com is asked for on port 22; hooks may call the ports 80, 443, 1024-65535; ask the operator for an exception, example.com:22",
        ),
        (
            EgressPolicy(),
            "http://127.0.0.1:8080/",
            (),
            "127.0.0.1 is not a public address (loopback); ask the operator for an exception, 127.0.0.1:8080",
        ),
        (
            EgressPolicy(),
            "http://[fd00::1]/",
            (),
            "fd00::1 is not a public address (private); ask the operator for an exception, [fd00::1]:80",
        ),
        (
            EgressPolicy(),
            "https://db.internal/",
            ("8.8.8.8", "10.0.0.1"),
            "db.internal leads to an address that is not public; ask the operator for an exception, db.internal:443",
        ),
        (
            EgressPolicy(exceptions=ALL_OPEN),
            "http://metadata/",
            ("169.254.169.254",),
            "metadata is a cloud's metadata service, which no hook may call",
        ),
    ],
)
def test_a_refusal_says_what_was_asked_for_and_what_to_do(
    policy: EgressPolicy, url: str, found: tuple[str, ...], expected: str
) -> None:
    """By the host's own name: a developer learns nothing of the network behind it."""
    assert expected == said(policy, url, *found)


@pytest.mark.parametrize("url", ["http://db.internal:22/", "http://127.0.0.1:81/", "http://[::1]:8080/", "http://a/"])
def test_the_exception_that_a_refusal_names_opens_the_call(url: str) -> None:
    """The operator can copy it."""
    told = said(EgressPolicy(), url, "10.0.0.1").rpartition(", ")[2]

    assert "" == rule(EgressPolicy(exceptions=(told,)), url, "10.0.0.1" if parse(url).address is None else "8.8.8.8")


FORMS = 'write "db.internal", "db.internal:5432", "10.1.0.0/16" or "[fd00::1]:8080", without scheme and path'


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"listed_only": True, "hosts": ("*",)}, 'hosts has "*"; for any public host set listed_only to false'),
        ({"listed_only": True, "hosts": ("*.a.*",)}, "hosts has '*.a.*'; a star stands once"),
        ({"listed_only": True, "hosts": ("*a.b",)}, "hosts has '*a.b'; a star stands once"),
        ({"listed_only": True, "hosts": ("a.*.b",)}, "hosts has 'a.*.b'; a star stands once"),
        ({"listed_only": True, "hosts": ("*.",)}, "hosts has '*.': no host is named; write \"api.example.com\""),
        ({"listed_only": True, "hosts": ("",)}, "hosts has '': no host is named"),
        ({"listed_only": True, "hosts": (" a",)}, "hosts has ' a':"),
        ({"listed_only": True, "hosts": ("a..b",)}, "hosts has 'a..b':"),
        ({"listed_only": True, "hosts": ("ü..b",)}, "hosts has 'ü..b':"),
        ({"listed_only": True, "hosts": ("http://a.b",)}, "without scheme, port and path"),
        ({"listed_only": True, "hosts": ("a.b/c",)}, "without scheme, port and path"),
        ({"listed_only": True, "hosts": ("a.b:80",)}, "without scheme, port and path"),
        ({"listed_only": True, "hosts": ("127.1",)}, "hosts has '127.1': 127.1 is no plain IPv4 address"),
        ({"listed_only": True, "hosts": ("10.0.0.0/8",)}, "hosts has '10.0.0.0/8'; write"),
        ({"listed_only": True, "hosts": ("*.8.8.8.8",)}, "hosts has '*.8.8.8.8'; write"),
        ({"listed_only": True, "hosts": "a.b"}, "hosts is 'a.b'; write a tuple"),
        ({"listed_only": True, "hosts": ["a.b"]}, "hosts is ['a.b']; write a tuple"),
        ({"listed_only": True, "hosts": (1,)}, "hosts is (1,); write a tuple"),
        ({"hosts": ("a.b",)}, "hosts are listed but listed_only is false"),
        ({"ports": ("0",)}, 'ports has \'0\'; write "443" or "1024-65535"'),
        ({"ports": ("65536",)}, "ports has '65536'"),
        ({"ports": ("2-1",)}, "ports has '2-1'"),
        ({"ports": ("1-",)}, "ports has '1-'"),
        ({"ports": ("-1",)}, "ports has '-1'"),
        ({"ports": ("80,443",)}, "ports has '80,443'"),
        ({"ports": ("http",)}, "ports has 'http'"),
        ({"ports": ("８０",)}, "ports has '８０'"),  # noqa: RUF001
        ({"ports": ("80\n",)}, "ports has '80\\n'"),
        ({"ports": (80,)}, "ports is (80,); write a tuple of texts"),
        ({"exceptions": ("http://a.b",)}, FORMS),
        ({"exceptions": ("a.b/c",)}, FORMS),
        ({"exceptions": ("a.b:",)}, "exceptions has 'a.b:': '' is no port"),
        ({"exceptions": ("a.b:0",)}, "exceptions has 'a.b:0': '0' is no port"),
        ({"exceptions": ("a.b:65536",)}, "'65536' is no port"),
        ({"exceptions": ("a.b:1-2",)}, "'1-2' is no port"),
        ({"exceptions": ("10.0.0.0/8:x",)}, "'x' is no port"),
        ({"exceptions": ("*.a.b",)}, "exceptions has '*.a.b'; an exception names one host"),
        ({"exceptions": ("10.1.2.3/16",)}, "10.1.2.3/16 has host bits set"),
        ({"exceptions": ("fd00::1/8",)}, "fd00::1/8 has host bits set"),
        ({"exceptions": ("10.0.0.0/33",)}, "exceptions has '10.0.0.0/33'"),
        ({"exceptions": ("0x7f.1",)}, "0x7f.1 is no plain IPv4 address"),
        ({"exceptions": ("2130706433",)}, "2130706433 is no plain IPv4 address"),
        ({"exceptions": ("[::1",)}, "its bracket is not closed"),
        ({"exceptions": ("[::1]80",)}, "is no port"),
        ({"exceptions": ("[::1]:",)}, "is no port"),
        ({"exceptions": ("[127.0.0.1]:80",)}, FORMS),
        ({"exceptions": ("[a.b]",)}, FORMS),
        ({"exceptions": ("fe80::1%eth0",)}, "a scope id means something on one machine only"),
        ({"exceptions": ("fd00::/8:443x",)}, FORMS),
        ({"exceptions": ("",)}, f"exceptions has '': no host is named; {FORMS}"),
        ({"exceptions": (":80",)}, f"exceptions has ':80': no host is named; {FORMS}"),
        ({"exceptions": ("::ffff:169.254.169.254",)}, "no exception opens a cloud's metadata service"),
        ({"calls": -1}, "calls is -1; write a whole number, 0 or more"),
        ({"calls": "20"}, "calls is '20'; write a whole number"),
        ({"calls": True}, "calls is True; write a whole number"),
        ({"exchange_ms": 0}, "exchange_ms is 0; write a whole number, 1 or more"),
        ({"at_once": 0}, "at_once is 0; write a whole number, 1 or more"),
        ({"response_bytes": 1.5}, "response_bytes is 1.5; write a whole number, 0 or more"),
        ({"keep_bodies": "some"}, "keep_bodies is 'some'; write none, errors or all"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_when_it_is_made(fields: dict[str, Any], expected: str) -> None:
    """The error says what was found and what to write."""
    with pytest.raises(ValueError, match=r"; write|; set|; a star|: an|; an|; for|; leave") as caught:
        EgressPolicy(**fields)

    assert expected in str(caught.value)


@given(st.sampled_from(["hosts", "ports", "exceptions"]), st.text() | st.text("*.:/[]%019afx-", max_size=20))
def test_any_text_is_part_of_a_policy_or_refused(field: str, text: str) -> None:
    """Nothing but ValueError comes, before anything is called."""
    try:
        policy = EgressPolicy(listed_only=True, **{field: (text,)})  # type: ignore[arg-type]
    except ValueError:
        return

    assert rule(policy, "http://example.com/", "8.8.8.8") in {"", "host-not-allowed"}


def test_policies_are_equal_by_what_they_say() -> None:
    """Connections are pooled by them."""
    policy = EgressPolicy(exceptions=("10.0.0.0/8",))

    assert policy == EgressPolicy(exceptions=("10.0.0.0/8",))
    assert hash(policy) == hash(EgressPolicy(exceptions=("10.0.0.0/8",)))
    assert policy != dataclasses.replace(policy, exceptions=())
    assert 1 == len({policy, EgressPolicy(exceptions=("10.0.0.0/8",))})
