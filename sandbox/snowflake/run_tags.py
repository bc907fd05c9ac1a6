"""Tags: made, changed, dropped, and set on objects; masking policies on tags."""

from sandbox.snowflake import errors, guard
from sandbox.snowflake.catalog import Column, Policy, Securable, Table, Tag, Tagged
from sandbox.snowflake.context import Context
from sandbox.snowflake.lexer import shown
from sandbox.snowflake.nodes import AlterTag, CreateTag, Path, SetTags, TagValues, UnsetTags
from sandbox.snowflake.results import Result, status
from sandbox.snowflake.run_policies import full_text, lets_use, tagged_things

VALUE_MAX = 256
ALLOWED_MAX = 5000
PER_OBJECT_MAX = 50
PER_COLUMNS_MAX = 50  # different tags over all columns of a table
PER_STATEMENT_MAX = 100


def create_tag(context: Context, node: CreateTag) -> Result:
    """CREATE [OR REPLACE] TAG."""
    if node.creation.path[-1].startswith("SNOWFLAKE"):
        raise errors.cannot_be_performed()
    schema = context.schema(node.creation.path[:-1])
    name = node.creation.path[-1]
    there = schema.tag_by_name.get(name)
    if there is not None and node.creation.if_not_exists:
        return status(f"{shown(name)} already exists, statement succeeded.")
    context.access.need(schema, "CREATE TAG")
    if there is not None and not node.creation.replace:
        raise errors.exists("Object", shown(name))
    values = _checked_values(list(node.allowed_values)) if node.allowed_values is not None else None
    if there is not None:
        drop_tag(context, node.creation.path)
    schema.tag_by_name[name] = Tag(name, schema, context.session.role, values, node.comment, created_at=context.now)
    context.changed()
    return status(f"Tag {shown(name)} successfully created.")


def _checked_values(values: list[str]) -> list[str]:
    if len(values) > ALLOWED_MAX:
        raise errors.too_many("allowed values of a tag", ALLOWED_MAX)
    for value in values:
        _check_length(value)
    return list(dict.fromkeys(values))


def _check_length(value: str) -> None:
    if len(value) > VALUE_MAX:
        raise errors.too_many("characters in a tag value", VALUE_MAX)


def alter_tag(context: Context, node: AlterTag) -> Result:
    """Its masking policies, allowed values, comment, name."""
    try:
        tag = context.tag(node.path)
    except errors.Refused as error:
        if node.if_exists and error.code == "002003":
            return status()
        raise
    if node.set_masks:
        _set_masks(context, tag, node)
    elif node.unset_masks:
        _unset_masks(context, tag, node)
    else:
        context.access.need_owner(tag)
        _change(context, tag, node)
    context.changed()
    return status()


def _change(context: Context, tag: Tag, node: AlterTag) -> None:
    if node.add_values:
        tag.allowed_values = _checked_values([*(tag.allowed_values or []), *node.add_values])
    if node.drop_values:
        tag.allowed_values = [value for value in tag.allowed_values or [] if value not in node.drop_values]
    if node.unset_values:
        tag.allowed_values = None
    if node.comment is not None:
        tag.comment = node.comment
    if node.rename is not None:
        schema = context.schema(node.rename[:-1]) if len(node.rename) > 1 else tag.schema
        context.access.need(schema, "CREATE TAG")
        if node.rename[-1] in schema.tag_by_name:
            raise errors.exists("Object", shown(node.rename[-1]))
        del tag.schema.tag_by_name[tag.name]
        tag.schema, tag.name = schema, node.rename[-1]
        schema.tag_by_name[tag.name] = tag


def _set_masks(context: Context, tag: Tag, node: AlterTag) -> None:
    if context.settings.edition == "STANDARD":
        raise errors.unsupported("MASKING POLICY")
    wanted = dict(tag.masks)
    for path in node.set_masks:
        policy = context.policy("MASKING", path)
        _need_apply(context, tag, policy)
        family = policy.signature[0][1].family
        if len(policy.signature) > 1:
            raise errors.unsupported("masking policy with several arguments on a tag")
        present = wanted.get(family)
        if present is not None and present is not policy and not node.force:
            raise errors.tag_has_policy(full_text(tag), family)
        wanted[family] = policy
    for table in context.catalog.tables():
        if table.row_policy is not None:
            _check_row_policy(context, table, tag, list(wanted.values()))
    _replace(tag, wanted)


