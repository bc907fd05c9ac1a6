"""Workers that die around every statement about a canary, the table of made-up values on which a policy is proven."""

import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from connectors.snowflake import client
from lily.domain.propagations import State
from lily.domain.rule_documents import replaced
from lily.domain.rules import Rule, deleted
from lily.records import rules
from lily.runtime import clock
from tests.connectors.snowflake_account import NAME, Account, account
from tests.domain.security import a_rule
from tests.sandbox.conftest import snowflake, snowflake_process
from tests.tasks.mishaps import Mishaps
from tests.tasks.test_snowflake import CLEAR, FACTS, dump, emails, propagation, states, wake, world

__all__ = ["account", "propagation", "snowflake", "snowflake_process", "world"]

ABOUT_CANARIES = re.compile(r"(CREATE|ALTER|DROP) TABLE .*_canary")


def test_no_canary_is_left_and_none_is_missed_whenever_a_worker_dies(world: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    before, run = dump(world), client.run
    canaries = ModuleType("canaries")
    canaries.execute = lambda instance, asked: run(instance, *asked)  # type: ignore[attr-defined]
    mishaps = Mishaps(canaries, monkeypatch, "killed", lambda _: None)

    def watched(instance: str, statement: str, binds: Sequence[Any] = (), about: str = "") -> Any:
        if ABOUT_CANARIES.match(statement):
            return canaries.execute(instance, (statement, binds, about))
        return run(instance, statement, binds, about)

    monkeypatch.setattr(client, "run", watched)
    some: list[Rule] = []

    def create(rule_id: str, action: str, **more: Any) -> None:
        some.append(rules.create(a_rule(rule_id, action, clock.now(), **more), [NAME], FACTS))
        wake(some[-1])

    rows = {"parameters": {"column": "amount", "operator": ">", "values": [0]}, "match": {"columns": ["amount"]}}
    mishaps.survive(lambda: create("r1", "redact"), lambda: None)
    mishaps.survive(lambda: create("r2", "row_filter", **rows), lambda: None)
    assert (states("r1"), states("r2")) == ({"T": State.ENFORCED}, {"T": State.ENFORCED})
    assert emails(world) == ["***", "***"]
    nullify = replaced(some[0], {**some[0].document, "action": {"kind": "nullify"}}, clock.now())
    mishaps.survive(lambda: wake(rules.replace(nullify, some[0], [NAME], FACTS)), lambda: None)
    for rule in (nullify, some[1]):
        mishaps.survive(lambda rule=rule: wake(rules.delete(deleted(rule, clock.now()), rule, [NAME], FACTS)), lambda: None)

    assert emails(world) == CLEAR
    assert dump(world) == before
    assert {text.split(" ")[0] for text in mishaps.tries} >= {"('CREATE", "('ALTER", "('DROP"}
    assert mishaps.happened >= 12
