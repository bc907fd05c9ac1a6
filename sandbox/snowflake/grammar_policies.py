"""Masking policies, row access policies and tags: CREATE and ALTER."""

from sandbox.snowflake import errors, lexer, nodes, types
from sandbox.snowflake.cursor import Cursor
from sandbox.snowflake.nodes import AlterPolicy, AlterTag, CreatePolicy, CreateTag, Path


def create(cursor: Cursor, kind: str, *, replace: bool, or_alter: bool) -> CreatePolicy:
    """From the word MASKING or ROW."""
    cursor.expect(*(("MASKING", "POLICY") if kind == "MASKING" else ("ROW", "ACCESS", "POLICY")))
    creation = cursor.creation(replace=replace, or_alter=or_alter)
    cursor.expect("AS")
    signature = cursor.listed(lambda: (cursor.name(), cursor.type()))
    if len({name for name, _ in signature}) != len(signature):
        raise errors.invalid("duplicate argument name in the signature of the policy.")
    cursor.expect("RETURNS")
    place = cursor.now
    returns = cursor.type()
    if kind == "ROW_ACCESS" and returns != types.BOOLEAN:
        raise errors.syntax(place.line, place.position, place.text)
    cursor.expect("->")
    body = _body(cursor)
    comment, exempt = None, False
    while cursor.now.kind != lexer.END:
        if comment is None and cursor.accept("COMMENT"):
            comment = cursor.comment()
        elif kind == "MASKING" and cursor.accept("EXEMPT_OTHER_POLICIES", "="):
            exempt = cursor.one_of("TRUE", "FALSE") == "TRUE"
        else:
            cursor.fail()
    return CreatePolicy(kind, creation, signature, returns, body, comment, exempt)


def _body(cursor: Cursor) -> str:
    start = cursor.at
    depth = 0
    while cursor.now.kind != lexer.END:
        if depth == 0 and (cursor.sees("COMMENT", "=") or cursor.sees("EXEMPT_OTHER_POLICIES", "=")):
            break
        depth += {"(": 1, ")": -1}.get(cursor.now.value if cursor.now.kind == lexer.SIGN else "", 0)
        cursor.at += 1
    if cursor.at == start:
        cursor.fail()
    return nodes.text_of(cursor.tokens[start : cursor.at], cursor.source)


def alter(cursor: Cursor, kind: str) -> AlterPolicy:
    """From the name."""
    if_exists = cursor.accept("IF", "EXISTS")
    path = cursor.path()
    if cursor.accept("SET", "BODY", "->"):
        return AlterPolicy(kind, path, if_exists, body=_body(cursor))
    if cursor.accept("SET", "COMMENT"):
        return AlterPolicy(kind, path, if_exists, comment=cursor.comment())
    if cursor.accept("UNSET", "COMMENT"):
        return AlterPolicy(kind, path, if_exists, comment="")
    cursor.expect("RENAME", "TO")
    return AlterPolicy(kind, path, if_exists, rename=cursor.path())


def create_tag(cursor: Cursor, *, replace: bool) -> CreateTag:
    """From the name."""
    creation = cursor.creation(replace=replace)
    values: tuple[str, ...] | None = None
    comment = ""
    while cursor.now.kind != lexer.END:
        if values is None and cursor.accept("ALLOWED_VALUES"):
            values = cursor.commas(cursor.string)
        elif cursor.accept("COMMENT"):
            comment = cursor.comment()
        elif cursor.sees("PROPAGATE"):
            raise errors.unsupported("PROPAGATE")
        else:
            cursor.fail()
    return CreateTag(creation, values, comment)


def alter_tag(cursor: Cursor) -> AlterTag:
    """From the name."""
    if_exists = cursor.accept("IF", "EXISTS")
    path = cursor.path()
    if cursor.sees("SET", "MASKING"):
        cursor.expect("SET")
        masks = cursor.commas(lambda: _policy(cursor))
        return AlterTag(path, if_exists, set_masks=masks, force=cursor.accept("FORCE"))
    if cursor.sees("UNSET", "MASKING"):
        cursor.expect("UNSET")
        return AlterTag(path, if_exists, unset_masks=cursor.commas(lambda: _policy(cursor)))
    if cursor.accept("ADD", "ALLOWED_VALUES"):
        return AlterTag(path, if_exists, add_values=cursor.commas(cursor.string))
    if cursor.accept("DROP", "ALLOWED_VALUES"):
        return AlterTag(path, if_exists, drop_values=cursor.commas(cursor.string))
    if cursor.accept("UNSET", "ALLOWED_VALUES"):
        return AlterTag(path, if_exists, unset_values=True)
    if cursor.accept("SET", "COMMENT"):
        return AlterTag(path, if_exists, comment=cursor.comment())
    if cursor.accept("UNSET", "COMMENT"):
        return AlterTag(path, if_exists, comment="")
    cursor.expect("RENAME", "TO")
    return AlterTag(path, if_exists, rename=cursor.path())


def _policy(cursor: Cursor) -> Path:
    cursor.expect("MASKING", "POLICY")
    return cursor.path()
