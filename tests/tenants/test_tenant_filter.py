"""No statement forgets the tenant: the code is read, and every statement of these tests is heard (conftest.ear)."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import bindparam

import tenants
from tenants import prepared, schema
from tenants.prepared import Prepared
from tenants.rows import TENANT, Everything, Rows, of_tenant

for _module in pkgutil.iter_modules(tenants.__path__):
    importlib.import_module(f"tenants.{_module.name}")  # whose statements are prepared then

_OTHERS = sqlalchemy.select(bindparam("other", type_=sqlalchemy.Text()))
ROOT = Path(__file__).resolve().parent.parent.parent
BUILDERS = {"select", "insert", "update", "delete"}
RAW = {"text", "exec_driver_sql", "literal_column", "TextClause"}
OPERATORS = {  # functions that make statements about everything, and nothing else does
    "register.create": "the tenant's id is greater than all others'",
    "register.page": "the operator's list of tenants",
    "register.kept": "meta is nobody's",
    "register.keep": "meta is nobody's",
    "register.data_keys_not_under": "rotation of the master key",
    "vault._used": "whether the master key is that of the store",
    "token_rows.create_operator": "an operator's token is no tenant's",
    "token_rows.operators": "an operator's token is no tenant's",
    "token_rows.remove_operator": "an operator's token is no tenant's",
    "token_rows.still_operators": "an operator's token is no tenant's",
    "token_rows.lock_operators": "meta is nobody's",
    "token_rows.purge_expired": "all that have expired",
    "register.gone": "which tenants are removed",
    "register.sweep": "nothing of a removed tenant is seen by Rows",
    "register._left": "nothing of a removed tenant is seen by Rows",
    "log_events.overfull": "which tenants have too many events",
    "execution_rows.overfull": "which tenants have too many executions",
    "register._of_name": "whose tenant it is, is the question",
    "token_rows._of_digest": "whose token it is, is the question",
    "log_events._counted_of_all": "events of many tenants in one statement",
    "log_events._kept_of_all": "events of many tenants in one statement",
    "claims._walked": "the queue is everybody's: which tenants have something due",
    "claims._next_due": "the queue is everybody's",
    "claims._earliest": "the queue is everybody's",
    "claims._first_ones": "one of each of many tenants in one statement",
    "claims._started": "starts of many tenants in one statement",
    "executions._queue": "rows of many tenants in one statement",
    "executions._recorded": "rows of many tenants in one statement",
    "executions._number_queued": "among a batch of many tenants",
    "executions._that_are_there": "which tenants of a batch are there",
    "executions._made_by_keys": "the keys of many tenants in one statement",
    "executions._extended": "what is held of many tenants in one statement",
    "executions._held_yet": "what is held of many tenants in one statement",
    "executions._finished": "what is held of many tenants in one statement",
    "executions._released": "what is held of many tenants in one statement",
}


def sources() -> list[Path]:
    files = [path for package in ("tenants", "engine") for path in (ROOT / package).rglob("*.py")]
    others = {"migrations", "benchmarks"}  # these fill a store of their own
    return [path for path in files if not others & set(path.parts) and path.stem != "rows"]


def functions() -> list[tuple[str, ast.AST]]:
    return [
        (f"{path.stem}.{node.name}", node)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]


def calls(tree: ast.AST) -> list[ast.Attribute]:
    return [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]


def test_one_file_alone_makes_statements() -> None:
    """Nobody else has SQLAlchemy's select, insert, update or delete, nor SQL as text; database and migrating say SQL."""
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
            for name in node.names
        }

        assert set() == imported & (BUILDERS | RAW), path
        if path.stem not in ("database", "migrating"):
            assert "exec_driver_sql" not in {call.attr for call in calls(tree)}, path
        if path.stem not in ("database", "link", "prepared"):  # these say when a transaction begins and ends
            assert not [call for call in calls(tree) if ast.unparse(call).endswith("driver.execute")], path


def test_statements_are_asked_of_rows_or_of_everything() -> None:
    """Not of a table, nor of SQLAlchemy."""
    for name, tree in functions():
        asked = [call for call in calls(tree) if call.attr in BUILDERS and _of_the_store(call)]

        assert all(ast.unparse(call.value) in ("rows", "everything") for call in asked), name


def _of_the_store(call: ast.Attribute) -> bool:
    """The update of hashlib and the delete of an HTTP client are none of ours."""
    return any(word in ast.unparse(call.value) for word in ("schema", "sqlalchemy", "rows", "everything", ".c"))


def test_the_functions_that_see_everything_are_these() -> None:
    builders = {
        name
        for name, tree in functions()
        if any(call.attr in {*BUILDERS, "count"} and ast.unparse(call.value) == "everything" for call in calls(tree))
    }

    assert set(OPERATORS) == builders


