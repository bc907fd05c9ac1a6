"""The least that Lily needs in a Databricks workspace, as statements for its administrator, and whether each is held.

Source: docs.databricks.com, Unity Catalog privileges (SQL writes them with spaces, REST with underscores); permissions API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from connectors.contracts import Checked, Grant, Refused
from connectors.databricks import client, groups
from connectors.databricks.quoting import identifier, in_path, path
from lily.runtime.settings import TargetSettings, settings

EVERYBODY = "account users"
PERMISSIONS = "/api/2.1/unity-catalog/effective-permissions"
WAREHOUSES = "/api/2.0/sql/warehouses"
ALL = frozenset({"ALL_PRIVILEGES", "ALL PRIVILEGES"})


@dataclass(frozen=True)
class Need:
    """Privileges on a catalog or schema, by SQL's words."""

    kind: str
    names: tuple[str, ...]
    privileges: tuple[str, ...]
    principal: str
    why: str
    optional: bool = False

    @property
    def grant(self) -> Grant:
        what, who = ", ".join(self.privileges), identifier(self.principal)
        return Grant(f"GRANT {what} ON {self.kind} {path(self.names)} TO {who}", self.why, self.optional)


def statements(instance: str) -> Sequence[Grant]:
    """See contracts.Grants. What SQL cannot grant is a comment that says where it is done."""
    config = settings().targets[instance]
    return [_use_of_warehouse(config), *(need.grant for need in _needs(config)), *(_assuming(config, g) for g in _groups(config))]


def check(instance: str) -> Sequence[Checked]:
    """See contracts.Grants."""
    config = settings().targets[instance]
    asks = [
        partial(_check_warehouse, config),
        *(partial(_check, config, need) for need in _needs(config)),
        *(partial(_check_assuming, config, group) for group in _groups(config)),
    ]
    return client.each(instance, asks, lambda ask: ask())


def _needs(config: TargetSettings) -> list[Need]:
    lily, (database, schema) = str(config.oauth_client_id), config.home
    home = (database, schema)
    found = [
        Need("CATALOG", (database,), ("USE CATALOG",), lily, "Lily's functions live there"),
        Need("SCHEMA", home, ("USE SCHEMA", "CREATE FUNCTION"), lily, "makes masks and row filters, which are functions"),
        Need("CATALOG", (database,), ("USE CATALOG",), EVERYBODY, "readers of protected tables call Lily's functions"),
        Need(
            "SCHEMA",
            home,
            ("USE SCHEMA", "EXECUTE"),
            EVERYBODY,
            "the same; what is granted on one function is lost when it changes",
        ),
    ]
    for catalog in config.databases:
        found += [
            Need("CATALOG", (catalog,), ("USE CATALOG", "USE SCHEMA"), lily, "finds tables and reads back what protects them"),
            Need(
                "CATALOG",
                (catalog,),
                ("MANAGE",),
                lily,
                "puts masks and row filters on tables. Whoever has it may grant more, to themselves too: grant it on the schemas "
                "to govern, instead of the whole catalog, where these are few",
            ),
            Need("CATALOG", (catalog,), ("APPLY TAG",), lily, "sets Lily's own tags on columns and tables"),
        ]
    views = ("system", "information_schema")
    return [
        *found,
        Need("CATALOG", views[:1], ("USE CATALOG",), lily, "reads tags of wide tables in one query", optional=True),
        Need("SCHEMA", views, ("USE SCHEMA", "SELECT"), lily, "the same, and says where functions are used", optional=True),
    ]


def _groups(config: TargetSettings) -> tuple[str, ...]:
    return config.proof_groups or ()


def _use_of_warehouse(config: TargetSettings) -> Grant:
    text = f"-- SQL warehouse {_line(config.warehouse)}, Permissions: CAN USE for {_line(config.oauth_client_id)}"
    return Grant(text, "runs statements; no SQL grants it")


def _assuming(config: TargetSettings, group: str) -> Grant:
    text = (
        f"-- group {_line(group)}, Permissions: assume role for {_line(config.oauth_client_id)}; "
        f"SQL warehouse {_line(config.warehouse)}: CAN USE for the group"
    )
    return Grant(text, "sees as a member what members are shown; without it the function is evaluated instead", optional=True)


def _line(text: str | None) -> str:
    """In a comment, which ends with its line."""
    return repr(text) if text else "(not set)"


def _check(config: TargetSettings, need: Need) -> Checked:
    """By the privileges that the service says are in force, inherited ones too; the owner of a thing needs none."""
    where = f"{PERMISSIONS}/{need.kind}/{in_path(need.names)}"
    try:
        told = client.get(config.name, where, {"principal": need.principal})
    except Refused as refusal:
        return Checked(need.grant, None, f"it may not be asked: {refusal.reason}")
    assigned = told.get("privilege_assignments") or []
    names = [one for some in assigned if some.get("principal") == need.principal for one in some.get("privileges") or []]
    held = {str(one["privilege"]).replace("_", " ") for one in names}
    lacking = [privilege for privilege in need.privileges if privilege not in held]
    if not lacking or {one.replace("_", " ") for one in ALL} & held:
        return Checked(need.grant, held=True)
    return Checked(need.grant, False, f"not held: {', '.join(lacking)}")


def _check_warehouse(config: TargetSettings) -> Checked:
    grant = _use_of_warehouse(config)
    try:
        client.get(config.name, f"{WAREHOUSES}/{in_path((config.warehouse or '',))}")
    except Refused as refusal:
        return Checked(grant, held=False, remark=refusal.reason)
    return Checked(grant, held=True)


def _check_assuming(config: TargetSettings, group: str) -> Checked:
    grant = _assuming(config, group)
    found = groups.named(config.name, group)
    if found is None:
        return Checked(grant, held=False, remark="there is no group of that name")
    try:
        client.run(config.name, "SELECT 1", group=found)
    except Refused as refusal:
        return Checked(grant, held=False, remark=refusal.reason)
    return Checked(grant, held=True)
