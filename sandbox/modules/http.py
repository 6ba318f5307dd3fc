"""`requests` for hooks: the real library over frames, behind what a hook may hold.

    facade   `requests.get(…)`, Session                  sessions: what the hook set, as plain texts (arguments)
    library  prepares, follows redirects, keeps cookies  library: the real modules, over an adapter of ours
    courier  one `http` frame, then its answer           courier: `Job.exchange`
    facade   Response, or an exception                   responses, cookies, faults

A leaf: a hook may hold these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.modules import library
from sandbox.modules.arguments import BasicAuth
from sandbox.modules.faults import EXCEPTIONS, OF_PACKAGE
from sandbox.modules.job import Job
from sandbox.modules.published import published
from sandbox.modules.responses import Response, Sent
from sandbox.modules.sessions import session_class

METHODS = ("delete", "get", "head", "options", "patch", "post", "put", "request")


@published("requests.status_codes", "LookupDict")
class Codes:
    """The numbers of statuses by their names: `codes.ok`, `codes["not_found"]`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> int:
        if name not in _CODES:
            raise AttributeError(f"there is no status called {name!r}")
        return _CODES[name]

    def __getitem__(self, name: str) -> int | None:
        return _CODES.get(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The number of a status, or `default`."""
        return _CODES.get(name, default)

    def __dir__(self) -> Iterator[str]:
        return iter(_CODES)

    def __repr__(self) -> str:
        return "<lookup 'status_codes'>"


_CODES: dict[str, int] = {
    name: number for name, number in vars(library.status_codes.codes).items() if type(number) is int
}


def _calling(name: str, session: Any) -> Callable[..., Any]:
    """`requests.get` and the like: each call has a session of its own, as in the library."""

    def call(*given: Any, **named: Any) -> Any:
        return getattr(session(), name)(*given, **named)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "requests"
    return call


def make_requests(job: Job) -> dict[str, Any]:
    """Calls through the engine, a Session of this job's own, what a call gives and what it raises."""
    session = session_class(job.exchange)
    calls = {name: _calling(name, session) for name in METHODS}
    errors = {name: EXCEPTIONS[name] for name in (*OF_PACKAGE, "EgressRefused")}
    classes = {"Session": session, "session": session, "Response": Response, "PreparedRequest": Sent}
    return calls | errors | classes | {"codes": Codes()}


def make_exceptions(_: Job) -> dict[str, Any]:
    """`requests.exceptions`: the library's own, and EgressRefused."""
    return dict(EXCEPTIONS)


def make_auth(_: Job) -> dict[str, Any]:
    """`requests.auth`."""
    return {"HTTPBasicAuth": BasicAuth}


def make_structures(_: Job) -> dict[str, Any]:
    """`requests.structures`."""
    return {"CaseInsensitiveDict": library.structures.CaseInsensitiveDict}
