"""Databricks as a target: functions as column masks and row filters, and tags. Keeps the promises of connectors.contracts.Target.

Importing this loads nothing of the vendor's.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from connectors.contracts import Done, Readiness
from connectors.databricks import client, listing, proof, state, uses
from connectors.databricks.bodies import REVISION
from connectors.databricks.dialect import ALTERED, TAGGED
from connectors.databricks.dialect import render as render_step
from lily.domain.actual import Actual
from lily.domain.inventory import Table, TableId, TableKind
from lily.domain.proofs import Behaviour, Expected, ExpectedObject, Observed, Seen
from lily.domain.rules import Principal
from lily.domain.steps import (
    AttachMasks,
    ChangeMask,
    ChangeRowPolicy,
    CreateMask,
    CreateRowPolicy,
    DetachMasks,
    DropMask,
    DropRowPolicy,
    SetTags,
    Step,
    TagEntry,
    UnsetTags,
    apart,
)
from lily.domain.targets import Capabilities, Cause, Holders, SideEffect
from lily.runtime.settings import settings

ALTER_S = 0.5  # what one ALTER takes on a warm warehouse; those of one script run one after the other
SHARED = (CreateMask, ChangeMask, DropMask, CreateRowPolicy, ChangeRowPolicy, DropRowPolicy)
COLUMNS_MAX = 100  # in one script
TAGS_MAX = 50  # on one object
EITHER = (Cause.MASK, Cause.ROW_POLICY)
EFFECTS = (
    ("time_travel", "Queries of earlier versions (VERSION AS OF, TIMESTAMP AS OF) fail.", frozenset({TableKind.TABLE})),
    ("clone", "CLONE, deep or shallow, fails, and so does access by path.", frozenset({TableKind.TABLE})),
    ("sharing", "The table cannot be shared by Delta Sharing.", frozenset(TableKind)),
    ("check_constraints", "No CHECK constraint can be added any more.", frozenset({TableKind.TABLE})),
)
SIDE_EFFECTS = (
    *(SideEffect(cause, f"{cause.value}_{code}", text, kinds) for cause in EITHER for code, text, kinds in EFFECTS),
    SideEffect(
        Cause.MASK,
        "pipelines",
        "A pipeline that reads masked columns writes masked values, without any error: exempt its principal.",
    ),
    SideEffect(
        Cause.MASK,
        "copies",
        "CREATE TABLE AS SELECT copies what its creator sees, and the new table is bare until it is protected itself.",
    ),
    SideEffect(
        Cause.MASK,
        "rebuilt",
        "DROP and CREATE lose masks and filters; ask for protection after each rebuild (POST .../protect).",
        frozenset({TableKind.TABLE}),
    ),
    SideEffect(Cause.MASK, "everywhere", "Filters, joins, groupings and orders of masked readers work on the masked values."),
    SideEffect(Cause.MASK, "groups", "Who joins or leaves an exempt group sees the change after some minutes only."),
)


def capabilities(instance: str) -> Capabilities:
    config = settings().targets[instance]
    return Capabilities(
        revision=REVISION,
        principal="group",
        ignores_case=True,
        columns_per_statement=COLUMNS_MAX if config.several_columns else 1,
        tags_per_statement=TAGS_MAX,
        comment_with_body=True,
        filters_read_masked_columns=False,
        tells_uses=False,
        maskable=frozenset(ALTERED),
        filterable=frozenset(ALTERED),
        taggable=frozenset(TAGGED),
        side_effects=SIDE_EFFECTS,
    )


def render(instance: str, step: Step) -> str:
    return render_step(step, state.home_of(instance))


def check(instance: str) -> Readiness:
    return proof.check(instance)


def tables(instance: str) -> Iterator[Sequence[Table]]:
    return state.tables(instance)


def holders(instance: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
    return state.holders(instance, principals)


def read(instance: str, tables: Collection[TableId]) -> Actual:
    return state.read(instance, tables)


def closer(instance: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    return state.closer(instance, actual, names, used)


def execute(instance: str, step: Step) -> Done:
    statement = render(instance, step)
    if isinstance(step, DropMask | DropRowPolicy):
        uses.refuse_if_used(instance, step.name)
    try:
        return Done(statement, client.run(instance, statement, longer_s=ALTER_S * _size(step)).query_id)
    finally:
        if isinstance(step, SHARED):
            listing.touch(instance, [step.name])


def _size(step: Step) -> int:
    """How many statements it takes inside its one request."""
    return len(apart(step)) if isinstance(step, AttachMasks | DetachMasks | SetTags | UnsetTags) else 1


def prove(instance: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
    return proof.prove(instance, objects)


def observe(instance: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
    return proof.observe(instance, expected)


def tags(instance: str, tables: Collection[TableId]) -> Mapping[TableId, frozenset[TagEntry]]:
    return state.tags(instance, tables)


def close(instance: str) -> None:
    client.close(instance)
    proof.forget(instance)
    uses.forget(instance)
    listing.forget(instance)