def test_one_question_of_a_tenant_alone_sees_what_is_nobodys() -> None:
    """Whether the operator's token that changes its rows is valid."""
    asking = {name for name, tree in functions() if "select_nobodys" in {call.attr for call in calls(tree)}}

    assert {"token_rows.still"} == asking


@pytest.mark.parametrize(
    "statement",
    [
        sqlalchemy.select(schema.hooks),
        sqlalchemy.select(schema.hooks).where(schema.hooks.c.name == "x"),
        sqlalchemy.select(schema.hooks, schema.versions).where(schema.hooks.c.tenant_id == "t"),
        sqlalchemy.select(schema.hooks).where(
            (schema.hooks.c.tenant_id == "t") & schema.hooks.c.hook_id.in_(sqlalchemy.select(schema.versions.c.hook_id))
        ),
        sqlalchemy.select(schema.hooks).where((schema.hooks.c.tenant_id == "t") | (schema.hooks.c.name == "x")),
        sqlalchemy.insert(schema.hooks).values(name="x"),
        sqlalchemy.update(schema.hooks).values(name="x"),
        sqlalchemy.delete(schema.hooks).where(schema.hooks.c.tenant_id != "t"),
    ],
)
def test_the_ear_hears_a_statement_that_forgets_the_tenant(asked_sqlite: Any, statement: Any) -> None:
    with pytest.raises(AssertionError):
        asked_sqlite.read(asked_sqlite.tenant("acme"), lambda rows: rows.execute(statement))


def test_the_ear_hears_each_statement_of_a_tenant(asked: Any, ear: list[str]) -> None:
    asked.hook(asked.tenant("acme"), "one")

    assert {"tenants", "data_keys", "hooks", "versions", "checks"} == set(ear)


@pytest.mark.parametrize("statement", prepared.ALL, ids=lambda each: each.name)
def test_a_prepared_statement_is_about_one_tenant_or_is_the_operators(
    statement: Prepared[Any], tables_of: Callable[[Any], list[str]]
) -> None:
    """They are read here, because they reach the database past the ear; whose they are comes when they are run."""
    tables_of(statement.statement())


def test_what_reads_prepared_statements_hears_one_that_forgets_the_tenant(
    monkeypatch: pytest.MonkeyPatch, tables_of: Callable[[Any], list[str]]
) -> None:
    monkeypatch.setattr(prepared, "ALL", [])
    made = [
        of_tenant(lambda _rows: sqlalchemy.select(schema.hooks).where(schema.hooks.c.name == bindparam("name"))),
        of_tenant(lambda _rows: sqlalchemy.select(schema.hooks).where(schema.hooks.c.tenant_id == bindparam("other"))),
        of_tenant(lambda rows: rows.select(schema.hooks).where(schema.hooks.c.hook_id == schema.secrets.c.hook_id)),
        of_tenant(lambda _rows: sqlalchemy.update(schema.hooks).values(tenant_id=bindparam(TENANT))),
        of_tenant(lambda _rows: sqlalchemy.insert(schema.hooks).values(name=bindparam("name"))),
        of_tenant(lambda _rows: sqlalchemy.insert(schema.hooks).from_select(["tenant_id"], _OTHERS)),
    ]

    assert made == prepared.ALL
    for each in made:
        with pytest.raises(AssertionError):
            tables_of(each.statement())


def test_a_prepared_statement_is_of_a_kind_that_is_known() -> None:
    assert {Rows, Everything} == {type(each._nobody) for each in prepared.ALL}
    for each in prepared.ALL:
        told = bool(each.statement().get_execution_options().get("everything"))
        assert told == isinstance(each._nobody, Everything), each.name


@pytest.mark.parametrize("make", [Rows.select, Rows.update, Rows.delete])
def test_what_rows_makes_is_about_one_tenant(make: Callable[..., Any]) -> None:
    """For every table that has tenants at all."""
    for table in schema.METADATA.sorted_tables:
        if table is not schema.meta:
            statement = make(Rows(None, "t1"), table)  # type: ignore[arg-type]

            assert "tenant_id" in str(statement.whereclause)
            assert {"t1"} == set(statement.whereclause.compile().params.values())


def test_a_key_of_a_tenants_table_and_each_reference_has_the_tenant() -> None:
    """A row of one tenant cannot belong to a hook of another one."""
    for table in schema.METADATA.sorted_tables:
        if table in (schema.meta, schema.tokens):  # operators' tokens are no tenant's
            continue

        assert "tenant_id" in table.primary_key.columns
        assert all("tenant_id" in key.column_keys for key in table.foreign_key_constraints)


def test_everything_is_marked() -> None:
    everything = Everything(None)  # type: ignore[arg-type]
    made = [everything.select, everything.insert, everything.update, everything.delete]

    assert [True] * 4 == [make(schema.hooks).get_execution_options()["everything"] for make in made]
