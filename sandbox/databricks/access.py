"""Who may do what: ownership, MANAGE, and privileges that catalogs and schemas pass down."""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.databricks import errors
from sandbox.databricks.catalog import Facts, Function, Metastore, Path, Table, dotted
from sandbox.databricks.directory import Identity


@dataclass(frozen=True, slots=True)
class Access:
    """Of one identity. An admin of the metastore, and the admin door, hold everything."""

    metastore: Metastore
    identity: Identity

    def levels(self, path: Path, kind: str = "") -> Iterator[tuple[str, Path, Facts]]:
        """The securable and those above it, the topmost first. A path of three parts is a table unless `kind` says otherwise."""
        if len(path) >= 1:
            yield "CATALOG", path[:1], self.metastore.catalog(path).facts
        if len(path) >= 2:
            yield "SCHEMA", path[:2], self.metastore.schema(path).facts
        if len(path) == 3:
            found: Function | Table = self.metastore.function(path) if kind == "FUNCTION" else self.metastore.table(path)
            yield kind or "TABLE", path, found.facts

    def holds(self, privilege: str, path: Path, kind: str = "") -> bool:
        """Whether it was granted here or above, or belongs to the owner of the object itself."""
        if self.identity.trusted or self.identity.admin:
            return True
        names = self.identity.names()
        levels = list(self.levels(path, kind))
        if levels[-1][2].owner in names or (privilege == "MANAGE" and any(facts.owner in names for _, _, facts in levels)):
            return True
        wanted = {privilege} if privilege == "MANAGE" else {privilege, "ALL_PRIVILEGES"}
        return any(name in names and wanted & given for _, _, facts in levels for name, given in facts.grants.items())

    def enter(self, path: Path) -> None:
        """USE CATALOG and USE SCHEMA of where the object is. Raises Refused."""
        self.need("USE_CATALOG", path[:1])
        if len(path) > 1:
            self.need("USE_SCHEMA", path[:2])

    def need(self, privilege: str, path: Path, kind: str = "") -> None:
        """Raises Refused."""
        if not self.holds(privilege, path, kind):
            named = kind or ("CATALOG", "SCHEMA", "TABLE")[len(path) - 1]
            raise errors.not_allowed(privilege, named, dotted(path))

    def manage(self, path: Path, kind: str = "") -> None:
        """Ownership or MANAGE, and the way there. Raises Refused."""
        self.enter(path[:2])
        self.need("MANAGE", path, kind)

    def sees(self, path: Path, kind: str = "") -> bool:
        """Whether metadata may be read: any privilege on the object or above it, and the way there."""
        try:
            self.enter(path[:2])
        except errors.Refused:
            return False
        if self.identity.trusted or self.identity.admin:
            return True
        names = self.identity.names()
        levels = list(self.levels(path, kind))
        if any(facts.owner in names for _, _, facts in levels):
            return True
        way = {"USE_CATALOG", "USE_SCHEMA"}
        return any(name in names and given - way for _, _, facts in levels for name, given in facts.grants.items())
