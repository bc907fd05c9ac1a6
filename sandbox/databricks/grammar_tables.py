"""CREATE, ALTER and DROP of catalogs, schemas, tables, views and functions."""

from sandbox.databricks import nodes
from sandbox.databricks.catalog import Attached, Path
from sandbox.databricks.cursor import Cursor
from sandbox.databricks.grammar_access import tags_clause
from sandbox.databricks.lexer import canonical
from sandbox.databricks.nodes import NewColumn, Statement

ALTERABLE = ("TABLE", "VIEW", "STREAMING TABLE", "MATERIALIZED VIEW", "SCHEMA", "CATALOG")


def create(cursor: Cursor) -> Statement:
    """CREATE of a table, view, function, schema or catalog."""
    cursor.expect("CREATE")
    replace = cursor.accept("OR", "REPLACE")
    kind = cursor.one_of("TABLE", "VIEW", "MATERIALIZED VIEW", "STREAMING TABLE", "FUNCTION", "SCHEMA", "CATALOG")
    if_missing = cursor.accept("IF", "NOT", "EXISTS")
    if replace and (if_missing or kind in ("SCHEMA", "CATALOG")):
        raise cursor.refuse()
    path = cursor.path()
    if kind in ("SCHEMA", "CATALOG"):
        comment = cursor.string() if cursor.accept("COMMENT") else ""
        return nodes.CreateSpace(path, kind, if_missing, comment)
    if kind == "FUNCTION":
        return _function(cursor, path, replace=replace, if_missing=if_missing)
    if kind == "VIEW":
        comment = cursor.string() if cursor.accept("COMMENT") else ""
        cursor.expect("AS")
        return nodes.CreateView(path, cursor.rest(), replace, if_missing, comment)
    return _table(cursor, path, replace=replace, if_missing=if_missing, kind=kind)


def _function(cursor: Cursor, path: Path, *, replace: bool, if_missing: bool) -> nodes.CreateFunction:
    parameters = cursor.listed(lambda: (cursor.identifier(), cursor.type()), may_be_empty=True)
    cursor.expect("RETURNS")
    returns = cursor.type()
    comment = ""
    while not cursor.is_at("RETURN"):
        if cursor.accept("COMMENT"):
            comment = cursor.string()
        elif not (
            cursor.accept("LANGUAGE", "SQL") or cursor.accept("DETERMINISTIC") or cursor.accept("NOT", "DETERMINISTIC")
            or cursor.accept("CONTAINS", "SQL") or cursor.accept("READS", "SQL", "DATA")
        ):  # fmt: skip
            raise cursor.refuse()
    cursor.expect("RETURN")
    start = cursor.at
    cursor.rest()
    return nodes.CreateFunction(path, tuple(parameters), returns, cursor.written(start, cursor.at), replace, if_missing, comment)


def _table(cursor: Cursor, path: Path, *, replace: bool, if_missing: bool, kind: str) -> nodes.CreateTable:
    columns: list[NewColumn] = []
    checks: list[tuple[str, str]] = []

    def item() -> None:
        if cursor.accept("CONSTRAINT"):
            checks.append((cursor.name(), _check(cursor)))
        else:
            columns.append(_column(cursor))

    if cursor.is_at("("):
        cursor.listed(item)
    comment, properties = "", {}
    row_filter: Attached | None = None
    while True:
        if cursor.accept("USING"):
            cursor.expect("DELTA")
        elif cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept("TBLPROPERTIES"):
            properties = dict(cursor.listed(lambda: _pair(cursor)))
        elif cursor.accept("WITH", "ROW", "FILTER"):
            row_filter = cursor.row_filter()
        else:
            break
    query = cursor.rest() if cursor.accept("AS") else ""
    if bool(query) == bool(columns):
        raise cursor.refuse()
    kind = "MANAGED" if kind == "TABLE" else kind.replace(" ", "_")
    return nodes.CreateTable(
        path, tuple(columns), query, replace, if_missing, comment, properties, tuple(checks), row_filter, kind
    )


def _column(cursor: Cursor) -> NewColumn:
    name, kind = cursor.identifier(), cursor.type()
    nullable, comment = True, ""
    mask: Attached | None = None
    while True:
        if cursor.accept("NOT", "NULL"):
            nullable = False
        elif cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept("MASK"):
            mask = cursor.mask()
        else:
            return NewColumn(name, kind, nullable, comment, mask)


