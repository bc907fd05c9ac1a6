"""Every table that Lily protects, or was asked to, as it was last looked at: what was expected, seen, and proven.

Only a target's own lane writes them, so the last one counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lily.domain.inventory import Site, Table, TableId
from lily.domain.proofs import Expected, Verdict
from lily.domain.propagations import State
from lily.domain.steps import TagEntry
from lily.records import batch, items
from lily.records.batch import packed, plain
from lily.records.forms import time_form, time_from
from lily.records.security_forms import (
    deflated,
    expected_form,
    expected_from,
    inflated,
    table_form,
    table_from,
    table_id_form,
    table_id_from,
    table_key,
    tag_form,
    tag_from,
    verdict_form,
    verdict_from,
)
from lily.runtime import clock, logs

log = logs.get(__name__)

IN_FORCE = frozenset({State.ENFORCED, State.ATTACHED, State.HELD})  # what is held is as it was


@dataclass(frozen=True)
class TableState:
    """`table` is the one that was looked at, with its columns then. `rules`: versions of those that concern it, by id.

    `tags` are those that it is to carry. `next_change_at`: when the first time-boxed exemption ends.
    """

    target: str
    table: Table
    outcome: State
    reasons: tuple[str, ...]
    rules: Mapping[str, int]
    expected: Expected
    tags: frozenset[TagEntry]
    verdict: Verdict | None
    observed_at: datetime
    next_change_at: datetime | None = None


def save_many(states: Iterable[TableState]) -> None:
    """Whatever was known before. Safe to repeat. Raises Transient and Permanent; some may then be written."""
    latest = {(state.target, state.table.id): state for state in states}
    batch.write_many([packed(_values(state)) for state in latest.values()])


def remove_many(target: str, tables: Iterable[TableId]) -> None:
    """Forget tables; those that are not known do no harm."""
    batch.delete_many([(_pk(target), table_key(table)) for table in tables])


def load(target: str, tables: Iterable[TableId]) -> dict[TableId, TableState]:
    """Strongly consistent; unknown ones are left out, those that cannot be read as well."""
    found = batch.read_many([(_pk(target), table_key(table)) for table in tables])
    states = (_readable(target, plain(item)) for item in found.values())
    return {state.table.id: state for state in states if state is not None}


def every(target: str) -> Iterator[TableState]:
    """All of a target in the order of their keys (security_forms.table_key), read as they are asked for."""
    for values in items.query(_pk(target)):
        state = _readable(target, values)
        if state is not None:
            yield state


def enforced_sites(target: str) -> set[Site]:
    """The places in force: columns with a mask and tables with a row policy of ours, of tables in force or held."""
    found: set[Site] = set()
    for values in items.query(_pk(target), attributes=("at",)):
        if "at" in values:
            table, columns, has_rows = inflated(values["at"])
            name = table_id_from(table)
            found.update(Site(name, column) for column in columns)
            found.update([Site(name)] if has_rows else [])
    return found


def _readable(target: str, values: Mapping[str, Any]) -> TableState | None:
    try:
        return _state(target, inflated(values["d"]))
    except (KeyError, TypeError, ValueError) as error:  # it will be looked at as a table of which nothing is known
        log.error("table_state.unreadable", target=target, key=values.get("sk"), exc_info=error)
        return None


def _pk(target: str) -> str:
    return f"S#{target}"


def _values(state: TableState) -> dict[str, Any]:
    expected, name = state.expected, table_id_form(state.table.id)
    is_in_force = state.outcome in IN_FORCE and (expected.masks or expected.rows)
    data = {
        "table": table_form(state.table),
        "outcome": state.outcome.value,
        "reasons": list(state.reasons),
        "rules": dict(state.rules),
        "expected": expected_form(expected),
        "tags": [tag_form(tag) for tag in sorted(state.tags, key=_order)],
        "verdict": verdict_form(state.verdict) if state.verdict else None,
        "observed_at": time_form(state.observed_at),
        "next_change_at": time_form(state.next_change_at),
    }
    return {
        "pk": _pk(state.target),
        "sk": table_key(state.table.id),
        "at": deflated([name, sorted(expected.masks), expected.rows is not None]) if is_in_force else None,
        "d": deflated(data),
    }


def _order(tag: TagEntry) -> tuple[bool, str, str]:
    return tag.column is not None, tag.column or "", tag.key


def _state(target: str, data: Mapping[str, Any]) -> TableState:
    return TableState(
        target=target,
        table=table_from(data["table"]),
        outcome=State(data["outcome"]),
        reasons=tuple(data["reasons"]),
        rules=data["rules"],
        expected=expected_from(data["expected"]),
        tags=frozenset(tag_from(form) for form in data["tags"]),
        verdict=verdict_from(data["verdict"]) if data["verdict"] else None,
        observed_at=clock.from_iso(data["observed_at"]),
        next_change_at=time_from(data["next_change_at"]),
    )
