"""Objects of the catalog as the REST APIs show them. Keys are absent where there is nothing to tell."""

import json
from typing import Any

import sqlglot

from sandbox.databricks.catalog import Attached, Catalog, Column, Facts, Function, Policy, Schema, Table, dotted
from sandbox.databricks.types import SqlType


def _facts(facts: Facts) -> dict[str, Any]:
    told = {
        "owner": facts.owner,
        "created_at": facts.created_at,
        "created_by": facts.created_by,
        "updated_at": facts.updated_at,
        "updated_by": facts.updated_by,
    }
    return {**told, "comment": facts.comment} if facts.comment else told


def catalog(found: Catalog) -> dict[str, Any]:
    """GET /catalogs/{name}."""
    return {
        "name": found.path[0],
        "full_name": found.path[0],
        "catalog_type": "MANAGED_CATALOG",
        "id": found.facts.id,
        **_facts(found.facts),
    }


def schema(found: Schema) -> dict[str, Any]:
    """GET /schemas/{full name}."""
    named = {"name": found.path[1], "catalog_name": found.path[0], "full_name": dotted(found.path)}
    return {**named, "schema_id": found.facts.id, **_facts(found.facts)}


def table(found: Table, metastore_id: str) -> dict[str, Any]:
    """GET /tables/{full name}. Masks that come from policies are not told."""
    named = {"name": found.path[2], "catalog_name": found.path[0], "schema_name": found.path[1], "full_name": dotted(found.path)}
    told: dict[str, Any] = {
        **named,
        "table_type": found.kind,
        "metastore_id": metastore_id,
        "table_id": found.facts.id,
        "securable_type": "TABLE",
        "properties": {"delta.minReaderVersion": "1", **found.properties} if found.query is None else {},
        **_facts(found.facts),
        "columns": [_column(at, each) for at, each in enumerate(found.columns.values())],
    }
    if found.query is not None:
        return {**told, "view_definition": found.query, "securable_kind": "TABLE_VIEW"}
    if found.row_filter is not None:
        told["row_filter"] = {
            "function_name": dotted(found.row_filter.function), "input_column_names": found.row_filter.columns(),
        }  # fmt: skip
    return {**told, "data_source_format": "DELTA", "securable_kind": "TABLE_DELTA"}


def _column(at: int, column: Column) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": column.name,
        **_typed(column.name, column.type, nullable=column.nullable),
        "position": at,
        "nullable": column.nullable,
    }
    if column.comment:
        told["comment"] = column.comment
    if column.mask is not None:
        told["mask"] = _mask(column.mask)
    return told


def _mask(mask: Attached) -> dict[str, Any]:
    using = {"using_column_names": mask.columns()} if mask.arguments else {}
    return {"function_name": dotted(mask.function), **using}


def _typed(name: str, kind: SqlType, *, nullable: bool = True) -> dict[str, Any]:
    described = json.dumps({"name": name, "type": kind.text, "nullable": nullable, "metadata": {}})
    return {**kind.rest(), "type_json": described}


def function(found: Function, *, reformats: bool = False) -> dict[str, Any]:
    """GET /functions/{full name}. `reformats`: the body in another spelling that means the same."""
    body = sqlglot.parse_one(found.body, read="databricks").sql("databricks", pretty=True) if reformats else found.body
    parameters = [
        {"name": name, **_typed(name, kind), "position": at, "parameter_mode": "IN", "parameter_type": "PARAM"}
        for at, (name, kind) in enumerate(found.parameters)
    ]
    return {
        "name": found.path[2],
        "catalog_name": found.path[0],
        "schema_name": found.path[1],
        "full_name": dotted(found.path),
        "input_params": {"parameters": parameters} if parameters else {},
        "data_type": found.returns.name,
        "full_data_type": found.returns.text.upper(),
        "routine_body": "SQL",
        "routine_definition": body,
        "is_deterministic": False,
        "sql_data_access": "CONTAINS_SQL",
        "is_null_call": False,
        "security_type": "DEFINER",
        "specific_name": found.path[2],
        "function_id": found.facts.id,
        **_facts(found.facts),
    }


def policy(found: Policy) -> dict[str, Any]:
    """GET /policies/{type}/{full name}/{name}."""
    told: dict[str, Any] = {
        "id": found.id,
        "name": found.name,
        "on_securable_type": found.on_type,
        "on_securable_fullname": dotted(found.on),
        "policy_type": f"POLICY_TYPE_{found.kind}",
        "for_securable_type": "TABLE",
        "to_principals": list(found.to),
        "created_at": found.created_at,
        "created_by": found.created_by,
        "updated_at": found.updated_at,
        "updated_by": found.updated_by,
    }
    if found.excepted:
        told["except_principals"] = list(found.excepted)
    if found.when:
        told["when_condition"] = found.when
    if found.matches:
        told["match_columns"] = [{"condition": match.condition, "alias": match.alias} for match in found.matches]
    if found.comment:
        told["comment"] = found.comment
    using = {"using": [{"alias": name} for name in found.using]} if found.using else {}
    if found.kind == "COLUMN_MASK":
        told["column_mask"] = {"function_name": dotted(found.function), "on_column": found.on_column, **using}
    else:
        told["row_filter"] = {"function_name": dotted(found.function), **using}
    return told


def described(found: Table) -> dict[str, Any]:
    """DESCRIBE TABLE EXTENDED .. AS JSON."""
    told: dict[str, Any] = {
        "table_name": found.path[2],
        "catalog_name": found.path[0],
        "schema_name": found.path[1],
        "type": found.kind,
        "columns": [
            {"name": each.name, "type": {"name": each.type.text}, "nullable": each.nullable} for each in found.columns.values()
        ],
    }
    masks = [(each.name, each.mask) for each in found.columns.values() if each.mask]
    if masks:
        told["column_masks"] = [
            {"column_name": name, "function_name": _function_name(mask), "using_column_names": mask.columns()}
            for name, mask in masks
        ]
    if found.row_filter is not None:
        told["row_filter"] = {"function_name": _function_name(found.row_filter), "column_names": found.row_filter.columns()}
    return told


def _function_name(attached: Attached) -> dict[str, str]:
    return dict(zip(("catalog_name", "schema_name", "function_name"), attached.function, strict=True))
