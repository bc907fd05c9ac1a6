"""A target written from docs/adding-a-connector.md keeps the contract, and the contract finds those that do not."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from lily.domain.inventory import TableId
from lily.domain.rules import Principal
from lily.runtime import breaker
from tests.contracts import filing
from tests.contracts.filing import warehouse
from tests.contracts.target_contract import TargetContract

NAME = "filing"
HOME = ["GOV", "LILY"]
PEOPLE = [["id", "whole"], ["email", "text"], ["city", "text(20)"], ["born", "day"], ["score", "real"], ["scan", "blob"]]
ROWS = [[1, "ann@a.example", "Ulm", "1980-05-17", 1.5, None], [2, "bob@b.example", "Bonn", "1991-12-31", 2.5, None]]


@dataclass(frozen=True)
class AtFiling:
    path: str
    instance = NAME
    table = TableId("CRM", "PUBLIC", "people")
    text = "email"
    exempt = Principal("role", "PII")

    def does(self, do: str, user: str = "ADMIN", **told: Any) -> Any:
        return warehouse.Session(self.path, user).order(json.dumps({"do": do, **told})).found

    def shown(self, column: str, to: Principal | None) -> Sequence[Any]:
        place = [name for name, _ in PEOPLE].index(column)
        return [row[place] for row in self.does("read", "ann" if to else "bob", table=["CRM", "PUBLIC", "people"])]

    def dump(self) -> Any:
        return warehouse.everything(self.path)

    def take_off(self, column: str) -> None:
        (now,) = [one for told in self.described() for one in told["carries"] if one["column"] == column]
        off = {"column": column, "instead of": now["name"]}
        self.does("take off", table=["CRM", "PUBLIC", "people"], kind="screen", **{"from": [off]})

    def described(self) -> Any:
        return self.does("describe", tables=[["CRM", "PUBLIC", "people"]])

    def make_foreign(self, name: str) -> None:
        self.does("create", kind="screen", name=[*HOME, name], takes=["text"], body="'theirs'")

    def refuse_next(self) -> None:
        warehouse.switch(self.path, warehouse.REFUSE_NEXT, on=True)

    def lose_next(self) -> None:
        warehouse.switch(self.path, warehouse.LOSE_NEXT, on=True)

    def go_away(self) -> None:
        warehouse.switch(self.path, warehouse.AWAY, on=True)

    def come_back(self) -> None:
        warehouse.switch(self.path, warehouse.AWAY, on=False)

    def drop_table(self) -> None:
        self.does("drop table", table=["CRM", "PUBLIC", "people"])


@pytest.fixture
def new_place(
    configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], AtFiling]]:
    """Makes a warehouse with people in it, to which the target's settings lead then."""
    monkeypatch.setitem(registry.TARGETS, "filing", "tests.contracts.filing")

    def make() -> AtFiling:
        path = str(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite")
        warehouse.found_warehouse(path)
        warehouse.enrol(path, "ADMIN", manages=True)
        warehouse.enrol(path, "LILY", manages=True)
        warehouse.enrol(path, "ann", "PII")
        warehouse.enrol(path, "bob")
        at = AtFiling(path)
        at.does("create table", table=["CRM", "PUBLIC", "people"], columns=PEOPLE, rows=ROWS)
        configured(
            LILY_HASH_SALT="0123456789abcdef0123456789abcdef",
            LILY_TARGETS=NAME,
            LILY_TARGET_FILING_URL="http://127.0.0.1:1",
            LILY_TARGET_FILING_USER="LILY",
            LILY_TARGET_FILING_PRIVATE_KEY="-----BEGIN PRIVATE KEY-----" + "x" * 100,
            LILY_TARGET_FILING_WAREHOUSE=path,
            LILY_TARGET_FILING_HOME=".".join(HOME),
            LILY_TARGET_FILING_DATABASES="CRM,GOV",
        )
        breaker._start_anew()
        return at

    yield make
    breaker._start_anew()


@pytest.fixture
def place(new_place: Callable[[], AtFiling]) -> AtFiling:
    return new_place()


class TestFiling(TargetContract):
    target = filing
    module = "tests.contracts.filing"
