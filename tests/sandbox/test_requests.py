"""`requests` where hooks reach no host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.modules import http

CALLS = [f"requests.{name}('https://api.example.com')" for name in http.METHODS] + [
    "requests.Session().get('https://api.example.com', timeout=5)",
    "requests.Session().request('GET', 'https://api.example.com')",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_ends_as_it_does_without_a_network(run_here: Callable[..., tuple], call: str) -> None:
    done, _ = run_here(f"import requests\ndef hook(user, context, cb):\n    {call}\n")

    assert ("raised", "ConnectionError: hooks of this engine reach no host") == (done.status, done.message)


@pytest.mark.parametrize("name", ["RequestException", "ConnectionError", "exceptions.ConnectionError"])
def test_a_hook_handles_that_as_it_would_anywhere(run_here: Callable[..., tuple], name: str) -> None:
    done, _ = run_here(
        "import requests as r\n"
        "def hook(user, context, cb):\n"
        "    try:\n"
        "        with r.Session() as session:\n"
        "            session.post('https://api.example.com', json={}, timeout=5)\n"
        f"    except r.{name} as error:\n"
        "        cb(Error(f'not sent: {error}'))\n"
    )

    assert ("denied", "not sent: hooks of this engine reach no host") == (done.status, done.message)


def test_the_errors_are_related_as_hooks_expect() -> None:
    kinds = http.EXCEPTIONS

    assert issubclass(kinds["RequestException"], OSError)
    assert issubclass(kinds["ConnectTimeout"], (kinds["ConnectionError"], kinds["Timeout"]))
    assert not issubclass(kinds["ReadTimeout"], kinds["ConnectionError"])
    assert all(issubclass(kind, kinds["RequestException"]) for kind in kinds.values())


@pytest.mark.parametrize(
    "line",
    [
        "from requests.exceptions import Timeout",
        "import requests.exceptions",
        "from requests import get, Session",
        "requests = require('requests')",
    ],
)
def test_every_form_of_import_finds_it(run_here: Callable[..., tuple], line: str) -> None:
    done, _ = run_here(f"{line}\ndef hook(user, context, cb):\n    cb(None, 1)\n")

    assert ("ok", b"1") == (done.status, done.result)
