"""A preview is the truth: the statements that it shows are those that then run, whatever was there before."""

import random
from typing import Any

import pytest

from app import previews
from lily.domain.rule_documents import new, replaced
from lily.domain.rules import Rule
from lily.records import inventory, rules
from lily.runtime import clock
from lily.runtime.settings import settings
from tests.domain.security import ACTIONS, a_table
from tests.tasks import toy
from tests.tasks.test_propagation import CUSTOMERS, FACTS, annotate, house, wake

__all__ = ["house"]

ORDERS = a_table("orders", email="text", amount="number", region="text", place="vector")
CLASSES = ("c", "d", "e")


def a_document(chance: random.Random) -> dict[str, Any]:
    """A rule on classes or names, that masks, filters rows or only tags."""
    kind, parameters = chance.choice(
        [*ACTIONS, ("tag_only", {}), ("row_filter", {"column": "region", "operator": "=", "values": ["EU"]})]
    )
    by_name = {"columns": chance.sample(["email", "phone", "score", "orders.amount"], 2)}
    exempt = [] if kind == "tag_only" else [{"role": name} for name in chance.sample("ABC", chance.randint(0, 2))]
    return {
        "name": "r",
        "regulation": chance.choice(["PII", "GDPR"]),
        "match": chance.choice([{"classifications": chance.sample(CLASSES, chance.randint(1, 2))}, by_name]),
        "action": {"kind": kind, "parameters": parameters},
        "exempt": exempt,
        "targets": ["*"],
        "enabled": chance.random() < 0.85,
    }


def shown(rule: Rule) -> list[str]:
    config = settings().targets["toy"]
    return previews.statements(config, previews.of_rule(config, rules.every(), rule).plan, 10_000)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_preview_shows_is_what_runs(house: toy.House, seed: int) -> None:
    chance = random.Random(seed)
    toy.settle("lily", CUSTOMERS, ORDERS)
    inventory.save("toy", [CUSTOMERS, ORDERS], clock.now())
    for table in (CUSTOMERS, ORDERS):
        for column in table.columns:
            annotate(table, column.name, *chance.sample(CLASSES, chance.randint(0, 2)))
    known: dict[str, Rule] = {}

    for number in range(12):
        before = chance.choice([None, *known.values()])
        if before is None:
            rule = new(f"r{number}", a_document(chance), clock.now())
        else:
            rule = replaced(before, a_document(chance), clock.now())
        promised, ran = shown(rule), len(house.ran)

        known[rule.id] = rules.replace(rule, before, ["toy"], FACTS) if before else rules.create(rule, ["toy"], FACTS)
        wake(rule)

        assert sorted(house.ran[ran:]) == sorted(promised), f"change {number}"
        assert shown(rule) == []
    assert len(house.ran) > 10
