"""Which addresses are not for hooks: everything that is not a public host of the Internet.

The table below is IANA's two registries of special-purpose addresses in full, also what they call globally reachable
(relays and sinks: no service stands there), with multicast and what came before the registries. `is_global` of the
Python at hand stands beside it: it differs between 3.11 and 3.14, and may learn of a block before this file does.

An IPv6 address that carries an IPv4 address is refused whatever it carries: nobody needs that way to a public host.
Not seen: which private network stands behind a translator with a prefix of the operator's own (RFC 6052, section 2.2).
Sources: iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, RFC 4291, RFC 5214.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from engine.egress.urls import Address

METADATA = "cloud metadata"

_IPV4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",  # whole: the two anycast addresses in it serve no HTTP
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112 sink",
    "192.52.193.0/24": "multicast relay",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112 sink",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcast",
    "240.0.0.0/4": "reserved",
}
_IPV6 = {  # the narrower first
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "100::/64": "discard-only",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/32": "Teredo",
    "2001:2::/48": "benchmarking",
    "2001:10::/28": "ORCHID",
    "2001:20::/28": "ORCHID",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112 sink",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_METADATA = {  # and the credentials and host agents beside it
    "168.63.129.16",  # Azure's host agent: a public address by the registries
    "169.254.169.254",  # nearly every cloud
    "169.254.170.2",  # AWS: credentials of a container
    "169.254.170.23",  # AWS: credentials of a pod
    "169.254.42.42",  # Scaleway
    "169.254.0.23",  # Tencent
    "100.100.100.200",  # Alibaba
    "100.80.80.80",  # UCloud
    "100.96.0.96",  # Volcano Engine
    "192.0.0.192",  # Oracle
    "fd00:ec2::254",  # AWS
    "fd00:ec2::23",  # AWS: credentials of a pod
    "fd20:ce::254",  # Google
    "fd00:42::42",  # Scaleway
    "fd00:a9fe:a9fe::1",  # Akamai
}

_TABLES = {
    4: tuple((ipaddress.ip_network(block), purpose) for block, purpose in _IPV4.items()),
    6: tuple((ipaddress.ip_network(block), purpose) for block, purpose in _IPV6.items()),
}
_SERVICES = frozenset(ipaddress.ip_address(address) for address in _METADATA)
_SERVICES_V4 = frozenset(int(address) for address in _SERVICES if address.version == 4)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_LAST_32_BITS = tuple(  # where the last 32 bits are the IPv4 address
    ipaddress.IPv6Network(block) for block in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_32_BITS = (1 << 32) - 1
_56_BITS = (1 << 56) - 1
_TRANSLATOR_PREFIXES = (32, 40, 48, 56, 64)  # bits, beside 96; RFC 6052, section 2.2


def special(address: Address) -> str | None:
    """What a special-purpose address is for: "loopback", "private", "cloud metadata", …; None for a public host's."""
    if _is_metadata(address):
        return METADATA
    return _listed(address) or (None if address.is_global else "not public")


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address is there to carry; None when it carries none."""
    if isinstance(address, IPv4Address):
        return None
    if address.teredo:
        return address.teredo[1]
    if address.sixtofour:
        return address.sixtofour
    if int(address) > 1 and (_is_isatap(address) or any(address in block for block in _LAST_32_BITS)):
        return IPv4Address(int(address) & _32_BITS)
    return None


def _listed(address: Address) -> str | None:
    purpose = next((purpose for block, purpose in _TABLES[address.version] if address in block), None)
    if purpose or isinstance(address, IPv4Address):
        return purpose
    if address.scope_id is not None:
        return "scoped"
    if address not in _GLOBAL_UNICAST:
        return "not assigned"
    return "ISATAP" if _is_isatap(address) else None


def _is_isatap(address: IPv6Address) -> bool:
    """Under any prefix: the interface identifier says 00-00-5E-FE, with its two flag bits as they may be."""
    return (int(address) >> 32) & 0xFCFF_FFFF == 0x0000_5EFE


def _is_metadata(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address in _SERVICES
    return IPv6Address(int(address)) in _SERVICES or not _SERVICES_V4.isdisjoint(_carried(address))


def _carried(address: IPv6Address) -> Iterator[int]:
    """Every IPv4 address that somebody may read out of it, under whatever prefix."""
    whole = int(address)
    yield whole & _32_BITS  # mapped, compatible, translated, ISATAP, most translators
    if found := embedded(address):
        yield int(found)  # 6to4, Teredo
    without_octet_8 = (whole >> 64 << 56) | (whole & _56_BITS)  # translators leave it out
    for bits in _TRANSLATOR_PREFIXES:
        yield without_octet_8 >> (88 - bits) & _32_BITS
