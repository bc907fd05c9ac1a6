"""Tables as sources name them, and the one spelling under which Lily lists them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TableRef:
    """A table as a source names it. `key` is the source's own lasting id (an mcon), empty where only a name is known."""

    name: str  # "database:schema.table", lower case; what `asset` filters compare
    key: str = ""
    is_key_asset: bool = False


def table_name(database: str, schema: str, table: str) -> str:
    """Monte Carlo's spelling of a table: `database:schema.table` in lower case. Without schema or database, what there is."""
    path = f"{schema}.{table}" if schema else table
    return (f"{database}:{path}" if database else path).lower()
