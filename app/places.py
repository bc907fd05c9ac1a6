"""Tables as requests and answers name them: `DATABASE.SCHEMA.TABLE`, each name exactly as stored, quoted where it must be."""

from lily.domain import patterns
from lily.domain.inventory import TableId

EXAMPLE = "CRM.PUBLIC.CUSTOMERS"


def table(text: str) -> TableId:
    """The table that `str(TableId)` wrote. Raises ValueError with a sentence that reads after the field's name."""
    parts = patterns.parse(text, 3)
    if len(parts) < 3:
        raise ValueError(f"must be database, schema and table, as {EXAMPLE}")
    return TableId(*(part.text for part in parts))
