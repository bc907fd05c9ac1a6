"""Results as the wire has them: columns with their types, and every cell a text or null."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sandbox.snowflake import types
from sandbox.snowflake.types import SqlType

SELECT, DDL, DML, SHOW = 4096, 16384, 12288, 16640
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - against timestamps without a zone
EPOCH_DAY = date(1970, 1, 1).toordinal()
_WIRE = {"VARCHAR": "text", "NUMBER": "fixed", "FLOAT": "real", "DECFLOAT": "real"}


@dataclass(frozen=True, slots=True)
class Result:
    """Names and types of the columns, and rows of Python values."""

    columns: list[tuple[str, SqlType]]
    rows: list[Sequence[Any]] = field(default_factory=list)
    statement_type: int = SELECT


def head(text: str) -> list[tuple[str, SqlType]]:
    """Columns by name, in one text: `:n` behind a name makes it a number, `:t` a time, and `~` is a space."""
    kinds = {"n": types.NUMBER, "t": types.TIMESTAMP_LTZ}
    named = [item.partition(":") for item in text.split()]
    return [(name.replace("~", " "), kinds.get(kind, types.TEXT)) for name, _, kind in named]


def status(message: str = "Statement executed successfully.") -> Result:
    """What a DDL statement answers."""
    return Result([("status", types.TEXT)], [(message,)], DDL)


def count(words: str, rows: int) -> Result:
    """What a DML statement answers: `number of rows inserted` and the like."""
    return Result([(words, types.NUMBER)], [(rows,)], DML)


def wire(result: Result, query_id: str, names: dict[str, Any]) -> dict[str, Any]:
    """The `data` of an answer. `names` are those of the session afterwards."""
    cells = [_CELLS[kind.family] for _, kind in result.columns]
    rowset = [[None if value is None else cell(value) for cell, value in zip(cells, row, strict=True)] for row in result.rows]
    return {
        "parameters": [{"name": "TIMEZONE", "value": "UTC"}],
        "rowtype": [_rowtype(name, kind) for name, kind in result.columns],
        "rowset": rowset,
        "total": len(rowset),
        "returned": len(rowset),
        "queryId": query_id,
        "databaseProvider": None,
        "numberOfBinds": 0,
        "arrayBindSupported": False,
        "statementTypeId": result.statement_type,
        "version": 1,
        "queryResultFormat": "json",
        **names,
    }


def _rowtype(name: str, kind: SqlType) -> dict[str, Any]:
    family = kind.family
    length = kind.size if family in ("VARCHAR", "BINARY") else None
    precision = kind.size if family == "NUMBER" else 0 if family in types.WITH_FRACTION else None
    scale = kind.scale if family == "NUMBER" else kind.size if family in types.WITH_FRACTION else None
    return {
        "name": name,
        "database": "",
        "schema": "",
        "table": "",
        "nullable": True,
        "type": _WIRE.get(family, family.lower()),
        "length": length,
        "byteLength": min(length * 4, types.TEXT_MAX) if length and family == "VARCHAR" else length,
        "scale": scale,
        "precision": precision,
        "collation": None,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "true" if value is True else "false" if value is False else str(value)


def _number(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(int(value)) if isinstance(value, bool) else str(value)


def _seconds(value: datetime) -> str:
    naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    since = naive - EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    return f"{sign}{micros // 1_000_000}.{micros % 1_000_000:06d}000"


def _time(value: time) -> str:
    return f"{value.hour * 3600 + value.minute * 60 + value.second}.{value.microsecond:06d}000"


def _bytes(value: Any) -> str:
    return bytes(value).hex().upper()


_CELLS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(types.ALIASES.values(), _text),
    "NUMBER": _number,
    "FLOAT": lambda value: repr(float(value)),
    "DECFLOAT": lambda value: repr(float(value)),
    "BOOLEAN": lambda value: "1" if value else "0",
    "DATE": lambda value: str(value.toordinal() - EPOCH_DAY),
    "TIME": _time,
    "TIMESTAMP_NTZ": _seconds,
    "TIMESTAMP_LTZ": _seconds,
    "TIMESTAMP_TZ": lambda value: f"{_seconds(value)} 1440",
    "BINARY": _bytes,
}


def query_id() -> str:
    """A new one. The vendor's are UUIDs too."""
    return str(uuid.uuid4())
