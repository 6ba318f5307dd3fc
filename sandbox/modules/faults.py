"""The errors of a call: the library's own classes, and ours for what the engine refuses. A leaf.

An error that a hook gets carries texts and what the hook may hold, nothing of the library's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.modules import library
from sandbox.modules.published import published

real: Any = library.exceptions

EXCEPTION_NAMES = """
    RequestException InvalidJSONError JSONDecodeError HTTPError ConnectionError ProxyError SSLError Timeout
    ConnectTimeout ReadTimeout URLRequired TooManyRedirects MissingSchema InvalidSchema InvalidURL InvalidHeader
    InvalidProxyURL ChunkedEncodingError ContentDecodingError StreamConsumedError RetryError UnrewindableBodyError
""".split()
OF_PACKAGE = """
    ConnectTimeout ConnectionError HTTPError JSONDecodeError ReadTimeout RequestException Timeout TooManyRedirects
    URLRequired
""".split()  # those that stand in `requests` itself


@published("requests.exceptions", "EgressRefused", derivable=True)
class EgressRefused(real.RequestException):  # type: ignore[misc]
    """A rule of the engine refuses the call, for good. No ConnectionError and no Timeout: those are tried again."""

    def __init__(self, *args: Any, rule: str = "", **named: Any) -> None:
        super().__init__(*args, **named)
        self.rule = rule


@published("requests.exceptions", "EgressRefused", derivable=True)
class SchemeRefused(EgressRefused, real.InvalidSchema):  # type: ignore[misc]
    """Of a scheme that there is no way out by: what the library has no adapter for is an InvalidSchema."""


def refusal(rule: str, message: str, request: Any = None, kind: type[EgressRefused] = EgressRefused) -> EgressRefused:
    """The exception for what that rule refuses."""
    return kind(f"rule {rule}: {message}", rule=rule, request=request)


EXCEPTIONS: dict[str, type[Exception]] = {name: getattr(real, name) for name in EXCEPTION_NAMES} | {
    "EgressRefused": EgressRefused
}

_OF_KIND = {
    "connect_timeout": real.ConnectTimeout,
    "read_timeout": real.ReadTimeout,
    "connection": real.ConnectionError,
    "tls": real.SSLError,
    "broken": real.ChunkedEncodingError,
    "undecodable": real.ContentDecodingError,
}


def of_failure(kind: str, rule: str, message: str, request: Any) -> Exception:
    """The exception for a `Failed` frame."""
    if kind != "refused":
        made: Exception = _OF_KIND[kind](message, request=request)
        return made
    is_http = request.url.lower().startswith(("http://", "https://"))
    refused = EgressRefused if is_http and rule != "scheme" else SchemeRefused
    return refusal(rule, message, request, refused)


def cleanly(call: Callable[[], Any], shown: Callable[[Any], Any]) -> Any:
    """What `call` gives. An error of the library's is raised without what it carries; `shown` stands in for that."""
    try:
        return call()
    except real.RequestException as error:
        fault = error
    _clean(fault, shown)
    try:
        raise fault
    finally:
        del fault  # or a circle through this frame would keep the hook's until it is collected


def _clean(error: Any, shown: Callable[[Any], Any]) -> None:
    error.__traceback__ = error.__context__ = error.__cause__ = None
    error.args = tuple(each if type(each) is int else str(each) for each in error.args)
    carried, sent = error.response, error.request
    error.response = shown(carried)
    is_of_response = error.response is not carried and carried.request is sent
    error.request = error.response.request if is_of_response else shown(sent)
