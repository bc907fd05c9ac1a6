"""Plans that wait for a person, what was decided about them, and the day's account of protection that went without asking.

Plans: pk `HELD`, sk `<target>#<plan id>`; what does not fit into one item is in parts, pk `HELD#<target>#<plan id>`, sk
`<digest of the whole>#<number>`, which are there before the plan is. Account: pk `SPENT#<target>`, sk time and a random part,
forgotten after two days.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from lily.domain.brake import Spent, Weakening
from lily.domain.inventory import Site, TableId
from lily.records import audit, batch, due, items
from lily.records.audit import Facts
from lily.records.batch import Lost
from lily.records.forms import time_form, time_from
from lily.records.items import Plain
from lily.records.security_forms import (
    deflated,
    inflated,
    site_form,
    site_from,
    table_id_form,
    table_id_from,
    weakening_form,
    weakening_from,
)
from lily.records.streams import Found
from lily.runtime import aws, clock

PK = "HELD"
KEPT = timedelta(hours=48)
STATES = ("pending", "confirmed", "rejected", "superseded", "done")
PART_BYTES_MAX = 300_000  # of the 400,000 that an item may have; characters of JSON are counted in UTF-8


class Decided(Exception):
    """The plan does not wait for a decision (any more). `state`: what it is."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the plan is {state}")
        self.state = state


@dataclass(frozen=True)
class HeldPlan:
    """The exact set that is held. `id` begins its `fingerprint`; `state`: one of STATES."""

    id: str
    target: str
    fingerprint: str
    weakenings: tuple[Weakening, ...]
    tables: tuple[TableId, ...]
    rules: tuple[str, ...]
    statements: tuple[str, ...]
    counted: int
    enforced: int
    created_at: datetime
    state: str = "pending"
    decided_by: str = ""
    decided_at: datetime | None = None


def hold(plan: HeldPlan) -> bool:
    """Put a plan before a person. True: it is new. One that waits, or was decided, stays; done or superseded, it asks again."""
    values, parts = _item(plan)
    _write_many(parts)
    try:
        items.update(
            PK,
            _sk(plan),
            values,
            "attribute_not_exists(pk) OR #sta = :done OR #sta = :superseded",
            done="done",
            superseded="superseded",
        )
    except aws.ConditionFailed:
        return False
    return True


def get(target: str, plan_id: str) -> HeldPlan | None:
    item = items.get(PK, f"{target}#{plan_id}")
    return _read(item) if item else None


def find(target: str | None, state: str | None, limit: int, cursor: str | None) -> Found[HeldPlan]:
    """Plans by target and id."""
    found = list(islice(_matching(target, STATES if state is None else (state,), cursor), limit + 1))
    return Found(tuple(found[:limit]), _sk(found[limit - 1]) if len(found) > limit else None)


def decide(plan: HeldPlan, state: str, facts: Facts, now: datetime) -> HeldPlan:
    """A person's word, with its audit entry. Raises Decided if the plan does not wait."""
    decided = replace(plan, state=state, decided_by=facts.actor, decided_at=now)
    write = items.updating(PK, _sk(plan), _values(decided), "#sta = :pending", pending="pending")
    try:
        audit.with_entry(lambda: [write], facts, now)
    except Lost:
        now_there = get(plan.target, plan.id)
        raise Decided(now_there.state if now_there else "superseded") from None
    return decided


def settle(plan: HeldPlan, state: str) -> None:
    """`superseded` or `done`, unless it was decided anew meanwhile."""
    try:
        items.update(PK, _sk(plan), _values(replace(plan, state=state)), "#sta = :was", was=plan.state)
    except aws.ConditionFailed:
        return


def confirmed(target: str) -> list[HeldPlan]:
    return list(_matching(target, ("confirmed",), None))


def undone(target: str) -> list[HeldPlan]:
    """All that wait for a person, then all that were rejected: what is asked or was refused stands until it is superseded."""
    return sorted(_matching(target, ("pending", "rejected"), None), key=lambda plan: plan.state)


