"""What a statement runs in: the catalog, who asks, defaults for names, settings, DuckDB."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from sandbox.databricks import errors
from sandbox.databricks.access import Access
from sandbox.databricks.catalog import Function, Metastore, Path, Table, shown
from sandbox.databricks.directory import Directory, Identity
from sandbox.databricks.expressions import Reader
from sandbox.warehouse.engine import Engine


@dataclass(slots=True)
class Settings:
    """`mask_types`: `equal` asks that a mask takes and returns exactly the column's type, `castable` does not.

    `membership_lag_s`: how much later functions see a changed membership. `latency_s`: of every statement, also of each in a
    script. `scripts`: whether BEGIN .. END is known. `role_assumption`: whether tokens for an assumed group are given.
    `reformat_bodies`: functions are told in another spelling than they were written in.
    """

    mask_types: str = "equal"
    membership_lag_s: float = 0.0
    latency_s: float = 0.0
    scripts: bool = True
    role_assumption: bool = True
    reformat_bodies: bool = False


@dataclass(slots=True)
class Warehouse:
    """`users`: who has CAN USE. A stopped one starts with the first statement and takes `starts_in_s`."""

    id: str
    name: str
    users: set[str] = field(default_factory=set)
    state: str = "RUNNING"
    starts_in_s: float = 0.0


@dataclass(slots=True)
class World:
    """All that there is, but for what is in flight."""

    engine: Engine
    settings: Settings = field(default_factory=Settings)
    metastore: Metastore = field(default_factory=Metastore)
    directory: Directory = field(default_factory=Directory)
    warehouses: dict[str, Warehouse] = field(default_factory=dict)
    changes: int = 0  # how often anything that is kept changed

    def context(self, identity: Identity, **more: Any) -> "Context":
        """For one statement or request."""
        return Context(self, identity, **more)


@dataclass(frozen=True, slots=True)
class Context:
    world: World
    identity: Identity
    catalog: str = ""
    schema: str = ""
    parameters: Mapping[str, exp.Expr] = field(default_factory=dict)
    number: int = 0  # by which a query is interrupted

    @property
    def metastore(self) -> Metastore:
        return self.world.metastore

    @property
    def access(self) -> Access:
        return Access(self.world.metastore, self.identity)

    def reader(self) -> Reader:
        """As functions see who asks."""
        return Reader(self.identity.name, self.identity.member_of, self.catalog, self.schema)

    def full(self, path: Path, parts: int = 3) -> Path:
        """With the catalog and schema of the request before it, if it has none. Raises Refused."""
        before = [self.catalog, self.schema][: parts - len(path)] if len(path) < parts else []
        found = (*before, *path)
        if len(found) != parts or not all(found):
            raise errors.table_missing(shown(path))
        return found

    def table(self, path: Path) -> Table:
        """Raises Refused, also if the way there may not be gone."""
        full = self.full(path)
        found = self.metastore.table(full)
        self.access.enter(full[:2])
        return found

    def function(self, path: Path) -> Function:
        """One that may be called. Raises Refused."""
        found = self.metastore.find_function(path)
        if found is None:
            raise errors.routine_missing(shown(path))
        self.access.enter(path[:2])
        self.access.need("EXECUTE", path, "FUNCTION")
        return found

    def any_function(self, path: Path) -> Function:
        """One that a mask or another function names: its owner's business."""
        found = self.metastore.find_function(path)
        if found is None:
            raise errors.Refused(
                "ROW_COLUMN_ACCESS.FUNCTION_NOT_FOUND", None, f"The function {shown(path)} of a mask or filter cannot be found."
            )
        return found
