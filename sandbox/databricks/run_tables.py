"""Carries out statements on catalogs, schemas, tables, views and functions."""

import json
from dataclasses import replace

from sandbox.databricks import errors, expressions, nodes, rows, translation, views
from sandbox.databricks.catalog import Catalog, Column, Facts, Function, Path, Schema, Table, dotted, shown
from sandbox.databricks.context import Context
from sandbox.databricks.lexer import quote
from sandbox.databricks.nodes import NewColumn
from sandbox.databricks.results import Result
from sandbox.databricks.run_protection import check_mask, check_row_filter, is_protected
from sandbox.databricks.types import STRING

_BAD_IN_COLUMN = set(" ,;{}()\n\t=")
DONE = Result()
_WORDS = {"MANAGED": "TABLE", "STREAMING_TABLE": "TABLE", "VIEW": "VIEW", "MATERIALIZED_VIEW": "MATERIALIZED VIEW"}  # for DROP


def _facts(context: Context, comment: str = "") -> Facts:
    name = context.identity.name
    return Facts(name, comment, created_by=name, updated_by=name)


def create_space(context: Context, node: nodes.CreateSpace) -> Result:
    """A catalog or a schema."""
    if node.kind == "CATALOG":
        if len(node.path) != 1:
            raise errors.syntax("'.'")
        if node.path[0] in context.metastore.catalogs:
            return _exists(node.if_missing, "CATALOG_ALREADY_EXISTS", shown(node.path))
        if not (context.identity.trusted or context.identity.admin):
            raise errors.not_allowed("CREATE_CATALOG", "METASTORE", "metastore")
        context.metastore.catalogs[node.path[0]] = Catalog(node.path, _facts(context, node.comment))
        return DONE
    path = context.full(node.path, 2)
    catalog = context.metastore.catalog(path)
    context.access.enter(path[:1])
    if path[1] in catalog.schemas:
        return _exists(node.if_missing, "SCHEMA_ALREADY_EXISTS", shown(path))
    context.access.need("CREATE_SCHEMA", path[:1])
    catalog.schemas[path[1]] = Schema(path, _facts(context, node.comment))
    return DONE


def _exists(is_fine: bool, error_class: str, name: str, sqlstate: str = "42P07") -> Result:
    if is_fine:
        return DONE
    raise errors.Refused(error_class, sqlstate, f"Cannot create {name} because it already exists.")


def create_table(context: Context, node: nodes.CreateTable) -> Result:
    """Also AS a query, which copies what its creator sees. OR REPLACE keeps the masks of columns that stay."""
    path = context.full(node.path)
    schema = context.metastore.schema(path)
    context.access.enter(path[:2])
    there = schema.tables.get(path[2])
    if there is not None and not node.replace:
        return _exists(node.if_missing, "TABLE_OR_VIEW_ALREADY_EXISTS", shown(path))
    if there is not None:
        context.access.manage(path)
        if there.query is not None:
            raise errors.Refused("EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", "42809", f"{shown(path)} is a view.")
    else:
        context.access.need("CREATE_TABLE", path[:2])
    pending = rows.select(context, node.query) if node.query else None
    wanted = node.columns
    if pending is not None:
        wanted = tuple(NewColumn(name, kind) for name, kind in rows.columns_of(context, node.query))
    table = Table(path, _facts(context, node.comment), {}, node.kind, properties=dict(node.properties))
    for column in wanted:
        _add_column(table, column)
    if there is not None:
        _keep(there, table)
    _attach_first(context, table, node)
    context.world.engine.change(_definition(table))
    if pending is not None:
        rows.ask(context, replace(pending, sql=rows.insertion(table, list(table.columns.values()), pending.sql), is_change=True))
    schema.tables[path[2]] = table
    if there is not None:
        context.world.engine.change(f"DROP TABLE {there.key}")
    return Result([("num_affected_rows", rows.COUNT)], [(0,)]) if node.query else DONE


