"""Unity Catalog's REST API: reading objects, tags, policies and privileges, and changing the last three."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.databricks import errors, nodes, run_access, run_protection, views
from sandbox.databricks.catalog import Facts, Function, GovernedTag, Match, Path, Policy, Table, dotted
from sandbox.databricks.context import Context
from sandbox.databricks.errors import Bad, Refused

PAGE_MOST = 1000
ENTITIES = {"catalogs": "CATALOG", "schemas": "SCHEMA", "tables": "TABLE", "columns": "COLUMN"}


@dataclass(frozen=True, slots=True)
class Call:
    """`parts`: of the path after the API's own, without percent signs."""

    context: Context
    method: str
    parts: Sequence[str]
    query: Mapping[str, str]
    body: dict[str, Any]


def answer(call: Call) -> dict[str, Any]:
    """The body of a 200. Raises Bad."""
    work = _CALLS.get(call.parts[0]) if call.parts else None
    if work is None:
        raise Bad(404, "ENDPOINT_NOT_FOUND", f"No API found for '{call.method} /{'/'.join(call.parts)}'")
    try:
        return work(call)
    except Refused as refused:
        bad = errors.as_rest(refused)
        raise Bad(bad.status, bad.error_code, str(bad).removeprefix("Insufficient privileges: ")) from refused


def unknown(call: Call) -> Bad:
    """No such method and path."""
    return Bad(404, "ENDPOINT_NOT_FOUND", f"No API found for '{call.method} /{'/'.join(call.parts)}'")


def _path(text: str, parts: int, kind: str) -> Path:
    found = tuple(text.lower().split("."))
    if len(found) != parts or not all(found):
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"'{text}' is not a valid name for a {kind}")
    return found


