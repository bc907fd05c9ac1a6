"""One call of a REST API, and what the APIs have in common: names, pages, tables that may be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.databricks import errors
from sandbox.databricks.catalog import Path, Table, dotted
from sandbox.databricks.context import Context
from sandbox.databricks.errors import Bad, Refused

PAGE_MOST = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """`parts`: of the path after the API's own, without percent signs."""

    context: Context
    method: str
    parts: Sequence[str]
    query: Mapping[str, str]
    body: dict[str, Any]


def unknown(call: Call) -> Bad:
    """No such method and path."""
    return Bad(404, "ENDPOINT_NOT_FOUND", f"No API found for '{call.method} /{'/'.join(call.parts)}'")


def path_of(text: str, parts: int, kind: str) -> Path:
    """A full name taken apart. Raises Bad."""
    found = tuple(text.lower().split("."))
    if len(found) != parts or not all(found):
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"'{text}' is not a valid name for a {kind}")
    return found


def paged(call: Call, name: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A part of a list, and the token for the next."""
    wanted = call.query.get("max_results", "0")
    start = call.query.get("page_token") or "p1"
    if not wanted.isdigit() or not start[1:].isdigit():
        raise Bad(400, "INVALID_PARAMETER_VALUE", "max_results or page_token is not valid")
    size, at = min(int(wanted) or PAGE_MOST, PAGE_MOST), max(int(start[1:]) - 1, 0)
    more = {"next_page_token": f"p{at + size + 1}"} if at + size < len(items) else {}
    return {name: list(items[at : at + size]), **more} if items else {}


def needed(call: Call, name: str) -> str:
    """A part of the query. Raises Bad."""
    found = call.query.get(name)
    if not found:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"{name} is required")
    return found


def visible_table(call: Call, name: str) -> Table:
    """One that may be seen. Raises Bad or Refused."""
    path = path_of(name, 3, "table")
    try:
        found = call.context.metastore.table(path)
    except Refused as refused:
        call.context.metastore.schema(path)
        raise Bad(404, "TABLE_DOES_NOT_EXIST", f"Table '{dotted(path)}' does not exist.") from refused
    call.context.access.enter(path[:2])
    if not call.context.access.sees(path):
        raise errors.not_allowed("SELECT", "TABLE", dotted(path))
    return found
