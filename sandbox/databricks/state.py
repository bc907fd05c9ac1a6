"""What outlives the process: a picture of the workspace in one file, made anew once a second while something changes.

An orderly end loses nothing, a death up to a second. Tokens, faults, settings and the journal are forgotten.
"""

import fcntl
import pickle
import threading
from pathlib import Path
from typing import Any

from sandbox.databricks import catalog, run
from sandbox.databricks.context import World

EVERY_S = 1.0


class Damaged(Exception):
    """The folder holds something else than was written there, or another process holds it."""


class State:
    """In one folder, which only one process may hold. Loads at once."""

    def __init__(self, folder: Path, world: World) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._world = world
        self._picture = folder / "workspace.pickle"
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Damaged(f"{folder}: another process uses it; end that one or give another --state") from None
        self._load()
        self._saved = world.changes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="state", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """A last picture."""
        self._over.set()
        self._thread.join()
        self._save()

    def _keep(self) -> None:
        while not self._over.wait(EVERY_S):
            self._save()

    def _save(self) -> None:
        world = self._world
        with run.lock:
            if self._saved == world.changes:
                return
            tables = [table for table in world.metastore.tables() if table.query is None]
            rows = {table.key: world.engine.ask(_select(table)).rows for table in tables}
            raw = pickle.dumps((world.metastore, world.directory.principals, world.directory.groups, world.warehouses, rows))
            self._saved = world.changes
        new = self._picture.with_suffix(".new")
        new.write_bytes(raw)
        new.rename(self._picture)

    def _load(self) -> None:
        if not self._picture.exists():
            return
        world = self._world
        try:
            found = pickle.loads(self._picture.read_bytes())  # noqa: S301 - our own file
            metastore, principals, groups, warehouses, rows = found
        except Exception as error:
            raise Damaged(f"{self._picture} cannot be read ({error}); remove it to begin with an empty workspace") from error
        world.metastore, world.warehouses = metastore, warehouses
        world.directory.restore(principals, groups)
        catalog.pass_keys(metastore)
        for table in metastore.tables():
            if table.query is None:
                self._fill(table, rows[table.key])

    def _fill(self, table: catalog.Table, rows: list[tuple[Any, ...]]) -> None:
        columns = [f"{each.key} {each.type.duckdb}{'' if each.nullable else ' NOT NULL'}" for each in table.columns.values()]
        self._world.engine.change(f"CREATE TABLE {table.key} ({', '.join(columns)})")
        self._world.engine.fill(table.key, rows)


def _select(table: catalog.Table) -> str:
    columns = ", ".join(each.key for each in table.columns.values())
    return f"SELECT {columns} FROM {table.key} ORDER BY rowid"  # noqa: S608 - internal names