def _check(cursor: Cursor) -> str:
    cursor.expect("CHECK", "(")
    condition = canonical(cursor.until(")"))
    cursor.expect(")")
    return condition


def _pair(cursor: Cursor) -> tuple[str, str]:
    key = cursor.string()
    cursor.expect("=")
    return key, cursor.string()


def drop(cursor: Cursor) -> nodes.Drop:
    """DROP of a table, view, function, schema or catalog."""
    cursor.expect("DROP")
    kind = cursor.one_of("TABLE", "VIEW", "MATERIALIZED VIEW", "FUNCTION", "SCHEMA", "CATALOG")
    if_there = cursor.accept("IF", "EXISTS")
    path = cursor.path()
    cascade = kind in ("SCHEMA", "CATALOG") and cursor.accept("CASCADE")
    if kind in ("SCHEMA", "CATALOG") and not cascade:
        cursor.accept("RESTRICT")
    return nodes.Drop(path, kind, if_there, cascade)


def alter(cursor: Cursor) -> Statement:
    """ALTER of a table, view, function, schema or catalog."""
    cursor.expect("ALTER")
    kind = cursor.one_of(*ALTERABLE)
    path = cursor.path()
    if cursor.accept("OWNER", "TO") or cursor.accept("SET", "OWNER", "TO"):
        return nodes.SetOwner(_securable(kind), path, cursor.identifier())
    if cursor.is_at("SET", "TAGS") or cursor.is_at("UNSET", "TAGS"):
        tags, removed = tags_clause(cursor)
        return nodes.SetTags(_securable(kind), path, "", tags, removed)
    if kind in ("SCHEMA", "CATALOG"):
        raise cursor.refuse()
    return _alter_table(cursor, path, kind)


def _securable(kind: str) -> str:
    return kind if kind in ("SCHEMA", "CATALOG") else "TABLE"


def _alter_table(cursor: Cursor, path: Path, kind: str) -> Statement:
    if cursor.accept("ALTER"):
        cursor.accept("COLUMN")
        return _alter_column(cursor, path, kind)
    if cursor.accept("SET", "ROW", "FILTER"):
        return nodes.SetRowFilter(path, cursor.row_filter(), kind)
    if cursor.accept("DROP", "ROW", "FILTER"):
        return nodes.SetRowFilter(path, None, kind)
    return _alter_shape(cursor, path)


def _alter_shape(cursor: Cursor, path: Path) -> Statement:
    if cursor.accept("SET", "TBLPROPERTIES"):
        return nodes.SetProperties(path, tuple(cursor.listed(lambda: _pair(cursor))))
    if cursor.accept("ADD", "CONSTRAINT"):
        return nodes.AddCheck(path, cursor.name(), _check(cursor))
    if cursor.accept("DROP", "CONSTRAINT"):
        if_there = cursor.accept("IF", "EXISTS")
        return nodes.DropCheck(path, cursor.name(), if_there)
    if cursor.accept("ADD"):
        cursor.one_of("COLUMNS", "COLUMN")
        found = cursor.listed(lambda: _column(cursor)) if cursor.is_at("(") else cursor.commas(lambda: _column(cursor))
        return nodes.AddColumns(path, tuple(found))
    if cursor.accept("DROP", "COLUMN"):
        if_there = cursor.accept("IF", "EXISTS")
        return nodes.DropColumn(path, cursor.identifier(), if_there)
    if cursor.accept("RENAME", "COLUMN"):
        column = cursor.identifier()
        cursor.expect("TO")
        return nodes.RenameColumn(path, column, cursor.identifier())
    cursor.expect("RENAME", "TO")
    return nodes.RenameTable(path, cursor.path())


def _alter_column(cursor: Cursor, path: Path, kind: str) -> Statement:
    column = cursor.identifier()
    if cursor.accept("SET", "MASK"):
        return nodes.SetMask(path, column, cursor.mask(), kind)
    if cursor.accept("DROP", "MASK"):
        return nodes.SetMask(path, column, None, kind)
    if cursor.accept("COMMENT"):
        return nodes.CommentOn("COLUMN", path, cursor.string(), column)
    tags, removed = tags_clause(cursor)
    return nodes.SetTags("TABLE", path, column, tags, removed)
