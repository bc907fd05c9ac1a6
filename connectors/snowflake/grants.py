"""The least that Lily's role needs in an account, as statements for its administrator, and which of them are in force.

No SELECT on anybody's tables, and no ownership but of what Lily makes. Source: docs.snowflake.com, Access control privileges,
GRANT <privileges>, SHOW GRANTS (TO ROLE and, for what is to be made yet, FUTURE GRANTS). Keeps connectors.contracts.Grants.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contracts import Checked, Grant, Refused
from connectors.snowflake import client
from connectors.snowflake.quoting import identifier, path
from lily.domain import patterns
from lily.runtime.settings import TargetSettings, settings

ALL, FUTURE, MEMBER = "all", "future", "member"
UNQUOTED = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@dataclass(frozen=True)
class _Need:
    """A privilege on one thing. `kind` as SHOW GRANTS says it; `name` is empty for the account.

    `reach`: ALL or FUTURE for the schemas of the database `name`, MEMBER for the role that the user `name` has.
    """

    privilege: str
    kind: str
    name: tuple[str, ...]
    why: str
    optional: bool = False
    reach: str = ""


@dataclass(frozen=True)
class _Held:
    privilege: str
    kind: str
    name: tuple[str, ...]


def statements(instance: str) -> Sequence[Grant]:
    """See contracts.Grants."""
    config = settings().targets[instance]
    return tuple(_grant(need, config) for need in _needs(config))


def check(instance: str) -> Sequence[Checked]:
    """See contracts.Grants. What the role has by a role that it inherits counts as well."""
    config = settings().targets[instance]
    held = _held(instance, str(config.role))
    return tuple(Checked(_grant(need, config), *_found(instance, need, held)) for need in _needs(config))


def _needs(config: TargetSettings) -> list[_Need]:
    database, schema = config.home
    needs = [_Need("USAGE", "ROLE", (config.user,), "Lily works in this role", reach=MEMBER)] if config.user else []
    if config.warehouse:
        needs.append(_Need("USAGE", "WAREHOUSE", (config.warehouse,), "proofs and the list of tables are queries"))
    needs += [
        _Need("USAGE", "DATABASE", (database,), "Lily's own policies and tags are in it"),
        _Need("USAGE", "SCHEMA", (database, schema), "Lily's own policies and tags are in it"),
        _Need("CREATE MASKING POLICY", "SCHEMA", (database, schema), "masks of columns"),
        _Need("CREATE ROW ACCESS POLICY", "SCHEMA", (database, schema), "rules that filter rows"),
        _Need("CREATE TAG", "SCHEMA", (database, schema), "marks of what is protected, and why"),
        _Need("CREATE TABLE", "SCHEMA", (database, schema), "tables of made-up values, on which each policy is proven"),
        _Need("APPLY MASKING POLICY", "ACCOUNT", (), "put masks on columns of tables that Lily does not own, and see them"),
        _Need("APPLY ROW ACCESS POLICY", "ACCOUNT", (), "the same for filters of rows"),
        _Need("APPLY TAG", "ACCOUNT", (), "the same for tags"),
    ]
    for governed in dict.fromkeys(config.databases):
        if governed != database:
            needs.append(_Need("USAGE", "DATABASE", (governed,), "rules may reach its tables"))
        needs.append(_Need("USAGE", "SCHEMA", (governed,), "rules may reach their tables; no row is read", reach=ALL))
        later = "the same for schemas made later; else grant USAGE on each"
        needs.append(_Need("USAGE", "SCHEMA", (governed,), later, optional=True, reach=FUTURE))
    return needs


def _grant(need: _Need, config: TargetSettings) -> Grant:
    role = identifier(str(config.role))
    if need.reach == MEMBER:
        (user,) = need.name
        stored = user.upper() if UNQUOTED.fullmatch(user) else user  # login names know no case
        return Grant(f"GRANT ROLE {role} TO USER {identifier(stored)}", need.why)
    where = {
        "": f"{need.kind} {path(need.name)}".strip(),
        ALL: f"ALL SCHEMAS IN DATABASE {path(need.name)}",
        FUTURE: f"FUTURE SCHEMAS IN DATABASE {path(need.name)}",
    }[need.reach]
    return Grant(f"GRANT {need.privilege} ON {where} TO ROLE {role}", need.why, need.optional)


def _found(instance: str, need: _Need, held: Collection[_Held]) -> tuple[bool | None, str]:
    if need.reach == MEMBER:
        return True, "it has just logged in"
    if need.reach == FUTURE:
        return _future(instance, need)
    if need.reach == ALL:
        home = settings().targets[instance].home
        places = {one.name for one in held if one.kind == need.kind and one.privilege in {need.privilege, "OWNERSHIP", "ALL"}}
        seen = sorted(place[1] for place in places if len(place) == 2 and place[:1] == need.name and place != home)
        if not seen:
            return False, "no schema of it can be used"
        return True, f"for {', '.join(seen[:5])}{' ...' if len(seen) > 5 else ''}; a schema without it cannot be seen to be there"
    privileges = {one.privilege for one in held if (one.kind, one.name) == (need.kind, need.name)}
    return bool(privileges & {need.privilege, "OWNERSHIP", "ALL"}), ""


def _future(instance: str, need: _Need) -> tuple[bool | None, str]:
    try:
        rows = client.run(instance, f"SHOW FUTURE GRANTS IN DATABASE {path(need.name)}", about="grants").dicts
    except Refused as refusal:
        return None, f"the account does not tell: {refusal.reason}"
    role = str(settings().targets[instance].role)
    told = {(str(one["privilege"]), _kind(one["grant_on"]), str(one["grantee_name"])) for one in rows}
    return (need.privilege, need.kind, role) in told, ""


def _held(instance: str, role: str) -> frozenset[_Held]:
    """All that a role has, what it inherits and what everybody has included."""
    found: set[_Held] = set()
    seen: set[str] = set()
    waiting = [role, "PUBLIC"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for one in _rows(instance, name, is_own=name == role):
            kind = _kind(one["granted_on"])
            if kind == "ROLE" and one["privilege"] == "USAGE":
                waiting += _names(one["name"])
            elif kind == "ACCOUNT":
                found.add(_Held(str(one["privilege"]), kind, ()))
            else:
                found.add(_Held(str(one["privilege"]), kind, _names(one["name"])))
    return frozenset(found)


def _rows(instance: str, role: str, *, is_own: bool) -> Sequence[Mapping[str, Any]]:
    try:
        return client.run(instance, f"SHOW GRANTS TO ROLE {identifier(role)}", about="grants").dicts
    except Refused:
        if is_own:
            raise
        return ()  # of a role that Lily may not look at nothing is taken for granted


def _kind(told: object) -> str:
    return str(told).replace("_", " ").upper()


def _names(told: object) -> tuple[str, ...]:
    """A name as SHOW writes it: in quotes where it needs them. What is written otherwise is one name."""
    try:
        return tuple(part.text for part in patterns.parse(str(told), 3))
    except ValueError:
        return (str(told),)
