"""A store on SQLite and on PostgreSQL, and an ear on every statement that reaches either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BindParameter, Delete, Engine, Insert, Select, Table, Update, event
from sqlalchemy.sql import operators, visitors

from tenants import hooks, log_search, register
from tenants.log_search import Order
from tenants.prepared import Prepared
from tenants.records import Check, Draft, Hook, LogEvent, SealedKey, Settings, Tenant
from tenants.rows import TENANT
from tenants.store import Store

POINT = "post-change-password"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of an empty database of SQLite."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def opened() -> Iterator[Callable[[str], Store]]:
    """`opened(url)`: an open store; closed at the test's end."""
    stores: list[Store] = []

    def open_(url: str) -> Store:
        stores.append(Store(url))
        stores[-1].open()
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """A store whose answers are waited for."""

    store: Store

    def read(self, tenant: Tenant, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._wait(self.store.read(tenant.id, question, *args, **kwargs))

    def write(self, tenant: Tenant, change: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._wait(self.store.write(tenant.id, change, *args, **kwargs))

    def study(self, tenant: Tenant, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._wait(self.store.study(tenant.id, question, *args, **kwargs))

    def events(self, tenant: Tenant) -> list[LogEvent]:
        """Its log, the oldest first."""
        oldest_first = Order(ascending=True)
        found: list[LogEvent] = self.read(tenant, log_search.found, None, order=oldest_first, start=0, limit=1_000_000)
        return found

    def read_all(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._wait(self.store.read_all(question, *args, **kwargs))

    def write_all(self, change: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._wait(self.store.write_all(change, *args, **kwargs))

    def tenant(self, name: str, **settings: Any) -> Tenant:
        """A new tenant."""
        key = SealedKey(master_key_id="m1", wrapped=f"wrapped key of {name}".encode())
        made: Tenant = self.write_all(register.create, name, Settings(**settings), key)
        return made

    def hook(self, tenant: Tenant, name: str, source: str = "def hook(): pass", **fields: Any) -> Hook:
        """A new hook: of one point and not enabled, unless `fields` say otherwise."""
        new = {"trigger_id": POINT, "enabled": False, "draft": draft_of(source)}
        made: Hook = self.write(tenant, hooks.create, name=name, **new | fields)
        return made

    @staticmethod
    def _wait(future: Future[Any]) -> Any:
        return future.result(60)


@pytest.fixture
def asked(url: str, opened: Callable[[str], Store]) -> Asked:
    """A store on an empty database, of either kind."""
    return Asked(opened(url))


@pytest.fixture
def asked_sqlite(sqlite_url: str, opened: Callable[[str], Store]) -> Asked:
    """A store on an empty database of SQLite."""
    return Asked(opened(sqlite_url))


@pytest.fixture
def asked_of() -> type[Asked]:
    """The class of `asked`: `asked_of(store)`."""
    return Asked


@pytest.fixture
def acme(asked: Asked) -> Tenant:
    """A tenant of that store."""
    return asked.tenant("acme")


def draft_of(source: str, dependencies: dict[str, str] | None = None, compiler: str = "c1") -> Draft:
    check = Check(compiler=compiler, code=b"code of it", warnings=({"rule": "w"},))
    return Draft(source=source, dependencies=dependencies or {}, check=check, created_by="tests")


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """`draft(source, dependencies={}, compiler="c1")`, accepted."""
    return draft_of


@pytest.fixture(autouse=True)
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Reads every statement before it is run: an AssertionError for one that forgets the tenant. The tables it saw."""
    heard: list[str] = []

    def listen(_connection: Any, statement: Any, *_parameters: Any) -> None:
        heard.extend(tables_of_one_tenant(statement))

    running = Prepared.run

    def listen_to_prepared(prepared: Prepared[Any], *given: Any) -> Any:
        heard.extend(tables_of_one_tenant(prepared.statement()))
        return running(prepared, *given)

    event.listen(Engine, "before_execute", listen)
    monkeypatch.setattr(Prepared, "run", listen_to_prepared)
    yield heard
    event.remove(Engine, "before_execute", listen)


@pytest.fixture
def tables_of() -> Callable[[Any], list[str]]:
    """`tables_of(statement)`: what the ear does with each."""
    return tables_of_one_tenant


def tables_of_one_tenant(statement: Any) -> list[str]:
    """The tables with a tenant_id that a statement is about, each asserted to be asked for one tenant alone."""
    if not isinstance(statement, Select | Insert | Update | Delete):
        return []
    if statement.get_execution_options().get("everything"):
        return []
    found = []
    outer = set(_tables(statement))
    for part in visitors.iterate(statement):
        if isinstance(part, Select | Insert | Update | Delete):
            # What a part is correlated with is the statement's own, which is asserted too.
            theirs = outer & set(getattr(part, "_correlate", None) or ()) if part is not statement else set()
            for table in set(_tables(part)) - theirs:
                assert _tells_tenant(part, table), f"{type(part).__name__} of {table.name} forgets the tenant"
                found.append(table.name)
    return found


def _tables(statement: Any) -> list[Table]:
    tables = statement.get_final_froms() if isinstance(statement, Select) else [statement.table]
    parts = [part for table in tables for part in visitors.iterate(table)]
    return [part for part in parts if isinstance(part, Table) and "tenant_id" in part.c]


def _tells_tenant(statement: Any, table: Table) -> bool:
    if isinstance(statement, Insert) and statement.select is not None:
        given = dict(zip(statement._select_names or [], statement.select.selected_columns, strict=True))
        return _is_the_one(getattr(given.get("tenant_id"), "clause", None))
    if isinstance(statement, Insert):
        told = {getattr(name, "name", name): given.value for name, given in (statement._values or {}).items()}
        return isinstance(told.get("tenant_id"), str)
    where = statement.whereclause
    assert where is None or getattr(where, "operator", None) in (operators.and_, operators.eq)
    return any(_is_one_tenant(condition, table) for condition in _conditions(where))


def _conditions(where: Any) -> list[Any]:
    """What must hold, all of it."""
    if getattr(where, "operator", None) is not operators.and_:
        return [where]
    return [condition for part in where.clauses for condition in _conditions(part)]


def _is_one_tenant(condition: Any, table: Table) -> bool:
    return (
        getattr(condition, "operator", None) is operators.eq
        and condition.left is table.c.tenant_id
        and _is_the_one(condition.right)
    )


def _is_the_one(value: Any) -> bool:
    """A tenant's id, or the parameter of a prepared statement that has it when it is run."""
    return isinstance(value, BindParameter) and (isinstance(value.value, str) or value.key == TENANT)
