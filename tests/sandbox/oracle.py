"""The calls of calls.yaml: a loopback server for them, and what the real `requests` makes of them, as the oracle.

Run as a program it makes the calls with plain `requests`, and prints what came of each as JSON.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import http.server
import json
import subprocess
import sys
import textwrap
import threading
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CALLS = Path(__file__).with_name("calls.yaml")
OF_TRANSPORT = frozenset(  # what each transport sets in its own way
    {"host", "connection", "accept-encoding", "content-length", "transfer-encoding"}
)
SLOW_S = 2


def calls() -> dict[str, str]:
    """Name → code that sets `value`; it finds `requests`, `base` and `other`, the same server on another host."""
    listed = yaml.safe_load(CALLS.read_text(encoding="utf-8"))
    return {call["name"]: call["code"] for call in listed}


def as_hook(code: str) -> str:
    """The code as a hook, with `base` and `other` in `user`."""
    body = textwrap.indent(code, "    ")
    return f"import requests\ndef hook(user, context, cb):\n    base, other = user.base, user.other\n{body}\n    cb(None, value)\n"


def library_name(name: str) -> str:
    """What a hook is told in another word, under the library's."""
    return {"EgressRefused": "InvalidSchema"}.get(name, name)


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, str]]:
    """(base, other): the address of a server, and of the same on another host."""
    servers = [_Server((host, 0), _Handler) for host in ("127.0.0.1", "127.0.0.2")]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield tuple("http://{}:{}".format(*server.server_address) for server in servers)  # type: ignore[misc]
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.stopping.set()
            server.shutdown()
            thread.join()
            server.server_close()


def plain_outcomes(base: str, other: str) -> dict[str, Any]:
    """Name → what plain `requests`, in a process of its own, makes of each call."""
    done = subprocess.run([sys.executable, __file__, base, other], stdout=subprocess.PIPE, check=True, timeout=120)
    outcomes: dict[str, Any] = json.loads(done.stdout)
    return outcomes


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no fault."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """`/echo` tells the request; `/answer?status=…&h=Name:Value&body=…` is what it is asked to be; some are odd."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        """Every method."""
        self.close_connection = True
        self.sent = self._read_body()
        self.parts = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(self.parts.query, keep_blank_values=True, encoding="latin-1")
        getattr(self, "on_" + self.parts.path.strip("/").partition("/")[0], self.on_echo)()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815 - http.server's

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, body: bytes, *headers: tuple[str, str], status: int = 200, length: int | None = None) -> None:
        """One response."""
        self.send_response_only(status, self.query.get("reason", [None])[0])
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def on_echo(self) -> None:
        """What came, but for what each transport sets in its own way."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_TRANSPORT}
        told = {"method": self.command, "path": self.path, "headers": headers, "body": self.sent.decode("latin-1")}
        self.reply(json.dumps(told).encode(), ("Content-Type", "application/json"))

    def on_answer(self) -> None:
        """As the query says; bytes and headers in latin-1."""
        headers = [tuple(each.split(":", 1)) for each in self.query.get("h", [])]
        body = self.query.get("body", [""])[0].encode("latin-1")
        self.reply(body, *headers, status=int(self.query.get("status", ["200"])[0]))  # type: ignore[arg-type]

    def on_hops(self) -> None:
        """`/hops/3` leads to `/hops/2`, and so on; `/hops/0` is an echo."""
        left = int(self.parts.path.rpartition("/")[2])
        if not left:
            return self.on_echo()
        return self.reply(b"on", ("Location", f"/hops/{left - 1}"), status=302)

    def on_gzip(self) -> None:
        """Compressed."""
        self.reply(gzip.compress(b"packed"), ("Content-Encoding", "gzip"), ("Content-Type", "text/plain"))

    def on_deflate(self) -> None:
        """Compressed in the other way."""
        self.reply(zlib.compress(b"packed"), ("Content-Encoding", "deflate"), ("Content-Type", "text/plain"))

    def on_mangled(self) -> None:
        """Not compressed, though it says so."""
        self.reply(b"not gzip at all", ("Content-Encoding", "gzip"))

    def on_chunked(self) -> None:
        """In pieces."""
        self._chunks("200", b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    def on_cut(self) -> None:
        """Ends within a piece."""
        self._chunks("200", b"5\r\nhel")

    def _chunks(self, status: str, data: bytes) -> None:
        self.send_response_only(int(status))
        for name, value in (("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked"), ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def on_silent(self) -> None:
        """Closes without a word."""

    def on_slow(self) -> None:
        """Answers later than anybody waits."""
        self.server.stopping.wait(SLOW_S)

    def on_guarded(self) -> None:
        """Asks for a name and a password."""
        wanted = "Basic " + base64.b64encode(b"ann:s3cret").decode()
        if self.headers.get("Authorization") == wanted:
            return self.reply(b"welcome")
        return self.reply(b"who?", ("WWW-Authenticate", 'Basic realm="x"'), status=401)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def over_http_client(method: str, url: str, headers: Any, body: bytes, read_s: float | None) -> tuple[Any, ...]:
    """("answered", status, reason, headers, body) or ("failed", kind, text): one exchange, no redirects."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=read_s or 20)
    try:
        connection.request(method, url.partition(parts.netloc)[2] or "/", body or None, dict(headers))
        got = connection.getresponse()
        packed = got.read()
        coding = got.headers.get("Content-Encoding", "")
        unpacked = zlib.decompress(packed, 47) if coding in ("gzip", "deflate") and packed else packed
        return "answered", got.status, got.reason, tuple(got.getheaders()), unpacked
    except TimeoutError as error:
        return "failed", "read_timeout", str(error)
    except http.client.IncompleteRead as error:
        return "failed", "broken", str(error)
    except zlib.error as error:
        return "failed", "undecodable", str(error)
    except OSError as error:
        return "failed", "connection", str(error)
    finally:
        connection.close()


def main(base: str, other: str) -> None:
    """Make each call with plain `requests`."""
    import requests  # noqa: PLC0415 - in this process alone

    outcomes = {}
    for name, code in calls().items():
        scope: dict[str, Any] = {"requests": requests, "base": base, "other": other}
        try:
            exec(code, scope)
            outcomes[name] = ["ok", scope["value"]]
        except Exception as error:  # noqa: BLE001 - what it is is told
            outcomes[name] = ["raised", type(error).__name__]
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
