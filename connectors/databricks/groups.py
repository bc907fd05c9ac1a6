"""Groups of the account, over SCIM: whether they are there, and who is in them.

Source: docs.databricks.com, Groups API (SCIM 2.0). Only groups of the account count: is_account_group_member knows no others.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.databricks import client
from connectors.databricks.catalog import unless_gone
from lily.domain.rules import Principal
from lily.domain.targets import Holders

GROUPS = "/api/2.0/preview/scim/v2/Groups"
OF_ACCOUNT = "Group"  # a workspace's own are WorkspaceGroup


@dataclass(frozen=True)
class Group:
    """`groups` are the ids of the groups that are its members, whose members are so too."""

    id: str
    name: str
    groups: tuple[str, ...]
    users: int


def holders(instance: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
    """See contracts.Target: members of a group within a group are members of both."""
    names = sorted({principal.name for principal in principals if principal.kind == "group"})
    ids = dict(zip(names, client.each(instance, names, lambda name: named(instance, name)), strict=True))
    waiting = sorted(set(filter(None, ids.values())))
    known: dict[str, Group | None] = {}
    while waiting:
        known |= dict(zip(waiting, client.each(instance, waiting, lambda one: _by_id(instance, one)), strict=True))
        waiting = sorted({inner for group in known.values() if group for inner in group.groups} - known.keys())
    return {principal: _held(known.get(ids.get(principal.name) or ""), known) for principal in principals}


def named(instance: str, name: str) -> str | None:
    """The id of the group with exactly this name; None if there is none. Lists do not tell members."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    told = client.get(instance, GROUPS, {"filter": f'displayName eq "{quoted}"', "count": 100, "startIndex": 1})
    exact = [one for one in told.get("Resources") or [] if one.get("displayName") == name and _is_of_account(one)]
    return str(exact[0]["id"]) if exact else None


def _by_id(instance: str, group: str) -> Group | None:
    told = unless_gone(lambda: client.get(instance, f"{GROUPS}/{group}"))
    return _group(told) if told else None


def _group(told: Mapping[str, Any]) -> Group:
    members = told.get("members") or []
    inner = tuple(str(one["value"]) for one in members if "Groups/" in str(one.get("$ref")))
    return Group(str(told["id"]), str(told.get("displayName")), inner, len(members) - len(inner))


def _is_of_account(told: Mapping[str, Any]) -> bool:
    return str((told.get("meta") or {}).get("resourceType", OF_ACCOUNT)) == OF_ACCOUNT


def _held(group: Group | None, known: Mapping[str, Group | None]) -> Holders:
    if group is None:
        return Holders(exists=False)
    inside: set[str] = set()
    waiting = set(group.groups)
    while waiting:
        inside |= waiting
        waiting = {inner for one in waiting if (found := known.get(one)) for inner in found.groups} - inside
    through = frozenset(Principal("group", found.name) for one in inside if (found := known.get(one)))
    return Holders(True, through - {Principal("group", group.name)}, group.users)
