"""Questions: how soon is an upload live, what does a list cost, and does a server feel ten thousand tenants.

Measured over HTTP on a real `hookcell serve`, but for the lookup of hooks, which is a question to the store itself.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from ulid import ULID

from engine.app import Compiled, Engine
from engine.benchmarks import Figure, language
from engine.compiler import fingerprint
from engine.hook import Hook
from engine.points import all_points
from engine.tokens import Tokens
from tenants import hooks, schema
from tenants.records import Settings
from tenants.rows import Everything
from tenants.stamps import now_ms
from tenants.store import Store
from tenants.vault import Vault, open_vault

TENANTS, FEW = 10_000, 10
HOOKS = 10  # of each: two for each point, one of them enabled
_UPLOADS, _LISTS = 20, 60
_ROUNDS, _LOOKUPS = 5, 1_000  # of tenants, each another one
_LISTED = 100  # hooks
_AT_ONCE = 500  # tenants of one transaction, while the store is filled
_READ_BYTES = 4 << 20
_PATIENCE_S = 60
_POINT = "post-change-password"
_OWN = "HOOKCELL_"

_Opened: TypeAlias = tuple[Store, list[str]]  # with the ids of its tenants


def steps() -> int:
    """How often `measure` advances the progress bar."""
    return 1 + TENANTS // _AT_ONCE + 4


async def compiled(engine: Engine) -> Compiled:
    """The hook that all tenants of the large store have."""
    return await engine.compile(Hook(language.ordinary(0), _POINT))


def measure(made: Compiled, advance: Callable[[], None]) -> list[Figure]:
    """Every figure of the store."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few"), Path(folder, "many")
        fill(few, FEW, made, advance)
        fill(many, TENANTS, made, advance)
        with serving(few) as server:
            figures = [_upload(server), *_lists(server)]
        advance()
        with serving(many) as server:
            figures += _large(server)
        advance()
        figures.append(_lookup(few, many))
        advance()
    advance()
    return figures


@dataclass(frozen=True, slots=True)
class Server:
    """A `hookcell serve` that runs."""

    pid: int
    took_s: float  # from its start to its first word
    connection: http.client.HTTPConnection
    token: str

    def ask(self, method: str, path: str, body: str | bytes | None = None) -> Any:
        """The answer, which must be a good one; of JSON."""
        return msgspec.json.decode(self.answer(method, path, body))

    def answer(self, method: str, path: str, body: str | bytes | None = None) -> bytes:
        """The same, as it came: what reading it costs is the client's."""
        kind = "application/json" if method == "POST" else "text/x-python"
        self.connection.request(method, path, body, {"Authorization": f"Bearer {self.token}", "Content-Type": kind})
        answer = self.connection.getresponse()
        read = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {read[:500]!r}")
        return read


@contextlib.contextmanager
def serving(data: Path, **settings: int) -> Iterator[Server]:
    """`hookcell serve` on that folder and a free port, with these settings, until the block ends."""
    command = [str(Path(sys.executable).with_name("hookcell")), "serve", "--port", "0", "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    environment |= {f"{_OWN}API_PER_SECOND": "100000"}  # what is measured is not the limit
    environment |= {f"{_OWN}{name.upper()}": f"{value}" for name, value in settings.items()}
    allowed = os.environ.get(f"{_OWN}ALLOW_MISSING_LAYERS")
    environment |= {f"{_OWN}ALLOW_MISSING_LAYERS": allowed} if allowed else {}
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            assert process.stdout is not None
            found = re.search(r"http://([0-9.]+):(\d+)", process.stdout.readline())
            if found is None:
                raise RuntimeError("hookcell serve did not start")
            took_s = time.perf_counter() - begun
            connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=_PATIENCE_S)
            yield Server(process.pid, took_s, connection, (data / "operator.token").read_text().strip())
            connection.close()
        finally:
            process.terminate()


