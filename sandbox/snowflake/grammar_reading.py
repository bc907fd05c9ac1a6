"""What reads or writes rows, and what tells about objects. Queries are only marked here: sqlglot reads them."""

from sandbox.snowflake import lexer
from sandbox.snowflake.cursor import Cursor
from sandbox.snowflake.nodes import ChangeRows, Describe, Nothing, Path, PolicyContext, Select, Show

DESCRIBED = ("TABLE", "VIEW", "MASKING POLICY", "ROW ACCESS POLICY", "USER", "SCHEMA", "DATABASE")
SHOWN = (
    "ROLES", "USERS", "WAREHOUSES", "DATABASES", "SCHEMAS", "TABLES", "VIEWS", "COLUMNS", "MASKING POLICIES",
    "ROW ACCESS POLICIES", "TAGS", "PARAMETERS",
)  # fmt: skip
CONTEXT_ARGUMENTS = (
    "CURRENT_USER", "CURRENT_ROLE", "CURRENT_AVAILABLE_ROLES", "CURRENT_ACCOUNT", "SNOWFLAKE$CURRENT_ACTIVATED_ROLES",
    "SNOWFLAKE$SESSION_ACTIVATED_ROLES", "SNOWFLAKE$SESSION_USER", "SNOWFLAKE$SESSION_ROLE", "SNOWFLAKE$CURRENT_USER",
    "SNOWFLAKE$CURRENT_ROLE", "SNOWFLAKE$SESSION_ACCOUNT", "SNOWFLAKE$CURRENT_ACCOUNT", "SNOWFLAKE$SESSION_AVAILABLE_ROLES",
    "SNOWFLAKE$CURRENT_AVAILABLE_ROLES",
)  # fmt: skip


def select(cursor: Cursor) -> Select:
    """Everything."""
    return Select(cursor.rest())


def change_rows(cursor: Cursor) -> ChangeRows:
    """Everything."""
    return ChangeRows(cursor.rest())


def nothing(cursor: Cursor) -> Nothing:
    """BEGIN, COMMIT, ROLLBACK."""
    word = cursor.one_of("BEGIN", "COMMIT", "ROLLBACK")
    if word == "BEGIN":
        cursor.accept("TRANSACTION")
    return Nothing()


def policy_context(cursor: Cursor) -> PolicyContext:
    """EXECUTE USING POLICY_CONTEXT(name => value, ...) AS query."""
    cursor.expect("EXECUTE", "USING", "POLICY_CONTEXT")
    arguments: dict[str, str | tuple[str, ...]] = {}

    def argument() -> None:
        name = cursor.one_of(*CONTEXT_ARGUMENTS)
        if name in arguments:
            cursor.fail()
        cursor.expect("=>")
        arguments[name] = cursor.listed(cursor.string) if cursor.sees("(") else cursor.string()

    cursor.listed(argument)
    cursor.expect("AS")
    if not any(map(cursor.sees, ("SELECT", "WITH", "("))):
        cursor.fail()
    return PolicyContext(arguments, cursor.rest())


def show(cursor: Cursor) -> Show:
    """SHOW kind [LIKE '...'] [IN ...] [STARTS WITH '...'] [LIMIT n], and SHOW GRANTS."""
    cursor.expect("SHOW")
    cursor.accept("TERSE")
    if cursor.accept("GRANTS"):
        return _show_grants(cursor)
    kind = cursor.one_of(*SHOWN)
    like = cursor.string() if cursor.accept("LIKE") else None
    within: str | None = None
    path: Path = ()
    if cursor.accept("IN") or (kind == "PARAMETERS" and cursor.accept("FOR")):
        for word in ("ACCOUNT", "SESSION", "DATABASE", "SCHEMA", "TABLE", "VIEW", "USER", "WAREHOUSE"):
            if cursor.accept(word):
                within = word
                break
        else:
            within = "SCHEMA"
        if within not in ("ACCOUNT", "SESSION") and cursor.now.kind in (lexer.WORD, lexer.NAME):
            path = cursor.path()
    starts_with = cursor.string() if cursor.accept("STARTS", "WITH") else None
    limit = cursor.number() if cursor.accept("LIMIT") else None
    return Show(kind, like, starts_with, within, path, limit)


def _show_grants(cursor: Cursor) -> Show:
    if cursor.accept("TO"):
        kind = cursor.one_of("ROLE", "USER")
        return Show(f"GRANTS TO {kind}", path=(cursor.name(),))
    if cursor.accept("OF", "ROLE"):
        return Show("GRANTS OF ROLE", path=(cursor.name(),))
    if cursor.accept("ON"):
        kind = cursor.one_of(
            "ACCOUNT",
            "DATABASE",
            "SCHEMA",
            "TABLE",
            "VIEW",
            "WAREHOUSE",
            "MASKING POLICY",
            "ROW ACCESS POLICY",
            "TAG",
            "ROLE",
            "USER",
        )
        return Show("GRANTS ON", within=kind, path=() if kind == "ACCOUNT" else cursor.path())
    return Show("GRANTS TO USER")


def describe(cursor: Cursor) -> Describe:
    """DESCRIBE kind name."""
    cursor.one_of("DESCRIBE", "DESC")
    kind = cursor.one_of(*DESCRIBED)
    return Describe(kind, cursor.path())
