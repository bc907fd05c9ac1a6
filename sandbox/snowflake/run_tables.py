"""Tables and views: made, changed, dropped, with what that does to the policies and tags on them."""

from sandbox.snowflake import errors, expressions, guard, rows, run_policies, run_tags
from sandbox.snowflake.catalog import Attached, Column, Schema, Table
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown, tokenise
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
    Path,
    RenameColumn,
    RenameTable,
    SetMask,
    SetTags,
    TruncateTable,
    UnsetMask,
    UnsetTags,
)
from sandbox.snowflake.results import Result, status
from sandbox.warehouse.engine import EngineError


def create_table(context: Context, node: CreateTable) -> Result:
    """CREATE [OR REPLACE] TABLE, also AS SELECT, LIKE, CLONE."""
    place = _place(context, node.creation, "CREATE TABLE")
    if isinstance(place, Result):
        return place
    schema, name, there = place
    if there is not None and there.query is not None:
        raise errors.exists("Object", shown(name))
    made = Table(name, schema, context.session.role, context.catalog.next_key("t"), comment=node.comment, created_at=context.now)
    if node.like or node.clone:
        _copy(context, node.like or node.clone or (), made, clone=node.clone is not None)
    elif node.query:
        _from_query(context, node, made)
    else:
        for definition in node.columns:
            _add_column(context, made, definition)
        _materialise(context, made)
    try:
        _protect(context, node, made)
    except errors.Refused:
        run_policies.release(made)
        _change(context, f"DROP TABLE {made.key}")
        raise
    if there is not None:
        if node.copy_grants:
            made.grants = there.grants
        forget(context, there)
    schema.tables[name] = made
    context.changed()
    return status(f"Table {shown(name)} successfully created.")


def _place(context: Context, creation: Creation, privilege: str) -> tuple[Schema, str, Table | None] | Result:
    schema, name = context.schema(creation.path[:-1]), creation.path[-1]
    there = schema.tables.get(name)
    if there is not None and creation.if_not_exists:
        return status(f"{shown(name)} already exists, statement succeeded.")
    context.access.need(schema, privilege)
    if there is not None and not creation.replace:
        raise errors.exists("Object", shown(name))
    if there is not None:
        context.access.need_owner(there)
    return schema, name, there


def _add_column(context: Context, table: Table, definition: ColumnDefinition) -> Column:
    if definition.name in table.columns:
        raise errors.Refused("002025", "42710", f"{errors.COMPILATION}duplicate column name '{shown(definition.name)}'")
    default = " ".join(token.text for token in definition.default) or None
    column = Column(
        definition.name, definition.type, context.catalog.next_key("c"), definition.nullable, definition.comment, default
    )
    table.columns[column.name] = column
    return column


def _materialise(context: Context, table: Table) -> None:
    columns = ", ".join(_defined(context, column) for column in table.columns.values())
    _change(context, f"CREATE TABLE {table.key} ({columns})")


def _defined(context: Context, column: Column) -> str:
    words = f"{column.key} {column.type.duckdb}"
    if column.default is not None:
        node = expressions.expression(column.default)
        words += f" DEFAULT {expressions.duckdb(expressions.adapt(node, context.reader()))}"
    return words + ("" if column.nullable else " NOT NULL")


def _change(context: Context, sql: str) -> None:
    try:
        context.engine.change(sql, number=context.number)
    except EngineError as error:
        raise guard.refusal(error) from error


def _from_query(context: Context, node: CreateTable, made: Table) -> None:
    """What the creator sees is written, without the policies of where it came from."""
    pending = rows.select(context, node.query)
    found = rows.describe_query(context, node.query)
    if node.columns and len(node.columns) != len(found):
        raise errors.invalid("the number of columns does not match the query.")
    for at, (name, kind) in enumerate(found):
        _add_column(context, made, node.columns[at] if node.columns else ColumnDefinition(name, kind))
    _materialise(context, made)
    try:
        context.engine.change(f"INSERT INTO {made.key} {pending.sql}", pending.parameters, context.number)
    except EngineError as error:
        _change(context, f"DROP TABLE {made.key}")
        raise guard.refusal(error) from error


