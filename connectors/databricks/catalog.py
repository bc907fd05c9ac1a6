"""What Unity Catalog shows over REST, read into the domain's words: tables, functions, tags, policies from above.

Never from information_schema, which takes minutes where a workspace is busy, but for tags that REST cannot name or would
need too many calls for. Source: docs.databricks.com, Unity Catalog API (tables, functions, entity-tag-assignments, policies).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contracts import Refused
from connectors.databricks import client, types
from connectors.databricks.quoting import in_path, is_in_path
from lily.domain.inventory import Column, Table, TableId
from lily.runtime.settings import settings

UNITY = "/api/2.1/unity-catalog"
COLUMNS_MAX = 32  # of a table whose tags are asked for column by column
SCHEMAS_MAX = 64  # listed at once, so that a large catalog is never held as a whole
CONSTRAINT = "delta.constraints."
TAGS_OF_COLUMNS = (
    "SELECT column_name, tag_name, tag_value FROM system.information_schema.column_tags "
    "WHERE catalog_name = :catalog AND schema_name = :schema AND table_name = :name"
)
CONDITION = re.compile(r"\s*has_?tag(?:_?value)?\s*\(\s*'([^'\\]*)'\s*(?:,\s*'([^'\\]*)'\s*)?\)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Carried:
    """A function on a column (a mask) or, with `column` None, on the table's rows."""

    column: str | None
    function: tuple[str, ...]  # its names, in lower case
    columns: tuple[str, ...]  # that it is given beside the column itself

    @property
    def text(self) -> str:
        return ".".join(self.function)


@dataclass(frozen=True)
class Described:
    """A table as REST shows it. `constraints` are CHECK constraints, by name."""

    table: Table
    carried: tuple[Carried, ...]
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """`arguments` are the names of its parameters, in lower case."""

    name: str
    arguments: tuple[str, ...]
    comment: str
    text: str


@dataclass(frozen=True)
class Tags:
    """All tags of a table's columns, or by None its own, whoever set them."""

    by_column: Mapping[str | None, Mapping[str, str]]


def unless_gone(ask: Any) -> Any:
    """None for what is not there, or not to be seen, which the service tells apart by no means."""
    try:
        return ask()
    except Refused as refusal:
        if refusal.code in {"gone", "denied"}:
            return None
        raise


def table(instance: str, name: TableId) -> Described | None:
    told = unless_gone(lambda: client.get(instance, f"{UNITY}/tables/{_named(name)}"))
    return described(told) if told else None


def described(told: Mapping[str, Any]) -> Described:
    name = TableId(str(told["catalog_name"]), str(told["schema_name"]), str(told["name"]))
    columns = sorted(told.get("columns") or [], key=lambda column: column.get("position", 0))
    typed = tuple(
        Column(str(one["name"]), types.data_type(str(one.get("type_text") or ""), one.get("type_json"))) for one in columns
    )
    carried = [_mask(str(one["name"]), one["mask"]) for one in columns if one.get("mask")]
    if rows := told.get("row_filter"):
        carried.append(Carried(None, _names(rows["function_name"]), tuple(rows.get("input_column_names") or ())))
    properties = told.get("properties") or {}
    constraints = sorted(key[len(CONSTRAINT) :] for key in properties if key.lower().startswith(CONSTRAINT))
    kind = types.table_kind(str(told.get("table_type") or ""))
    return Described(Table(name, typed, kind, str(told.get("table_id") or "")), tuple(carried), tuple(constraints))


def governed(instance: str) -> list[str]:
    return [database.lower() for database in settings().targets[instance].databases]


def others(instance: str) -> list[str]:
    """All other catalogs that Lily can see: tables may carry its functions from the time when those were governed."""
    pages = client.pages(instance, f"{UNITY}/catalogs", "catalogs", {"max_results": 0})
    return sorted({str(one["name"]).lower() for page in pages for one in page} - {*governed(instance), "system"})


def listed(instance: str, databases: Sequence[str]) -> Iterator[Sequence[Described]]:
    """All tables of these catalogs, in pages; without schemas that Lily may not look into."""
    for database in databases:
        schemas = [name for page in _schemas(instance, database) for name in page]
        for start in range(0, len(schemas), SCHEMAS_MAX):
            some = [(database, schema) for schema in schemas[start : start + SCHEMAS_MAX]]
            for found in client.each(instance, some, lambda names: _tables(instance, *names)):
                yield from found


def _schemas(instance: str, database: str) -> list[list[str]]:
    query = {"catalog_name": database, "max_results": 0}
    pages = unless_gone(lambda: list(client.pages(instance, f"{UNITY}/schemas", "schemas", query)))
    return [[str(one["name"]) for one in page if str(one["name"]).lower() != "information_schema"] for page in pages or []]


