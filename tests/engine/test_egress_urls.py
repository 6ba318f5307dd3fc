"""A URL has one reading or none. The spellings stand in spellings.yaml; random text adds to them."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from engine.egress.policy import EgressPolicy, check_addresses, check_target
from engine.egress.refusals import RULES, Refused
from engine.egress.urls import PORTS, URL_BYTES, Target, parse

SPELLINGS = yaml.safe_load(Path(__file__).with_name("spellings.yaml").read_text(encoding="utf-8"))
PIECES = [
    "http:", "https:", "HTTP:", "//", "/", "?", "#", "@", ":", ".", "[", "]", "%", "%25", "%2e", "\\", "\t", "\n", " ", "0", "0x", "7f", "127",
    "254", "256", "80", "65536", "example", "com", "a", "-", "_", "xn--", "::", "::1", "ffff", "2606:4700::", "fe80::1%25eth0", "é", "。", "\ud800",
]  # fmt: skip
urls = st.one_of(
    st.text(),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=10).map(lambda pieces: "http://" + "".join(pieces)),
    st.text("abc019.-_:[]%@x/?#", max_size=30).map(lambda rest: "https://" + rest),
    st.builds("http://{}.{}.{}.{}".format, *[st.integers(0, 300)] * 4),
    st.builds("http://{}:{}/{}".format, st.ip_addresses(v=4), st.integers(0, 70000), st.text("a/?%2", max_size=5)),
    st.builds("http://[{}]/".format, st.ip_addresses(v=6)),
)


def called(url: str, found: list[str]) -> Target:
    """Ask every question that stands before a connection."""
    policy = EgressPolicy()
    target = parse(url)
    check_target(policy, target)
    check_addresses(policy, target, [ipaddress.ip_address(address) for address in found])
    return target


@pytest.mark.parametrize("spelling", SPELLINGS["refused"], ids=lambda spelling: ascii(spelling["url"]))
def test_a_spelling_is_refused_by_its_rule(spelling: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        called(spelling["url"], spelling.get("resolves", []))

    assert spelling["rule"] == caught.value.rule, caught.value.said


@pytest.mark.parametrize("spelling", SPELLINGS["passes"], ids=lambda spelling: ascii(spelling["url"]))
def test_a_spelling_passes_as_what_it_says(spelling: dict[str, Any]) -> None:
    target = called(spelling["url"], spelling.get("resolves", []))

    assert (spelling["host"], spelling.get("port", 80), spelling.get("path", "/")) == (
        target.host,
        target.port,
        target.path,
    )


def test_there_are_enough_spellings_and_none_stands_twice() -> None:
    """At least 80 and 20 were asked for."""
    refused = [(spelling["url"], str(spelling.get("resolves"))) for spelling in SPELLINGS["refused"]]

    assert len(refused) == len(set(refused)) >= 100
    assert len(SPELLINGS["passes"]) >= 30
    assert RULES.keys() >= {spelling["rule"] for spelling in SPELLINGS["refused"]}


@pytest.mark.parametrize("spelling", SPELLINGS["refused"], ids=lambda spelling: ascii(spelling["url"]))
def test_a_refusal_tells_no_password_and_no_address_that_a_name_led_to(spelling: dict[str, Any]) -> None:
    """It is short and plain as well: it goes into logs."""
    with pytest.raises(Refused) as caught:
        called(spelling["url"], spelling.get("resolves", []))
    said = caught.value.said

    assert "s3" not in said
    assert [] == [
        address for address in spelling.get("resolves", []) if re.search(rf"(?<!\w){re.escape(address)}(?!\.)", said)
    ]
    assert len(said) < 400
    assert said.isprintable()


@given(urls)
@example("http://" + "9" * 8000)
@example("http://a:" + "9" * 8000)
@example("http://" + "a." * 4000)
@example("http://[" + ":" * 8000 + "]")
def test_any_text_is_parsed_or_refused(url: str) -> None:
    """And what is parsed reads the same again, so that what is checked is what is sent."""
    try:
        target = parse(url)
    except Refused:
        return
    again = parse(f"{target.scheme}://{target.authority}{target.path}")

    assert target == again
    assert target.path.startswith("/")
    assert target.host.isascii()
    assert "@" not in target.authority
    assert "#" not in target.path


@given(urls)
def test_what_passes_has_the_same_host_and_port_to_everybody(url: str) -> None:
    """The libraries of the worker and of the standard library as witnesses: no URL that passes has two readings."""
    try:
        target = parse(url)
    except Refused:
        return
    theirs = urllib3.util.parse_url(url)
    standard = urllib.parse.urlsplit(url)

    for host, port in ((theirs.host, theirs.port), (standard.hostname, standard.port)):
        plain = str(host).strip("[]").removesuffix(".")
        same = ipaddress.ip_address(plain) if target.address else plain

        assert (target.address or target.host, target.port) == (same, port or PORTS[target.scheme])


@given(urls)
def test_what_is_sent_has_no_character_that_ends_a_line(url: str) -> None:
    """The request line and the Host header take `path` and `authority` as they are."""
    try:
        target = parse(url)
    except Refused:
        return

    assert [] == [char for char in target.path + target.authority + target.host if not "!" <= char <= "~"]


@given(st.ip_addresses())
def test_an_address_is_read_as_itself(address: Any) -> None:
    """Its host is that address and nothing else."""
    shown = f"[{address}]" if address.version == 6 else str(address)
    target = parse(f"https://{shown}:8443/")

    assert (address, str(address), f"{shown}:8443") == (target.address, target.host, target.authority)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://Example.com.:80/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://example.com:443/", "example.com:443"),
        ("http://[2606:4700::0001]:80/", "[2606:4700::1]"),
        ("http://[2606:4700::0001]:81/", "[2606:4700::1]:81"),
    ],
)
def test_the_authority_has_a_port_only_where_the_scheme_has_another(url: str, authority: str) -> None:
    """It is the Host header: servers compare it with their names."""
    assert authority == parse(url).authority


def test_a_url_may_have_8_kib() -> None:
    longest = "http://example.com/" + "a" * (URL_BYTES - 19)

    assert URL_BYTES - 18 == len(parse(longest).path)
    with pytest.raises(Refused, match="8193 characters; the most allowed is 8192"):
        parse(longest + "a")


def test_a_name_may_have_253_characters() -> None:
    """A last dot does not count."""
    longest = ".".join(["a" * 49] * 5) + ".abc"

    assert (253, longest) == (len(longest), parse(f"http://{longest}./").host)
    with pytest.raises(Refused, match="no host name"):
        parse(f"http://{longest}d/")


@pytest.mark.parametrize("port", ["0", "65536", "99999", "080", "+80", "-1", "0x50", "8_0", "80a"])
def test_a_port_is_a_number_from_1_to_65535(port: str) -> None:
    """Whatever the policy says about ports."""
    with pytest.raises(Refused, match="is no port; write a number from 1 to 65535") as caught:
        parse(f"http://example.com:{port}/")

    assert "port" == caught.value.rule


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://ex%61mple.com/", "the host ex%61mple.com is percent-encoded; write it plainly"),
        ("http://münchen.example/", "character 9 of the URL is U+00FC, which no URL has; percent-encode it in a path"),
        ("example.com/x", "the URL has no scheme; write http://… or https://…"),
        ("ftp://example.com/x", "the scheme ftp is neither http nor https"),
        ("http:/example.com", "after http: stands no //host; write http://host/path"),
        ("http:///x", "no host is named; http://host/path names one"),
        (
            "http://a:b@example.com/",
            "a user name or password stands before the host; write auth=(name, password) instead",
        ),
        ("http://2130706433/", "2130706433 is no plain IPv4 address; write four decimal numbers, 192.0.2.1"),
        ("http://[fe80::1%25eth0]/", "has a scope id, which means something on one machine only"),
        ("http://::1/", "more than one colon; an IPv6 address stands in brackets"),
        ("http://example.com/?a=50%", "in the path or query stands a second # or a lone %; percent-encode it"),
    ],
)
def test_a_refusal_says_what_to_write_instead(url: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(url)

    assert said in caught.value.said
