"""DuckDB as the place where rows lie and queries run. It knows internal names only (t17, c3): its own names ignore case."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import duckdb

# What masked values must fit, written once. DuckDB computes an argument that is named twice only once.
MACROS = """
CREATE MACRO fit_text(v, n) AS CASE WHEN length(v) > n THEN error('too long:' || v) ELSE v END;
CREATE MACRO divisor(v) AS CASE WHEN v = 0 THEN error('division by zero')::INT ELSE v END;
CREATE MACRO fit_bytes(v, n) AS CASE WHEN octet_length(v) > n THEN error('too long:' || hex(v)) ELSE v END;
"""
THREADS = 4


@dataclass(frozen=True)
class EngineError(Exception):
    """A query that DuckDB could not run. `kind` is one of the values of KINDS, or `other`."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


KINDS: dict[type[Exception], str] = {
    duckdb.InterruptException: "interrupted",
    duckdb.OutOfRangeException: "range",
    duckdb.ConversionException: "conversion",
    duckdb.ConstraintException: "constraint",
    duckdb.BinderException: "binder",
    duckdb.CatalogException: "catalog",
    duckdb.ParserException: "parser",
    duckdb.TransactionException: "conflict",
    duckdb.InvalidInputException: "input",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """`types` are DuckDB's names for the columns' types."""

    types: list[str]
    rows: list[tuple[Any, ...]]


class Engine:
    """One database in memory. Each thread that asks has a cursor of its own; `threads` are for queries that may take long."""

    def __init__(self) -> None:
        self._root = duckdb.connect(":memory:", config={"threads": 2, "allow_unsigned_extensions": False})
        self._root.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false; SET enable_external_access = false")
        self._root.execute(MACROS)
        self._local = threading.local()
        self._writing = threading.Lock()
        self._running: dict[int, duckdb.DuckDBPyConnection] = {}
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="query")

    def ask(self, sql: str, parameters: Mapping[str, Any] | None = None, number: int = 0) -> Rows:
        """Run one query. `number`, if given, is what `interrupt` may end it by. Raises EngineError."""
        cursor = self._cursor()
        if number:
            self._running[number] = cursor
        try:
            cursor.execute(sql, dict(parameters) if parameters else None)
            types = [str(column[1]) for column in cursor.description or ()]
            return Rows(types, cursor.fetchall() if types else [])
        except duckdb.Error as error:
            raise _translated(error) from error
        finally:
            if number:
                self._running.pop(number, None)

    def change(self, sql: str, parameters: Mapping[str, Any] | None = None, number: int = 0) -> Rows:
        """Run one statement that changes rows or tables, one at a time. Raises EngineError."""
        with self._writing:
            return self.ask(sql, parameters, number)

    def many(self, statements: Sequence[str]) -> None:
        """Several changes, together or not at all. Raises EngineError."""
        with self._writing, self._transaction():
            for statement in statements:
                self.ask(statement)

    def fill(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Put rows of Python values into `table`."""
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            with self._writing, self._transaction():
                self._cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - an internal name

    def interrupt(self, number: int) -> None:
        """End the query of that number, if it still runs."""
        if running := self._running.get(number):
            running.interrupt()

    def close(self) -> None:
        """Nothing may run any more."""
        self.threads.shutdown(cancel_futures=True)
        self._root.close()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._root.cursor()
            cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.ask("BEGIN")
        try:
            yield
        except BaseException:
            self.ask("ROLLBACK")
            raise
        self.ask("COMMIT")


def _translated(error: duckdb.Error) -> EngineError:
    kind = next((kind for of, kind in KINDS.items() if isinstance(error, of)), "other")
    return EngineError(kind, str(error).partition(": ")[2] or str(error))
