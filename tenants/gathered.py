"""Rows that come back as one value, as JSON: however many they are, they are one step of the statement.

What is not PostgreSQL's is SQLite's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tenants.schema import JsonText


class Sealed(FunctionElement[Any]):
    """Bytes in hexadecimal by name, of all rows; none or an empty object if there are no rows."""

    inherit_cache = True
    type = JsonText()

    def __init__(self, name: ColumnElement[str], value: ColumnElement[bytes]) -> None:
        super().__init__(name, value)


class Pairs(FunctionElement[Any]):
    """A list of pairs of texts, of all rows, in any order; none or an empty list if there are no rows."""

    inherit_cache = True
    type = JsonText()

    def __init__(self, first: ColumnElement[str], second: ColumnElement[str]) -> None:
        super().__init__(first, second)


@compiles(Sealed)
def _sealed(element: Sealed, compiler: SQLCompiler, **how: Any) -> str:
    name, value = (compiler.process(part, **how) for part in element.clauses)
    return f"json_group_object({name}, hex({value}))"


@compiles(Sealed, "postgresql")
def _sealed_of_postgresql(element: Sealed, compiler: SQLCompiler, **how: Any) -> str:
    name, value = (compiler.process(part, **how) for part in element.clauses)
    return f"CAST(json_object_agg({name}, encode({value}, 'hex')) AS TEXT)"


@compiles(Pairs)
def _pairs(element: Pairs, compiler: SQLCompiler, **how: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **how)}))"


@compiles(Pairs, "postgresql")
def _pairs_of_postgresql(element: Pairs, compiler: SQLCompiler, **how: Any) -> str:
    return f"CAST(json_agg(json_build_array({compiler.process(element.clauses, **how)})) AS TEXT)"
