"""Tables and views: CREATE, ALTER, TRUNCATE."""

from sandbox.snowflake import lexer, nodes
from sandbox.snowflake.cursor import Cursor
from sandbox.snowflake.lexer import Token
from sandbox.snowflake.nodes import (
    Action,
    AddColumns,
    AddRowPolicy,
    AlterTable,
    ChangeColumn,
    ColumnDefinition,
    CommentTable,
    CreateTable,
    CreateView,
    Creation,
    DropColumns,
    DropRowPolicy,
    MaskDefinition,
    Path,
    RenameColumn,
    RenameTable,
    RowPolicyDefinition,
    SetMask,
    SetTags,
    TruncateTable,
    UnsetMask,
    UnsetTags,
)


def create(cursor: Cursor, *, replace: bool) -> CreateTable | CreateView:
    """After CREATE [OR REPLACE]."""
    if cursor.accept("SECURE", "VIEW") or cursor.accept("VIEW"):
        return _create_view(cursor, replace=replace)
    cursor.accept("TRANSIENT")
    cursor.expect("TABLE")
    creation = cursor.creation(replace=replace)
    if cursor.accept("LIKE"):
        return CreateTable(creation, like=cursor.path())
    if cursor.accept("CLONE"):
        return CreateTable(creation, clone=cursor.path(), copy_grants=cursor.accept("COPY", "GRANTS"))
    return _create_with_columns(cursor, creation)


def _create_with_columns(cursor: Cursor, creation: Creation) -> CreateTable:
    columns = cursor.listed(lambda: _column(cursor)) if cursor.sees("(") else ()
    comment, copy_grants = "", False
    row_policy: RowPolicyDefinition | None = None
    found_tags: nodes.TagValues = ()
    query: tuple[Token, ...] = ()
    while cursor.now.kind != lexer.END:
        if cursor.accept("COMMENT"):
            comment = cursor.comment()
        elif cursor.accept("COPY", "GRANTS"):
            copy_grants = True
        elif _with(cursor, "ROW"):
            row_policy = _row_policy(cursor)
        elif _with(cursor, "TAG"):
            found_tags = _tags_in_parentheses(cursor)
        elif cursor.accept("AS"):
            query = cursor.rest()
        else:
            cursor.fail()
    if not columns and not query:
        cursor.fail()
    return CreateTable(creation, columns, query, None, None, comment, row_policy, found_tags, copy_grants)


def _column(cursor: Cursor) -> ColumnDefinition:
    name, kind = cursor.name(), cursor.type()
    nullable, comment = True, ""
    default: tuple[Token, ...] = ()
    found_mask: MaskDefinition | None = None
    found_tags: nodes.TagValues = ()
    while not (cursor.sees(",") or cursor.sees(")") or cursor.now.kind == lexer.END):
        if cursor.accept("NOT", "NULL"):
            nullable = False
        elif cursor.accept("NULL"):
            nullable = True
        elif cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept("DEFAULT"):
            default = _default(cursor)
        elif cursor.accept("PRIMARY", "KEY"):
            nullable = False
        elif _with(cursor, "MASKING"):
            found_mask = _mask(cursor)
        elif _with(cursor, "TAG"):
            found_tags = _tags_in_parentheses(cursor)
        else:
            cursor.fail()
    return ColumnDefinition(name, kind, nullable, default, comment, found_mask, found_tags)


def _with(cursor: Cursor, word: str) -> bool:
    """Whether `[WITH] word` comes next; the cursor is then at the word."""
    found = cursor.sees("WITH", word) or cursor.sees(word)
    if found:
        cursor.accept("WITH")
    return found


def _default(cursor: Cursor) -> tuple[Token, ...]:
    start, depth = cursor.at, 0
    ends = ("NOT", "COMMENT", "WITH", "MASKING", "TAG", "PRIMARY")
    while cursor.now.kind != lexer.END:
        if depth == 0 and (cursor.sees(",") or cursor.sees(")") or any(map(cursor.sees, ends))):
            break
        depth += {"(": 1, ")": -1}.get(cursor.now.value if cursor.now.kind == lexer.SIGN else "", 0)
        cursor.at += 1
    if cursor.at == start:
        cursor.fail()
    return tuple(cursor.tokens[start : cursor.at])


def _mask(cursor: Cursor, *, forced: bool = False) -> MaskDefinition:
    cursor.expect("MASKING", "POLICY")
    policy = cursor.path()
    using = cursor.listed(cursor.name) if cursor.accept("USING") else ()
    return MaskDefinition(policy, using, forced and cursor.accept("FORCE"))


def _row_policy(cursor: Cursor) -> RowPolicyDefinition:
    cursor.expect("ROW", "ACCESS", "POLICY")
    policy = cursor.path()
    cursor.expect("ON")
    return RowPolicyDefinition(policy, cursor.listed(cursor.name))


def tags(cursor: Cursor) -> nodes.TagValues:
    """`a.b.c = 'x', d = 'y'`: a name followed by something else than `=` does not belong to it."""
    found = [_tag(cursor)]
    while cursor.sees(",") and cursor.tokens[cursor.at + 1].value not in ("COLUMN", "MODIFY", "ALTER"):
        cursor.expect(",")
        found.append(_tag(cursor))
    return tuple(found)


def _tag(cursor: Cursor) -> tuple[Path, str]:
    path = cursor.path()
    cursor.expect("=")
    return path, cursor.string()


def _tags_in_parentheses(cursor: Cursor) -> nodes.TagValues:
    cursor.expect("TAG")
    return cursor.listed(lambda: _tag(cursor))