def spend(target: str, sites: frozenset[Site], at: datetime) -> None:
    """Put places on the account: they lost protection at `at` and nobody was asked."""
    ends_at, begins = int((at + KEPT).timestamp()), f"{due.millis(at):013d}#{secrets.token_hex(4)}"
    forms = [items.dumps(site_form(site)) for site in sorted(sites, key=lambda site: (site.table, site.column or ""))]
    _write_many(
        {"pk": f"SPENT#{target}", "sk": f"{begins}#{number}", "d": f"[{','.join(some)}]", "exp": ends_at}
        for number, some in enumerate(_fitting(forms))
    )


def spent(target: str, since: datetime) -> list[Spent]:
    found = items.query(f"SPENT#{target}", after=f"{due.millis(since):013d}")
    return [Spent(due.time_of(item["sk"]), frozenset(map(site_from, items.loads(item["d"])))) for item in found]


def _matching(target: str | None, states: Collection[str], cursor: str | None) -> Iterator[HeldPlan]:
    found = items.query(PK, f"{target}#" if target else "", after=cursor or "")
    return (_read(item) for item in found if item["sta"] in states)


def _fitting(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in their order, as many together as an item holds."""
    some: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode()) + 1
        if some and size + length > PART_BYTES_MAX:
            yield some
            some, size = [], 0
        some.append(text)
        size += length
    if some:
        yield some


def _write_many(made: Iterable[dict[str, str | int | bytes | None]]) -> None:
    if packed := [batch.packed(values) for values in made]:
        batch.write_many(packed)


def _sk(plan: HeldPlan) -> str:
    return f"{plan.target}#{plan.id}"


def _long(plan: HeldPlan) -> dict[str, Any]:
    """What makes plans long, and never changes while a plan is decided."""
    return {
        "weakenings": [weakening_form(one) for one in plan.weakenings],
        "tables": [table_id_form(table) for table in plan.tables],
        "statements": list(plan.statements),
    }


def _item(plan: HeldPlan) -> tuple[dict[str, str | int | bytes | None], list[dict[str, str | int | bytes | None]]]:
    """The attributes of the plan's own item, and the items beside it; none where the one holds it all."""
    form: dict[str, Any] = {
        "id": plan.id,
        "target": plan.target,
        "fingerprint": plan.fingerprint,
        "rules": list(plan.rules),
        "counted": plan.counted,
        "enforced": plan.enforced,
        "created_at": time_form(plan.created_at),
        "decided_by": plan.decided_by,
        "decided_at": time_form(plan.decided_at),
    }
    long = _long(plan)
    beside = deflated(long)
    if len(beside) <= PART_BYTES_MAX:  # by what no decision changes: the parts are written once
        return {"sta": plan.state, "d": deflated(form | long)}, []
    digest = hashlib.sha256(items.dumps(long).encode()).hexdigest()  # not of what was deflated: that may differ elsewhere
    parts: list[dict[str, str | int | bytes | None]] = [
        {"pk": f"{PK}#{_sk(plan)}", "sk": f"{digest}#{number:04d}", "d": beside[at : at + PART_BYTES_MAX]}
        for number, at in enumerate(range(0, len(beside), PART_BYTES_MAX))
    ]
    return {"sta": plan.state, "d": deflated(form | {"parts": digest})}, parts


def _values(plan: HeldPlan) -> dict[str, str | int | bytes | None]:
    return _item(plan)[0]


def _read(item: Plain) -> HeldPlan:
    form = inflated(item["d"])
    if "parts" in form:
        parts = items.query(f"{PK}#{item['sk']}", f"{form['parts']}#")
        form |= inflated(b"".join(part["d"] for part in parts))
    return HeldPlan(
        id=form["id"],
        target=form["target"],
        fingerprint=form["fingerprint"],
        weakenings=tuple(map(weakening_from, form["weakenings"])),
        tables=tuple(map(table_id_from, form["tables"])),
        rules=tuple(form["rules"]),
        statements=tuple(form["statements"]),
        counted=form["counted"],
        enforced=form["enforced"],
        created_at=clock.from_iso(form["created_at"]),
        state=item["sta"],
        decided_by=form["decided_by"],
        decided_at=time_from(form["decided_at"]),
    )
