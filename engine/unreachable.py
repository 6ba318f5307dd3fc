"""Why a server could not be asked, in one line that says what to look at."""

from __future__ import annotations

import requests
import urllib3

SAID_CHARS = 600  # of what somebody else has said


def why(server: str, ca_file: str | None, error: Exception) -> str:
    """What to look at, by how it failed."""
    if isinstance(error, requests.exceptions.SSLError):
        ways = "--ca-file or HOOKCELL_CA_FILE names the authority that signed its certificate"
        return f"{server}: its certificate is not trusted, or it speaks no TLS; {ways}: {_innermost(error)}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{server} does not answer in time; is the address right (--server, HOOKCELL_SERVER)?"
    if isinstance(error, requests.exceptions.ConnectionError):
        ways = "is it running (`hookcell serve`), and the address right (--server, HOOKCELL_SERVER)?"
        return f"{server} cannot be reached: {_innermost(error)}; {_maybe_https(server, error)}{ways}"
    if ca_file and isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return f"--ca-file {ca_file!r} cannot be used: {_innermost(error)}"
    return f"{server} cannot be asked: {_innermost(error)}"


def _maybe_https(server: str, error: Exception) -> str:
    """A hint, where somebody was there and hung up on plain HTTP, or answered with what is none."""
    hung_up = bool(error.args) and isinstance(error.args[0], urllib3.exceptions.ProtocolError)
    if not hung_up or not server.startswith("http://"):
        return ""
    return f"it may speak https: try https://{server.removeprefix('http://')}; "


def _innermost(error: BaseException) -> str:
    """What the system said, without the wrapping of the libraries."""
    reason, below = error, _below(error)
    while below is not None:
        reason, below = below, _below(below)
    return one_line(getattr(reason, "strerror", None) or reason)


def _below(error: BaseException) -> BaseException | None:
    """What it wraps: as its reason, as its first argument, or as its cause."""
    inner = (getattr(error, "reason", None), error.args[0] if error.args else None, error.__cause__)
    return next((each for each in inner if isinstance(each, BaseException)), None)


def one_line(said: object) -> str:
    """The same without line ends, and not longer than anybody reads."""
    return " ".join(str(said).split())[:SAID_CHARS]
