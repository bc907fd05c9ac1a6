"""Tags over REST: assigned to securables and columns, and governed ones."""

from datetime import UTC, datetime
from typing import Any

from sandbox.databricks import errors, nodes, run_access
from sandbox.databricks.catalog import Facts, GovernedTag, Path
from sandbox.databricks.errors import Bad, Refused
from sandbox.databricks.rest_call import Call, paged, path_of, unknown, visible_table

ENTITIES = {"catalogs": "CATALOG", "schemas": "SCHEMA", "tables": "TABLE", "columns": "COLUMN"}


def _tag_place(call: Call, entity_type: str, name: str) -> tuple[str, Path, str, dict[str, str], Facts]:
    """Kind, path and column for a statement that says the same; and the tags that are there."""
    kind = ENTITIES.get(entity_type)
    if kind is None:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"{entity_type} is not a valid entity type")
    if kind != "COLUMN":
        path = path_of(name, run_access.PARTS[kind], entity_type)
        facts = run_access.facts_of(call.context, kind, path)
        return kind, path, "", facts.tags, facts
    before, _, column = name.rpartition(".")
    table = visible_table(call, before)  # a column with a dot in its name cannot be told over this API
    return "TABLE", table.path, column, table.column(column).tags, table.facts


def assignments(call: Call) -> dict[str, Any]:
    """Tags on securables and columns. Raises Bad or Refused."""
    if len(call.parts) == 1 and call.method == "POST":
        return _assign(call, str(call.body.get("entity_type")), str(call.body.get("entity_name")), str(call.body.get("tag_key")))
    if len(call.parts) < 4 or call.parts[3] != "tags":
        raise unknown(call)
    entity_type, name = call.parts[1], call.parts[2]
    kind, path, column, tags, facts = _tag_place(call, entity_type, name)
    if len(call.parts) == 4:
        told = [_assignment(entity_type, name, key, value, facts) for key, value in tags.items()]
        return paged(call, "tag_assignments", told)
    key = call.parts[4]
    if key not in tags:
        raise Bad(404, "NOT_FOUND", f"Tag {key} is not assigned to {name}")
    if call.method == "DELETE":
        run_access.set_tags(call.context, nodes.SetTags(kind, path, column, (), (key,)))
        return {}
    if call.method == "PATCH":
        _set_tag(call, kind, path, column, key)
    return _assignment(entity_type, name, key, tags[key], facts)


def _assign(call: Call, entity_type: str, name: str, key: str) -> dict[str, Any]:
    kind, path, column, tags, facts = _tag_place(call, entity_type, name)
    if key in tags:
        raise Bad(409, "ALREADY_EXISTS", f"Tag {key} is already assigned to {name}")
    _set_tag(call, kind, path, column, key)
    return _assignment(entity_type, name, key, tags[key], facts)


def _set_tag(call: Call, kind: str, path: Path, column: str, key: str) -> None:
    value = str(call.body.get("tag_value") or "")
    run_access.set_tags(call.context, nodes.SetTags(kind, path, column, ((key, value),)))


def _assignment(entity_type: str, name: str, key: str, value: str, facts: Facts) -> dict[str, Any]:
    at = _time(facts.updated_at)
    named = {"entity_type": entity_type, "entity_name": name, "tag_key": key, "tag_value": value}
    return {**named, "update_time": at, "updated_by": facts.updated_by}


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tag_policies(call: Call) -> dict[str, Any]:
    """Governed tags. Raises Bad."""
    governed = call.context.metastore.governed
    try:
        if len(call.parts) == 1 and call.method == "POST":
            values = tuple(str(each.get("name")) for each in call.body.get("values") or [])
            key = str(call.body.get("tag_key"))
            description = str(call.body.get("description") or "")
            run_access.set_governed_tag(call.context, nodes.SetGovernedTag("CREATE", key, values, description))
            return _governed(governed[key])
        if len(call.parts) == 1:
            return paged(call, "tag_policies", [_governed(each) for each in governed.values()])
        found = governed.get(call.parts[1])
        if found is None:
            raise Bad(404, "NOT_FOUND", f"Tag policy {call.parts[1]} does not exist")
        if call.method == "DELETE":
            run_access.set_governed_tag(call.context, nodes.SetGovernedTag("DROP", found.key))
            return {}
        return _governed(found)
    except Refused as refused:
        raise errors.as_rest(refused) from refused


def _governed(found: GovernedTag) -> dict[str, Any]:
    described = {"description": found.description} if found.description else {}
    told: dict[str, Any] = {
        "id": found.id,
        "tag_key": found.key,
        **described,
        "values": [{"name": value} for value in found.values],
    }
    return {**told, "create_time": _time(found.created_at), "update_time": _time(found.updated_at)}
