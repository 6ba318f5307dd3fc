"""Which addresses are public: by the registries, by Python, and by what they carry."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.egress.addresses import _IPV4, _IPV6, _LAST_32_BITS, _METADATA, METADATA, _listed, embedded, special

BLOCKS = [ipaddress.ip_network(block) for block in _IPV4 | _IPV6]
CARRIERS = {
    "v4-mapped": lambda v4: int(IPv6Address("::ffff:0:0")) | v4,
    "v4-compatible": lambda v4: v4,
    "v4-translated": lambda v4: int(IPv6Address("::ffff:0:0:0")) | v4,
    "NAT64": lambda v4: int(IPv6Address("64:ff9b::")) | v4,
    "local NAT64": lambda v4: int(IPv6Address("64:ff9b:1::")) | v4,
    "6to4": lambda v4: int(IPv6Address("2002::1")) | v4 << 80,
    "Teredo": lambda v4: int(IPv6Address("2001:0:4136:e378:8000:63bf::")) | v4 ^ 0xFFFF_FFFF,
    "ISATAP": lambda v4: int(IPv6Address("2606:4700::5efe:0:0")) | v4,
    "ISATAP of a public address": lambda v4: int(IPv6Address("2a00:1450::200:5efe:0:0")) | v4,
}
# What Python 3.11 to 3.14 calls global, one of them at least, and where no service of anybody stands.
LENIENT = [
    "192.0.0.9", "192.0.0.10", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1", "224.0.0.1", "239.1.2.3", "168.63.129.16",
    "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1:0:0:0:1", "200::1", "1000::1",
    "2001:1::1", "2001:3::1", "2001:4:112::1", "2001:20::1", "2001:30::1", "2002:a00:1::", "2606:4700::5efe:a00:1", "2620:4f:8000::1",
    "3fff::1", "4000::1", "5f00::1", "8000::1", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
    "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "168.63.129.15", "2001:200::", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e",
    "2620:4f:8001::", "3ffe:ffff::1", "2000::1",
]  # fmt: skip


@st.composite
def within(draw: Any, networks: Any) -> Any:
    """An address of one of the networks, its ends more often than the rest."""
    network = draw(st.sampled_from(networks))
    last = network.num_addresses - 1
    return network[draw(st.one_of(st.just(0), st.just(last), st.integers(0, last)))]


@given(within(BLOCKS))
def test_every_address_of_a_listed_block_is_special(address: Any) -> None:
    """From the first to the last."""
    assert special(address)


@pytest.mark.parametrize("block", _IPV4 | _IPV6)
def test_a_block_is_told_by_its_purpose(block: str) -> None:
    """The narrower block goes before the wider: each line of the table counts somewhere."""
    network = ipaddress.ip_network(block)
    middle = network[network.num_addresses // 2] if network.num_addresses > 1 else network[0]

    assert (_IPV4 | _IPV6)[block] == special(middle)


@given(st.ip_addresses())
def test_no_address_passes_that_python_does_not_call_global(address: Any) -> None:
    """The table alone sees to it, so that nothing depends on the version of Python."""
    assert address.is_global or _listed(address)
    assert address.is_global or special(address)


@given(st.one_of(st.ip_addresses(v=4), within([block for block in BLOCKS if block.version == 4])))
def test_an_ipv4_address_is_refused_in_every_embedding(address: IPv4Address) -> None:
    """Also a public one: nobody needs that way to it."""
    carried = {name: IPv6Address(carry(int(address))) for name, carry in CARRIERS.items()}

    assert [] == [name for name, carrier in carried.items() if special(carrier) is None]


@pytest.mark.parametrize("name", [name for name in CARRIERS if name != "local NAT64"])
@given(address=st.ip_addresses(v=4))
def test_an_embedded_address_is_unwrapped(name: str, address: IPv4Address) -> None:
    """Local NAT64 is left out: how long its prefix is, only its operator knows."""
    assume(name != "v4-compatible" or int(address) > 1)

    assert address == embedded(IPv6Address(CARRIERS[name](int(address))))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    """Neighbours of the blocks first of all."""
    parsed = ipaddress.ip_address(address)

    assert None is special(parsed)
    assert None is embedded(parsed)


@given(st.integers(1 << 24, 0xDFFF_FFFF).map(IPv4Address))
def test_an_ipv4_address_outside_the_table_passes(address: IPv4Address) -> None:
    """Nothing else is refused by chance."""
    assume(str(address) not in _METADATA and not any(address in block for block in BLOCKS))

    assert None is special(address)


@given(st.integers(0x2003 << 112, (0x3FFE << 112) - 1).map(IPv6Address))
def test_a_global_unicast_address_passes(address: IPv6Address) -> None:
    """A random one ends in no metadata service's address."""
    assume(not any(address in block for block in BLOCKS) and embedded(address) is None)
    assume(special(address) != METADATA)

    assert None is special(address)


@pytest.mark.parametrize("address", LENIENT)
def test_what_some_python_calls_global_is_refused_all_the_same(address: str) -> None:
    """Relays, sinks, translators, multicast, what is not assigned yet."""
    assert special(ipaddress.ip_address(address))


@pytest.mark.parametrize(("version", "address"), [(IPv4Address, "8.8.8.8"), (IPv6Address, "2606:4700:4700::1111")])
def test_what_a_newer_python_does_not_call_global_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: Any, address: str
) -> None:
    """It may learn of a block before the table does."""
    monkeypatch.setattr(version, "is_global", False)

    assert "not public" == special(version(address))


@pytest.mark.parametrize("address", sorted(_METADATA))
def test_a_metadata_service_is_known(address: str) -> None:
    assert METADATA == special(ipaddress.ip_address(address))


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("address", sorted(address for address in _METADATA if ":" not in address))
def test_a_metadata_service_is_known_in_every_embedding(name: str, address: str) -> None:
    assert METADATA == special(IPv6Address(CARRIERS[name](int(IPv4Address(address)))))


@pytest.mark.parametrize(
    "address",
    [
        "2606:4700:a9fe:a9fe::",
        "2606:4700:a9:fea9:fe::",
        "2606:4700:1:a9fe:a9:fe00::",
        "2606:4700:1:a9:fe:a9fe::",
        "2606:4700:1:2:a9:fea9:fe00:0",
        "2606:4700:1:2::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
    ],
)
def test_a_metadata_service_is_known_behind_any_translator(address: str) -> None:
    """An operator's own NAT64 prefix looks like any other. Source: RFC 6052, section 2.2."""
    assert METADATA == special(IPv6Address(address))


@pytest.mark.parametrize("address", ["fd00:ec2::254%eth0", "fe80::a9fe:a9fe%1"])
def test_a_scope_hides_no_metadata_service(address: str) -> None:
    assert METADATA == special(IPv6Address(address))


def test_an_address_with_a_scope_is_not_public() -> None:
    """It means something on one machine only."""
    assert "scoped" == special(IPv6Address("2606:4700:4700::1111%1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "8.8.8.8", "::", "::1", "fe80::1", "2606:4700:4700::1111"])
def test_most_addresses_carry_no_other(address: str) -> None:
    assert None is embedded(ipaddress.ip_address(address))


def test_what_is_unwrapped_is_special_by_the_table() -> None:
    """Blocks whose last 32 bits are read are listed as blocks."""
    assert set(_LAST_32_BITS) <= set(BLOCKS)
