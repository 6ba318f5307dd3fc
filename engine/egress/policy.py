"""Where one tenant's hooks may call: names and ports before anything is looked up, addresses after.

An exception opens what is not public, and with a port that port alone:

    db.internal, db.internal:5432   that name, whatever addresses it leads to, on every port of `ports` or on that one
    10.1.0.0/16, 127.0.0.1:8080     those addresses, as they stand in a URL or as a name leads to them

The port of an exception need not be one of `ports` when the URL itself names the host or the address. An IPv4 range
opens its addresses in their v4-mapped form too (::ffff:10.1.0.1), and in no other: an IPv6 range opens what carries an
IPv4 address (64:ff9b::/96, an operator's NAT64) only where that one is public or open itself; an exception of one
address opens it whatever it carries. No exception opens a metadata service or a host that is not listed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from engine.egress import addresses, urls
from engine.egress.refusals import Refused
from engine.egress.urls import Address, Target

Kept = Literal["none", "errors", "all"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LEAST = {"calls": 0, "request_bytes": 0, "response_bytes": 0, "exchange_ms": 1, "at_once": 1, "kept_bytes": 0}
_POLICIES = 1024  # whose rules are kept parsed
_PORT = "[1-9][0-9]{0,4}"
_LAST_PORT = 65_535
_NETWORK_SIGNS = frozenset("/:[%")
_FORMS = {
    "hosts": '"api.example.com" or "*.example.com", without scheme, port and path',
    "exceptions": '"db.internal", "db.internal:5432", "10.1.0.0/16" or "[fd00::1]:8080", without scheme and path',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """Where one tenant's hooks may call, and how much. Hashable: connections are pooled by tenant and policy.

    Raises ValueError for what cannot be a policy.
    """

    listed_only: bool = False  # only hosts of `hosts`; otherwise any host whose addresses are public
    hosts: tuple[str, ...] = ()  # "api.example.com", "*.example.com": whatever stands below it, not itself
    ports: tuple[str, ...] = ("80", "443", "1024-65535")
    exceptions: tuple[str, ...] = ()  # what may be special: "db.internal", "127.0.0.1:8080", "10.1.0.0/16", "[::1]:80"
    calls: int = 20  # of one job
    request_bytes: int = 1 << 20
    response_bytes: int = 2 << 20  # decoded
    exchange_ms: int = 10_000  # of one call, all in all
    at_once: int = 16  # calls of one tenant under way
    keep_bodies: Kept = "none"  # in the record
    kept_bytes: int = 64 << 10  # of each body

    def __post_init__(self) -> None:
        for name in ("hosts", "ports", "exceptions"):
            _check_texts(name, getattr(self, name))
        for name, least in _LEAST.items():
            _check_number(name, getattr(self, name), least)
        if self.keep_bodies not in get_args(Kept):
            raise ValueError(f"keep_bodies is {self.keep_bodies!r}; write none, errors or all")
        if self.hosts and not self.listed_only:
            raise ValueError("hosts are listed but listed_only is false, so any host may be called; set it to true")
        _rules(self)


def check_target(policy: EgressPolicy, target: Target) -> None:
    """What the URL alone tells. Raises Refused: host-not-allowed, port, private-address, metadata-address."""
    rules = _rules(policy)
    if policy.listed_only and not _is_listed(rules, target.host):
        raise Refused(
            "host-not-allowed", f"{target.host} is not a host that hooks may call here; ask the operator to list it"
        )
    if not any(low <= target.port <= high for low, high in rules.ports) and not _opens_port(rules, target):
        ports = ", ".join(policy.ports) or "of exceptions only"
        raise Refused(
            "port",
            f"{target.host} is asked for on port {target.port}; hooks may call the ports {ports}; "
            f"ask the operator for an exception, {_exception(target)}",
        )
    if target.address is not None:
        check_addresses(policy, target, (target.address,))


def check_addresses(policy: EgressPolicy, target: Target, found: Iterable[Address]) -> None:
    """What the target's name led to: each must pass. Raises Refused: private-address, metadata-address."""
    rules = _rules(policy)
    purposes = [(address, purpose) for address in found if (purpose := addresses.special(address))]
    if any(purpose == addresses.METADATA for _, purpose in purposes):
        raise Refused("metadata-address", f"{target.host} is a cloud's metadata service, which no hook may call")
    if not rules.names.isdisjoint({(target.host, None), (target.host, target.port)}):
        return
    closed = next((purpose for address, purpose in purposes if not _is_open(rules, target.port, address)), None)
    if closed:
        said = f"is not a public address ({closed})" if target.address else "leads to an address that is not public"
        raise Refused(
            "private-address", f"{target.host} {said}; ask the operator for an exception, {_exception(target)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """A policy's texts, parsed."""

    hosts: frozenset[str]
    suffixes: tuple[str, ...]  # ".example.com"
    ports: tuple[tuple[int, int], ...]
    names: frozenset[tuple[str, int | None]]  # exceptions by name; None: every port
    networks: tuple[tuple[Network, int | None], ...]  # exceptions by address


@lru_cache(_POLICIES)
def _rules(policy: EgressPolicy) -> _Rules:
    exceptions = [_parse_exception(text) for text in policy.exceptions]
    patterns = [_parse_pattern(text) for text in policy.hosts]
    return _Rules(
        hosts=frozenset(pattern for pattern in patterns if not pattern.startswith(".")),
        suffixes=tuple(pattern for pattern in patterns if pattern.startswith(".")),
        ports=tuple(_parse_ports(text) for text in policy.ports),
        names=frozenset((host, port) for host, port in exceptions if isinstance(host, str)),
        networks=tuple((host, port) for host, port in exceptions if not isinstance(host, str)),
    )


def _check_texts(name: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f'{name} is {value!r}; write a tuple of texts, ("…",)')


def _check_number(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; write a whole number, {least} or more")


def _is_listed(rules: _Rules, host: str) -> bool:
    return host in rules.hosts or host.endswith(rules.suffixes)


def _opens_port(rules: _Rules, target: Target) -> bool:
    if target.address is None:
        return (target.host, target.port) in rules.names
    forms = {target.address, _unmapped(target.address)}
    return any(port == target.port and address in network for network, port in rules.networks for address in forms)


def _is_open(rules: _Rules, port: int, address: Address) -> bool:
    """Whether the exceptions open a special-purpose address."""
    named = _naming(rules, port, address)
    carried = addresses.embedded(address)
    if carried is None or any(network.num_addresses == 1 for network in named):
        return bool(named)
    if named:
        return addresses.special(carried) is None or _is_open(rules, port, carried)
    return carried == _unmapped(address) and bool(_naming(rules, port, carried))


def _naming(rules: _Rules, port: int, address: Address) -> list[Network]:
    return [network for network, only in rules.networks if only in (None, port) and address in network]


def _unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address


def _exception(target: Target) -> str:
    return f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"


def _parse_pattern(text: str) -> str:
    """A host in the form that a Target has it, or for "*.example.com" the suffix ".example.com"."""
    if text == "*":
        raise ValueError('hosts has "*"; for any public host set listed_only to false and leave hosts empty')
    name = text.removeprefix("*.")
    if "*" in name:
        raise ValueError(f'hosts has {text!r}; a star stands once, as the whole first label: "*.example.com"')
    host = _parse_host("hosts", text, name)
    if isinstance(host, str):
        return host if name == text else "." + host
    if name != text or host.num_addresses > 1:
        raise ValueError(f"hosts has {text!r}; write a name, *.name or a single address")
    return str(host.network_address)


def _parse_exception(text: str) -> tuple[str | Network, int | None]:
    if "*" in text:
        raise ValueError(f"exceptions has {text!r}; an exception names one host, or addresses: 10.1.0.0/16")
    if text.startswith("["):
        host, bracket, port = text.partition("]")
        host += bracket
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
        port = colon + port
    else:
        host, port = text, ""
    found = _parse_host("exceptions", text, host)
    if not isinstance(found, str) and _is_metadata(found):
        raise ValueError(f"exceptions has {text!r}: no exception opens a cloud's metadata service; leave it out")
    return found, _parse_port(text, port) if port else None


def _is_metadata(network: Network) -> bool:
    return network.num_addresses == 1 and addresses.special(network.network_address) == addresses.METADATA


def _parse_port(text: str, port: str) -> int:
    if not re.fullmatch(f":{_PORT}", port) or int(port[1:]) > _LAST_PORT:
        raise ValueError(f"exceptions has {text!r}: {port[1:]!r} is no port; write {_FORMS['exceptions']}")
    return int(port[1:])


def _parse_host(field: str, text: str, host: str) -> str | Network:
    """A name as a Target has it, or addresses. A single address is a network of one."""
    if not host:
        raise ValueError(f"{field} has {text!r}: no host is named; write {_FORMS[field]}")
    try:
        if not _NETWORK_SIGNS.isdisjoint(host):
            return _parse_network(host)
        # As requests encodes it, so that both mean one name: the codec of Python makes strasse.de of straße.de.
        ascii_host = host if host.isascii() else _in_ascii(host)
        name, address = urls.parse_host(ascii_host)
    except (Refused, ValueError) as error:
        raise ValueError(f"{field} has {text!r}: {error}; write {_FORMS[field]}") from None
    return name if address is None else ipaddress.ip_network(address)


def _in_ascii(host: str) -> str:
    import idna  # noqa: PLC0415 - its tables take as long as all the rest of a start, and few settings need them

    return idna.encode(host, uts46=True).decode()


def _parse_network(host: str) -> Network:
    if "%" in host:
        raise ValueError("a scope id means something on one machine only")
    if host.startswith("["):
        if not host.endswith("]"):
            raise ValueError("its bracket is not closed")
        return ipaddress.IPv6Network(host[1:-1])
    return ipaddress.ip_network(host)


def _parse_ports(text: str) -> tuple[int, int]:
    found = re.fullmatch(f"({_PORT})(?:-({_PORT}))?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high <= _LAST_PORT:
        raise ValueError(f'ports has {text!r}; write "443" or "1024-65535"')
    return low, high
