"""A URL, parsed once: what is checked is what is connected to.

A parser of our own, strict and over ASCII. Two parsers that differ are how a URL gets past a check, and those at hand
forgive: tabs and newlines, backslashes, short and octal addresses, full-width digits. Whatever has two readings is
refused here. The worker's `requests` has applied IDNA and percent-encoding before.
Sources: RFC 3986; "ends in a number" of url.spec.whatwg.org.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from engine.egress.refusals import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_BYTES = 8 << 10
PORTS = {"http": 80, "https": 443}  # of a scheme, when the URL has none
_HOST_CHARS = 253
_SHOWN_CHARS = 80  # of what was asked for, in a message

_STRANGE = re.compile(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]")  # not of RFC 3986
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"//([^/?#]*)")
_PATH_AND_QUERY = re.compile(r"(?:[^#%]|%[0-9A-Fa-f]{2})*")  # [ and ] too: redirects hold them as they are
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL leads, parsed once: what is checked is what is connected to."""

    scheme: str  # http or https
    host: str  # a name in lower case without its last dot, or an address without brackets; for SNI and the certificate
    port: int
    authority: str  # the Host header: with brackets and with a port that is not the scheme's
    path: str  # path and query, never empty: what stands in the request line
    address: Address | None  # when the host is one


def parse(url: str) -> Target:
    """Where `url` leads. Raises Refused; no message repeats more of a URL than its scheme, host and port."""
    scheme, rest = _split_scheme(_checked(url))
    found = _AUTHORITY.match(rest)
    if found is None:
        raise Refused("url", f"after {scheme}: stands no //host; write {scheme}://host/path")
    if "@" in found[1]:
        raise Refused("userinfo", "a user name or password stands before the host; write auth=(name, password) instead")
    written, port_text = _split_port(found[1])
    port = _port(port_text) if port_text else PORTS[scheme]
    if written.startswith("["):
        address: Address | None = _bracketed(written[1:-1])
        host = str(address)
    else:
        host, address = parse_host(written)
    shown = f"[{host}]" if ":" in host else host
    return Target(
        scheme=scheme,
        host=host,
        port=port,
        authority=shown if port == PORTS[scheme] else f"{shown}:{port}",
        path=_path(rest[found.end() :]),
        address=address,
    )


def parse_host(written: str) -> tuple[str, Address | None]:
    """A name in lower case without its last dot, or an IPv4 address. Raises Refused: host, address-spelling."""
    if not written:
        raise Refused("host", "no host is named; http://host/path names one")
    name = written.lower()
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):  # then every other reader takes it for an address
        return name, _dotted_quad(name)
    if "%" in name:
        raise Refused("host", f"the host {_shown(written)} is percent-encoded; write it plainly")
    name = ".".join(labels)
    if len(name) > _HOST_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused(
            "host",
            f"{_shown(written)} is no host name: labels of at most 63 letters, digits, hyphens within and underscores, "
            f"joined by dots, {_HOST_CHARS} characters in all",
        )
    return name, None


def _checked(url: str) -> str:
    if len(url) > URL_BYTES:
        raise Refused("url", f"the URL has {len(url)} characters; the most allowed is {URL_BYTES}")
    if strange := _STRANGE.search(url):
        raise Refused(
            "url",
            f"character {strange.start() + 1} of the URL is U+{ord(strange[0]):04X}, which no URL has; "
            "percent-encode it in a path or query",
        )
    return url


def _split_scheme(url: str) -> tuple[str, str]:
    found = _SCHEME.match(url)
    if found is None:
        raise Refused("scheme", "the URL has no scheme; write http://… or https://…")
    scheme = found[1].lower()
    if scheme not in PORTS:
        raise Refused("scheme", f"the scheme {_shown(scheme)} is neither http nor https")
    return scheme, url[found.end() :]


def _split_port(authority: str) -> tuple[str, str]:
    """The host, in brackets if it stands in brackets, and what stands after its colon.

    No message repeats the latter: where a # or / stands within a password, it is a piece of it.
    """
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and rest[0] != ":"):
            raise Refused("host", "the host's brackets hold no address; write [2001:db8::1] or [2001:db8::1]:80")
        return host + bracket, rest[1:]
    if authority.count(":") > 1:
        raise Refused("host", "the host and port have more than one colon; an IPv6 address stands in brackets")
    host, _, port = authority.partition(":")
    return host, port


def _port(written: str) -> int:
    if not _PORT.fullmatch(written) or int(written) > 65_535:
        raise Refused("port", "what stands after the host's colon is no port; write a number from 1 to 65535")
    return int(written)


def _bracketed(written: str) -> ipaddress.IPv6Address:
    if "%" in written:
        raise Refused("host", f"[{_shown(written)}] has a scope id, which means something on one machine only")
    try:
        return ipaddress.IPv6Address(written)
    except ValueError:
        raise Refused("host", f"[{_shown(written)}] is no IPv6 address") from None


def _dotted_quad(name: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(name)
    except ValueError:
        raise Refused(
            "address-spelling", f"{_shown(name)} is no plain IPv4 address; write four decimal numbers, 192.0.2.1"
        ) from None


def _path(rest: str) -> str:
    path, _, fragment = rest.partition("#")
    if not _PATH_AND_QUERY.fullmatch(path) or not _PATH_AND_QUERY.fullmatch(fragment):
        raise Refused("url", "in the path or query stands a second # or a lone %; percent-encode it")
    return path if path.startswith("/") else "/" + path


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
