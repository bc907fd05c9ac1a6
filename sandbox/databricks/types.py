"""Types: as statements write them, as the REST APIs spell them, and what DuckDB stores."""

from dataclasses import dataclass

# Word of SQL: text, name in the REST APIs, type in DuckDB.
PLAIN: dict[str, tuple[str, str, str]] = {
    "STRING": ("string", "STRING", "VARCHAR"),
    "BOOLEAN": ("boolean", "BOOLEAN", "BOOLEAN"),
    "TINYINT": ("tinyint", "BYTE", "TINYINT"),
    "BYTE": ("tinyint", "BYTE", "TINYINT"),
    "SMALLINT": ("smallint", "SHORT", "SMALLINT"),
    "SHORT": ("smallint", "SHORT", "SMALLINT"),
    "INT": ("int", "INT", "INTEGER"),
    "INTEGER": ("int", "INT", "INTEGER"),
    "BIGINT": ("bigint", "LONG", "BIGINT"),
    "LONG": ("bigint", "LONG", "BIGINT"),
    "FLOAT": ("float", "FLOAT", "FLOAT"),
    "REAL": ("float", "FLOAT", "FLOAT"),
    "DOUBLE": ("double", "DOUBLE", "DOUBLE"),
    "DATE": ("date", "DATE", "DATE"),
    "TIMESTAMP": ("timestamp", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    "TIMESTAMP_NTZ": ("timestamp_ntz", "TIMESTAMP_NTZ", "TIMESTAMP"),
    "BINARY": ("binary", "BINARY", "BLOB"),
    "VARIANT": ("variant", "VARIANT", "VARCHAR"),
}
DECIMALS = ("DECIMAL", "DEC", "NUMERIC")
NESTED = ("ARRAY", "MAP", "STRUCT")  # kept as text: columns of these types exist here, what is in them is never looked at


@dataclass(frozen=True, slots=True)
class SqlType:
    text: str
    name: str
    duckdb: str
    precision: int = 0
    scale: int = 0

    def rest(self) -> dict[str, object]:
        """As a column or parameter tells it."""
        sizes = {"type_precision": self.precision, "type_scale": self.scale} if self.name == "DECIMAL" else {}
        return {"type_text": self.text, "type_name": self.name, **sizes}


STRING = SqlType(*PLAIN["STRING"])
BOOLEAN = SqlType(*PLAIN["BOOLEAN"])


def decimal(precision: int, scale: int) -> SqlType:
    """DECIMAL(precision, scale)."""
    return SqlType(f"decimal({precision},{scale})", "DECIMAL", f"DECIMAL({precision}, {scale})", precision, scale)


_BY_DUCKDB = {kind[2]: SqlType(*kind) for word, kind in PLAIN.items() if word != "VARIANT"}


def from_duckdb(name: str) -> SqlType:
    """The type of a computed column."""
    if name.startswith("DECIMAL("):
        precision, scale = name[8:-1].split(",")
        return decimal(int(precision), int(scale))
    if name in ("HUGEINT", "UBIGINT", "UINTEGER"):
        return _BY_DUCKDB["BIGINT"]
    return _BY_DUCKDB.get(name, STRING)
