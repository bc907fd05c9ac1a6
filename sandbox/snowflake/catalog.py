"""What an account holds, in plain Python: names exact by code point, references between objects rather than between names."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sandbox.snowflake.types import SqlType

Grants = dict[str, set[str]]  # privilege -> roles that hold it


@dataclass(eq=False, slots=True)
class Role:
    """`granted` are the roles it inherits."""

    name: str
    owner: str
    granted: set[str] = field(default_factory=set)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    comment: str = ""
    grants: Grants = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class User:
    """Whoever may log in. `keys` are RSA_PUBLIC_KEY and RSA_PUBLIC_KEY_2 in DER."""

    name: str
    owner: str
    login_name: str = ""
    password: str | None = None
    keys: dict[str, bytes] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    properties: dict[str, str] = field(default_factory=dict)  # TYPE, DEFAULT_ROLE, COMMENT ... as given
    parameters: dict[str, str] = field(default_factory=dict)
    default_secondary_roles: str = "ALL"
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Warehouse:
    name: str
    owner: str
    suspended: bool = False
    auto_resume: bool = True
    size: str = "X-Small"
    comment: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Policy:
    """A masking policy (`kind` MASKING) or a row access policy (ROW_ACCESS). `signature`: argument names and types."""

    kind: str
    name: str
    schema: "Schema"
    owner: str
    signature: list[tuple[str, SqlType]]
    returns: SqlType
    body: str
    comment: str = ""
    exempt_other_policies: bool = False
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)
    in_use: int = 0  # columns, tables and tags it is attached to


@dataclass(eq=False, slots=True)
class Tag:
    """`masks` are its masking policies by type family."""

    name: str
    schema: "Schema"
    owner: str
    allowed_values: list[str] | None = None
    comment: str = ""
    masks: dict[str, Policy] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Attached:
    """A policy on a column or on a table, and the columns that its arguments receive."""

    policy: Policy
    columns: "list[Column]"


@dataclass(eq=False, slots=True)
class Column:
    """`key` is its name in DuckDB."""

    name: str
    type: SqlType
    key: str
    nullable: bool = True
    comment: str = ""
    default: str | None = None
    mask: Attached | None = None
    tags: dict[Tag, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Table:
    """A table, or a view if it has a `query`. `key` is its name in DuckDB."""

    name: str
    schema: "Schema"
    owner: str
    key: str
    columns: dict[str, Column] = field(default_factory=dict)
    row_policy: Attached | None = None
    tags: dict[Tag, str] = field(default_factory=dict)
    query: str | None = None
    text: str = ""
    comment: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "VIEW" if self.query is not None else "TABLE"


@dataclass(eq=False, slots=True)
class Schema:
    name: str
    database: "Database"
    owner: str
    tables: dict[str, Table] = field(default_factory=dict)
    masking_policies: dict[str, Policy] = field(default_factory=dict)
    row_access_policies: dict[str, Policy] = field(default_factory=dict)
    tag_by_name: dict[str, Tag] = field(default_factory=dict)
    tags: dict[Tag, str] = field(default_factory=dict)
    comment: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)

    def policies(self, kind: str) -> dict[str, Policy]:
        """Of one kind: they have a namespace each."""
        return self.masking_policies if kind == "MASKING" else self.row_access_policies


@dataclass(eq=False, slots=True)
class Database:
    name: str
    owner: str
    schemas: dict[str, Schema] = field(default_factory=dict)
    tags: dict[Tag, str] = field(default_factory=dict)
    comment: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    grants: Grants = field(default_factory=dict)


Securable = Role | User | Warehouse | Policy | Tag | Table | Schema | Database
Tagged = Column | Table | Schema | Database


@dataclass(slots=True)
class Catalog:
    """All of it. `grants` are those on the account. `version` grows with every change, so that what was derived can be kept."""

    roles: dict[str, Role] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    warehouses: dict[str, Warehouse] = field(default_factory=dict)
    databases: dict[str, Database] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    grants: Grants = field(default_factory=dict)
    version: int = 0
    numbers: int = 0

    def next_key(self, letter: str) -> str:
        """A name that nothing else in DuckDB has, whatever its case."""
        self.numbers += 1
        return f"{letter}{self.numbers}"

    def tables(self) -> Iterator[Table]:
        """Of all databases, views among them."""
        for database in self.databases.values():
            for schema in database.schemas.values():
                yield from schema.tables.values()


def everything(catalog: Catalog) -> list[Securable]:
    """All that has an owner and grants."""
    things: list[Securable] = [*catalog.warehouses.values(), *catalog.roles.values(), *catalog.users.values()]
    for database in catalog.databases.values():
        things.append(database)
        for schema in database.schemas.values():
            things += [schema, *schema.tables.values(), *schema.masking_policies.values()]
            things += [*schema.row_access_policies.values(), *schema.tag_by_name.values()]
    return things


def new_catalog() -> Catalog:
    """An account as it is on its first day: the vendor's roles and nothing else."""
    catalog = Catalog()
    inherited = {
        "ACCOUNTADMIN": {"SYSADMIN", "SECURITYADMIN"},
        "SECURITYADMIN": {"USERADMIN"},
        "SYSADMIN": set(),
        "USERADMIN": set(),
        "PUBLIC": set(),
    }
    for name, granted in inherited.items():
        catalog.roles[name] = Role(name, "", set(granted))
    catalog.users["ADMIN"] = User("ADMIN", "ACCOUNTADMIN", "ADMIN", roles={"ACCOUNTADMIN"})
    for_admins = ("CREATE DATABASE", "CREATE WAREHOUSE", "APPLY MASKING POLICY", "APPLY ROW ACCESS POLICY", "APPLY TAG")
    for privilege in for_admins:
        catalog.grants[privilege] = {"ACCOUNTADMIN"}
    catalog.grants["CREATE DATABASE"].add("SYSADMIN")
    catalog.grants["CREATE WAREHOUSE"].add("SYSADMIN")
    catalog.grants["CREATE ROLE"] = catalog.grants["CREATE USER"] = {"USERADMIN"}
    catalog.grants["MANAGE GRANTS"] = {"SECURITYADMIN"}
    return catalog


def full_name(thing: Table | Policy | Tag) -> tuple[str, str, str]:
    """Database, schema, name."""
    return (thing.schema.database.name, thing.schema.name, thing.name)