def _add_column(table: Table, new: NewColumn) -> Column:
    if new.name.lower() in table.columns:
        raise errors.Refused("COLUMN_ALREADY_EXISTS", "42711", f"The column {quote(new.name)} already exists.")
    if set(new.name) & _BAD_IN_COLUMN and table.properties.get("delta.columnMapping.mode") not in ("name", "id"):
        words = f"Found invalid character(s) among ' ,;{{}}()\\n\\t=' in the column names of your schema: {new.name}"
        raise errors.Refused("DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES", "42K05", words)
    column = Column(new.name, new.type, nullable=new.nullable, comment=new.comment)
    table.columns[new.name.lower()] = column
    return column


def _keep(old: Table, new: Table) -> None:
    """What a replaced table had stays: id, owner, grants, tags, masks and the filter."""
    for name, column in old.columns.items():
        stays = new.columns.get(name)
        if stays is None and column.tags:
            raise errors.invalid(f"Column {quote(column.name)} has tags and cannot be dropped", "CANNOT_DROP_TAGGED_COLUMN")
        if stays is not None:
            stays.mask, stays.tags = column.mask, column.tags
    facts = old.facts
    new.facts.id, new.facts.owner, new.facts.grants, new.facts.tags = facts.id, facts.owner, facts.grants, facts.tags
    new.facts.created_at, new.facts.created_by = facts.created_at, facts.created_by
    new.row_filter = old.row_filter
    if old.row_filter is not None:
        for argument in old.row_filter.arguments:
            if argument.column:
                new.column(argument.column)


def _attach_first(context: Context, table: Table, node: nodes.CreateTable) -> None:
    for name, condition in node.checks:
        table.checks[name] = condition
        rows.check_condition(table, condition)
    for new in node.columns:
        if new.mask is not None:
            column = table.column(new.name)
            column.mask = check_mask(context, table, column, new.mask)
    if node.row_filter is not None:
        table.row_filter = check_row_filter(context, table, node.row_filter)
    if table.checks and is_protected(table):
        raise errors.masks_unsupported("CHECK_CONSTRAINT", dotted(table.path), "CHECK constraints together with column masks")


def _definition(table: Table) -> str:
    columns = [f"{column.key} {column.type.duckdb}{'' if column.nullable else ' NOT NULL'}" for column in table.columns.values()]
    return f"CREATE TABLE {table.key} ({', '.join(columns)})"


def create_view(context: Context, node: nodes.CreateView) -> Result:
    """Raises Refused."""
    path = context.full(node.path)
    schema = context.metastore.schema(path)
    context.access.enter(path[:2])
    there = schema.tables.get(path[2])
    if there is not None and not node.replace:
        return _exists(node.if_missing, "TABLE_OR_VIEW_ALREADY_EXISTS", shown(path))
    if there is not None:
        context.access.manage(path)
        if there.query is None:
            raise errors.Refused("EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE", "42809", f"{shown(path)} is a table.")
    else:
        context.access.need("CREATE_TABLE", path[:2])
    found = rows.columns_of(context, node.query)
    columns = {name.lower(): Column(name, kind) for name, kind in found}
    view = Table(path, _facts(context, node.comment), columns, "VIEW", query=node.query)
    if there is not None:
        view.facts = there.facts
    schema.tables[path[2]] = view
    return DONE


def create_function(context: Context, node: nodes.CreateFunction) -> Result:
    """OR REPLACE keeps its owner and discards the grants on it."""
    path = context.full(node.path)
    schema = context.metastore.schema(path)
    context.access.enter(path[:2])
    there = schema.functions.get(path[2])
    if there is not None and not node.replace:
        return _exists(node.if_missing, "ROUTINE_ALREADY_EXISTS", shown(path), "42723")
    if there is not None:
        context.access.manage(path, "FUNCTION")
    else:
        context.access.need("CREATE_FUNCTION", path[:2])
    names = [name.lower() for name, _ in node.parameters]
    if len(set(names)) != len(names):
        raise errors.Refused("DUPLICATE_ROUTINE_PARAMETER_NAMES", "42734", f"Found duplicate names in {shown(path)}.")
    function = Function(path, _facts(context, node.comment), list(node.parameters), node.returns, node.body)
    if there is not None:
        function.facts.owner, function.facts.created_at = there.facts.owner, there.facts.created_at
        function.facts.created_by, function.facts.id = there.facts.created_by, there.facts.id
    _try_body(context, function)
    schema.functions[path[2]] = function
    return DONE


