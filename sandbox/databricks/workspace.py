"""The APIs of a workspace beside the catalog: tokens, groups and who one is, warehouses."""

import base64
import binascii
import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.databricks.context import Warehouse, World
from sandbox.databricks.directory import EVERYONE, TOKEN_VALID_S, Group, Token
from sandbox.databricks.errors import Bad
from sandbox.databricks.rest_call import Call, unknown

WORKSPACE_ID, ACCOUNT_ID = "7474650000000001", "0d26daa6-0000-4000-8000-000000000001"
_FILTER = re.compile(r'\s*displayName\s+eq\s+"((?:[^"\\]|\\.)*)"\s*', re.IGNORECASE)
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def config(base: str) -> dict[str, Any]:
    """GET /.well-known/databricks-config."""
    return {
        "oidc_endpoint": f"{base}/oidc",
        "workspace_id": WORKSPACE_ID,
        "account_id": ACCOUNT_ID,
        "cloud": "AWS",
        "token_federation_default_oidc_audiences": [f"{base}/oidc/v1/token"],
    }


def oidc(base: str) -> dict[str, Any]:
    """GET /oidc/.well-known/oauth-authorization-server."""
    return {"authorization_endpoint": f"{base}/oidc/v1/authorize", "token_endpoint": f"{base}/oidc/v1/token"}


def token(world: World, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """POST /oidc/v1/token: status and answer, errors as OAuth tells them."""
    form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    name, secret = _basic(authorization) if authorization else (form.get("client_id", ""), form.get("client_secret", ""))
    principal = world.directory.principals.get(name)
    if principal is None or not principal.secret or principal.secret != secret:
        return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}
    if form.get("grant_type") != "client_credentials":
        return 400, {"error": "unsupported_grant_type", "error_description": "grant_type must be client_credentials"}
    if form.get("scope", "all-apis") != "all-apis":
        return 400, {"error": "invalid_scope", "error_description": "The stand-in knows all-apis only"}
    group_id = form.get("assume_group")
    if group_id is not None and not (world.settings.role_assumption and world.directory.may_assume(name, group_id)):
        return 400, {"error": "invalid_request", "error_description": f"{name} may not assume the role of group {group_id}"}
    text = world.directory.issue(name, group_id)
    return 200, {"access_token": text, "scope": "all-apis", "token_type": "Bearer", "expires_in": TOKEN_VALID_S}


def _basic(authorization: str) -> tuple[str, str]:
    kind, _, given = authorization.partition(" ")
    try:
        name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (name, secret) if kind.lower() == "basic" else ("", "")


def bearer(world: World, authorization: str) -> Token:
    """Whose token it is. Raises Bad."""
    kind, _, text = authorization.partition(" ")
    found = world.directory.token(text) if kind.lower() == "bearer" else None
    if found is None:
        raise Bad(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.")
    return found


# SCIM


def scim(call: Call, acting: Token) -> dict[str, Any]:
    """Groups, and who one is. Raises Bad."""
    directory = call.context.world.directory
    if call.method != "GET":
        raise unknown(call)
    if list(call.parts) == ["Me"]:
        principal = directory.principals[acting.principal]
        direct = [group for group in directory.groups.values() if principal.name in group.members]
        told = [{"display": group.name, "type": "direct", "value": group.id, "$ref": f"Groups/{group.id}"} for group in direct]
        return {"id": principal.id, "userName": principal.name, "displayName": principal.display, "active": True, "groups": told}
    if call.parts[0] != "Groups" or len(call.parts) > 2:
        raise unknown(call)
    if len(call.parts) == 2:
        group = directory.groups.get(call.parts[1])
        if group is None:
            raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"Group with id {call.parts[1]} not found.")
        return _group(call, group, members=True)
    return _groups(call)


def _groups(call: Call) -> dict[str, Any]:
    found = list(call.context.world.directory.groups.values())
    if wanted := call.query.get("filter"):
        named = _FILTER.fullmatch(wanted)
        if named is None:
            raise Bad(400, "INVALID_PARAMETER_VALUE", f'filter: the stand-in knows displayName eq ".." only, not {wanted}')
        name = re.sub(r"\\(.)", r"\1", named[1])
        found = [group for group in found if group.name == name]
    asked = [call.query.get("startIndex", "1"), call.query.get("count", "100")]
    if not all(each.isdigit() for each in asked):
        raise Bad(400, "INVALID_PARAMETER_VALUE", "startIndex and count are numbers")
    start, count = max(int(asked[0]), 1), int(asked[1])
    part = found[start - 1 : start - 1 + count]
    members = "members" in call.query.get("attributes", "")
    told: dict[str, Any] = {"totalResults": len(found), "startIndex": start, "itemsPerPage": len(part), "schemas": [LIST]}
    return {**told, "Resources": [_group(call, group, members=members) for group in part]} if part else told


def _group(call: Call, group: Group, *, members: bool) -> dict[str, Any]:
    directory = call.context.world.directory
    told: dict[str, Any] = {"id": group.id, "displayName": group.name, "meta": {"resourceType": "Group"}}
    if not members:
        return told
    listed: list[dict[str, str]] = []
    for member in sorted(group.members):
        if member.startswith("group:") and member[6:] in directory.groups:
            inner = directory.groups[member[6:]]
            listed.append({"display": inner.name, "value": inner.id, "$ref": f"Groups/{inner.id}"})
        elif member in directory.principals:
            principal = directory.principals[member]
            listed.append({"display": principal.display, "value": principal.id, "$ref": f"{principal.kind}s/{principal.id}"})
    return {**told, "members": listed} if listed else told


# Warehouses


def warehouses(call: Call, port: int) -> dict[str, Any]:
    """Raises Bad."""
    known = call.context.world.warehouses
    visible = [each for each in known.values() if _may_use(call, each)]
    if not call.parts:
        return {"warehouses": [_warehouse(each, port) for each in visible]}
    found = known.get(call.parts[0])
    if found is None:
        raise Bad(404, "RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {call.parts[0]} does not exist.")
    if found not in visible:
        raise Bad(403, "PERMISSION_DENIED", f"You do not have permission to view the SQL Warehouse {found.id}.")
    if len(call.parts) == 1 and call.method == "GET":
        return _warehouse(found, port)
    if list(call.parts[1:]) == ["start"] and call.method == "POST":
        found.state = "RUNNING"
        return {}
    if list(call.parts[1:]) == ["stop"] and call.method == "POST":
        found.state = "STOPPED"
        return {}
    raise unknown(call)


def _may_use(call: Call, warehouse: Warehouse) -> bool:
    identity = call.context.identity
    return identity.trusted or identity.admin or bool((identity.names() | {EVERYONE}) & warehouse.users)


def _warehouse(found: Warehouse, port: int) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "state": found.state,
        "cluster_size": "2X-Small",
        "warehouse_type": "PRO",
        "enable_serverless_compute": True,
        "auto_stop_mins": 10,
        "min_num_clusters": 1,
        "max_num_clusters": 1,
        "num_clusters": int(found.state == "RUNNING"),
        "num_active_sessions": 0,
        "channel": {"name": "CHANNEL_NAME_CURRENT"},
        "health": {"status": "HEALTHY"},
        "odbc_params": {"hostname": "127.0.0.1", "path": f"/sql/1.0/warehouses/{found.id}", "port": port, "protocol": "http"},
    }
