"""One rule at one table of one target, its latest version only: state, statements that ran, proof.

pk `R#<rule id>`, sk `P#<target>#<key of the table>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from lily.domain.inventory import TableId
from lily.domain.propagations import Key, Propagation, State
from lily.records import batch, items
from lily.records.forms import time_form, time_from
from lily.records.items import Plain
from lily.records.security_forms import table_id_form, table_id_from, table_key
from lily.records.streams import Found

STATEMENT_CHARACTERS_MAX = 30_000
CUT = "-- the other statements, too long to be kept: "

RecordKey = tuple[str, str, TableId]  # rule, target, table


@dataclass(frozen=True)
class Record:
    """`statements` are those of the last attempt; `proof` is what was seen, as plain data without any value of a table."""

    propagation: Propagation
    statements: tuple[str, ...] = ()
    proof: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


def save_many(records: Sequence[Record]) -> None:
    """Whatever was there before: one propagation is in flight per target. Raises Transient and Permanent, as all here."""
    by_key = {(record.propagation.key.rule_id, _sk(record)): record for record in records}
    if by_key:
        batch.write_many([batch.packed(_item(record)) for record in by_key.values()], timeout_s=10.0)


def load_many(keys: Iterable[RecordKey]) -> dict[RecordKey, Record]:
    by_item = {(f"R#{rule}", f"P#{target}#{table_key(table)}"): (rule, target, table) for rule, target, table in keys}
    found = batch.read_many(list(by_item), timeout_s=10.0) if by_item else {}
    return {by_item[key]: _read(batch.plain(item)) for key, item in found.items()}


def of_rule(
    rule_id: str, limit: int, cursor: str | None, target: str | None = None, state: State | str | None = None
) -> Found[Record]:
    """The tables of a rule, by target."""
    every = items.query(f"R#{rule_id}", f"P#{target}#" if target else "P#", after=cursor or "")
    matching = list(islice(_in_state(every, state), limit + 1))
    more = matching[limit - 1]["sk"] if len(matching) > limit else None
    return Found(tuple(_read(item) for item in matching[:limit]), more)


def states(rule_id: str) -> list[tuple[str, State, int]]:
    """Target, state and version of the rule, of all its tables."""
    found = []
    for item in items.query(f"R#{rule_id}", "P#"):
        key = items.loads(item["d"])["key"]
        found.append((key[1], State(item["sta"]), int(key[2])))
    return found


def tables_of(rule_id: str, target: str) -> list[TableId]:
    """Where it has been, or is to be."""
    return [table_id_from(items.loads(item["d"])["key"][3]) for item in items.query(f"R#{rule_id}", f"P#{target}#")]


def remove_many(keys: Iterable[RecordKey]) -> None:
    """Forget these; those that are not there are passed over."""
    batch.delete_many([(f"R#{rule}", f"P#{target}#{table_key(table)}") for rule, target, table in dict.fromkeys(keys)])


def _in_state(found: Iterable[Plain], state: State | str | None) -> Iterable[Plain]:
    return (item for item in found if state is None or item["sta"] == str(state))


def _sk(record: Record) -> str:
    key = record.propagation.key
    return f"P#{key.target}#{table_key(key.table)}"


def _item(record: Record) -> dict[str, str | int | bytes | None]:
    one = record.propagation
    form = {
        "key": [one.key.rule_id, one.key.target, one.key.version, table_id_form(one.key.table)],
        "since": time_form(one.since),
        "attempts": one.attempts,
        "reason": one.reason,
        "due_at": time_form(one.due_at),
        "statements": _kept(record.statements),
        "proof": record.proof,
        "started_at": time_form(record.started_at),
        "ended_at": time_form(record.ended_at),
    }
    return {"pk": f"R#{one.key.rule_id}", "sk": _sk(record), "sta": one.state.value, "d": items.dumps(form)}


def _kept(statements: Sequence[str]) -> list[str]:
    kept: list[str] = []
    room = STATEMENT_CHARACTERS_MAX
    for place, statement in enumerate(statements):
        room -= len(statement)
        if room < 0:
            return [*kept, f"{CUT}{len(statements) - place}"]
        kept.append(statement)
    return kept


def _read(item: Plain) -> Record:
    form = items.loads(item["d"])
    rule_id, target, version, table = form["key"]
    propagation = Propagation(
        Key(rule_id, version, target, table_id_from(table)),
        State(item["sta"]),
        datetime.fromisoformat(form["since"]),
        form["attempts"],
        form["reason"],
        time_from(form["due_at"]),
    )
    return Record(
        propagation, tuple(form["statements"]), form["proof"], time_from(form["started_at"]), time_from(form["ended_at"])
    )
