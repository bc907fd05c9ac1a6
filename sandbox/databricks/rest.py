"""Unity Catalog's REST API: reading objects, policies and privileges, and changing the last two. Tags: rest_tags."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.databricks import errors, nodes, rest_tags, run_access, run_protection, views
from sandbox.databricks.catalog import Function, Match, Path, Policy, dotted
from sandbox.databricks.errors import Bad, Refused
from sandbox.databricks.rest_call import Call, needed, paged, path_of, unknown, visible_table


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


# Objects


def _catalogs(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    if len(call.parts) == 1:
        return paged(call, "catalogs", [views.catalog(each) for each in store.catalogs.values() if _visible(call, each.path)])
    found = store.catalog(path_of(call.parts[1], 1, "catalog"))
    _see(call, found.path)
    return views.catalog(found)


def _schemas(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    if len(call.parts) == 1:
        catalog = store.catalog(path_of(needed(call, "catalog_name"), 1, "catalog"))
        return paged(call, "schemas", [views.schema(each) for each in catalog.schemas.values() if _visible(call, each.path)])
    found = store.schema(path_of(call.parts[1], 2, "schema"))
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
        found = store.schema((needed(call, "catalog_name").lower(), needed(call, "schema_name").lower()))
        call.context.access.enter(found.path)
        shown = [views.table(each, store.id) for each in found.tables.values() if call.context.access.sees(each.path)]
        for each in shown if call.query.get("omit_columns") == "true" else []:
            del each["columns"]
        return paged(call, "tables", shown)
    return views.table(visible_table(call, call.parts[1]), store.id)


def _functions(call: Call) -> dict[str, Any]:
    store = call.context.metastore
    access = call.context.access
    reformats = call.context.world.settings.reformat_bodies
    if len(call.parts) == 1:
        found = store.schema((needed(call, "catalog_name").lower(), needed(call, "schema_name").lower()))
        access.enter(found.path)
        shown = [
            views.function(each, reformats=reformats) for each in found.functions.values() if access.sees(each.path, "FUNCTION")
        ]
        return paged(call, "functions", shown)
    path = path_of(call.parts[1], 3, "function")
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
    path = path_of(call.parts[2], run_access.PARTS[kind], kind.lower())
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
        path_of(str(body.get("on_securable_fullname")), run_access.PARTS[on_type], on_type.lower()),
        kind,
        path_of(str(rule.get("function_name")), 3, "function"),
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
    "entity-tag-assignments": rest_tags.assignments,
    "policies": _policies,
}