def _copy(context: Context, path: Path, made: Table, *, clone: bool) -> None:
    """LIKE takes neither masks nor a row policy; CLONE takes them all, and the rows."""
    origin = rows.readable(context, path)
    if origin.query is not None:
        raise errors.unsupported("CLONE or LIKE of a view")
    copy_of: dict[Column, Column] = {}
    for column in origin.columns.values():
        key = context.catalog.next_key("c")
        tags = dict(column.tags) if clone else {}
        new = Column(column.name, column.type, key, column.nullable, column.comment, column.default, None, tags)
        made.columns[new.name] = copy_of[column] = new
    made.comment = made.comment or origin.comment
    _materialise(context, made)
    if not clone:
        return
    _change(context, f"INSERT INTO {made.key} SELECT * FROM {origin.key}")  # noqa: S608 - internal names
    made.tags = dict(origin.tags)
    for column in origin.columns.values():
        if column.mask is not None:
            run_policies.attach_mask(copy_of[column], _moved(column.mask, copy_of))
    if origin.row_policy is not None:
        run_policies.attach_row_policy(made, _moved(origin.row_policy, copy_of))


def _moved(attached: Attached, copy_of: dict[Column, Column]) -> Attached:
    return Attached(attached.policy, [copy_of[column] for column in attached.columns])


def _protect(context: Context, node: CreateTable, made: Table) -> None:
    """The policies and tags that the statement itself names: they are there from the first moment."""
    masks = [SetMask(column.name, column.mask) for column in node.columns if column.mask]
    tags = [SetTags(column.name, column.tags) for column in node.columns if column.tags]
    if node.tags:
        tags.append(SetTags(None, node.tags))
    if tags:
        run_tags.set_on_table(context, made, tags)
    if masks:
        run_policies.set_masks(context, made, masks)
    if node.row_policy:
        run_policies.row_policy_actions(context, made, [AddRowPolicy(node.row_policy)])


def create_view(context: Context, node: CreateView) -> Result:
    """CREATE [OR REPLACE] VIEW."""
    place = _place(context, node.creation, "CREATE VIEW")
    if isinstance(place, Result):
        return place
    schema, name, there = place
    if there is not None and there.query is None:
        raise errors.exists("Object", shown(name))
    made = Table(name, schema, context.session.role, context.catalog.next_key("v"), comment=node.comment, created_at=context.now)
    made.query = node.query_text
    made.text = node.query_text
    inner = context.within(schema, context.session.role)
    found = rows.describe_query(inner, tokenise(node.query_text))
    if node.columns and len(node.columns) != len(found):
        raise errors.invalid("the number of columns does not match the query.")
    for at, (given, kind) in enumerate(found):
        _add_column(context, made, ColumnDefinition(node.columns[at][0] if node.columns else given, kind))
    masks = [SetMask(column, mask) for column, mask in node.columns if mask]
    run_policies.set_masks(context, made, masks)
    if node.row_policy:
        run_policies.row_policy_actions(context, made, [AddRowPolicy(node.row_policy)])
    if there is not None:
        if node.copy_grants:
            made.grants = there.grants
        forget(context, there)
    schema.tables[name] = made
    context.changed()
    return status(f"View {shown(name)} successfully created.")


def forget(context: Context, table: Table) -> None:
    """It is gone, with its rows, and lets go of its policies."""
    run_policies.release(table)
    if table.query is None:
        _change(context, f"DROP TABLE {table.key}")
    del table.schema.tables[table.name]


def drop_table(context: Context, kind: str, path: Path) -> str:
    """Returns its name."""
    table = context.table(path, kind.capitalize())
    if table.kind != kind:
        raise errors.not_there(kind.capitalize(), context.full(path))
    context.access.need_owner(table)
    forget(context, table)
    return table.name


def truncate(context: Context, node: TruncateTable) -> Result:
    """All rows go."""
    try:
        table = context.table(node.path)
    except errors.Refused:
        if node.if_exists:
            return status()
        raise
    context.access.need(table, "TRUNCATE")
    _change(context, f"DELETE FROM {table.key}")  # noqa: S608 - an internal name
    return status()


# ALTER


def alter(context: Context, node: AlterTable) -> Result:
    """ALTER TABLE, ALTER VIEW: all of its actions, or none."""
    try:
        table = context.table(node.path, node.kind.capitalize())
    except errors.Refused as error:
        if node.if_exists and error.code == "002003":
            return status()
        raise
    if (table.kind == "VIEW") != (node.kind == "VIEW"):
        raise errors.not_there(node.kind.capitalize(), context.full(node.path))
    _apply(context, table, node.actions)
    context.changed()
    return status()


def _apply(context: Context, table: Table, actions: tuple[Action, ...]) -> None:
    """Everything is checked before anything is done."""
    named = [action.column for action in actions if isinstance(action, SetMask | UnsetMask)]
    if len(set(named)) != len(named):
        raise errors.invalid("a column is named twice.")
    masks = [action for action in actions if isinstance(action, SetMask)]
    tags = [action for action in actions if isinstance(action, SetTags)]
    row_policies = [action for action in actions if isinstance(action, AddRowPolicy | DropRowPolicy)]
    others = [action for action in actions if not isinstance(action, SetMask | SetTags | AddRowPolicy | DropRowPolicy)]
    if masks or row_policies:
        _need_edition(context)
    for action in others:
        _check(context, table, action)
    if tags:
        run_tags.set_on_table(context, table, tags)
    if masks:
        run_policies.set_masks(context, table, masks)
    if row_policies:
        run_policies.row_policy_actions(context, table, row_policies)
    for action in others:
        _act(context, table, action)