def _create_view(cursor: Cursor, *, replace: bool) -> CreateView:
    creation = cursor.creation(replace=replace)
    columns: tuple[tuple[str, MaskDefinition | None], ...] = ()
    if cursor.sees("("):
        columns = cursor.listed(lambda: _view_column(cursor))
    comment, row_policy, copy_grants = "", None, False
    while not cursor.accept("AS"):
        if cursor.accept("COMMENT"):
            comment = cursor.comment()
        elif cursor.accept("COPY", "GRANTS"):
            copy_grants = True
        elif _with(cursor, "ROW"):
            row_policy = _row_policy(cursor)
        else:
            cursor.fail()
    query = cursor.rest()
    text = nodes.text_of(query[:-1], cursor.source)
    return CreateView(creation, columns, query, text, comment, row_policy, copy_grants)


def _view_column(cursor: Cursor) -> tuple[str, MaskDefinition | None]:
    name = cursor.name()
    if _with(cursor, "MASKING"):
        return name, _mask(cursor)
    return name, None


def truncate(cursor: Cursor) -> TruncateTable:
    """TRUNCATE [TABLE] [IF EXISTS] name."""
    cursor.expect("TRUNCATE")
    cursor.accept("TABLE")
    return TruncateTable(if_exists=cursor.accept("IF", "EXISTS"), path=cursor.path())


def alter(cursor: Cursor, kind: str) -> AlterTable:
    """From the name. Column changes may be several in one statement, and so may drop and add of a row access policy."""
    if_exists = cursor.accept("IF", "EXISTS")
    path = cursor.path()
    if cursor.sees("MODIFY") or cursor.sees("ALTER"):
        actions = _modify(cursor)
    elif cursor.sees("ADD", "ROW") or cursor.sees("DROP", "ROW") or cursor.sees("DROP", "ALL"):
        actions = cursor.commas(lambda: _row_policy_action(cursor))
    else:
        actions = (_table_action(cursor),)
    return AlterTable(kind, path, if_exists, actions)


def _modify(cursor: Cursor) -> tuple[Action, ...]:
    """`MODIFY COLUMN a SET ..., COLUMN b UNSET ...`; the list may stand in parentheses."""
    cursor.one_of("MODIFY", "ALTER")
    parentheses = cursor.accept("(")
    found = [_column_action(cursor)]
    while cursor.accept(","):
        if cursor.sees("MODIFY") or cursor.sees("ALTER"):
            cursor.at += 1
        found.append(_column_action(cursor))
    if parentheses:
        cursor.expect(")")
    return tuple(found)


def _column_action(cursor: Cursor) -> Action:
    cursor.accept("COLUMN")
    column = cursor.name()
    if cursor.sees("SET", "MASKING"):
        cursor.expect("SET")
        return SetMask(column, _mask(cursor, forced=True))
    if cursor.accept("UNSET", "MASKING", "POLICY"):
        return UnsetMask(column)
    if cursor.accept("SET", "TAG"):
        return SetTags(column, tags(cursor))
    if cursor.accept("UNSET", "TAG"):
        return UnsetTags(column, _tag_names(cursor))
    if cursor.accept("COMMENT"):
        return ChangeColumn(column, comment=cursor.string())
    if cursor.accept("UNSET", "COMMENT"):
        return ChangeColumn(column, comment="")
    if cursor.accept("DROP", "NOT", "NULL"):
        return ChangeColumn(column, nullable=True)
    if cursor.accept("SET", "NOT", "NULL"):
        return ChangeColumn(column, nullable=False)
    if not cursor.accept("SET", "DATA", "TYPE"):
        cursor.expect("TYPE")
    return ChangeColumn(column, type=cursor.type())


def _tag_names(cursor: Cursor) -> tuple[Path, ...]:
    found = [cursor.path()]
    while cursor.sees(",") and cursor.tokens[cursor.at + 1].value not in ("COLUMN", "MODIFY", "ALTER"):
        cursor.expect(",")
        found.append(cursor.path())
    return tuple(found)


def _row_policy_action(cursor: Cursor) -> Action:
    if cursor.accept("ADD"):
        return AddRowPolicy(_row_policy(cursor))
    cursor.expect("DROP")
    if cursor.accept("ALL", "ROW", "ACCESS", "POLICIES"):
        return DropRowPolicy(None)
    cursor.expect("ROW", "ACCESS", "POLICY")
    return DropRowPolicy(cursor.path())


def _table_action(cursor: Cursor) -> Action:
    if cursor.accept("RENAME", "TO"):
        return RenameTable(cursor.path())
    if cursor.accept("RENAME", "COLUMN"):
        old = cursor.name()
        cursor.expect("TO")
        return RenameColumn(old, cursor.name())
    if cursor.accept("SET", "COMMENT"):
        return CommentTable(cursor.comment())
    if cursor.accept("UNSET", "COMMENT"):
        return CommentTable("")
    if cursor.accept("SET", "TAG"):
        return SetTags(None, tags(cursor))
    if cursor.accept("UNSET", "TAG"):
        return UnsetTags(None, _tag_names(cursor))
    if cursor.accept("DROP"):
        cursor.accept("COLUMN")
        if_exists = cursor.accept("IF", "EXISTS")
        return DropColumns(cursor.commas(cursor.name), if_exists)
    cursor.expect("ADD")
    cursor.accept("COLUMN")
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    return AddColumns(cursor.commas(lambda: _column(cursor)), if_not_exists)
