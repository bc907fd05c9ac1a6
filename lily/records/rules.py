"""Rules: the live ones in one partition, every version of each, and the last version of those that were deleted.

A change is one transaction: head, version, one `Asked` for each target that the old or the new version aims at, audit entry.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from lily.domain.rule_documents import restored, stored
from lily.domain.rules import Rule
from lily.records import asked, audit, batch, items
from lily.records.audit import Facts
from lily.records.batch import Lost
from lily.records.items import Plain, Write
from lily.records.streams import Found

HEADS, GONE = "RULES", "GONE"


class Outdated(Exception):
    """The rule is not at the version that its caller knows. `current`: the present one; 0: it is gone."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the rule is at version {current}")
        self.current = current


@dataclass(frozen=True)
class RuleFilter:
    """What to look for; None means anything. `text` is part of a name or description, in any case."""

    regulation: str | None = None
    action: str | None = None
    target: str | None = None
    enabled: bool | None = None
    classification: str | None = None
    text: str | None = None

    def matches(self, rule: Rule) -> bool:
        return (
            self.regulation in {None, rule.regulation.value}
            and self.action in {None, rule.action.kind.value}
            and self.enabled in {None, rule.enabled}
            and (self.target is None or bool({self.target, "*"} & set(rule.targets)))
            and (
                self.classification is None
                or self.classification.casefold() in {name.casefold() for name in rule.match.classifications}
            )
            and (self.text is None or self.text.casefold() in f"{rule.name}\n{rule.description}".casefold())
        )


def create(rule: Rule, targets: Collection[str], facts: Facts) -> Rule:
    """A new rule. Raises Outdated if its id is taken, by a deleted rule too, Transient and Permanent."""
    head = items.putting(_item(rule, HEADS, rule.id), "attribute_not_exists(pk)")
    return _change(rule, head, targets, facts)


def replace(rule: Rule, before: Rule, targets: Collection[str], facts: Facts) -> Rule:
    """The next version. Raises Outdated unless `before` is the present one."""
    head = items.putting(_item(rule, HEADS, rule.id), "#ver = :before", before=before.version)
    return _change(rule, head, targets, facts)


def delete(rule: Rule, before: Rule, targets: Collection[str], facts: Facts) -> Rule:
    """`rule` is the version that says it is gone. Raises Outdated unless `before` is the present one."""
    head = items.deleting(HEADS, rule.id, "#ver = :before", before=before.version)
    return _change(rule, head, targets, facts, items.putting(_item(rule, GONE, rule.id)))


def get(rule_id: str) -> Rule | None:
    """The present version; None if there is none, or it was deleted."""
    return _read(items.get(HEADS, rule_id))


def gone(rule_id: str) -> Rule | None:
    """The last version of a deleted rule."""
    return _read(items.get(GONE, rule_id))


def version(rule_id: str, number: int) -> Rule | None:
    return _read(items.get(f"R#{rule_id}", f"V#{number:010d}"))


def versions(rule_id: str, limit: int, cursor: str | None) -> Found[Rule]:
    """All versions, the newest first."""
    page = items.page(f"R#{rule_id}", limit, cursor, "V#", newest_first=True)
    return Found(tuple(_restored(item["d"]) for item in page.items), page.next)


def every() -> list[Rule]:
    """All live rules, by id."""
    return [_restored(item["d"]) for item in items.query(HEADS)]


def heads(rule_ids: Sequence[str]) -> dict[str, int]:
    """The present version of each; of a deleted one the last; unknown ones are left out."""
    found = batch.read_many([(part, rule_id) for rule_id in rule_ids for part in (GONE, HEADS)]) if rule_ids else {}
    known = {key: int(batch.plain(item)["ver"]) for key, item in found.items()}
    return {
        rule_id: max(known.get((part, rule_id), 0) for part in (GONE, HEADS))
        for rule_id in rule_ids
        if (GONE, rule_id) in known or (HEADS, rule_id) in known
    }


def find(wanted: RuleFilter, limit: int, cursor: str | None) -> Found[Rule]:
    """Rules that match, by id."""
    matching = (rule for item in items.query(HEADS, after=cursor or "") if wanted.matches(rule := _restored(item["d"])))
    found = list(islice(matching, limit + 1))
    return Found(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


def _change(rule: Rule, head: Write, targets: Collection[str], facts: Facts, *more: Write) -> Rule:
    # No version is ever overwritten: a rule with the id of a deleted one would begin anew at 1, and be taken for the older.
    at_version = items.putting(_item(rule, f"R#{rule.id}", f"V#{rule.version:010d}"), "attribute_not_exists(pk)")
    writes = [head, at_version, *more, *asked.writes(rule, targets, rule.changed_at)]
    try:
        audit.with_entry(lambda: writes, facts, rule.changed_at)
    except Lost:
        current = get(rule.id)
        raise Outdated(current.version if current else 0) from None
    return rule


def _item(rule: Rule, pk: str, sk: str) -> dict[str, str | int | bytes | None]:
    return {"pk": pk, "sk": sk, "d": json.dumps(stored(rule), ensure_ascii=False), "ver": rule.version}


def _read(item: Plain | None) -> Rule | None:
    return _restored(item["d"]) if item else None


@lru_cache(maxsize=8192)
def _restored(text: str) -> Rule:
    """A rule is read and checked once per process and version, not once for each look at all of them.

    By json, whose whole numbers have as many digits as those that filters compare: 38, not 64 bits.
    """
    return restored(json.loads(text))
