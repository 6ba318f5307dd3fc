"""The copy of `requests` is whole, whoever has imported what before."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import http.cookiejar, mimetypes, urllib.request, zipfile, tempfile, threading, requests
before = http.cookiejar, requests.cookies
from sandbox.modules import library
jar = library.cookies.merge_cookies(library.cookies.cookiejar_from_dict({}), {"a": "1"})
assert (http.cookiejar, requests.cookies) == before
assert library.cookies is not requests.cookies
assert not issubclass(library.cookies.RequestsCookieJar, http.cookiejar.CookieJar)
print(dict(jar))
"""


def test_the_copy_shares_nothing_with_what_was_imported_before() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)

    assert "{'a': '1'}\n" == ended.stdout, ended.stderr
