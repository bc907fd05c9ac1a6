"""What a statement gives back, and how JSON_ARRAY writes it: every cell a string, null stays null."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.databricks.types import SqlType


@dataclass(frozen=True, slots=True)
class Result:
    """No columns: a statement that only does something."""

    columns: list[tuple[str, SqlType]] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


def cell(value: Any) -> str | None:
    """One value as text."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}" + ("Z" if value.tzinfo else "")
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def manifest(result: Result, row_limit: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """`manifest` and `result` of an answer."""
    rows = result.rows if row_limit is None else result.rows[:row_limit]
    schema: dict[str, Any] = {"column_count": len(result.columns)}
    told: dict[str, Any] = {
        "format": "JSON_ARRAY",
        "schema": schema,
        "total_chunk_count": 1 if result.columns else 0,
        "total_row_count": len(rows),
        "truncated": len(rows) < len(result.rows),
    }
    if not result.columns:
        return told, {}
    schema["columns"] = [
        {"name": name, "position": at, "type_name": kind.name, "type_text": kind.text.upper(), **_sizes(kind)}
        for at, (name, kind) in enumerate(result.columns)
    ]
    span = {"chunk_index": 0, "row_offset": 0, "row_count": len(rows)}
    told["chunks"] = [span]
    return told, {**span, "data_array": [[cell(value) for value in row] for row in rows]}


def _sizes(kind: SqlType) -> dict[str, int]:
    return {"type_precision": kind.precision, "type_scale": kind.scale} if kind.name == "DECIMAL" else {}
