"""Who may do what: role hierarchy, roles in force in a session, privileges."""

from collections.abc import Iterable

from sandbox.snowflake import errors
from sandbox.snowflake.catalog import Catalog, Database, Policy, Role, Schema, Securable, Table, Tag, User, Warehouse
from sandbox.snowflake.session import Session

KINDS = {
    Role: "Role", User: "User", Warehouse: "Warehouse", Schema: "Schema", Database: "Database", Tag: "Tag",
}  # fmt: skip
_ADMINS = ("ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN", "PUBLIC")


def inherited(catalog: Catalog, roles: Iterable[str]) -> frozenset[str]:
    """These roles, what they inherit, and PUBLIC. Roles that do not exist are left out."""
    seen: set[str] = set()
    waiting = [*roles, "PUBLIC"]
    while waiting:
        name = waiting.pop()
        if name not in seen and (role := catalog.roles.get(name)):
            seen.add(name)
            waiting.extend(role.granted)
    return frozenset(seen)


def in_force(catalog: Catalog, session: Session) -> frozenset[str]:
    """All roles whose privileges the session has: IS_ROLE_IN_SESSION is true of these."""
    roles = [session.role]
    if session.secondary == "ALL" and (user := catalog.users.get(session.user)):
        roles += user.roles
    return inherited(catalog, roles)


def may_use(catalog: Catalog, session: Session, role: str) -> bool:
    """Whether the user can make `role` the primary one."""
    user = catalog.users.get(session.user)
    return session.trusted or (user is not None and role in inherited(catalog, user.roles))


def kind_of(thing: Securable) -> str:
    """The vendor's word."""
    if isinstance(thing, Table):
        return thing.kind.capitalize()
    if isinstance(thing, Policy):
        return "Masking policy" if thing.kind == "MASKING" else "Row access policy"
    return KINDS[type(thing)]


class Access:
    """What one session may do at this moment. Made anew for each statement."""

    def __init__(self, catalog: Catalog, session: Session) -> None:
        self.catalog = catalog
        self.session = session
        self.roles = in_force(catalog, session)
        self.trusted = session.trusted

    def on_account(self, privilege: str) -> bool:
        """A global privilege."""
        return self.trusted or not self.roles.isdisjoint(self.catalog.grants.get(privilege, ()))

    def owns(self, thing: Securable) -> bool:
        """Ownership, through inheritance too."""
        return self.trusted or thing.owner in self.roles

    def has(self, thing: Securable, *privileges: str) -> bool:
        """One of these privileges on it, or its ownership."""
        if self.owns(thing):
            return True
        return any(not self.roles.isdisjoint(thing.grants.get(privilege, ())) for privilege in (*privileges, "ALL"))

    def has_any(self, thing: Securable) -> bool:
        """Some privilege on it, whichever."""
        return self.owns(thing) or any(not self.roles.isdisjoint(holders) for holders in thing.grants.values())

    def sees(self, thing: Securable) -> bool:
        """Whether it exists for this session: some privilege on it and on what it lies in."""
        if isinstance(thing, Role):
            return True
        if isinstance(thing, Table):
            governs = any(map(self.on_account, ("APPLY MASKING POLICY", "APPLY ROW ACCESS POLICY", "APPLY TAG")))
            return self.enters(thing.schema) and (governs or self.has_any(thing))
        if isinstance(thing, Policy):
            return self.enters(thing.schema) and (self.on_account(f"APPLY {_POLICIES[thing.kind]}") or self.has_any(thing))
        if isinstance(thing, Tag):
            return self.enters(thing.schema) and (self.on_account("APPLY TAG") or self.has_any(thing))
        if isinstance(thing, Schema):
            return self.has_any(thing.database) and self.has_any(thing)
        return self.has_any(thing)

    def enters(self, schema: Schema) -> bool:
        """Any privilege on schema and database is enough."""
        return self.has_any(schema) and self.has_any(schema.database)

    def need(self, thing: Securable, *privileges: str) -> None:
        """Raises errors.Refused (003001) unless one of these privileges, or ownership, is there."""
        if not self.has(thing, *privileges):
            raise errors.forbidden(kind_of(thing), thing.name)

    def need_owner(self, thing: Securable) -> None:
        """Raises errors.Refused (003001) unless it is owned."""
        if not self.owns(thing):
            raise errors.forbidden(kind_of(thing), thing.name)

    def may_apply(self, policy: Policy, table: Table) -> bool:
        """The global APPLY, or APPLY on this policy together with the table's ownership."""
        if self.on_account(f"APPLY {_POLICIES[policy.kind]}"):
            return True
        return self.owns(table) and self.has(policy, "APPLY")

    def may_tag(self, tag: Tag, thing: Securable) -> bool:
        """The same for tags."""
        return self.on_account("APPLY TAG") or (self.owns(thing) and self.has(tag, "APPLY"))

    def may_grant(self, thing: Securable) -> bool:
        """Ownership, or MANAGE GRANTS."""
        return self.owns(thing) or self.on_account("MANAGE GRANTS")


_POLICIES = {"MASKING": "MASKING POLICY", "ROW_ACCESS": "ROW ACCESS POLICY"}


def is_system(name: str) -> bool:
    """A role that the vendor made."""
    return name in _ADMINS
