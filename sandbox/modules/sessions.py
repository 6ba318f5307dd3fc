"""`requests.Session` as a hook holds it: settings that are the hook's own, and calls through the library. A leaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Self

from sandbox.modules import arguments, library
from sandbox.modules.caches import exact
from sandbox.modules.cookies import Cookies, cookies_from, jar_of
from sandbox.modules.courier import MAX_REDIRECTS, Exchange, Live
from sandbox.modules.faults import cleanly
from sandbox.modules.published import Held, published, put
from sandbox.modules.responses import response_shown, shown

_ORDER = (  # of Session.request, after the method and the URL
    "params data headers cookies files auth timeout allow_redirects proxies hooks stream verify cert json"
).split()
_TAKEN: dict[str, Callable[[Any], Any]] = {
    "params": arguments.params_of,
    "data": arguments.data_of,
    "headers": arguments.headers_of,
    "cookies": arguments.cookies_of,
    "files": arguments.files_of,
    "auth": arguments.auth_of,
    "timeout": arguments.timeout_of,
    "allow_redirects": bool,
    "json": lambda value: value,
}
_REFUSED = {  # what a hook may not choose, and what to do
    "verify": "the engine checks every certificate against the public authorities: leave verify out",
    "proxies": "calls leave through the engine alone: leave proxies out",
    "cert": "a hook has no files, and no certificate of its own: leave cert out, and send credentials in headers",
    "stream": "a response is always read whole, up to a bound: leave stream out; iter_content and iter_lines work",
    "hooks": "a call takes no hooks: look at the response after it",
    "trust_env": "a hook sees no environment and no .netrc: leave trust_env out, and give auth=(name, password)",
    "mount": "calls leave through the engine alone: leave adapters out; for retries, write a for loop",
}


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name}: {_REFUSED[name]}")


def _is_as_ever(name: str, value: Any) -> bool:
    """Whether a hook chooses what is so anyway."""
    return value is None or (value is True if name == "verify" else not value)


def _fixed(name: str, value: Any) -> property:
    """A setting of the library's that is what it is."""

    def read(_: Any) -> Any:
        return value

    def write(_: Any, given: Any) -> None:
        if not _is_as_ever(name, given):
            _refuse(name)

    read.__name__ = write.__name__ = name
    return property(read, write)


def _closed(name: str) -> property:
    """What is changed by its own items in the library."""

    def read(_: Any) -> NoReturn:
        _refuse(name)

    def write(_: Any, given: Any) -> None:
        if not _is_as_ever(name, given):
            _refuse(name)

    read.__name__ = write.__name__ = name
    return property(read, write)