def _need_edition(context: Context) -> None:
    if context.settings.edition == "STANDARD":
        raise errors.unsupported("MASKING POLICY")


def _check(context: Context, table: Table, action: Action) -> None:
    """What can be known beforehand, so that a statement of several actions does nothing rather than a part."""
    if isinstance(action, UnsetMask):
        column = context.column(table, action.column)
        if column.mask is not None and not context.access.may_apply(column.mask.policy, table):
            raise errors.forbidden("Masking policy", run_policies.full_text(column.mask.policy))
    elif isinstance(action, UnsetTags):
        if action.column is not None:
            context.column(table, action.column)
    else:
        context.access.need_owner(table)
        if isinstance(action, ChangeColumn):
            context.column(table, action.column)


def _act(context: Context, table: Table, action: Action) -> None:
    if isinstance(action, UnsetMask):
        run_policies.unset_mask(context, table, action)
    elif isinstance(action, UnsetTags):
        run_tags.unset_on_table(context, table, action)
    elif isinstance(action, CommentTable):
        table.comment = action.comment
    elif isinstance(action, RenameTable):
        _rename(context, table, action.path)
    elif isinstance(action, RenameColumn):
        _rename_column(context, table, action)
    elif isinstance(action, AddColumns):
        _add_columns(context, table, action)
    elif isinstance(action, DropColumns):
        _drop_columns(context, table, action)
    elif isinstance(action, ChangeColumn):
        _change_column(context, table, context.column(table, action.column), action)


def _rename(context: Context, table: Table, path: Path) -> None:
    schema = context.schema(path[:-1]) if len(path) > 1 else table.schema
    if path[-1] in schema.tables:
        raise errors.exists("Object", shown(path[-1]))
    del table.schema.tables[table.name]
    table.schema, table.name = schema, path[-1]
    schema.tables[table.name] = table


def _rename_column(context: Context, table: Table, action: RenameColumn) -> None:
    column = context.column(table, action.old)
    if action.new in table.columns:
        raise errors.exists("Column", shown(action.new))
    column.name = action.new
    table.columns = {each.name: each for each in table.columns.values()}  # in its place


def _add_columns(context: Context, table: Table, action: AddColumns) -> None:
    for definition in action.columns:
        if definition.name in table.columns and action.if_not_exists:
            continue
        column = _add_column(context, table, definition)
        try:
            words = _defined(context, column).removesuffix(" NOT NULL")
            _change(context, f"ALTER TABLE {table.key} ADD COLUMN {words}")
            if definition.tags:
                run_tags.set_on_table(context, table, [SetTags(column.name, definition.tags)])
            if definition.mask:
                run_policies.set_masks(context, table, [SetMask(column.name, definition.mask)])
        except errors.Refused:
            del table.columns[column.name]
            raise


def _drop_columns(context: Context, table: Table, action: DropColumns) -> None:
    for name in action.names:
        if action.if_exists and name not in table.columns:
            continue
        column = context.column(table, name)
        others = [each.mask for each in table.columns.values() if each.mask and each is not column]
        for attached in [*others, *([table.row_policy] if table.row_policy else [])]:
            if column in attached.columns:
                raise errors.column_in_another_policy(shown(name), run_policies.full_text(attached.policy))
        _change(context, f"ALTER TABLE {table.key} DROP COLUMN {column.key}")
        run_policies.attach_mask(column, None)
        del table.columns[name]


def _change_column(context: Context, table: Table, column: Column, action: ChangeColumn) -> None:
    if action.comment is not None:
        column.comment = action.comment
    if action.nullable is not None:
        _change(context, f"ALTER TABLE {table.key} ALTER {column.key} {'DROP' if action.nullable else 'SET'} NOT NULL")
        column.nullable = action.nullable
    if action.type is not None:
        widened = action.type.family == column.type.family and action.type.size >= column.type.size
        if not widened or action.type.scale != column.type.scale:
            words = f"cannot change column {shown(column.name)} from type {column.type} to {action.type}"
            raise errors.Refused("002108", "22000", f"{errors.COMPILATION}{words}")
        if action.type.duckdb != column.type.duckdb:
            _change(context, f"ALTER TABLE {table.key} ALTER {column.key} TYPE {action.type.duckdb}")
        column.type = action.type
