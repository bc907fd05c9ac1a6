"""Filing: a small warehouse in one SQLite file. It knows nothing of who uses it, and stands for a vendor's product.

Somebody logs in with a Session and gives orders, one JSON object each, which are done wholly or not at all:

- tables have columns of the types text, text(n), whole, real, day (ISO 8601) and blob;
- a screen is an SQL expression over `value`, shown instead of a column's values; a sieve is one over `a0`, `a1` ..., the
  columns given to it: a row shows where it is true. Both ask `holds(role)`, and are made and changed together with a comment;
- labels are keys with values on columns and tables;
- managers may do everything, other users only read. A manager may read as somebody who has other roles.

Errors: Refusal with a code (400 wrong, 403 not allowed, 404 not there, 409 the name is taken, 412 it carries something else
than the order says, 423 in use) and Unreachable, after which nobody knows whether it was done.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.contracts.filing.orders import ORDERS, QUESTIONS, Database, Refusal, Told

__all__ = ["Answer", "Refusal", "Session", "Unreachable", "enrol", "everything", "found_warehouse", "switch"]

SCHEMA = """
CREATE TABLE users (name TEXT PRIMARY KEY, manages INTEGER);
CREATE TABLE roles (name TEXT PRIMARY KEY);
CREATE TABLE members (user TEXT, role TEXT, PRIMARY KEY (user, role));
CREATE TABLE tables (id INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT UNIQUE, columns TEXT);
CREATE TABLE things (kind TEXT, place TEXT, takes TEXT, body TEXT, comment TEXT, PRIMARY KEY (kind, place));
CREATE TABLE carried (of INTEGER, kind TEXT, col TEXT, thing TEXT, arguments TEXT, PRIMARY KEY (of, kind, col));
CREATE TABLE labels (of INTEGER, col TEXT, name TEXT, value TEXT, PRIMARY KEY (of, col, name));
CREATE TABLE switches (name TEXT PRIMARY KEY);
"""
AWAY, REFUSE_NEXT, LOSE_NEXT = "away", "refuse", "lose"


class Unreachable(Exception):
    """No answer came."""


@dataclass(frozen=True)
class Answer:
    id: str
    found: Any


def found_warehouse(path: str) -> None:
    """A new, empty warehouse."""
    with closing(_open(path, 1)) as database:
        database.executescript(SCHEMA)


def switch(path: str, name: str, *, on: bool) -> None:
    """Misbehave: AWAY until it is switched off; REFUSE_NEXT and LOSE_NEXT with the next order that changes something."""
    with closing(_open(path, 1)) as database:
        database.execute("DELETE FROM switches WHERE name = ?", [name])
        if on:
            database.execute("INSERT INTO switches VALUES (?)", [name])


def enrol(path: str, user: str, *roles: str, manages: bool = False) -> None:
    """A user with these roles, which are made."""
    with closing(_open(path, 1)) as database:
        database.execute("INSERT INTO users VALUES (?, ?)", [user, manages])
        for role in roles:
            database.execute("INSERT OR IGNORE INTO roles VALUES (?)", [role])
            database.execute("INSERT INTO members VALUES (?, ?)", [user, role])


def everything(path: str) -> list[Any]:
    """All that can be made or changed by orders, data left out."""
    with closing(_open(path, 1)) as database:
        return [
            database.execute(f"SELECT * FROM {of} ORDER BY 1, 2, 3").fetchall()
            for of in ("tables", "things", "carried", "labels")
        ]


@dataclass(frozen=True)
class Session:
    """A user's way in. May be used by several threads at once; each order waits for others `timeout_s` at the longest."""

    path: str
    user: str
    timeout_s: float = 5.0

    def order(self, text: str) -> Answer:
        """Carry out one order. Raises Refusal and Unreachable."""
        try:
            with closing(_open(self.path, self.timeout_s)) as database:
                return self._carry_out(database, text)
        except sqlite3.OperationalError as error:
            raise Unreachable(str(error)) from error

    def _carry_out(self, database: Database, text: str) -> Answer:
        told, do = _parsed(text)
        changes = told["do"] in ORDERS
        database.execute("BEGIN IMMEDIATE")
        switched = {name for (name,) in database.execute("SELECT name FROM switches")}
        if AWAY in switched:
            raise Unreachable("nobody answers")
        if changes:
            database.execute("DELETE FROM switches")
            if REFUSE_NEXT in switched:
                database.execute("COMMIT")
                raise Refusal(403, "not allowed today")
        manages = database.execute("SELECT manages FROM users WHERE name = ?", [self.user]).fetchone()
        if manages is None:
            raise Refusal(403, f"there is no user {self.user}")
        if not manages[0] and (changes or told["do"] != "read" or "as" in told):
            raise Refusal(403, f"{self.user} is no manager")
        try:
            found = do(database, {"by": self.user, **told})
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(400, f"{told['do']}: {error!r}") from error
        database.execute("COMMIT")
        if changes and LOSE_NEXT in switched:
            raise Unreachable("the line was cut")
        return Answer(uuid.uuid4().hex, json.loads(json.dumps(found)))


def _open(path: str, timeout_s: float) -> Database:
    database = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    database.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY")
    return database


def _parsed(text: str) -> tuple[Told, Callable[[Database, Told], Any]]:
    try:
        told = json.loads(text)
        return told, {**ORDERS, **QUESTIONS}[told["do"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(400, f"not an order: {error!r}") from error
