"""Carries out tags, governed tags, grants, owners and comments."""

import re

from sandbox.databricks import errors, grammar_access, nodes
from sandbox.databricks.catalog import Facts, GovernedTag, Path, Table, dotted, now_ms
from sandbox.databricks.context import Context
from sandbox.databricks.directory import EVERYONE
from sandbox.databricks.results import Result

DONE = Result()
TEXT_MAX, TAGS_MAX, COLUMN_TAGS_MAX = 256, 50, 1000
_BAD_IN_TAG = re.compile(r"[*./<>%&?\\=\x00-\x1f\x7f]")
PRIVILEGES = frozenset(words.replace(" ", "_") for words in grammar_access.PRIVILEGES)
PARTS = {"METASTORE": 0, "CATALOG": 1, "SCHEMA": 2, "TABLE": 3, "FUNCTION": 3}


def facts_of(context: Context, kind: str, path: Path) -> Facts:
    """Of the securable. Raises Refused."""
    return list(context.access.levels(path, kind if kind == "FUNCTION" else ""))[-1][2]


def set_tags(context: Context, node: nodes.SetTags) -> Result:
    """Sets some, removes others, leaves the rest. To remove what is not there is no error."""
    path = context.full(node.path, PARTS[node.kind])
    facts = facts_of(context, node.kind, path)
    context.access.enter(path[:2])
    if not context.access.holds("MANAGE", path):
        context.access.need("APPLY_TAG", path)
    tags = facts.tags
    table: Table | None = None
    if node.column:
        table = context.metastore.table(path)
        tags = table.column(node.column).tags
    for key, value in node.tags:
        _check_tag(context, key, value)
    if len(set(tags) | {key for key, _ in node.tags}) > TAGS_MAX:
        raise errors.invalid(f"More than {TAGS_MAX} tags on {dotted(path)}", "TAGS_QUOTA")
    tags.update(node.tags)
    for key in node.removed:
        tags.pop(key, None)
    if table is not None and sum(len(column.tags) for column in table.columns.values()) > COLUMN_TAGS_MAX:
        raise errors.invalid(f"More than {COLUMN_TAGS_MAX} column tags on {dotted(path)}", "TAGS_QUOTA")
    facts.changed(context.identity.name)
    return DONE


def _check_tag(context: Context, key: str, value: str) -> None:
    for what, text in (("key", key), ("value", value)):
        if len(text) > TEXT_MAX or text != text.strip() or _BAD_IN_TAG.search(text) or (what == "key" and not text):
            raise errors.invalid(f"Tag {what} '{text[:40]}' is not valid", "INVALID_TAG")
    governed = context.metastore.governed.get(key)
    if governed is None:
        return
    if governed.values and value not in governed.values:
        raise errors.invalid(f"'{value}' is not an allowed value of the governed tag {key}", "TAG_VALUE_NOT_ALLOWED")
    identity = context.identity
    if not (identity.trusted or identity.admin or identity.names() & governed.assigners):
        raise errors.not_allowed("ASSIGN", "TAG_POLICY", key)


def set_governed_tag(context: Context, node: nodes.SetGovernedTag) -> Result:
    """Only for admins. DROP is not refused while policies name it: queries fail then."""
    if not (context.identity.trusted or context.identity.admin):
        raise errors.not_allowed("CREATE", "TAG_POLICY", node.key)
    governed = context.metastore.governed
    there = governed.get(node.key)
    if node.action == "CREATE":
        if there is not None and not node.if_so:
            raise errors.Refused("TAG_POLICY_ALREADY_EXISTS", "42710", f"Governed tag {node.key} already exists.")
        if there is None:
            _check_tag(context, node.key, "")
            governed[node.key] = GovernedTag(node.key, node.values, node.description, {context.identity.name})
        return DONE
    if there is None and not node.if_so:
        raise errors.Refused("TAG_POLICY_NOT_FOUND", "42704", f"Governed tag {node.key} does not exist.")
    if node.action == "DROP":
        governed.pop(node.key, None)
    elif there is not None:
        there.values, there.updated_at = node.values, now_ms()
    return DONE


def grant(context: Context, node: nodes.Grant) -> Result:
    """By its owner, or whoever has MANAGE. To revoke what was not granted is no error."""
    if node.kind == "METASTORE":
        raise errors.unsupported("grants on the metastore; make the principal an admin over /sandbox/principals")
    path = context.full(node.path, PARTS[node.kind])
    facts = facts_of(context, node.kind, path)
    context.access.manage(path, "FUNCTION" if node.kind == "FUNCTION" else "")
    if not context.world.directory.known([node.principal]):
        raise errors.Refused("PRINCIPAL_DOES_NOT_EXIST", "42704", f"Could not find principal with name {node.principal}.")
    if unknown := sorted(set(node.privileges) - PRIVILEGES):
        raise errors.invalid(f"Privilege {unknown[0]} is not known", "PRIVILEGE_NOT_APPLICABLE")
    held = facts.grants.setdefault(node.principal, set())
    if node.gives:
        held.update(node.privileges)
    elif "ALL_PRIVILEGES" in node.privileges:
        held.clear()
    else:
        held.difference_update(node.privileges)
    if not held:
        del facts.grants[node.principal]
    return DONE


def set_owner(context: Context, node: nodes.SetOwner) -> Result:
    """Raises Refused."""
    path = context.full(node.path, PARTS[node.kind])
    facts = facts_of(context, node.kind, path)
    context.access.manage(path)
    if not context.world.directory.known([node.owner]) or node.owner == EVERYONE:
        raise errors.Refused("PRINCIPAL_DOES_NOT_EXIST", "42704", f"Could not find principal with name {node.owner}.")
    facts.owner = node.owner
    return DONE


def comment_on(context: Context, node: nodes.CommentOn) -> Result:
    """Raises Refused."""
    kind = "TABLE" if node.kind == "COLUMN" else node.kind
    path = context.full(node.path, PARTS[kind])
    facts = facts_of(context, kind, path)
    context.access.enter(path[:2])
    if not context.access.holds("MODIFY", path, kind if kind == "FUNCTION" else ""):
        context.access.need("MANAGE", path, kind if kind == "FUNCTION" else "")
    if node.column:
        context.metastore.table(path).column(node.column).comment = node.text
    else:
        facts.comment = node.text
    facts.changed(context.identity.name)
    return DONE
