"""The real `requests`, a copy of our own, imported without what a worker has no use for.

A worker opens no sockets and no files, and every MiB makes each fork dearer. The full import costs 6.4 MiB; this one 2,
half of it the tables for names of hosts in all scripts. The library's modules are as they are installed; what they are
spared: its packages' `__init__`, which import all the rest; TLS, pools, the detection of encodings; and what of the
standard library they import for proxies, .netrc and files.

The copy stays out of `sys.modules`: who imports `requests` elsewhere gets the whole. In the zygote, once.
"""

from __future__ import annotations

import _thread
import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sandbox.modules.caches import harden

_PACKAGES = ("requests", "urllib3", "urllib3.util")  # without their __init__
_COPIED = ("http.cookiejar", "mimetypes")  # of the standard library: they keep state, or what stands in below
_STANDING_IN: dict[str, dict[str, Any]] = {  # module → the names that are asked for at import
    "requests.adapters": {"HTTPAdapter": object},  # ours is the courier
    "requests.certs": {"where": str},
    "http.client": {"HTTP_PORT": 80, "IncompleteRead": type("IncompleteRead", (Exception,), {})},
    "threading": {"RLock": _thread.RLock, "local": _thread._local},  # noqa: SLF001 - threading's own way to it
    "urllib.request": dict.fromkeys(
        ("getproxies", "getproxies_environment", "parse_http_list", "proxy_bypass", "proxy_bypass_environment")
    ),
    "tempfile": {},
    "zipfile": {},
}
_MISSING = ("brotli", "brotlicffi", "backports", "compression", "chardet", "charset_normalizer", "simplejson")


def _is_ours(name: str) -> bool:
    return name in _COPIED or name in _STANDING_IN or name in _MISSING or name.partition(".")[0] in _PACKAGES


@contextlib.contextmanager
def _set_aside() -> Iterator[None]:
    """Within, none of the modules is imported that are ours or stood in for; afterwards all is as it was."""
    kept = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    split = [name.rpartition(".") for name in (*_COPIED, *_STANDING_IN) if name.partition(".")[0] not in _PACKAGES]
    parents = [(importlib.import_module(parent), child) for parent, _, child in split if parent]
    attributes = [(parent, child, vars(parent).get(child)) for parent, child in parents]
    for name in kept:
        del sys.modules[name]
    for parent, child in parents:  # `from http import cookiejar` looks there first
        vars(parent).pop(child, None)
    try:
        yield
    finally:
        for name in [*filter(_is_ours, sys.modules)]:
            del sys.modules[name]
        sys.modules.update(kept)
        for parent, child, value in attributes:
            vars(parent).pop(child, None) if value is None else setattr(parent, child, value)


def _put(name: str, **names: Any) -> ModuleType:
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(names)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _put_packages() -> None:
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"{name} is a dependency of ours"
        _put(name, __path__=list(spec.submodule_search_locations or ()))


def _load() -> dict[str, Any]:
    """The modules of the copy, by their last names."""
    harden()  # before anybody takes the functions that keep what they were asked
    with _set_aside():
        sys.modules.update(dict.fromkeys(_MISSING))  # type: ignore[arg-type]  # None: there is no such module
        _put_packages()
        for name, names in _STANDING_IN.items():
            _put(name, **names)
        load = importlib.import_module
        vars(sys.modules["urllib3"])["__version__"] = load("urllib3._version").__version__
        util = vars(sys.modules["urllib3.util"])
        util.update(
            parse_url=load("urllib3.util.url").parse_url, make_headers=load("urllib3.util.request").make_headers
        )
        names_of_ours = ("sessions", "models", "cookies", "exceptions", "structures", "status_codes", "utils")
        loaded = {name: load(f"requests.{name}") for name in names_of_ours}
        load("mimetypes").init(files=[])  # the same types everywhere: no tables of the machine's
    idna = load("idna")
    idna.encode("bücher.example", uts46=True)  # imports its tables
    return loaded


_loaded = _load()
sessions: Any = _loaded["sessions"]
models: Any = _loaded["models"]
cookies: Any = _loaded["cookies"]
exceptions: Any = _loaded["exceptions"]
structures: Any = _loaded["structures"]
status_codes: Any = _loaded["status_codes"]
utils: Any = _loaded["utils"]