def fill(data: Path, tenants: int, made: Compiled, advance: Callable[[], None] = lambda: None) -> None:
    """A data folder as a first start makes it, with so many tenants of ten hooks each."""
    data.mkdir(mode=0o700)
    store = Store(f"sqlite:///{data}/hookcell.db")
    store.open()
    try:
        vault = open_vault(store, data / "master.key", None)
        Tokens(store).first_start(data / "operator.token")
        for first in range(0, tenants, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, tenants))
            store.write_all(_add_tenants, numbers, vault, made).result()
            advance()
    finally:
        store.close()


def _add_tenants(everything: Everything, numbers: range, vault: Vault, made: Compiled) -> None:
    """All their rows at once: through the API it would take an hour."""
    names = {str(ULID()): f"tenant-{number}" for number in numbers}
    common = {"settings": asdict(Settings()), "revision": HOOKS, "log_number": 0, "log_ms": 0, "created_ms": now_ms()}
    owners = [{"tenant_id": tenant, "name": name} | common for tenant, name in names.items()]
    keys = [{"tenant_id": tenant} | asdict(vault.new_data_key(tenant)) for tenant in names]
    of_hooks = [row for tenant in names for row in _rows_of(tenant, made)]
    everything.execute(everything.insert(schema.tenants), owners)
    everything.execute(everything.insert(schema.data_keys), keys)
    for table in (schema.hooks, schema.versions, schema.checks):
        columns = table.c.keys()
        everything.execute(everything.insert(table), [{name: row[name] for name in columns} for row in of_hooks])


def _rows_of(tenant_id: str, made: Compiled) -> Iterator[dict[str, Any]]:
    """What stands of each hook in the three tables, in one."""
    points = list(all_points())
    for number in range(HOOKS):
        yield {
            "tenant_id": tenant_id,
            "hook_id": str(ULID()),
            "name": f"hook {number}",
            "trigger_id": points[number % len(points)],
            "enabled": number < len(points),
            "run_order": 0,
            "mode": None,
            "retry": None,
            "version": 1,
            "created_ms": now_ms(),
            "updated_ms": now_ms(),
            "number": 1,
            "source": language.ordinary(0),
            "sha256": "0" * 64,
            "dependencies": {},
            "created_by": "bench",
            "compiler": fingerprint(),
            "code": made.code,
            "diagnostics": [],
            "warnings": [],
        }


def _upload(server: Server) -> Figure:
    """A PUT of a source that the server has never seen, until its answer: it is live then."""
    server.ask("POST", "/v1/tenants", b'{"name": "uploads"}')
    took_ms = []
    for number in range(_UPLOADS):
        where = f"/v1/tenants/uploads/hooks/hook-{number % 2}/source?trigger_id={_POINT}"
        took_ms.append(_took_ms(lambda: server.ask("PUT", where, language.ordinary(number + 1).encode())))  # noqa: B023 - called at once
    detail = f"p50 of {_UPLOADS} over HTTP, each another source; the slowest {max(took_ms):.0f} ms"
    return Figure(
        name="upload of 60 lines to live", measured=statistics.median(took_ms), unit="ms", budget=50, detail=detail
    )


def _lists(server: Server) -> list[Figure]:
    """Beside a route that asks nothing, in turns."""
    server.ask("POST", "/v1/tenants", b'{"name": "lists"}')
    token = server.ask("POST", "/v1/tenants/lists/tokens", b'{"name": "bench", "scopes": ["read:hooks"]}')["token"]
    for number in range(_LISTED):
        path = f"/v1/tenants/lists/hooks/hook-{number}/source?trigger_id={_POINT}&enabled=false"
        server.ask("PUT", path, language.ordinary(0).encode())
    reading = Server(server.pid, 0, server.connection, token)
    paths = {"/healthz": "", "/api/v2/hooks": "/api/v2/hooks?per_page=100", "/v1": "/v1/tenants/lists/hooks?limit=100"}
    took_ms: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(_LISTS):
        for name, path in paths.items():
            took_ms[name].append(_took_ms(lambda: reading.answer("GET", path or "/healthz")))  # noqa: B023 - called at once
    bare, *listed = (statistics.median(times) for times in took_ms.values())
    return [
        Figure(
            name=f"list of {_LISTED} hooks, {name} / a bare route",
            measured=measured / bare,
            unit="x",
            budget=5,
            detail=f"{measured:.2f} ms beside {bare:.2f} ms of GET /healthz",
        )
        for name, measured in zip(list(paths)[1:], listed, strict=True)
    ]


