"""What an account holds, read back: tables with what protects them, Lily's own objects, roles.

Source: docs.snowflake.com, DESCRIBE TABLE, POLICY_REFERENCES, TAG_REFERENCES and TAG_REFERENCES_ALL_COLUMNS (Information Schema,
current and without latency), SHOW ... IN SCHEMA, SHOW GRANTS OF ROLE. Answers are read by column name, never by place.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import orjson

from connectors.contracts import Refused
from connectors.snowflake import bodies, client, types
from connectors.snowflake.dialect import Home
from connectors.snowflake.quoting import identifier, literal, path
from lily.domain import marks
from lily.domain.actual import Actual, ActualObject, ActualTable, ActualTag, Attached, ObjectKind
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Column, Site, Table, TableId, TableKind
from lily.domain.naming import Comment, Owner, Spec, is_own_tag, owner
from lily.domain.naming import read as read_comment
from lily.domain.rules import Principal
from lily.domain.steps import TagEntry
from lily.domain.targets import Holders
from lily.runtime.settings import settings

T = TypeVar("T")
R = TypeVar("R")

CANARY = "_canary"
NAMES_MAX = 100  # in one question about the kinds of tables
TABLES_PAGE = 2000
LISTED = "TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, CREATED"
DESCRIBED = "TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE"
IN_ORDER = "TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
KINDS = {"MASKING_POLICY": ObjectKind.MASK, "ROW_ACCESS_POLICY": ObjectKind.ROW_POLICY}
WORDS = {ObjectKind.MASK: "MASKING POLICY", ObjectKind.ROW_POLICY: "ROW ACCESS POLICY"}


@dataclass(frozen=True)
class Reference:
    """One policy on one place, as POLICY_REFERENCES tells it. `tag`: it comes from there, not from the place itself."""

    kind: ObjectKind
    policy: tuple[str, str, str]
    site: Site
    columns: tuple[str, ...]
    tag: str
    status: str

    @property
    def text(self) -> str:
        return path(self.policy)


def home_of(instance: str) -> Home:
    return Home(*settings().targets[instance].home, salt())


def salt() -> str:
    """The text that hashes are made with."""
    drawn = settings().hash_salt
    return drawn.reveal() if drawn else ""


def kind_of(spec: Spec) -> ObjectKind:
    return ObjectKind.MASK if isinstance(spec, MaskSpec) else ObjectKind.ROW_POLICY


def each(instance: str, items: Collection[T], work: Callable[[T], R]) -> list[R]:
    """`work` on all items, as many at once as the instance has sessions; in order. Raises what any of them raises."""
    some = list(items)
    if len(some) <= 1:
        return [work(item) for item in some]
    contexts = [(copy_context(), item) for item in some]
    with ThreadPoolExecutor(min(len(some), settings().targets[instance].sessions), f"read {instance}") as pool:
        return list(pool.map(lambda one: one[0].run(work, one[1]), contexts))


def read(instance: str, tables: Collection[TableId]) -> Actual:
    """See contracts.Target."""
    home = home_of(instance)
    lists: list[Callable[[], Any]] = [
        lambda: _listed(instance, home, ObjectKind.MASK),
        lambda: _listed(instance, home, ObjectKind.ROW_POLICY),
        lambda: _listed_tags(instance, home),
        lambda: kinds(instance, tables),
    ]
    asks = [ask for table in tables for ask in _parts(instance, home, table, TableKind.TABLE)]
    masks, rows, tags, known, *answers = each(instance, [*lists, *asks], lambda ask: ask())
    objects = {**rows, **masks}
    others = {table: kind for table, kind in known.items() if kind is not TableKind.TABLE}
    found = _put_together([table for table in tables if table not in others], tables, answers)
    if others:  # it was not known before that they are no plain tables
        asks = [ask for table, kind in others.items() for ask in _parts(instance, home, table, kind)]
        found |= _put_together(list(others), list(others), each(instance, asks, lambda ask: ask()))
    return Actual({table: _table(raw, home, objects) for table, raw in found.items()}, objects, tags)


def closer(instance: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    """See contracts.Target. What a table that was read carries is told by the table itself, so nothing hangs on one source."""
    home = home_of(instance)
    wanted = [actual.objects[name] for name in sorted(set(names) | set(used)) if name in actual.objects]
    attached = [one for one in wanted if one.name in used]
    asks: list[Callable[[], Any]] = [
        *(_body(instance, home, one) for one in wanted),
        *(_uses(instance, home, one) for one in attached),
    ]
    answers = each(instance, asks, lambda ask: ask())
    uses = dict(zip((one.name for one in attached), answers[len(wanted) :], strict=True))
    for name, seen in _carried(actual, uses).items():
        if not seen <= (uses[name] or frozenset()):
            uses[name] = None  # what the account tells of the object is not all
    known = {
        one.name: replace(one, body=marks.body_of(text, bodies.TOKENS), mark=marks.mark_of(text), uses=uses.get(one.name))
        for one, text in zip(wanted, answers[: len(wanted)], strict=True)
    }
    return replace(actual, objects={**actual.objects, **known})


def _carried(actual: Actual, names: Collection[str]) -> dict[str, frozenset[Site]]:
    """Where the tables that were read carry these objects of ours."""
    found: dict[str, set[Site]] = {name: set() for name in names}
    for table in actual.tables.values():
        for site, attached in table.attached.items():
            if attached.owner is Owner.OURS and attached.name in found:
                found[attached.name].add(site)
    return {name: frozenset(sites) for name, sites in found.items()}


def body(instance: str, home: Home, name: str, kind: ObjectKind, written: str | None = None) -> str | None:
    """Which body of ours is in force; None if the object is gone, or its text is not what Lily wrote.

    `written`: the text that is expected. Without it a body counts that somebody edited who knows how marks are made.
    """
    text = _text(instance, home, name, kind)
    return marks.body_of(text, bodies.TOKENS) if written is None or marks.is_written(text, written, bodies.TOKENS) else None


def _text(instance: str, home: Home, name: str, kind: ObjectKind) -> str:
    """The text of a body; empty if the object is gone."""
    statement = f"DESCRIBE {WORDS[kind]} {home.named(name)}"
    answer = _unless_gone(lambda: client.run(instance, statement, about="read back"))
    return str(answer.dicts[0]["body"]) if answer and answer.rows else ""


def references(instance: str, table: TableId, domain: str) -> list[Reference]:
    """All that acts on a table or view, current."""
    name = literal(path((table.database, table.schema, table.name)))
    statement = (
        f"SELECT * FROM TABLE({identifier(table.database)}.INFORMATION_SCHEMA.POLICY_REFERENCES("
        f"REF_ENTITY_NAME => {name}, REF_ENTITY_DOMAIN => '{domain}'))"
    )
    return _references(client.run(instance, statement, about="read back"))


def tables(instance: str) -> Iterator[Sequence[Table]]:
    """See contracts.Target."""
    config = settings().targets[instance]
    for database in config.databases:
        schema = f"{identifier(database)}.INFORMATION_SCHEMA"
        listed = f"SELECT {LISTED} FROM {schema}.TABLES WHERE TABLE_SCHEMA <> 'INFORMATION_SCHEMA'"
        described = f"SELECT {DESCRIBED} FROM {schema}.COLUMNS WHERE TABLE_SCHEMA <> 'INFORMATION_SCHEMA' ORDER BY {IN_ORDER}"
        told = client.run(instance, listed, about="inventory").dicts
        columns: dict[tuple[str, str], list[Column]] = {}
        for one in client.run(instance, described, about="inventory").dicts:
            key = (one["table_schema"], one["table_name"])
            columns.setdefault(key, []).append(Column(one["column_name"], _listed_type(one)))
        page = []
        for one in told:
            key = (one["table_schema"], one["table_name"])
            if (database, key[0]) != config.home:
                kind = types.table_kind(str(one["table_type"]))
                page.append(Table(TableId(database, *key), tuple(columns.get(key, ())), kind, str(one["created"])))
        for start in range(0, len(page), TABLES_PAGE):
            yield page[start : start + TABLES_PAGE]


def tags(instance: str, wanted: Collection[TableId]) -> dict[TableId, frozenset[TagEntry]]:
    """See contracts.Target."""
    home, some = home_of(instance), list(wanted)
    functions = ("TAG_REFERENCES_ALL_COLUMNS", "TAG_REFERENCES")
    asks: list[Callable[[], Any]] = [
        partial(_unless_gone, partial(_tags, instance, home, table, function)) for table in some for function in functions
    ]
    answers = each(instance, asks, lambda ask: ask())
    return {
        table: answers[place * 2] | answers[place * 2 + 1]
        for place, table in enumerate(some)
        if answers[place * 2] is not None and answers[place * 2 + 1] is not None
    }


def holders(instance: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
    """See contracts.Target: the hierarchy is walked upwards, as a role above an exempt one has all that it has."""
    names = sorted({principal.name for principal in principals if principal.kind == "role"})
    grants: dict[str, tuple[list[str], int] | None] = {}
    waiting = names
    while waiting:
        found = each(instance, waiting, lambda name: _granted(instance, name))
        grants |= dict(zip(waiting, found, strict=True))
        above = {role for one in grants.values() if one for role in one[0]}
        waiting = sorted(above - grants.keys())
    return {
        principal: Holders(grants.get(principal.name) is not None, _above(principal.name, grants), _users(grants, principal.name))
        for principal in principals
    }


def kinds(instance: str, wanted: Collection[TableId]) -> dict[TableId, TableKind]:
    """What kind of table each is; those that are not there are left out."""
    by_database: dict[str, list[TableId]] = {}
    for table in wanted:
        by_database.setdefault(table.database, []).append(table)
    chunks = [some[at : at + NAMES_MAX] for some in by_database.values() for at in range(0, len(some), NAMES_MAX)]
    return {table: kind for chunk in chunks for table, kind in _kinds(instance, chunk).items()}


def _kinds(instance: str, wanted: Sequence[TableId]) -> dict[TableId, TableKind]:
    database = wanted[0].database
    places = " OR ".join("(TABLE_SCHEMA = ? AND TABLE_NAME = ?)" for _ in wanted)
    columns = "TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE"
    statement = f"SELECT {columns} FROM {identifier(database)}.INFORMATION_SCHEMA.TABLES WHERE {places}"
    names = [name for one in wanted for name in (one.schema, one.name)]
    answer = _unless_gone(lambda: client.run(instance, statement, names, about="read"))
    told = answer.dicts if answer else []
    return {TableId(database, one["table_schema"], one["table_name"]): types.table_kind(str(one["table_type"])) for one in told}


@dataclass(frozen=True)
class _Raw:
    """What the statements about one table answered."""

    table: Table
    references: Sequence[Reference]
    tags: frozenset[TagEntry]


def _parts(instance: str, home: Home, table: TableId, kind: TableKind) -> list[Callable[[], Any]]:
    """The questions about one table. Where it is gone, or not to be seen, each answers None."""
    domain = "VIEW" if kind in {TableKind.VIEW, TableKind.MATERIALIZED_VIEW} else "TABLE"
    asks: list[Callable[[], Any]] = [
        lambda: _described(instance, table, kind, domain),
        lambda: references(instance, table, domain),
        lambda: _tags(instance, home, table, "TAG_REFERENCES_ALL_COLUMNS"),
        lambda: _tags(instance, home, table, "TAG_REFERENCES"),
    ]
    return [partial(_unless_gone, ask) for ask in asks]


def _unless_gone(ask: Callable[[], R]) -> R | None:
    try:
        return ask()
    except Refused as refusal:
        if refusal.code == "gone":
            return None
        raise


def _put_together(wanted: Collection[TableId], asked: Collection[TableId], answers: Sequence[Any]) -> dict[TableId, _Raw]:
    """The answers of `_parts`, four for each table that was asked about."""
    found = {}
    for place, table in enumerate(asked):
        described, refs, of_columns, own = answers[place * 4 : place * 4 + 4]
        if table in wanted and not any(part is None for part in (described, refs, of_columns, own)):
            found[table] = _Raw(described, refs, of_columns | own)
    return found


def _described(instance: str, table: TableId, kind: TableKind, domain: str) -> Table:
    statement = f"DESCRIBE {domain} {path((table.database, table.schema, table.name))}"
    answer = client.run(instance, statement, about="read")
    columns = tuple(Column(one["name"], types.data_type(one["type"])) for one in answer.dicts if one.get("kind") == "COLUMN")
    return Table(table, columns, kind)


def _table(raw: _Raw, home: Home, objects: Mapping[str, ActualObject]) -> ActualTable:
    masks: dict[str, Attached] = {}
    rows: Attached | None = None
    inherited: dict[str | None, str] = {}
    for one in raw.references:
        column = one.site.column
        if one.tag:
            inherited[column] = f"{one.text} (by tag {one.tag})"
        elif one.kind is ObjectKind.ROW_POLICY:
            rows = _attached(one, home, objects)
        elif column is not None:
            masks[column] = _attached(one, home, objects)
    return ActualTable(raw.table, masks, rows, raw.tags, inherited)


def _attached(one: Reference, home: Home, objects: Mapping[str, ActualObject]) -> Attached:
    """Ours by its plain name, others by their whole one: a policy of the same name elsewhere is not ours."""
    columns = one.columns if one.kind is ObjectKind.ROW_POLICY else ()
    known = objects.get(one.policy[2]) if one.policy[:2] == (home.database, home.schema) else None
    if known is None or known.kind is not one.kind:
        return Attached(one.text, Owner.FOREIGN, columns)
    return Attached(known.name, known.owner, columns)


def _listed(instance: str, home: Home, kind: ObjectKind) -> dict[str, ActualObject]:
    plural = {ObjectKind.MASK: "MASKING POLICIES", ObjectKind.ROW_POLICY: "ROW ACCESS POLICIES"}[kind]
    answer = client.run(instance, f"SHOW {plural} IN SCHEMA {path((home.database, home.schema))}", about="read")
    found = {}
    for one in answer.dicts:
        comment = read_comment(one.get("comment"))
        found[one["name"]] = ActualObject(one["name"], kind, _owner(comment), comment)
    return found


def _listed_tags(instance: str, home: Home) -> dict[str, ActualTag]:
    answer = client.run(instance, f"SHOW TAGS IN SCHEMA {path((home.database, home.schema))}", about="read")
    return {
        one["name"]: ActualTag(one["name"], _owner(read_comment(one.get("comment"))))
        for one in answer.dicts
        if is_own_tag(settings().installation, one["name"])
    }


def _owner(comment: Comment | None) -> Owner:
    return owner(comment, settings().installation)


def _tags(instance: str, home: Home, table: TableId, function: str) -> frozenset[TagEntry]:
    """Lily's own tags that were put on the table's columns, or the table, themselves."""
    name = literal(path((table.database, table.schema, table.name)))
    statement = f"SELECT * FROM TABLE({identifier(table.database)}.INFORMATION_SCHEMA.{function}({name}, 'TABLE'))"
    answer = client.run(instance, statement, about="read")
    return frozenset(
        TagEntry(one["column_name"] if one["domain"] == "COLUMN" else None, one["tag_name"], one["tag_value"] or "")
        for one in answer.dicts
        if (one["tag_database"], one["tag_schema"]) == (home.database, home.schema)
        and is_own_tag(settings().installation, one["tag_name"])
        and one["level"] == one["domain"]
    )


def _body(instance: str, home: Home, one: ActualObject) -> Callable[[], str]:
    return lambda: _text(instance, home, one.name, one.kind)


def _uses(instance: str, home: Home, one: ActualObject) -> Callable[[], frozenset[Site] | None]:
    """Where an object is attached in the whole account; canaries are not uses."""

    def ask() -> frozenset[Site] | None:
        statement = (
            f"SELECT * FROM TABLE({identifier(home.database)}.INFORMATION_SCHEMA.POLICY_REFERENCES("
            f"POLICY_NAME => {literal(home.named(one.name))}))"
        )
        answer = _unless_gone(lambda: client.run(instance, statement, about="read"))
        if answer is None:
            return None
        found = _references(answer)
        if not found and _has_canary(instance, home, one):
            return None  # it is attached, and this account does not tell so by the policy's name
        return frozenset(ref.site for ref in found if not _is_canary(ref, home))

    return ask


def _has_canary(instance: str, home: Home, one: ActualObject) -> bool:
    """Whether the canary carries the object, told by the canary."""
    canary = TableId(home.database, home.schema, f"{one.name}{CANARY}")
    return bool(_unless_gone(lambda: references(instance, canary, "TABLE")))


def _is_canary(ref: Reference, home: Home) -> bool:
    table = ref.site.table
    return (table.database, table.schema) == (home.database, home.schema) and table.name.endswith(CANARY)


def _references(answer: client.Answer) -> list[Reference]:
    found = []
    for one in answer.dicts:
        kind = KINDS.get(str(one["policy_kind"]))
        if kind is None:
            continue  # aggregation, projection and their like hide nothing of what Lily hides
        table = TableId(one["ref_database_name"], one["ref_schema_name"], one["ref_entity_name"])
        found.append(
            Reference(
                kind=kind,
                policy=(one["policy_db"], one["policy_schema"], one["policy_name"]),
                site=Site(table, one["ref_column_name"] if kind is ObjectKind.MASK else None),
                columns=tuple(orjson.loads(one["ref_arg_column_names"] or "[]")),
                tag=one["tag_name"] or "",
                status=one["policy_status"] or "ACTIVE",
            )
        )
    return found


def _listed_type(one: Mapping[str, Any]) -> Any:
    numbers = (one["character_maximum_length"], one["numeric_precision"], one["numeric_scale"])
    length, precision, scale = (int(number) if number is not None else None for number in numbers)
    return types.listed_type(str(one["data_type"]), length, precision, scale)


def _granted(instance: str, role: str) -> tuple[list[str], int] | None:
    """The roles that hold a role directly, and how many users; None if there is no such role."""
    answer = _unless_gone(lambda: client.run(instance, f"SHOW GRANTS OF ROLE {identifier(role)}", about="roles"))
    if answer is None:
        return None
    roles = [one["grantee_name"] for one in answer.dicts if one["granted_to"] == "ROLE"]
    return roles, sum(one["granted_to"] == "USER" for one in answer.dicts)


def _above(name: str, grants: Mapping[str, tuple[list[str], int] | None]) -> frozenset[Principal]:
    found: set[str] = set()
    waiting = {name}
    while waiting:
        above = {role for one in waiting for role in (grants.get(one) or ([], 0))[0]}
        waiting = above - found
        found |= above
    return frozenset(Principal("role", role) for role in found - {name})


def _users(grants: Mapping[str, tuple[list[str], int] | None], name: str) -> int:
    return (grants.get(name) or ([], 0))[1]