def _tables(instance: str, database: str, schema: str) -> list[list[Described]]:
    query = {"catalog_name": database, "schema_name": schema, "max_results": 0}
    pages = unless_gone(lambda: list(client.pages(instance, f"{UNITY}/tables", "tables", query)))
    return [[described(told) for told in page] for page in pages or []]


def functions(instance: str, database: str, schema: str) -> list[Function]:
    asked = {"catalog_name": database, "schema_name": schema, "max_results": 0}
    return [_function(told) for page in client.pages(instance, f"{UNITY}/functions", "functions", asked) for told in page]


def function(instance: str, database: str, schema: str, name: str) -> Function | None:
    path = f"{UNITY}/functions/{in_path((database, schema, name))}"
    told = unless_gone(lambda: client.get(instance, path))
    return _function(told) if told else None


def tags(instance: str, of: Table) -> Tags | None:
    """None if the table is gone."""
    own = unless_gone(lambda: _assigned(instance, "tables", _named(of.id)))
    if own is None:
        return None
    names = [column.name for column in of.columns]
    if len(names) > COLUMNS_MAX or not all(map(is_in_path, names)):
        try:
            return Tags({None: own, **_tags_by_statement(instance, of)})
        except Refused:  # the metastore's own views are closed to Lily
            names = [name for name in names if is_in_path(name)]
    path = _named(of.id)

    def ask(column: str) -> Any:
        return unless_gone(lambda: _assigned(instance, "columns", f"{path}.{in_path((column,))}"))

    found = client.each(instance, names, ask)
    return None if None in found else Tags({None: own, **dict(zip(names, found, strict=True))})


def policies(instance: str, of: TableId) -> list[Mapping[str, Any]]:
    """Policies that reach a table from its tags, its schema or its catalog; none where the service has no such thing."""
    query = {"include_inherited": True, "max_results": 0}
    path = f"{UNITY}/policies/TABLE/{_named(of)}"
    found = unless_gone(lambda: [one for page in client.pages(instance, path, "policies", query) for one in page])
    return found or []


def reached(some: Sequence[Mapping[str, Any]], columns: Sequence[str], tagged: Tags) -> dict[str | None, str]:
    """Which columns policies mask, or by None that one filters the rows. What cannot be judged counts as reaching."""
    found: dict[str | None, str] = {}
    for policy in some:
        name = f"policy {policy.get('name')} on {policy.get('on_securable_fullname')}"
        if "ROW_FILTER" in str(policy.get("policy_type")) or policy.get("row_filter"):
            found[None] = name
        elif "COLUMN_MASK" in str(policy.get("policy_type")) or policy.get("column_mask"):
            alias = (policy.get("column_mask") or {}).get("on_column")
            conditions = [one.get("condition") for one in policy.get("match_columns") or [] if one.get("alias") == alias]
            for column in columns:
                if all(_fits(str(condition), tagged.by_column.get(column) or {}) for condition in conditions):
                    found[column] = name
    return found


def _fits(condition: str, tagged: Mapping[str, str]) -> bool:
    simple = CONDITION.fullmatch(condition)
    if simple is None:
        return True
    key, value = simple.groups()
    return key in tagged and value in {None, tagged[key]}


def _tags_by_statement(instance: str, of: Table) -> dict[str | None, dict[str, str]]:
    binds = {"catalog": of.id.database, "schema": of.id.schema, "name": of.id.name}
    found: dict[str | None, dict[str, str]] = {}
    for one in client.run(instance, TAGS_OF_COLUMNS, binds).dicts:
        found.setdefault(str(one["column_name"]), {})[str(one["tag_name"])] = one["tag_value"] or ""
    return found


def _assigned(instance: str, kind: str, name: str) -> dict[str, str]:
    path = f"{UNITY}/entity-tag-assignments/{kind}/{name}/tags"
    pages = client.pages(instance, path, "tag_assignments", {"max_results": 0})
    return {str(one["tag_key"]): str(one.get("tag_value") or "") for page in pages for one in page}


def _function(told: Mapping[str, Any]) -> Function:
    parameters = (told.get("input_params") or {}).get("parameters") or []
    arguments = tuple(str(one["name"]).lower() for one in sorted(parameters, key=lambda one: one.get("position", 0)))
    return Function(
        str(told["name"]).lower(), arguments, str(told.get("comment") or ""), str(told.get("routine_definition") or "")
    )


def _mask(column: str, told: Mapping[str, Any]) -> Carried:
    return Carried(column, _names(told["function_name"]), tuple(told.get("using_column_names") or ()))


def _names(function: str) -> tuple[str, ...]:
    return tuple(part.strip("`").lower() for part in function.split("."))


def _named(name: TableId) -> str:
    return in_path((name.database, name.schema, name.name))
