"""`requests` where hooks reach no host: the names are there, and every call ends as it does without a network.

A leaf: a hook may hold these classes and functions.
"""

from __future__ import annotations

from typing import Any, NoReturn

from sandbox.modules.job import Job
from sandbox.naming import stands_for

METHODS = ("delete", "get", "head", "options", "patch", "post", "put", "request")
_NO_WAY_OUT = "hooks of this engine reach no host"


class RequestException(OSError):
    """What all errors of a call are."""

    request: Any = None
    response: Any = None


class HTTPError(RequestException):
    """The status says that the call failed."""


class ConnectionError(RequestException):  # noqa: A001 - the published name
    """There is no connection."""


class SSLError(ConnectionError):
    """The connection is not secure."""


class Timeout(RequestException):
    """It took too long."""


class ConnectTimeout(ConnectionError, Timeout):
    """It took too long to connect."""


class ReadTimeout(Timeout):
    """It took too long to answer."""


class TooManyRedirects(RequestException):
    """The call was sent on too often."""


class InvalidURL(RequestException, ValueError):
    """The URL is none."""


class MissingSchema(InvalidURL):
    """The URL says not how to call."""


class InvalidSchema(InvalidURL):
    """The URL says to call in a way that there is not."""


class JSONDecodeError(RequestException, ValueError):
    """The answer is no JSON."""


EXCEPTIONS: dict[str, type[RequestException]] = {
    kind.__name__: kind
    for kind in (
        RequestException,
        HTTPError,
        ConnectionError,
        SSLError,
        Timeout,
        ConnectTimeout,
        ReadTimeout,
        TooManyRedirects,
        InvalidURL,
        MissingSchema,
        InvalidSchema,
        JSONDecodeError,
    )
}
for _kind in EXCEPTIONS.values():
    _kind.__module__ = "requests.exceptions"


def _calling(name: str) -> Any:
    @stands_for(name)
    def call(*_: Any, **__: Any) -> NoReturn:
        raise ConnectionError(_NO_WAY_OUT)

    return call


@stands_for("Session")
class _Calls:
    """What a Session can do."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


_Calls.__module__ = "requests"


def make_requests(_: Job) -> dict[str, Any]:
    """Calls that reach nobody, the errors that hooks catch, and a Session of this job's own."""
    methods = {name: staticmethod(_calling(name)) for name in METHODS}
    session = stands_for("Session")(type("Session", (_Calls,), methods))
    session.__module__ = _Calls.__module__
    return {name: _calling(name) for name in METHODS} | EXCEPTIONS | {"Session": session}


def make_exceptions(_: Job) -> dict[str, Any]:
    """`requests.exceptions`."""
    return dict(EXCEPTIONS)