def _try_body(context: Context, function: Function) -> None:
    """Run it once with NULLs, so that a body which cannot work is refused when it is written."""
    from sqlglot import exp

    nulls: list[exp.Expr] = [exp.null() for _ in function.parameters]
    tree = expressions.inlined(function, nulls, context.function)
    sql = translation.duckdb(tree, expressions.Reader("", frozenset()))
    rows.ask(context, rows.Pending(f"SELECT {sql} WHERE false", {}, []))


def drop(context: Context, node: nodes.Drop) -> Result:
    """Also of functions that masks name: Unity Catalog does not refuse that, and reads fail then."""
    path = context.full(node.path, {"CATALOG": 1, "SCHEMA": 2}.get(node.kind, 3))
    kind = "FUNCTION" if node.kind == "FUNCTION" else ""
    try:
        found = _existing(context, path, node.kind)
    except errors.Refused as refused:
        if node.if_there and refused.error_class != "INSUFFICIENT_PERMISSIONS":
            return DONE
        raise
    context.access.manage(path, kind)
    if isinstance(found, Catalog | Schema):
        _drop_space(context, found, cascade=node.cascade)
        return DONE
    schema = context.metastore.schema(path)
    if isinstance(found, Function):
        del schema.functions[path[2]]
        return DONE
    if node.kind != _WORDS[found.kind]:
        raise errors.Refused("WRONG_COMMAND_FOR_OBJECT_TYPE", "42809", f"{shown(path)} is a {_WORDS[found.kind].lower()}.")
    _drop_table(context, schema, found)
    return DONE


def _existing(context: Context, path: Path, kind: str) -> Catalog | Schema | Table | Function:
    if kind == "CATALOG":
        return context.metastore.catalog(path)
    if kind == "SCHEMA":
        return context.metastore.schema(path)
    return context.metastore.function(path) if kind == "FUNCTION" else context.metastore.table(path)


def _drop_space(context: Context, space: Catalog | Schema, *, cascade: bool) -> None:
    inner = list(space.schemas.values()) if isinstance(space, Catalog) else [space]
    if not cascade and (any(each.tables or each.functions for each in inner) or (isinstance(space, Catalog) and inner)):
        raise errors.Refused("SCHEMA_NOT_EMPTY", "2BP01", f"Cannot drop {shown(space.path)} because it contains objects.")
    for key in [key for key in context.metastore.policies if key[1][: len(space.path)] == space.path]:
        del context.metastore.policies[key]
    for schema in inner:
        for table in list(schema.tables.values()):
            _drop_table(context, schema, table)
    if isinstance(space, Catalog):
        del context.metastore.catalogs[space.path[0]]
    else:
        del context.metastore.catalog(space.path).schemas[space.path[1]]


def _drop_table(context: Context, schema: Schema, table: Table) -> None:
    if table.query is None:
        context.world.engine.change(f"DROP TABLE {table.key}")
    del schema.tables[table.path[2]]
    for key in [key for key in context.metastore.policies if key[1] == table.path]:
        del context.metastore.policies[key]


# ALTER TABLE, other than protection


def _own(context: Context, path: Path) -> Table:
    table = context.table(path)
    context.access.manage(table.path)
    table.facts.changed(context.identity.name)
    return table


