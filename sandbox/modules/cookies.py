"""Cookies as a hook holds them: a jar of the library's behind an allow-list of what it does. A leaf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.modules import library
from sandbox.modules.caches import exact
from sandbox.modules.published import Held, published, put

_ATTRIBUTES: dict[str, tuple[type, ...]] = {  # that a hook may give a cookie
    "domain": (str,),
    "path": (str,),
    "secure": (bool,),
    "expires": (int, float, type(None)),
}


@published("http.cookiejar", "Cookie")
class Cookie(Held):
    """One cookie, as it stood when it was asked for."""

    __slots__ = ("domain", "expires", "name", "path", "secure", "value")
    domain: str
    expires: int | None
    name: str
    path: str
    secure: bool
    value: str | None

    def __repr__(self) -> str:
        return f"<Cookie {self.name}={self.value} for {self.domain}{self.path}>"


def _cookie(real: Any) -> Cookie:
    return put(object.__new__(Cookie), Cookie, **{name: getattr(real, name) for name in Cookie.__slots__})


@published("requests.cookies", "RequestsCookieJar")
class Cookies(Held):
    """The cookies of a session or of a response: by name, and by domain and path where names are not enough."""

    __slots__ = ("__jar__",)
    __jar__: Any

    def __init__(self) -> None:
        put(self, Cookies, __jar__=library.cookies.RequestsCookieJar())

    def __repr__(self) -> str:
        return f"<RequestsCookieJar{[*self]!r}>"

    def __iter__(self) -> Iterator[Cookie]:
        return iter([_cookie(each) for each in self.__jar__])

    def __len__(self) -> int:
        return len(self.__jar__)

    def __contains__(self, name: object) -> bool:
        return exact(name) in self.keys()

    def __getitem__(self, name: str) -> Any:
        return self.__jar__[_name(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        del self.__jar__[_name(name)]

    def get(self, name: str, default: Any = None, domain: str | None = None, path: str | None = None) -> Any:
        """The value of a cookie."""
        return self.__jar__.get(_name(name), default, exact(domain), exact(path))

    def set(self, name: str, value: Any, **attributes: Any) -> None:
        """Keep a cookie, with domain, path, secure and expires; a value of None takes it away."""
        given = {each: _attribute(each, attribute) for each, attribute in attributes.items()}
        self.__jar__.set(_name(name), value if value is None else exact(str(exact(value))), **given)

    def update(self, other: Any) -> None:
        """Take in other cookies: a dict, or those of a session or a response."""
        if type(other) is Cookies:
            self.__jar__.update(other.__jar__)
            return
        for name, value in other.items():
            self.set(name, value)

    def keys(self) -> list[str]:
        """The names."""
        return list(self.__jar__.keys())

    def values(self) -> list[Any]:
        """The values."""
        return list(self.__jar__.values())

    def items(self) -> list[tuple[str, Any]]:
        """Names and values."""
        return list(self.__jar__.items())

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, Any]:
        """A plain dict of them."""
        return dict(self.__jar__.get_dict(exact(domain), exact(path)))

    def copy(self) -> Cookies:
        """The same cookies, in a jar of their own."""
        return cookies_around(self.__jar__.copy())

    def pop(self, name: str, *default: Any) -> Any:
        """Take a cookie away; its value, or `default`. Raises KeyError."""
        if len(default) > 1:
            raise TypeError(f"pop expected at most 2 arguments, got {1 + len(default)}")
        return self.__jar__.pop(_name(name), *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value of a cookie; if there is none, it is kept with `default`."""
        if name not in self:
            self.set(name, default)
            return default
        return self[name]

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Take away all, or those of a domain, or of a path in it, or one. Raises KeyError if there are none."""
        self.__jar__.clear(exact(domain), exact(path), exact(name))


def _attribute(name: str, given: Any) -> Any:
    if name not in _ATTRIBUTES:
        raise TypeError(f"set() got an unexpected keyword argument {name!r}")
    if not isinstance(given, _ATTRIBUTES[name]):
        raise TypeError(f"the {name} of a cookie is not a {type(given).__name__}")
    return given if type(given) in _ATTRIBUTES[name] else exact(given)


def _name(given: Any) -> str:
    name = exact(given)
    if type(name) is not str:
        raise TypeError(f"the name of a cookie is a text, not a {type(given).__name__}")
    return name


def jar_of(cookies: Cookies) -> Any:
    """The library's jar behind them. Never a hook's to hold."""
    return vars(Cookies)["__jar__"].__get__(cookies)


def cookies_around(jar: Any) -> Cookies:
    """The cookies that stand for a jar of the library's."""
    return put(object.__new__(Cookies), Cookies, __jar__=jar)


def cookies_from(given: Any) -> Cookies:
    """What is assigned to a session: a dict of cookies, or cookies."""
    if type(given) is Cookies:
        return given
    if not isinstance(given, Mapping):
        raise TypeError("cookies are a dict of texts, or the cookies of a session or a response")
    made = Cookies()
    made.update(given)
    return made
