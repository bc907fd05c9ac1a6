"""What outlives the process: a picture of the account, and a journal of the statements that changed it since.

A picture is made at each start and at each orderly end; then the journal begins anew. Every change is in the journal before it
is answered. Not synced to the disk: it outlives its process, not the machine.
"""

import fcntl
import json
import pickle
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.snowflake.account import Account
from sandbox.snowflake.errors import Refused
from sandbox.snowflake.expressions import Bindings
from sandbox.snowflake.session import Session


class Damaged(Exception):
    """The folder holds something else than was written there, or another process holds it."""


class State:
    """In one folder, which only one process may hold."""

    def __init__(self, folder: Path, account: Account) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._account = account
        self._picture = folder / "account.pickle"
        self._journal_path = folder / "journal.jsonl"
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Damaged(f"{folder}: another process uses it; end that one or give another --state") from None
        self._load()
        self.save()

    def keep(self, session: Session, text: str, bindings: Bindings | None, now: datetime) -> None:
        """One statement that changed the account."""
        line = {"at": now.isoformat(), "session": _kept(session), "text": text, "bindings": bindings}
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()

    def save(self) -> None:
        """A new picture, after which the journal is empty."""
        tables = [table for table in self._account.catalog.tables() if table.query is None]
        rows = {table.key: self._account.engine.ask(f"SELECT * FROM {table.key}").rows for table in tables}  # noqa: S608
        new = self._picture.with_suffix(".new")
        new.write_bytes(pickle.dumps((self._account.catalog, rows)))
        new.rename(self._picture)
        self._journal = self._journal_path.open("w")

    def _load(self) -> None:
        account = self._account
        if self._picture.exists():
            try:
                account.catalog, rows = pickle.loads(self._picture.read_bytes())  # noqa: S301 - our own file
            except Exception as error:
                raise Damaged(f"{self._picture} cannot be read ({error}); remove it to begin with an empty account") from error
            self._fill(rows)
        if self._journal_path.exists():
            lines = self._journal_path.read_text().splitlines()
            for number, line in enumerate(lines, 1):
                self._again(line, number, is_last=number == len(lines))

    def _fill(self, rows: Mapping[str, Any]) -> None:
        for table in self._account.catalog.tables():
            if table.query is None:
                columns = [
                    f"{column.key} {column.type.duckdb}" + ("" if column.nullable else " NOT NULL")
                    for column in table.columns.values()
                ]
                self._account.engine.change(f"CREATE TABLE {table.key} ({', '.join(columns)})")
                self._account.engine.fill(table.key, rows[table.key])

    def _again(self, line: str, number: int, *, is_last: bool) -> None:
        try:
            kept = json.loads(line)
            session = Session(**kept["session"])
            self._account.run(session, kept["text"], kept["bindings"], now=datetime.fromisoformat(kept["at"]))
        except (ValueError, KeyError, Refused) as error:
            if is_last:
                return  # cut off by a death, so never answered
            raise Damaged(
                f"{self._journal_path}, line {number}: {error}; remove the folder to begin with an empty account"
            ) from error


def _kept(session: Session) -> dict[str, Any]:
    names = ("id", "user", "role", "secondary", "warehouse", "database", "schema", "parameters", "trusted", "share")
    return {name: getattr(session, name) for name in names}
