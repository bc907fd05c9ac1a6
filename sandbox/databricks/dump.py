"""The whole state as JSON that can be compared: what there is, without ids, times and the names that DuckDB knows."""

from typing import Any

from sandbox.databricks import results
from sandbox.databricks.catalog import Attached, Facts, Function, Table, dotted
from sandbox.databricks.context import World


def everything(world: World, *, rows: bool = True) -> dict[str, Any]:
    """Catalogs, schemas, tables (with their raw rows unless told otherwise), functions, policies, tags, grants, groups."""
    catalogs = world.metastore.catalogs.values()
    schemas = [schema for catalog in catalogs for schema in catalog.schemas.values()]
    return {
        "catalogs": {dotted(each.path): _facts(each.facts) for each in catalogs},
        "schemas": {dotted(each.path): _facts(each.facts) for each in schemas},
        "tables": {dotted(each.path): _table(world, each, rows=rows) for each in world.metastore.tables()},
        "functions": {dotted(each.path): _function(each) for schema in schemas for each in schema.functions.values()},
        "policies": {
            f"{each.on_type} {dotted(each.on)} {each.name}": {
                "kind": each.kind, "function": dotted(each.function), "to": list(each.to), "except": list(each.excepted),
                "when": each.when, "match": [[match.condition, match.alias] for match in each.matches],
                "on_column": each.on_column, "using": list(each.using), "comment": each.comment,
            }
            for each in world.metastore.policies.values()
        },
        "governed_tags": {each.key: list(each.values) for each in world.metastore.governed.values()},
        "groups": {each.name: sorted(_member(world, name) for name in each.members) for each in world.directory.groups.values()},
    }  # fmt: skip


def _member(world: World, name: str) -> str:
    group = world.directory.groups.get(name.removeprefix("group:")) if name.startswith("group:") else None
    return f"group {group.name}" if group else name


def _facts(facts: Facts) -> dict[str, Any]:
    grants = {name: sorted(held) for name, held in sorted(facts.grants.items())}
    return {"owner": facts.owner, "comment": facts.comment, "grants": grants, "tags": dict(sorted(facts.tags.items()))}


def _attached(attached: Attached | None) -> dict[str, Any] | None:
    return None if attached is None else {"function": dotted(attached.function), "arguments": attached.columns()}


def _table(world: World, table: Table, *, rows: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        **_facts(table.facts),
        "kind": table.kind,
        "row_filter": _attached(table.row_filter),
        "checks": table.checks,
        "properties": table.properties,
        "columns": [
            {
                "name": each.name, "type": each.type.text, "nullable": each.nullable, "comment": each.comment,
                "mask": _attached(each.mask), "tags": dict(sorted(each.tags.items())),
            }
            for each in table.columns.values()
        ],
    }  # fmt: skip
    if table.query is not None:
        return {**told, "query": table.query}
    if not rows:
        return told
    keys = ", ".join(each.key for each in table.columns.values())
    found = world.engine.ask(f"SELECT {keys} FROM {table.key} ORDER BY rowid").rows  # noqa: S608 - internal names
    return {**told, "rows": [[results.cell(cell) for cell in row] for row in found]}


def _function(function: Function) -> dict[str, Any]:
    parameters = [[name, kind.text] for name, kind in function.parameters]
    return {**_facts(function.facts), "parameters": parameters, "returns": function.returns.text, "body": function.body}
