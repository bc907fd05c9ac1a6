"""Names and values as text: the only two ways into an order and into a body."""

import json
from typing import Any

from lily.domain.inventory import TableId


def order(do: str, **told: Any) -> str:
    """An order. JSON quotes every name, whatever is in it; all is ASCII."""
    return json.dumps({"do": do, **told})


def table(of: TableId) -> list[str]:
    return [of.database, of.schema, of.name]


def literal(value: object) -> str:
    """A value in a body, which is SQLite's SQL: only the single quote means something within text."""
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int) else repr(value) if isinstance(value, float) else f"'{_doubled(str(value))}'"


def _doubled(text: str) -> str:
    return text.replace("'", "''")