def add_check(context: Context, node: nodes.AddCheck) -> Result:
    """Excludes masks and filters, both ways."""
    table = _own(context, node.table)
    if is_protected(table):
        words = "Adding a CHECK constraint to a table with column mask policies"
        error_class = "COLUMN_MASKS_CHECK_CONSTRAINT_UNSUPPORTED"
        raise errors.Refused(error_class, "0A000", f"{words}: {dotted(table.path)}")
    if node.name in table.checks:
        raise errors.Refused("DELTA_CONSTRAINT_ALREADY_EXISTS", "42710", f"Constraint '{node.name}' already exists.")
    condition = rows.check_condition(table, node.condition)
    pending = rows.Pending(f"SELECT count(*) FROM {table.key} WHERE NOT ({condition})", {}, [])  # noqa: S608 - built here
    if rows.ask(context, pending).rows[0][0]:
        raise errors.Refused("DELTA_NEW_CHECK_CONSTRAINT_VIOLATION", "23512", f"Rows of {dotted(table.path)} violate it.")
    table.checks[node.name] = node.condition
    return DONE


def drop_check(context: Context, node: nodes.DropCheck) -> Result:
    """Raises Refused."""
    table = _own(context, node.table)
    if table.checks.pop(node.name, None) is None and not node.if_there:
        raise errors.Refused("DELTA_CONSTRAINT_DOES_NOT_EXIST", "42704", f"Constraint '{node.name}' does not exist.")
    return DONE


def add_columns(context: Context, node: nodes.AddColumns) -> Result:
    """Raises Refused."""
    table = _own(context, node.table)
    if any(new.mask or not new.nullable for new in node.columns):
        raise errors.unsupported("ADD COLUMN with MASK or NOT NULL")
    for new in node.columns:
        column = _add_column(table, new)
        context.world.engine.change(f"ALTER TABLE {table.key} ADD COLUMN {column.key} {column.type.duckdb}")
    return DONE


def drop_column(context: Context, node: nodes.DropColumn) -> Result:
    """A masked one too; one that a filter takes makes reads fail."""
    table = _own(context, node.table)
    if node.if_there and node.column.lower() not in table.columns:
        return DONE
    column = table.column(node.column)
    if column.tags:
        raise errors.invalid(f"Column {quote(column.name)} has tags and cannot be dropped", "CANNOT_DROP_TAGGED_COLUMN")
    if table.properties.get("delta.columnMapping.mode") not in ("name", "id"):
        raise errors.Refused("DELTA_UNSUPPORTED_DROP_COLUMN", "0AKDC", "DROP COLUMN needs column mapping mode 'name'.")
    del table.columns[node.column.lower()]
    return DONE


def rename_column(context: Context, node: nodes.RenameColumn) -> Result:
    """Its mask and tags go with it."""
    table = _own(context, node.table)
    column = table.column(node.column)
    if table.properties.get("delta.columnMapping.mode") not in ("name", "id"):
        raise errors.Refused("DELTA_UNSUPPORTED_RENAME_COLUMN", "0AKDC", "RENAME COLUMN needs column mapping mode 'name'.")
    if node.to.lower() in table.columns and node.to.lower() != node.column.lower():
        raise errors.Refused("COLUMN_ALREADY_EXISTS", "42711", f"The column {quote(node.to)} already exists.")
    column.name = node.to
    table.columns = {each.name.lower(): each for each in table.columns.values()}
    return DONE


def rename_table(context: Context, node: nodes.RenameTable) -> Result:
    """Within its schema or into another of the catalog; its id stays."""
    table = _own(context, node.table)
    to = context.full(node.to if len(node.to) > 1 else (*table.path[:2], *node.to))
    schema = context.metastore.schema(to)
    if to[2] in schema.tables:
        _exists(False, "TABLE_OR_VIEW_ALREADY_EXISTS", shown(to))
    context.access.enter(to[:2])
    del context.metastore.schema(table.path).tables[table.path[2]]
    table.path = to
    schema.tables[to[2]] = table
    return DONE


def set_properties(context: Context, node: nodes.SetProperties) -> Result:
    """Raises Refused."""
    _own(context, node.table).properties.update(node.properties)
    return DONE


def describe(context: Context, node: nodes.Describe) -> Result:
    """One row, one column: JSON."""
    table = context.table(node.table)
    if not context.access.sees(table.path):
        raise errors.not_allowed("SELECT", "TABLE", dotted(table.path))
    return Result([("json_metadata", STRING)], [(json.dumps(views.described(table)),)])