def _check_row_policy(context: Context, table: Table, tag: Tag, policies: list[Policy]) -> None:
    row = table.row_policy
    for column in row.columns if row else ():
        if tag in guard.effective_tags(table, column):
            clash = [each for each in policies if each.signature[0][1].family == column.type.family]
            if row and any(not lets_use(context, each, row.policy) for each in clash):
                raise errors.column_in_another_policy(shown(column.name), full_text(row.policy))


def _need_apply(context: Context, tag: Tag, policy: Policy) -> None:
    access = context.access
    if not (access.on_account("APPLY MASKING POLICY") or (access.owns(tag) and access.has(policy, "APPLY"))):
        raise errors.forbidden("Tag", full_text(tag))


def _unset_masks(context: Context, tag: Tag, node: AlterTag) -> None:
    wanted = dict(tag.masks)
    for path in node.unset_masks:
        policy = context.policy("MASKING", path)
        _need_apply(context, tag, policy)
        family = policy.signature[0][1].family
        if wanted.get(family) is not policy:
            raise errors.no_policy_on(f"tag {full_text(tag)}")
        del wanted[family]
    _replace(tag, wanted)


def _replace(tag: Tag, wanted: dict[str, Policy]) -> None:
    for policy in tag.masks.values():
        policy.in_use -= 1
    for policy in wanted.values():
        policy.in_use += 1
    tag.masks = wanted


def drop_tag(context: Context, path: Path) -> str:
    """It is unset everywhere. Returns its name. Raises errors.Refused while a masking policy is set on it."""
    tag = context.tag(path)
    context.access.need_owner(tag)
    if tag.masks:
        raise errors.tag_in_use(full_text(tag))
    forget(context, tag)
    return tag.name


def forget(context: Context, tag: Tag) -> None:
    """It is gone, and unset wherever it was."""
    _replace(tag, {})
    for thing in tagged_things(context):
        thing.tags.pop(tag, None)
    del tag.schema.tag_by_name[tag.name]


# On objects


def set_on_table(context: Context, table: Table, actions: list[SetTags]) -> None:
    """All of them, or none."""
    if sum(len(action.values) for action in actions) > PER_STATEMENT_MAX:
        raise errors.too_many("tag associations in one statement", PER_STATEMENT_MAX)
    prepared: list[tuple[Tagged, dict[Tag, str]]] = []
    different = {tag for column in table.columns.values() for tag in column.tags}
    for action in actions:
        thing: Tagged = table if action.column is None else context.column(table, action.column)
        values = prepare(context, table, thing, action.values)
        prepared.append((thing, values))
        if action.column is not None:
            different |= set(values)
    if len(different) > PER_COLUMNS_MAX:
        raise errors.too_many("different tags on the columns of a table", PER_COLUMNS_MAX)
    for thing, values in prepared:
        thing.tags |= values


def prepare(context: Context, owner_of: Securable, thing: Tagged, given: TagValues) -> dict[Tag, str]:
    """The tags with their values, everything checked. `owner_of` is what must be owned, or APPLY TAG held."""
    values: dict[Tag, str] = {}
    for path, value in given:
        tag = context.tag(path)
        if not context.access.may_tag(tag, owner_of):
            raise errors.forbidden("Tag", full_text(tag))
        _check_length(value)
        if tag.allowed_values is not None and value not in tag.allowed_values:
            raise errors.tag_value_refused(full_text(tag), value)
        values[tag] = value
    if not isinstance(thing, Column) and len({*thing.tags, *values}) > PER_OBJECT_MAX:
        raise errors.too_many("tags on an object", PER_OBJECT_MAX)
    return values


def unset_on_table(context: Context, table: Table, action: UnsetTags) -> None:
    """A tag that is not set is no error."""
    thing: Tagged = table if action.column is None else context.column(table, action.column)
    unset(context, table, thing, action.tags)


def unset(context: Context, owner_of: Securable, thing: Tagged, paths: tuple[Path, ...]) -> None:
    """A tag that is not set is no error."""
    tags = [context.tag(path) for path in paths]
    for tag in tags:
        if not context.access.may_tag(tag, owner_of):
            raise errors.forbidden("Tag", full_text(tag))
    for tag in tags:
        thing.tags.pop(tag, None)
