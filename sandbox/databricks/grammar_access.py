"""Tags, comments, grants, ABAC policies and governed tags."""

from sandbox.databricks import nodes
from sandbox.databricks.catalog import Match, Path
from sandbox.databricks.cursor import Cursor
from sandbox.databricks.lexer import canonical
from sandbox.databricks.nodes import Statement

PRIVILEGES = (
    "ALL PRIVILEGES", "USE CATALOG", "USE SCHEMA", "SELECT", "MODIFY", "MANAGE", "APPLY TAG", "CREATE FUNCTION", "CREATE TABLE",
    "CREATE SCHEMA", "EXECUTE", "BROWSE", "CREATE CATALOG",
)  # fmt: skip
Tags = tuple[tuple[str, str], ...]


def tags_clause(cursor: Cursor) -> tuple[Tags, tuple[str, ...]]:
    """`SET TAGS ('k' = 'v', 'k2')` or `UNSET TAGS ('k')`: what is set, and what is removed."""

    def pair() -> tuple[str, str]:
        key = cursor.string()
        return key, cursor.string() if cursor.accept("=") else ""

    if cursor.accept("UNSET", "TAGS"):
        return (), tuple(cursor.listed(cursor.string))
    cursor.expect("SET", "TAGS")
    return tuple(cursor.listed(pair)), ()


def set_tag_on(cursor: Cursor) -> nodes.SetTags:
    """`SET TAG ON COLUMN c.s.t.col k = v`, keys and values as identifiers; `UNSET TAG ON .. k`."""
    sets = cursor.one_of("SET TAG ON", "UNSET TAG ON") == "SET TAG ON"
    kind = cursor.one_of("CATALOG", "SCHEMA", "TABLE", "VIEW", "COLUMN")
    path, column = cursor.column_path() if kind == "COLUMN" else (cursor.path(), "")
    kind = "TABLE" if kind in ("COLUMN", "VIEW") else kind
    key = cursor.identifier()
    if not sets:
        return nodes.SetTags(kind, path, column, (), (key,))
    return nodes.SetTags(kind, path, column, ((key, cursor.identifier() if cursor.accept("=") else ""),))


def comment_on(cursor: Cursor) -> nodes.CommentOn:
    """COMMENT ON .. IS."""
    cursor.expect("COMMENT", "ON")
    kind = cursor.one_of("CATALOG", "SCHEMA", "TABLE", "COLUMN", "FUNCTION")
    path, column = cursor.column_path() if kind == "COLUMN" else (cursor.path(), "")
    cursor.expect("IS")
    return nodes.CommentOn(kind, path, "" if cursor.accept("NULL") else cursor.string(), column)


def grant(cursor: Cursor) -> nodes.Grant:
    """GRANT or REVOKE. Without a kind, the securable is a table."""
    gives = cursor.one_of("GRANT", "REVOKE") == "GRANT"
    privileges = cursor.commas(lambda: cursor.one_of(*PRIVILEGES).replace(" ", "_"))
    cursor.expect("ON")
    kind = next(
        (kind for kind in ("CATALOG", "SCHEMA", "TABLE", "VIEW", "FUNCTION", "METASTORE") if cursor.accept(kind)), "TABLE"
    )
    path: Path = () if kind == "METASTORE" else cursor.path()
    cursor.expect("TO" if gives else "FROM")
    return nodes.Grant(tuple(privileges), "TABLE" if kind == "VIEW" else kind, path, cursor.identifier(), gives)


def policy_statement(cursor: Cursor) -> Statement:
    """CREATE and DROP POLICY; CREATE, ALTER and DROP GOVERNED TAG."""
    action = cursor.one_of("CREATE", "ALTER", "DROP")
    replace = cursor.accept("OR", "REPLACE")
    if cursor.accept("GOVERNED", "TAG"):
        return _governed(cursor, action)
    cursor.expect("POLICY")
    if action == "CREATE":
        return _create_policy(cursor, replace=replace)
    if_there = cursor.accept("IF", "EXISTS")
    name = cursor.name()
    cursor.expect("ON")
    return nodes.DropPolicy(name, cursor.one_of("CATALOG", "SCHEMA", "TABLE"), cursor.path(), if_there)


def _governed(cursor: Cursor, action: str) -> nodes.SetGovernedTag:
    if_so = cursor.accept("IF", "NOT", "EXISTS") if action == "CREATE" else action == "DROP" and cursor.accept("IF", "EXISTS")
    key = cursor.identifier()
    if action == "DROP":
        return nodes.SetGovernedTag(action, key, if_so=if_so)
    description = cursor.string() if action == "CREATE" and cursor.accept("DESCRIPTION") else ""
    if action == "ALTER":
        cursor.expect("SET", "VALUES")
        return nodes.SetGovernedTag(action, key, tuple(cursor.listed(cursor.string)))
    values = cursor.listed(cursor.string) if cursor.accept("VALUES") else []
    return nodes.SetGovernedTag(action, key, tuple(values), description, if_so)


def _create_policy(cursor: Cursor, *, replace: bool) -> nodes.CreatePolicy:
    name = cursor.name()
    cursor.expect("ON")
    on_type, on = cursor.one_of("CATALOG", "SCHEMA", "TABLE"), cursor.path()
    comment = cursor.string() if cursor.accept("COMMENT") else ""
    kind = cursor.one_of("COLUMN MASK", "ROW FILTER").replace(" ", "_")
    function = cursor.path()
    cursor.expect("TO")
    to = cursor.commas(cursor.identifier)
    excepted = cursor.commas(cursor.identifier) if cursor.accept("EXCEPT") else []
    cursor.expect("FOR", "TABLES")
    when = canonical(cursor.until("MATCH", "ON", "USING")) if cursor.accept("WHEN") else ""
    matches = cursor.commas(lambda: _match(cursor)) if cursor.accept("MATCH", "COLUMNS") else []
    on_column = ""
    if kind == "COLUMN_MASK":
        cursor.expect("ON", "COLUMN")
        on_column = cursor.identifier()
    using = cursor.listed(cursor.identifier) if cursor.accept("USING", "COLUMNS") else []
    return nodes.CreatePolicy(
        name, on_type, on, kind, function, tuple(to), tuple(excepted), when, tuple(matches), on_column, tuple(using), comment,
        replace,
    )  # fmt: skip


def _match(cursor: Cursor) -> Match:
    condition = canonical(cursor.until(",", "AS", "ON", "USING"))
    return Match(condition, cursor.identifier() if cursor.accept("AS") else "")
