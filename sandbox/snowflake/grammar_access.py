"""Roles, users, grants, containers, and what a session uses."""

from sandbox.snowflake import lexer
from sandbox.snowflake.cursor import Cursor
from sandbox.snowflake.grammar_tables import tags
from sandbox.snowflake.nodes import AlterContainer, CreateContainer, Grant, GrantOwnership, GrantRole, Path, TagValues, Use

PRIVILEGES = (
    "ALL PRIVILEGES", "ALL", "APPLY MASKING POLICY", "APPLY ROW ACCESS POLICY", "APPLY TAG", "APPLY", "CREATE MASKING POLICY",
    "CREATE ROW ACCESS POLICY", "CREATE TAG", "CREATE TABLE", "CREATE VIEW", "CREATE SCHEMA", "CREATE DATABASE", "CREATE ROLE",
    "CREATE USER", "CREATE WAREHOUSE", "MANAGE GRANTS", "USAGE", "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES",
    "OPERATE", "MONITOR", "MODIFY",
)  # fmt: skip
OBJECTS = (
    "DATABASE", "SCHEMA", "TABLE", "VIEW", "WAREHOUSE", "MASKING POLICY", "ROW ACCESS POLICY", "TAG", "ROLE", "USER",
)  # fmt: skip
PLURALS = {"TABLES": "TABLE", "VIEWS": "VIEW", "SCHEMAS": "SCHEMA"}


def create(cursor: Cursor, kind: str, *, replace: bool) -> CreateContainer:
    """From the name of a database, schema, warehouse, role or user."""
    creation = cursor.creation(replace=replace)
    given: dict[str, str] = {}
    found_tags: TagValues = ()
    while cursor.now.kind != lexer.END:
        if cursor.accept("WITH", "TAG") or cursor.accept("TAG"):
            cursor.expect("(")
            found_tags = tags(cursor)
            cursor.expect(")")
        else:
            cursor.accept("WITH")
            name, value = _property(cursor)
            given[name] = value
    return CreateContainer(kind, creation, given, found_tags)


def _property(cursor: Cursor) -> tuple[str, str]:
    name = cursor.name()
    cursor.expect("=")
    return name, _value(cursor)


def _value(cursor: Cursor) -> str:
    token = cursor.now
    if cursor.accept("("):
        words = []
        while not cursor.accept(")"):
            words.append(_value(cursor))
            cursor.accept(",")
        return ",".join(words)
    if token.kind not in (lexer.STRING, lexer.NUMBER, lexer.WORD, lexer.NAME):
        cursor.fail()
    cursor.at += 1
    return token.value


def alter(cursor: Cursor, kind: str) -> AlterContainer:
    """From the name; SESSION and ACCOUNT have none."""
    if_exists = cursor.accept("IF", "EXISTS")
    path: Path = () if kind in ("SESSION", "ACCOUNT") else cursor.path()
    if kind == "WAREHOUSE":
        if cursor.accept("SUSPEND"):
            return AlterContainer(kind, path, if_exists, {"STATE": "SUSPENDED"})
        if cursor.accept("RESUME"):
            cursor.accept("IF", "SUSPENDED")
            return AlterContainer(kind, path, if_exists, {"STATE": "STARTED"})
    if cursor.accept("RENAME", "TO"):
        return AlterContainer(kind, path, if_exists, rename=cursor.path())
    if cursor.accept("UNSET", "TAG"):
        return AlterContainer(kind, path, if_exists, unset_tags=cursor.commas(cursor.path))
    if cursor.accept("UNSET"):
        return AlterContainer(kind, path, if_exists, unset=cursor.commas(cursor.name))
    cursor.expect("SET")
    if cursor.accept("TAG"):
        return AlterContainer(kind, path, if_exists, set_tags=tags(cursor))
    given = {}
    while cursor.now.kind != lexer.END:
        name, value = _property(cursor)
        given[name] = value
        cursor.accept(",")
    if not given:
        cursor.fail()
    return AlterContainer(kind, path, if_exists, given)


def grant(cursor: Cursor) -> Grant | GrantRole | GrantOwnership:
    """GRANT or REVOKE of privileges, of ownership, of a role."""
    revoke = cursor.one_of("GRANT", "REVOKE") == "REVOKE"
    towards = "FROM" if revoke else "TO"
    if cursor.accept("ROLE"):
        role = cursor.name()
        cursor.expect(towards)
        to_kind = cursor.one_of("ROLE", "USER")
        return GrantRole(revoke, role, to_kind, cursor.name())
    if not revoke and cursor.accept("OWNERSHIP", "ON"):
        kind = cursor.one_of(*OBJECTS)
        path = cursor.path()
        cursor.expect("TO", "ROLE")
        role = cursor.name()
        copy = False
        if cursor.sees("COPY") or cursor.sees("REVOKE"):
            copy = cursor.one_of("COPY", "REVOKE") == "COPY"
            cursor.expect("CURRENT", "GRANTS")
        return GrantOwnership(kind, path, role, copy)
    privileges = cursor.commas(lambda: cursor.one_of(*PRIVILEGES))
    cursor.expect("ON")
    kind_or_none, path, plural_in = _object(cursor)
    cursor.expect(towards)
    cursor.accept("ROLE")
    role = cursor.name()
    if not revoke:
        cursor.accept("WITH", "GRANT", "OPTION")
    return Grant(revoke, privileges, kind_or_none, path, role, plural_in)


def _object(cursor: Cursor) -> tuple[str | None, Path, str | None]:
    if cursor.accept("ACCOUNT"):
        return None, (), None
    if cursor.accept("ALL"):
        kind = PLURALS[cursor.one_of(*PLURALS)]
        cursor.expect("IN")
        plural_in = cursor.one_of("SCHEMA", "DATABASE")
        return kind, cursor.path(), plural_in
    kind = cursor.one_of(*OBJECTS)
    return kind, cursor.path(), None


def use(cursor: Cursor) -> Use:
    """USE ROLE, WAREHOUSE, DATABASE, SCHEMA, SECONDARY ROLES; without a word, a database or a schema in one."""
    cursor.expect("USE")
    if cursor.accept("SECONDARY", "ROLES"):
        return Use("SECONDARY ROLES", (cursor.one_of("ALL", "NONE"),))
    for kind in ("ROLE", "WAREHOUSE", "DATABASE", "SCHEMA"):
        if cursor.sees(kind):
            cursor.expect(kind)
            return Use(kind, cursor.path(2 if kind == "SCHEMA" else 1))
    path = cursor.path(2)
    return Use("SCHEMA" if len(path) == 2 else "DATABASE", path)