@published("requests", "Session", derivable=True)
class Session(Held):
    """Settings and cookies for several calls. Of each job, a class of its own derives from it: see `session_class`."""

    __slots__ = ("__cookies__", "__live__", "auth", "headers", "max_redirects", "params")
    auth: Any  # no annotation of the first two: of a dataclass that derives from it all are looked at
    headers: Any
    max_redirects: int
    params: Any

    def __init__(self) -> None:
        """Takes nothing."""

    def __repr__(self) -> str:
        return "<Session>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    verify = _fixed("verify", True)
    stream = _fixed("stream", False)
    cert = _fixed("cert", None)
    trust_env = _fixed("trust_env", False)
    proxies = _closed("proxies")
    hooks = _closed("hooks")

    @property
    def cookies(self) -> Cookies:
        """What responses have set, and the hook's own."""
        held: Cookies = _slot(self, "__cookies__")
        return held

    @cookies.setter
    def cookies(self, given: Any) -> None:
        put(self, Session, __cookies__=cookies_from(given))

    def mount(self, *_: Any) -> NoReturn:
        """Refused."""
        _refuse("mount")

    def get_adapter(self, *_: Any, **__: Any) -> NoReturn:
        """Refused."""
        _refuse("mount")

    def get(self, url: Any, params: Any = None, **named: Any) -> Any:
        """Send a GET request."""
        return self.request("GET", url, params=params, **named)

    def options(self, url: Any, **named: Any) -> Any:
        """Send an OPTIONS request."""
        return self.request("OPTIONS", url, **named)

    def head(self, url: Any, **named: Any) -> Any:
        """Send a HEAD request. Redirects are not followed, unless asked for."""
        named.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **named)

    def post(self, url: Any, data: Any = None, json: Any = None, **named: Any) -> Any:
        """Send a POST request."""
        return self.request("POST", url, data=data, json=json, **named)

    def put(self, url: Any, data: Any = None, **named: Any) -> Any:
        """Send a PUT request."""
        return self.request("PUT", url, data=data, **named)

    def patch(self, url: Any, data: Any = None, **named: Any) -> Any:
        """Send a PATCH request."""
        return self.request("PATCH", url, data=data, **named)

    def delete(self, url: Any, **named: Any) -> Any:
        """Send a DELETE request."""
        return self.request("DELETE", url, **named)

    def request(self, method: str, url: Any, *given: Any, **named: Any) -> Any:
        """Send a request. Raises RequestException; ValueError for what a hook may not choose."""
        live = _live_of(self)
        taken = _taken(_bound(given, named))
        live.headers = _session_headers(self.headers)
        live.params = arguments.params_of(self.params)
        live.auth = arguments.auth_of(self.auth)
        live.max_redirects = _number(self.max_redirects)
        live.cookies = jar_of(_slot(self, "__cookies__"))
        if taken["data"] and type(taken["data"]) is bytes and taken["files"]:
            raise ValueError("data= of bytes and files= are mutually exclusive: name the fields in a dict")
        asked = arguments.method_of(method), arguments.url_of(url)
        return cleanly(lambda: response_shown(live.request(*asked, **taken)), shown)


def _live_of(session: Any) -> Live:
    """SECURITY: nothing of the library's goes to what somebody else put there."""
    live, held = _slot(session, "__live__"), _slot(session, "__cookies__")
    if type(live) is not Live or type(held) is not Cookies:
        raise TypeError("what is private to a Session stays as it is")
    return live


def _slot(session: Session, name: str) -> Any:
    """Past whatever a hook's class says of that name."""
    try:
        return vars(Session)[name].__get__(session)
    except AttributeError:
        raise TypeError("this Session was not made by its own __new__") from None


def _bound(given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name. Raises TypeError as Python does."""
    if len(given) > len(_ORDER):
        raise TypeError(f"Session.request() takes at most {len(_ORDER) + 3} arguments ({len(given) + 3} given)")
    placed = dict(zip(_ORDER, given, strict=False))
    for name in named:
        if name not in _ORDER:
            raise TypeError(f"Session.request() got an unexpected keyword argument {name!r}")
        if name in placed:
            raise TypeError(f"Session.request() got multiple values for argument {name!r}")
    return {**placed, **named}


def _taken(bound: dict[str, Any]) -> dict[str, Any]:
    """What the library gets. Raises ValueError for what a hook may not choose."""
    for name in _REFUSED.keys() & bound.keys():
        if not _is_as_ever(name, bound[name]):
            _refuse(name)
    defaults = dict.fromkeys(_TAKEN) | {"allow_redirects": True}
    return {name: take(bound.get(name, defaults[name])) for name, take in _TAKEN.items()}


def _session_headers(given: Any) -> Any:
    made = library.structures.CaseInsensitiveDict()
    made.update(arguments.headers_of(given))
    return made


def _number(given: Any) -> int:
    number = exact(given)
    if type(number) is not int:
        raise TypeError(f"max_redirects is an int, not a {type(given).__name__}")
    return number


def session_class(exchange: Exchange) -> type[Session]:
    """The Session of one job: its calls leave by that job's exchange. It has no slots: a hook may add attributes."""

    def __new__(cls: type, *_: Any, **__: Any) -> Any:  # noqa: N807 - what it stands for
        made: Any = object.__new__(cls)
        headers = library.utils.default_headers()
        put(made, Session, __live__=Live(exchange), __cookies__=Cookies(), headers=headers)
        return put(made, Session, auth=None, params={}, max_redirects=MAX_REDIRECTS)

    __new__.__qualname__ = "Session.__new__"
    __new__.__module__ = "requests"
    return type("Session", (Session,), {"__new__": __new__, "__module__": "requests"})
