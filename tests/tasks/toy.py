"""A target that lives in the memory of the test: the domain's small warehouse behind the promises of a connector.

What its masks show it decides from their bodies alone, so a proof here is as true as the warehouse.
"""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.contracts import Done, Readiness, Refused
from lily.domain import branches
from lily.domain.actual import Actual
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Site, Table, TableId
from lily.domain.proofs import ALL_ROWS, CLEAR, FILTERED_ROWS, Behaviour, Expected, ExpectedObject, Observed, Seen
from lily.domain.rules import Principal
from lily.domain.steps import Step, TagEntry
from lily.domain.targets import Capabilities, Holders, Target
from lily.runtime import clock
from lily.runtime.errors import Permanent, Transient
from tests.domain import warehouse
from tests.domain.security import SNOW
from tests.domain.warehouse import Held, Warehouse

KIND = "toy"


class Killed(BaseException):
    """The worker dies here."""


@dataclass
class House:
    """The warehouse, and what is to go wrong. `fails` maps words of a statement to what is raised before it is done."""

    held: Warehouse = field(default_factory=lambda: Warehouse(SNOW, {}))
    fails: dict[str, BaseException] = field(default_factory=dict)
    dies_after: int | None = None  # so many statements
    away: Transient | None = None
    ran: list[str] = field(default_factory=list)
    proves: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


house = House()


def settle(installation: str, *tables: Table) -> House:
    """An empty house with these tables."""
    house.__init__()  # type: ignore[misc] # as new, for everybody who holds it
    house.held = Warehouse(Target("toy", installation, "deployment", SNOW.can), {table.id: Held(table) for table in tables})
    return house


def capabilities(_: str) -> Capabilities:
    return SNOW.can


def render(_: str, step: Step) -> str:
    return f"{type(step).__name__} {step}"


def check(_: str) -> Readiness:
    _present()
    return Readiness(house.proves)


def tables(_: str) -> Iterator[Sequence[Table]]:
    _present()
    yield [held.table for held in house.held.tables.values()]


def holders(_: str, principals: Collection[Principal]) -> Mapping[Principal, Holders]:
    return {principal: Holders(exists=principal.name != "NOBODY") for principal in principals}


def read(_: str, names: Collection[TableId]) -> Actual:
    _present()
    with house.lock:
        actual = house.held.read(set(names))
    objects = {name: replace(known, body=None, uses=None) for name, known in actual.objects.items()}
    return replace(actual, objects=objects, tags={key: replace(tag, uses=None) for key, tag in actual.tags.items()})


def closer(_: str, actual: Actual, names: Collection[str], used: Collection[str]) -> Actual:
    _present()
    with house.lock:
        whole = house.held.read(set())
    known = {name: whole.objects[name] for name in {*names, *used} if name in whole.objects}
    known = {name: one if name in used else replace(one, uses=None) for name, one in known.items()}
    return replace(actual, objects={**actual.objects, **known})


def execute(instance: str, step: Step) -> Done:
    _present()
    text = render(instance, step)
    with house.lock:
        for words, error in list(house.fails.items()):
            if words in text:
                raise error
        try:
            house.held.do(step)
        except warehouse.Refused as refusal:
            raise Refused(str(refusal), _code(str(refusal))) from None
        house.ran.append(text)
        if house.dies_after is not None and len(house.ran) >= house.dies_after:
            raise Killed
    return Done(text, f"q{len(house.ran)}")


def prove(_: str, objects: Collection[ExpectedObject]) -> Mapping[Behaviour, Seen]:
    _present()
    return {behaviour: _shown(thing, behaviour) for thing in objects for behaviour in thing.behaviours}


def observe(_: str, expected: Collection[Expected]) -> Mapping[TableId, Observed]:
    _present()
    with house.lock:
        return {one.table: _observed(one) for one in expected}


def tags(_: str, names: Collection[TableId]) -> Mapping[TableId, frozenset[TagEntry]]:
    _present()
    with house.lock:
        return {name: table.tags for name, table in house.held.read(set(names)).tables.items()}


def close(_: str) -> None:
    return


def _observed(expected: Expected) -> Observed:
    held = house.held.tables.get(expected.table)
    if held is None:
        return Observed(clock.now(), exists=False)
    policy, columns = held.rows or (None, ())
    bodies = {thing.name: house.held.things[thing.name].body for thing in expected.objects if thing.name in house.held.things}
    return Observed(clock.now(), dict(held.masks), policy, columns, bodies, query_ids=("r1",))


def _shown(thing: ExpectedObject, behaviour: Behaviour) -> Seen:
    if not house.proves:
        return Seen(None, why="the known case did not tell readers apart")
    spec = house.held.things[thing.name].spec
    if isinstance(spec, MaskSpec):
        action = branches.sees(spec.branches, behaviour.reader)
        return Seen(action.kind.value if action else CLEAR, "c1")
    exempt = all(condition.exempt & behaviour.reader for condition in spec.conditions)
    return Seen(ALL_ROWS if exempt else FILTERED_ROWS, "c1")


def _present() -> None:
    if house.away:
        raise house.away


def _code(reason: str) -> str:
    words = {"already exists": "exists", "carries": "taken", "in use": "in_use", "no such column": "gone", "not exist": "gone"}
    return next((code for part, code in words.items() if part in reason), "statement")


def carried(table: TableId) -> dict[str | None, str]:
    """What a table carries, by column."""
    held = house.held.tables[table]
    return {**held.masks, **({None: held.rows[0]} if held.rows else {})}


def specs() -> Mapping[Site, object]:
    """What every protected place really does."""
    return house.held.in_force()


def refuse(words: str, code: str = "denied") -> None:
    house.fails[words] = Refused(f"{words} is refused", code)


def gone_wrong(words: str, error: Transient | Permanent) -> None:
    house.fails[words] = error
