"""What the execution of one statement has at hand, and how it finds the things that the statement names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.snowflake import errors
from sandbox.snowflake.catalog import Catalog, Column, Database, Policy, Schema, Securable, Table, Tag
from sandbox.snowflake.expressions import Bindings, Reader
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import Path
from sandbox.snowflake.roles import Access, inherited
from sandbox.snowflake.session import Session
from sandbox.warehouse.engine import Engine

POLICY_WORD = {"MASKING": "Masking policy", "ROW_ACCESS": "Row access policy"}


@dataclass(slots=True)
class Settings:
    """How this account differs from others: to be changed by tests, through the admin door."""

    name: str = "SANDBOX"
    edition: str = "ENTERPRISE"  # STANDARD knows no policies
    force_on_several_columns: bool = True  # whether FORCE may stand at several columns of one ALTER TABLE
    policy_context: str = "all"  # what drives IS_ROLE_IN_SESSION: all (role and activated roles), activated, nothing; or refused
    tells_by_policy: bool = True  # whether POLICY_REFERENCES by POLICY_NAME finds anything; for one user it did not
    resume_s: float = 0.0  # what a suspended warehouse takes to be there again
    detach_after_s: float = 45.0  # a statement that runs longer is polled for
    session_valid_s: float = 3600.0
    master_valid_s: float = 14400.0


@dataclass(slots=True)
class Context:
    """One statement's. `now` is the time that what it makes is dated with."""

    catalog: Catalog
    engine: Engine
    settings: Settings
    session: Session
    bindings: Bindings | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    number: int = 0  # what a running query can be interrupted by
    warehouse_needed: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.access = Access(self.catalog, self.session)

    access: Access = field(init=False)

    def within(self, schema: Schema, role: str) -> "Context":
        """The same statement, as the owner of something in `schema` sees the account from there."""
        session = Session(0, "", role, database=schema.database.name, schema=schema.name, trusted=self.session.trusted)
        inner = Context(self.catalog, self.engine, self.settings, session, None, self.now, self.number)
        inner.warehouse_needed = self.warehouse_needed
        return inner

    def reader(self) -> Reader:
        """The session as functions such as CURRENT_ROLE tell it."""
        session, user = self.session, self.catalog.users.get(self.session.user)
        available = inherited(self.catalog, user.roles) if user else frozenset([session.role])
        return Reader(
            session.user,
            None if session.share else session.role,
            None if session.share else self.access.roles,
            tuple(sorted(available)),
            session.secondary,
            None,
            self.settings.name,
            session.database,
            session.schema,
            session.warehouse,
        )

    # Finding. What is not there and what may not be seen is answered alike.

    def database(self, name: str) -> Database:
        """Raises errors.Refused (002003 / 02000)."""
        found = self.catalog.databases.get(name)
        if found is None or not self.access.sees(found):
            raise errors.not_there("Database", shown(name))
        return found

    def schema(self, path: Path) -> Schema:
        """Of `schema` or `database.schema`; an empty path is the session's. Raises errors.Refused (002003 / 02000, 090105)."""
        database_name = path[0] if len(path) == 2 else self.session.database
        schema_name = path[-1] if path else self.session.schema
        if database_name is None or schema_name is None:
            words = "This session does not have a current database. Call 'USE DATABASE', or use a qualified name."
            words = f"Cannot perform operation. {words}"
            raise errors.Refused("090105", "22000", words)
        database = self.database(database_name)
        found = database.schemas.get(schema_name)
        if found is None or not self.access.sees(found):
            raise errors.not_there("Schema", f"{shown(database_name)}.{shown(schema_name)}")
        return found

    def table(self, path: Path, word: str = "Table") -> Table:
        """A table or view. `word` is what the vendor calls it in the message. Raises errors.Refused (002003 / 42S02)."""
        found = self._schema_or_none(path)
        table = found.tables.get(path[-1]) if found else None
        if table is None or not self.access.sees(table):
            raise errors.not_there(word, self.full(path))
        return table

    def policy(self, kind: str, path: Path) -> Policy:
        """Raises errors.Refused (002003 / 02000)."""
        found = self._schema_or_none(path)
        policy = found.policies(kind).get(path[-1]) if found else None
        if policy is None or not self.access.sees(policy):
            raise errors.not_there(POLICY_WORD[kind], self.full(path))
        return policy

    def tag(self, path: Path) -> Tag:
        """Raises errors.Refused (002003 / 02000)."""
        found = self._schema_or_none(path)
        tag = found.tag_by_name.get(path[-1]) if found else None
        if tag is None or not self.access.sees(tag):
            raise errors.not_there("Tag", self.full(path))
        return tag

    def column(self, table: Table, name: str) -> Column:
        """Raises errors.Refused (000904)."""
        found = table.columns.get(name)
        if found is None:
            raise errors.invalid_identifier(shown(name))
        return found

    def full(self, path: Path) -> str:
        """The whole name, as messages have it."""
        before = (self.session.database, self.session.schema)[: 3 - len(path)] if len(path) < 3 else ()
        return ".".join(shown(name) for name in (*before, *path) if name is not None)

    def _schema_or_none(self, path: Path) -> Schema | None:
        database_name = path[0] if len(path) == 3 else self.session.database
        schema_name = path[-2] if len(path) >= 2 else self.session.schema
        if database_name is None or schema_name is None:
            return None
        database = self.catalog.databases.get(database_name)
        if database is not None and not self.access.has_any(database):
            return None
        return database.schemas.get(schema_name) if database else None

    def changed(self) -> None:
        """Something in the catalog is different now."""
        self.catalog.version += 1

    def securable(self, kind: str, path: Path) -> Securable:
        """The thing of that kind, for GRANT and the like. Raises errors.Refused."""
        if kind in ("TABLE", "VIEW"):
            return self.table(path)
        if kind in ("MASKING POLICY", "ROW ACCESS POLICY"):
            return self.policy(kind.removesuffix(" POLICY").replace(" ", "_"), path)
        if kind == "TAG":
            return self.tag(path)
        if kind == "SCHEMA":
            return self.schema(path)
        if kind == "DATABASE":
            return self.database(path[-1])
        named = {"ROLE": self.catalog.roles, "USER": self.catalog.users, "WAREHOUSE": self.catalog.warehouses}[kind]
        found: Securable | None = named.get(path[-1])  # type: ignore[attr-defined]
        if found is None:
            raise errors.not_there(kind.capitalize(), shown(path[-1]))
        return found


def missing_is_fine(error: errors.Refused) -> bool:
    """Whether IF EXISTS makes a success of it."""
    return error.code in ("002003", "002043")