def _large(server: Server) -> list[Figure]:
    """A server of ten thousand tenants, when it has begun and when it has answered for some of them."""
    for number in random.Random(1).sample(range(TENANTS), min(TENANTS, 200)):  # noqa: S311 - which of them
        server.ask("GET", f"/v1/tenants/tenant-{number}/hooks")
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    resident = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert resident is not None, "the kernel tells it of every process"
    made_of = f"{TENANTS} tenants with {HOOKS} hooks each"
    return [
        Figure(name="hookcell serve, to its first word", measured=server.took_s, unit="s", budget=2, detail=made_of),
        Figure(
            name="hookcell serve, resident memory",
            measured=int(resident[1]) / 1024,
            unit="MiB",
            budget=300,
            detail=f"{made_of}, 200 of them asked for; without its workers",
        ),
    ]


def _lookup(few: Path, many: Path) -> Figure:
    """The enabled hooks of a point of some tenant: in turns, from the store of few and from that of many.

    No tenant twice, of the many. The first round is not kept: from then on each store knows the upper pages of its
    indexes.
    """
    with _opened(few) as small, _opened(many) as large:
        rounds = [_looked_up(small, large, number * _LOOKUPS) for number in range(1 + _ROUNDS)][1:]
    from_few, from_many = (statistics.median(times) for times in zip(*rounds, strict=True))
    return Figure(
        name=f"lookup among {TENANTS} tenants / among {FEW}",
        measured=statistics.median(of_many / of_few for of_few, of_many in rounds),
        unit="x",
        budget=1.3,
        detail=f"enabled hooks of a point, {_ROUNDS} rounds of {_LOOKUPS}: {from_many:.3f} ms beside {from_few:.3f} ms",
    )


def _looked_up(small: _Opened, large: _Opened, first: int) -> tuple[float, float]:
    """Milliseconds, p50 of one round, of few tenants and of many."""
    took_ms: tuple[list[float], list[float]] = ([], [])
    for number in range(first, first + _LOOKUPS):
        for (store, tenants), times in zip((small, large), took_ms, strict=True):
            tenant = tenants[number * 7919 % len(tenants)]
            times.append(_took_ms(lambda: store.read(tenant, hooks.enabled_of, _POINT).result()))  # noqa: B023 - called at once
    return statistics.median(took_ms[0]), statistics.median(took_ms[1])


@contextlib.contextmanager
def _opened(data: Path) -> Iterator[_Opened]:
    """The store of that folder, and the ids of its tenants; its file is in the system's memory, as a busy server's is.

    What is measured is the lookup. A disk that has to be asked takes longer than all the rest of it.
    """
    file = data / "hookcell.db"
    store = Store(f"sqlite:///{file}")
    store.open()
    try:
        with file.open("rb", buffering=0) as whole:
            while whole.read(_READ_BYTES):
                pass
        yield store, store.read_all(_ids).result()
    finally:
        store.close()


def _ids(everything: Everything) -> list[str]:
    chosen = everything.select(schema.tenants, schema.tenants.c.tenant_id).where(schema.tenants.c.name.like("tenant-%"))
    return list(everything.execute(chosen.order_by(schema.tenants.c.tenant_id)).scalars())


def _took_ms(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return (time.perf_counter() - begun) * 1000
