"""A warehouse as the contract of targets sees it, beside the connector, and plans made and carried out there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from connectors.contracts import Target
from lily.domain import matching
from lily.domain.actual import Actual
from lily.domain.inventory import TableId
from lily.domain.naming import object_name
from lily.domain.plan import Plan, diff
from lily.domain.proofs import Verdict, compare
from lily.domain.rules import Principal, Rule
from lily.domain.targets import Target as Instance
from lily.runtime.settings import settings
from tests.domain.security import NOW


class Place(Protocol):
    """One table of at least two rows, with a text column named by `text` and others, in a warehouse that is empty of Lily."""

    instance: str  # the target's name in LILY_TARGETS
    table: TableId
    text: str  # as stored
    exempt: Principal  # somebody who reads the table; so does everybody else

    def shown(self, column: str, to: Principal | None) -> Sequence[Any]:
        """The values of a column, as somebody with this principal reads them; None: somebody with none."""

    def dump(self) -> Any:
        """Everything in the warehouse that Lily could have made or changed; equal if nothing has changed.

        Without tag objects that nothing carries: only Lily's own memory knows when they may go.
        """

    def take_off(self, column: str) -> None:
        """By hand, as an administrator would: the column carries nothing any more."""

    def change_by_hand(self, name: str, comment: str) -> None:
        """The mask of Lily's of this name shows everything to everybody now; its comment is left, or written again."""

    def make_foreign(self, name: str) -> None:
        """Somebody else's object of this name where Lily keeps hers, of the kind that carries a mask."""

    def refuse_next(self) -> None:
        """The next statement that changes something is refused for good, and not done."""

    def lose_next(self) -> None:
        """The next statement that changes something is done, and its answer is lost."""

    def go_away(self) -> None:
        """Nothing is answered any more, until `come_back`."""

    def come_back(self) -> None: ...

    def drop_table(self) -> None: ...


def plan(target: Target, place: Place, rules: Sequence[Rule]) -> Plan:
    """What is to be done for these rules, from what is there now."""
    instance = Instance(place.instance, settings().installation, "deployment", target.capabilities(place.instance))
    actual = target.read(place.instance, [place.table])
    wanted = matching.wanted(rules, {}, [table.table for table in actual.tables.values()], instance, NOW)
    firsts = [object_name(instance.installation, spec) for table in wanted.tables.values() for spec in table.specs.values()]
    named = {name for name in actual.objects if any(name.startswith(first) for first in firsts)}
    named |= {what.name for table in actual.tables.values() for what in table.attached.values()}
    known = target.closer(place.instance, actual, named, set(actual.objects) | named)
    return diff(wanted, known if instance.can.tells_uses else with_uses(known), instance)


def with_uses(actual: Actual) -> Actual:
    """Where objects are attached, by the tables that were read: a target that cannot tell leaves that to Lily's memory."""
    places = [(site, what.name) for table in actual.tables.values() for site, what in table.attached.items()]
    return replace(
        actual,
        objects={
            name: replace(one, uses=frozenset(site for site, carried in places if carried == name))
            for name, one in actual.objects.items()
        },
    )


def enforce(target: Target, place: Place, rules: Sequence[Rule]) -> Plan:
    """Plan and do it, step by step."""
    made = plan(target, place, rules)
    for step in made.steps:
        target.execute(place.instance, step)
    return made


def verdict(target: Target, place: Place, made: Plan) -> Verdict:
    """What follows from what the target shows, after a plan was carried out."""
    (table,) = made.tables
    shown = target.prove(place.instance, table.expected.objects)
    observed = target.observe(place.instance, [table.expected])[place.table]
    return compare(table.expected, replace(observed, behaviours=shown))
