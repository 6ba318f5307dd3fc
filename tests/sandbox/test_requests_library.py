"""The copy of the library: what it is spared, and that nobody else notices it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sandbox import compiler

HEAVY = frozenset(
    """
    ssl _ssl http.client http.cookiejar urllib.request socketserver tempfile zipfile shutil bz2 lzma logging
    certifi charset_normalizer chardet mimetypes netrc importlib.metadata importlib.resources requests urllib3 brotli
    """.split()
)


def in_python(code: str) -> list[str]:
    """The list that the code prints in a fresh Python."""
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", f"import json, sys\n{code}"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    listed: list[str] = json.loads(done.stdout)
    return listed


def test_a_zygote_has_nothing_of_what_opens_sockets_and_files() -> None:
    loaded = in_python("from sandbox import warmth\nwarmth.warm_up()\nprint(json.dumps([*sys.modules]))")

    assert set() == HEAVY & set(loaded)
    assert {"idna.uts46data", "encodings.euc_jp"} <= set(loaded)


@pytest.mark.parametrize("order", [("sandbox.modules.library", "requests"), ("requests", "sandbox.modules.library")])
def test_who_imports_requests_elsewhere_gets_the_whole(order: tuple[str, str]) -> None:
    kinds = in_python(
        f"import importlib\nfor name in {order}:\n    importlib.import_module(name)\n"
        "import requests, requests.adapters, http.client, http.cookiejar, threading, urllib.request, mimetypes, tempfile\n"
        "from sandbox.modules import library\n"
        "print(json.dumps([requests.adapters.HTTPAdapter.__name__, requests.Session is library.sessions.Session,"
        " http.client.HTTPConnection.__name__, urllib.request.urlopen.__name__, tempfile.mkdtemp.__name__,"
        " threading.Thread.__name__, http.cookiejar.CookieJar in requests.cookies.RequestsCookieJar.__mro__,"
        " 'charset_normalizer' in sys.modules]))"
    )

    assert ["HTTPAdapter", False, "HTTPConnection", "urlopen", "mkdtemp", "Thread", True, True] == kinds


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("from requests.adapters import HTTPAdapter", "write a for loop"),
        ("from requests.packages.urllib3.util.retry import Retry", "write a for loop"),
        ("from urllib3.util.retry import Retry", "write a for loop"),
        ("import requests.utils", "urllib.parse"),
        ("from requests import Request", "call the verb"),
        ("from requests.auth import HTTPDigestAuth", "hashlib"),
        ("from requests.auth import AuthBase", "in headers"),
    ],
)
def test_what_is_left_out_is_told_with_what_to_do(line: str, hint: str) -> None:
    (found,) = compiler.check(
        f"{line}\ndef hook(user, context, cb):\n    cb()\n", ("user", "context", "cb")
    ).diagnostics

    assert "import" == found.rule
    assert hint in found.hint
