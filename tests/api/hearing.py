"""What SQLite is asked, by whatever way: every statement goes through a cursor of ours."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, event

_listening: list[list[str]] = []


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        _tell(sql)
        return super().execute(sql, *values)

    def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
        _tell(sql)
        return super().executemany(sql, *values)


class _Connection(sqlite3.Connection):
    """One that asks by such cursors, also when it is asked itself."""

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self.cursor().execute(sql, *values)

    def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self.cursor().executemany(sql, *values)


def _tell(sql: str) -> None:
    for heard in _listening:
        heard.append(sql)


def _connect(dialect: Any, _record: Any, _given: Any, named: dict[str, Any]) -> None:
    if dialect.name == "sqlite":
        named["factory"] = _Connection


@contextlib.contextmanager
def ears() -> Iterator[None]:
    """Whatever connects to SQLite until the block ends is heard."""
    event.listen(Engine, "do_connect", _connect)
    yield
    event.remove(Engine, "do_connect", _connect)


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement in the meantime, of any server of this process, in SQL without its values."""
    heard: list[str] = []
    _listening.append(heard)
    try:
        yield heard
    finally:
        _listening[:] = [each for each in _listening if each is not heard]
