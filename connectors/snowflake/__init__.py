"""Snowflake as a target: masking policies, row access policies and tags. Keeps the promises of connectors.contracts.Target.

Importing this loads nothing of the vendor's.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from connectors.contracts import Done, Readiness, Refused
from connectors.snowflake import client, proof, state
from connectors.snowflake.bodies import REVISION
from connectors.snowflake.dialect import ALTERED
from connectors.snowflake.dialect import render as render_step
from lily.domain.actual import Actual
from lily.domain.inventory import Table, TableId, TableKind
from lily.domain.proofs import Behaviour, Expected, ExpectedObject, Observed, Seen
from lily.domain.rules import Principal
from lily.domain.steps import CreateMask, DropMask, DropRowPolicy, Step, TagEntry
from lily.domain.targets import Capabilities, Cause, Holders, SideEffect
from lily.runtime.settings import settings

TABLES = frozenset({TableKind.TABLE, TableKind.VIEW})
SIDE_EFFECTS = (
    SideEffect(
        Cause.MASK,
        "copies",
        "CREATE TABLE AS SELECT copies what its creator sees, and the new table is bare until it is protected itself.",
    ),
    SideEffect(
        Cause.MASK,
        "rebuilt",
        "CREATE OR REPLACE TABLE loses the policies; ask for protection after each rebuild (POST .../protect).",
        frozenset({TableKind.TABLE}),
    ),
    SideEffect(
        Cause.MASK,
        "materialized_views",
        "A materialized view on the table cannot be made any more; one that is there keeps the mask from being attached.",
        frozenset({TableKind.TABLE}),
    ),
    SideEffect(Cause.MASK, "everywhere", "Filters, joins, groupings and orders of masked readers work on the masked values."),
    SideEffect(Cause.ROW_POLICY, "counts", "COUNT(*) without a filter is slower, as rows have to be looked at."),
    SideEffect(
        Cause.ROW_POLICY,
        "row_materialized_views",
        "A materialized view on the table cannot be made any more.",
        frozenset({TableKind.TABLE}),
    ),
)


def capabilities(instance: str) -> Capabilities:
    several = settings().targets[instance].several_columns
    return Capabilities(
        revision=REVISION,
        principal="role",
        columns_per_statement=100 if several else 1,
        tags_per_statement=100,
        tags_are_objects=True,
        maskable=frozenset(ALTERED),
        filterable=frozenset(ALTERED),
        taggable=frozenset(ALTERED),
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
    home, statement = state.home_of(instance), render(instance, step)
    if isinstance(step, CreateMask):
        thing = ExpectedObject(step.name, step.spec, step.body)
        with ThreadPoolExecutor(1, "canary") as beside:  # the canary needs the type only
            making = beside.submit(copy_context().run, proof.prepare, instance, home, thing)
            try:
                done = _run(instance, step, statement)
            except Refused as refused:
                if refused.code != "exists":  # then nobody would ever drop the canary
                    making.result()
                    proof.drop_canary(instance, home, step.name)
                raise
            making.result()
        return done
    if isinstance(step, DropMask | DropRowPolicy):
        proof.drop_canary(instance, home, step.name)
    return _run(instance, step, statement)


def _run(instance: str, step: Step, statement: str) -> Done:
    return Done(statement, client.run(instance, statement, about=type(step).__name__).query_id)


def tags(instance: str, tables: Collection[TableId]) -> Mapping[TableId, frozenset[TagEntry]]:
    return state.tags(instance, tables)


def prove(instance: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
    return proof.prove(instance, objects)


def observe(instance: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
    return proof.observe(instance, expected)


def close(instance: str) -> None:
    client.close(instance)
    proof.forget(instance)