def paged(call: Call, name: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A part of a list, and the token for the next."""
    wanted = call.query.get("max_results", "0")
    start = call.query.get("page_token") or "p1"
    if not wanted.isdigit() or not start[1:].isdigit():
        raise Bad(400, "INVALID_PARAMETER_VALUE", "max_results or page_token is not valid")
    size, at = min(int(wanted) or PAGE_MOST, PAGE_MOST), max(int(start[1:]) - 1, 0)
    more = {"next_page_token": f"p{at + size + 1}"} if at + size < len(items) else {}
    return {name: list(items[at : at + size]), **more} if items else {}


def _needed(call: Call, name: str) -> str:
    found = call.query.get(name)
    if not found:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"{name} is required")
    return found


# Objects


def _catalogs(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    if len(call.parts) == 1:
        return paged(call, "catalogs", [views.catalog(each) for each in store.catalogs.values() if _visible(call, each.path)])
    found = store.catalog(_path(call.parts[1], 1, "catalog"))
    _see(call, found.path)
    return views.catalog(found)


def _schemas(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    if len(call.parts) == 1:
        catalog = store.catalog(_path(_needed(call, "catalog_name"), 1, "catalog"))
        return paged(call, "schemas", [views.schema(each) for each in catalog.schemas.values() if _visible(call, each.path)])
    found = store.schema(_path(call.parts[1], 2, "schema"))
    _see(call, found.path)
    return views.schema(found)


def _visible(call: Call, path: Path) -> bool:
    """Of a catalog or schema: any privilege on it or above it."""
    access = call.context.access
    if access.identity.trusted or access.identity.admin:
        return True
    names = access.identity.names()
    levels = list(access.levels(path))
    return any(facts.owner in names or names & set(facts.grants) for _, _, facts in levels)


def _see(call: Call, path: Path) -> None:
    if not _visible(call, path):
        raise errors.not_allowed(("USE_CATALOG", "USE_SCHEMA")[len(path) - 1], ("CATALOG", "SCHEMA")[len(path) - 1], dotted(path))


def _tables(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    if len(call.parts) == 1:
        found = store.schema((_needed(call, "catalog_name").lower(), _needed(call, "schema_name").lower()))
        call.context.access.enter(found.path)
        shown = [views.table(each, store.id) for each in found.tables.values() if call.context.access.sees(each.path)]
        for each in shown if call.query.get("omit_columns") == "true" else []:
            del each["columns"]
        return paged(call, "tables", shown)
    return views.table(_table(call, call.parts[1]), store.id)


def _table(call: Call, name: str) -> Table:
    path = _path(name, 3, "table")
    try:
        found = call.context.metastore.table(path)
    except Refused as refused:
        call.context.metastore.schema(path)
        raise Bad(404, "TABLE_DOES_NOT_EXIST", f"Table '{dotted(path)}' does not exist.") from refused
    call.context.access.enter(path[:2])
    if not call.context.access.sees(path):
        raise errors.not_allowed("SELECT", "TABLE", dotted(path))
    return found


def _functions(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    access = call.context.access
    reformats = call.context.world.settings.reformat_bodies
    if len(call.parts) == 1:
        found = store.schema((_needed(call, "catalog_name").lower(), _needed(call, "schema_name").lower()))
        access.enter(found.path)
        shown = [
            views.function(each, reformats=reformats) for each in found.functions.values() if access.sees(each.path, "FUNCTION")
        ]
        return paged(call, "functions", shown)
    path = _path(call.parts[1], 3, "function")
    function: Function | None = store.find_function(path)
    if function is None:
        store.schema(path)
        raise Bad(404, "FUNCTION_DOES_NOT_EXIST", f"Function '{dotted(path)}' does not exist.")
    access.enter(path[:2])
    if not access.sees(path, "FUNCTION"):
        raise errors.not_allowed("EXECUTE", "FUNCTION", dotted(path))
    return views.function(function, reformats=reformats)


# Privileges


def _securable(call: Call) -> tuple[str, Path]:
    if len(call.parts) != 3:
        raise unknown(call)
    kind = call.parts[1].upper()
    if kind not in ("CATALOG", "SCHEMA", "TABLE", "FUNCTION"):
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"{call.parts[1]} is not a valid securable type")
    path = _path(call.parts[2], run_access.PARTS[kind], kind.lower())
    list(call.context.access.levels(path, kind if kind == "FUNCTION" else ""))
    return kind, path


def _effective(call: Call) -> dict[str, Any]:
    """Of the principal that is asked for with all its groups, or of all to whom something was granted."""
    kind, path = _securable(call)
    levels = list(call.context.access.levels(path, kind if kind == "FUNCTION" else ""))
    asked = call.query.get("principal")
    names = [asked] if asked else list(dict.fromkeys(name for _, _, facts in levels for name in facts.grants))
    directory = call.context.world.directory
    found: list[dict[str, Any]] = []
    for name in names:
        group = directory.group(name)
        counted = {name}
        if asked:
            counted |= directory.groups_of(f"group:{group.id}" if group else name) | {"account users"}
        held = dict.fromkeys(
            (privilege, level, place)
            for level, place, facts in reversed(levels)
            for holder, given in facts.grants.items()
            if holder in counted
            for privilege in sorted(given)
        )
        if held:
            privileges = [{"privilege": each[0], **_inherited(each[1], each[2], path)} for each in held]
            found.append({"principal": name, "privileges": privileges})
    return {"privilege_assignments": found} if found else {}


def _inherited(level: str, place: Path, path: Path) -> dict[str, str]:
    return {} if place == path else {"inherited_from_type": level, "inherited_from_name": dotted(place)}


def _permissions(call: Call) -> dict[str, Any]:
    kind, path = _securable(call)
    facts = run_access.facts_of(call.context, kind, path)
    if call.method == "PATCH":
        for change in call.body.get("changes") or []:
            for gives, words in ((True, change.get("add") or []), (False, change.get("remove") or [])):
                if words:
                    run_access.grant(call.context, nodes.Grant(tuple(words), kind, path, str(change.get("principal")), gives))
    asked = call.query.get("principal")
    told = [{"principal": name, "privileges": sorted(held)} for name, held in facts.grants.items() if asked in (None, name)]
    return {"privilege_assignments": told} if told else {}


# Tags


def _tag_place(call: Call, entity_type: str, name: str) -> tuple[str, Path, str, dict[str, str], Facts]:
    """Kind, path and column for a statement that says the same; and the tags that are there."""
    kind = ENTITIES.get(entity_type)
    if kind is None:
        raise Bad(400, "INVALID_PARAMETER_VALUE", f"{entity_type} is not a valid entity type")
    if kind != "COLUMN":
        path = _path(name, run_access.PARTS[kind], entity_type)
        facts = run_access.facts_of(call.context, kind, path)
        return kind, path, "", facts.tags, facts
    before, _, column = name.rpartition(".")
    table = _table(call, before)  # a column with a dot in its name cannot be told over this API
    return "TABLE", table.path, column, table.column(column).tags, table.facts


def _assignments(call: Call) -> dict[str, Any]:
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


# Policies


def _policies(call: Call) -> dict[str, Any]:
    context = call.context
    if len(call.parts) == 1 and call.method == "POST":
        return views.policy(run_protection.put_policy(context, _policy(call, call.body), replaces=False))
    if len(call.parts) not in (3, 4):
        raise unknown(call)
    kind, on = _securable(Call(context, call.method, call.parts[:3], call.query, call.body))
    if len(call.parts) == 3:
        found = run_protection.policies_on(context, on, inherited=call.query.get("include_inherited") == "true")
        return paged(call, "policies", [views.policy(each) for each in found])
    there = run_protection.find_policy(context, kind, on, call.parts[3])
    if call.method == "DELETE":
        run_protection.remove_policy(context, kind, on, there.name)
        return {}
    if call.method == "PATCH":
        mask = [word for word in call.query.get("update_mask", "").split(",") if word]
        if not mask:
            raise Bad(400, "INVALID_PARAMETER_VALUE", "update_mask is required")
        shown = views.policy(there)
        merged = {**shown, **{name: call.body[name] for name in mask if name in call.body}}
        for name in mask:
            if name not in call.body:
                merged.pop(name, None)
        return views.policy(run_protection.put_policy(context, _policy(call, merged), replaces=True))
    return views.policy(there)


def _policy(call: Call, body: Mapping[str, Any]) -> Policy:
    kind = str(body.get("policy_type", "")).removeprefix("POLICY_TYPE_")
    rule = body.get("column_mask" if kind == "COLUMN_MASK" else "row_filter")
    on_type = str(body.get("on_securable_type", "")).upper()
    if kind not in ("COLUMN_MASK", "ROW_FILTER") or not isinstance(rule, dict) or on_type not in ("CATALOG", "SCHEMA", "TABLE"):
        raise Bad(400, "INVALID_PARAMETER_VALUE", "policy_type, on_securable_type or the mask or filter is missing or not known")
    name = call.context.identity.name
    return Policy(
        str(body.get("name")),
        on_type,
        _path(str(body.get("on_securable_fullname")), run_access.PARTS[on_type], on_type.lower()),
        kind,
        _path(str(rule.get("function_name")), 3, "function"),
        tuple(body.get("to_principals") or ()),
        tuple(body.get("except_principals") or ()),
        str(body.get("when_condition") or ""),
        tuple(Match(str(each.get("condition")), str(each.get("alias") or "")) for each in body.get("match_columns") or []),
        str(rule.get("on_column") or ""),
        tuple(str(each.get("alias")) for each in rule.get("using") or []),
        str(body.get("comment") or ""),
        created_by=name,
        updated_by=name,
    )


_CALLS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "catalogs": _catalogs,
    "schemas": _schemas,
    "tables": _tables,
    "functions": _functions,
    "effective-permissions": _effective,
    "permissions": _permissions,
    "entity-tag-assignments": _assignments,
    "policies": _policies,
}
