"""Which tables a batch of changes is about: those that a rule's new version concerns and those where its old one is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lily.domain.inventory import TableId
from lily.domain.propagations import ENDS
from lily.domain.rules import Rule
from lily.records import propagations, rules
from lily.records.asked import Asked
from lily.records.looks import Look
from lily.records.propagations import Record
from lily.runtime.settings import TargetSettings
from tasks import planning

TABLES_MAX = 200  # of one propagation; a request for more stays due for the rest

RecordKey = tuple[str, str, TableId]  # rule, target, table


@dataclass(frozen=True)
class Scope:
    """`of_rule`: the tables that each request is about in this run. `rest`: rules whose requests are about more than that.

    `known`: what is recorded of those rules at those tables.
    """

    requests: Sequence[Asked]
    looks: Sequence[Look]
    of_rule: Mapping[str, frozenset[TableId]] = field(default_factory=dict)
    rest: frozenset[str] = frozenset()
    known: Mapping[RecordKey, Record] = field(default_factory=dict)

    @property
    def tables(self) -> list[TableId]:
        return sorted({look.table for look in self.looks}.union(*self.of_rule.values()))

    @property
    def asked_versions(self) -> dict[str, int]:
        return {request.rule_id: request.version for request in self.requests}


def of(config: TargetSettings, requests: Sequence[Asked], wished: Sequence[Look]) -> Scope:
    """The scope of a batch. Raises Transient and Permanent."""
    live = {rule.id: rule for rule in rules.every()} if requests else {}
    room = TABLES_MAX - len({look.table for look in wished})
    of_rule: dict[str, frozenset[TableId]] = {}
    known: dict[RecordKey, Record] = {}
    rest = set[str]()
    for request in requests:
        open_ones = sorted(_open(config, request, live.get(request.rule_id), known))
        now = open_ones[: max(room, 0)]
        room -= len(now)
        of_rule[request.rule_id] = frozenset(now)
        if len(now) < len(open_ones):
            rest.add(request.rule_id)
    return Scope(requests, wished, of_rule, frozenset(rest), known)


def _open(config: TargetSettings, request: Asked, rule: Rule | None, known: dict[RecordKey, Record]) -> set[TableId]:
    """The tables of a request that were not dealt with since it was asked. `known` gains what is recorded of all its tables."""
    tables = set(propagations.tables_of(request.rule_id, config.name))
    if rule is not None and rule.aims_at(config.name):
        tables |= planning.tables_of(rule, config)
    found = propagations.load_many([(request.rule_id, config.name, table) for table in tables])
    known.update(found)
    done = {
        table
        for (_, _, table), record in found.items()
        if record.propagation.key.version == request.version
        and record.propagation.state in ENDS
        and record.ended_at is not None
        and record.ended_at >= request.asked_at
    }
    return tables - done
