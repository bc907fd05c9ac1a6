"""Which statement a text is. What is not known here is a syntax error, never a success."""

from collections.abc import Callable, Sequence

from sandbox.snowflake import grammar_access, grammar_policies, grammar_reading, grammar_tables
from sandbox.snowflake.cursor import Cursor
from sandbox.snowflake.lexer import Token
from sandbox.snowflake.nodes import Drop, Statement

DROPPED = (
    "TABLE", "VIEW", "SCHEMA", "DATABASE", "ROLE", "USER", "WAREHOUSE", "TAG", "MASKING POLICY", "ROW ACCESS POLICY",
)  # fmt: skip


def parse(tokens: Sequence[Token], source: str, *, ignore_case: bool = False) -> Statement:
    """The one statement in `tokens`, which end with an END. Raises errors.Refused (001003 and others)."""
    cursor = Cursor(tokens, source, ignore_case=ignore_case)
    for word, grammar in _FIRST.items():
        if cursor.sees(word):
            statement = grammar(cursor)
            cursor.end()
            return statement
    raise cursor.failure()


def _create(cursor: Cursor) -> Statement:
    cursor.expect("CREATE")
    replace = cursor.accept("OR", "REPLACE")
    or_alter = not replace and cursor.accept("OR", "ALTER")
    for word, kind in (("MASKING", "MASKING"), ("ROW", "ROW_ACCESS")):
        if cursor.sees(word):
            return grammar_policies.create(cursor, kind, replace=replace, or_alter=or_alter)
    if or_alter:
        cursor.fail()
    if cursor.accept("TAG"):
        return grammar_policies.create_tag(cursor, replace=replace)
    for word in ("DATABASE", "SCHEMA", "WAREHOUSE", "ROLE", "USER"):
        if cursor.accept(word):
            return grammar_access.create(cursor, word, replace=replace)
    return grammar_tables.create(cursor, replace=replace)


def _alter(cursor: Cursor) -> Statement:
    cursor.expect("ALTER")
    if cursor.accept("MASKING", "POLICY"):
        return grammar_policies.alter(cursor, "MASKING")
    if cursor.accept("ROW", "ACCESS", "POLICY"):
        return grammar_policies.alter(cursor, "ROW_ACCESS")
    if cursor.accept("TAG"):
        return grammar_policies.alter_tag(cursor)
    for word in ("TABLE", "VIEW"):
        if cursor.accept(word):
            return grammar_tables.alter(cursor, word)
    kind = cursor.one_of("SESSION", "ACCOUNT", "WAREHOUSE", "USER", "ROLE", "DATABASE", "SCHEMA")
    return grammar_access.alter(cursor, kind)


def _drop(cursor: Cursor) -> Statement:
    cursor.expect("DROP")
    kind = cursor.one_of(*DROPPED)
    if_exists = cursor.accept("IF", "EXISTS")
    path = cursor.path()
    if kind in ("TABLE", "VIEW", "SCHEMA", "DATABASE"):
        cursor.accept("CASCADE")
    return Drop(kind, path, if_exists)


_FIRST: dict[str, Callable[[Cursor], Statement]] = {
    "SELECT": grammar_reading.select,
    "WITH": grammar_reading.select,
    "(": grammar_reading.select,
    "VALUES": grammar_reading.select,
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "INSERT": grammar_reading.change_rows,
    "UPDATE": grammar_reading.change_rows,
    "DELETE": grammar_reading.change_rows,
    "TRUNCATE": grammar_tables.truncate,
    "GRANT": grammar_access.grant,
    "REVOKE": grammar_access.grant,
    "USE": grammar_access.use,
    "SHOW": grammar_reading.show,
    "DESCRIBE": grammar_reading.describe,
    "DESC": grammar_reading.describe,
    "EXECUTE": grammar_reading.policy_context,
    "BEGIN": grammar_reading.nothing,
    "COMMIT": grammar_reading.nothing,
    "ROLLBACK": grammar_reading.nothing,
}
