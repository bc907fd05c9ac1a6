"""A target written from docs/adding-a-connector.md keeps the contract, and the contract finds those that do not."""

import inspect
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors import registry
from connectors.contracts import Done, Refused, Target
from lily.domain.inventory import TableId
from lily.domain.naming import Owner
from lily.domain.proofs import Observed, Seen
from lily.domain.propagations import State
from lily.domain.rule_documents import replaced
from lily.domain.rules import Principal, Rule, deleted
from lily.domain.steps import AttachMasks, ChangeMask, ChangeRowPolicy, CreateMask, DetachMasks, Detachment
from lily.records import asked, inventory, propagations, rules
from lily.records.audit import Facts
from lily.runtime import breaker, clock
from lily.runtime.errors import Transient
from tasks import doors, propagation
from tests.contracts import filing
from tests.contracts.filing import dialect, warehouse
from tests.contracts.filing.client import ask
from tests.contracts.target_contract import TargetContract
from tests.domain.security import a_rule
from tests.tasks.conftest import Lily, lily

__all__ = ["lily"]

NAME = "filing"
HOME = ["GOV", "LILY"]
SALT = "0123456789abcdef0123456789abcdef"
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

    def change_by_hand(self, name: str, comment: str) -> None:
        self.does("change", kind="screen", name=[*HOME, name], takes=["text"], body="value", comment=comment)

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


NewPlace = Callable[[], AtFiling]


@pytest.fixture(scope="session")
def unused(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A warehouse with people in it that nobody has worked in."""
    path = str(tmp_path_factory.mktemp("filing") / "unused.sqlite")
    warehouse.found_warehouse(path)
    warehouse.enrol(path, "ADMIN", manages=True)
    warehouse.enrol(path, "LILY", manages=True)
    warehouse.enrol(path, "ann", "PII")
    warehouse.enrol(path, "bob")
    AtFiling(path).does("create table", table=["CRM", "PUBLIC", "people"], columns=PEOPLE, rows=ROWS)
    return path


@pytest.fixture
def new_place(
    configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused: str
) -> Iterator[NewPlace]:
    """Puts an unused warehouse where the target's settings lead; the one before is gone."""
    path = str(tmp_path / "filing.sqlite")
    monkeypatch.setitem(registry.TARGETS, "filing", "tests.contracts.filing")
    configured(
        LILY_HASH_SALT=SALT,
        LILY_TARGETS=NAME,
        LILY_TARGET_FILING_URL="http://127.0.0.1:1",
        LILY_TARGET_FILING_USER="LILY",
        LILY_TARGET_FILING_PRIVATE_KEY="-----BEGIN PRIVATE KEY-----" + "x" * 100,
        LILY_TARGET_FILING_WAREHOUSE=path,
        LILY_TARGET_FILING_HOME=".".join(HOME),
        LILY_TARGET_FILING_DATABASES="CRM,GOV",
    )

    def put() -> AtFiling:
        shutil.copyfile(unused, path)
        breaker._start_anew()
        return AtFiling(path)

    yield put
    breaker._start_anew()


@pytest.fixture
def place(new_place: NewPlace) -> AtFiling:
    return new_place()


@pytest.fixture
def propagates(place: AtFiling) -> None:
    """There is a task for it, as there would have been if it were registered from the start."""
    if NAME not in propagation.propagate_to:
        propagation.propagate_to[NAME] = propagation._register(NAME)


class TestFiling(TargetContract):
    target = filing
    module = "tests.contracts.filing"
    client = ("tests.contracts.filing.warehouse", "sqlite3")


def test_rules_that_come_change_and_go_are_propagated_to_it(lily: Lily, place: AtFiling, propagates: None) -> None:
    filing.check(NAME)  # what it needs for its known case stays
    before, stored = place.dump(), list(place.shown("email", None))
    inventory.save(NAME, [table for page in filing.tables(NAME) for table in page], clock.now())
    facts = Facts("ann", "test", "test")

    rule = rules.create(a_rule("r1", now=clock.now(), match={"columns": ["email"]}, exempt=[{"role": "PII"}]), [NAME], facts)
    wake(rule)
    assert (place.shown("email", None), place.shown("email", place.exempt)) == (["***", "***"], stored)
    assert state_of(rule) is State.ENFORCED

    changed = replaced(rule, {**rule.document, "action": {"kind": "hash"}, "exempt": []}, clock.now())
    rule = rules.replace(changed, rule, [NAME], facts)
    wake(rule)
    hashed = [sha256((SALT + value).encode()).hexdigest() for value in stored]
    assert (place.shown("email", None), place.shown("email", place.exempt)) == (hashed, hashed)
    assert state_of(rule) is State.ENFORCED

    wake(rules.delete(deleted(rule, clock.now()), rule, [NAME], facts))
    assert place.shown("email", None) == stored
    assert place.dump() == before
    assert state_of(rule) is State.ENFORCED


def wake(rule: Rule) -> None:
    doors.wake_target(NAME, [asked.member(NAME, rule.id)])


def state_of(rule: Rule) -> State:
    (record,) = propagations.of_rule(rule.id, 10, None).items
    return record.propagation.state


def test_a_target_that_does_not_read_back_fails(new_place: NewPlace) -> None:
    def observe(instance: str, expected: Any) -> Any:
        return {one.table: as_expected(one) for one in expected}

    def as_expected(one: Any) -> Observed:
        bodies = {thing.name: thing.body for thing in one.objects}
        return Observed(clock.now(), one.masks, one.rows, one.row_columns, bodies)

    assert failed_by(but(observe=observe), new_place) == {
        "test_a_table_that_is_not_there_is_left_out_and_said_to_be_gone",
        "test_what_somebody_took_off_by_hand_is_seen_to_be_missing",
        "test_what_was_not_done_is_not_seen",
        "test_a_target_that_is_away_says_so_whatever_is_asked[observe]",
    }


def test_a_target_whose_steps_cannot_be_repeated_fails(new_place: NewPlace) -> None:
    def execute(instance: str, step: Any) -> Done:
        """Attaching what is attached takes it off."""
        try:
            return filing.execute(instance, step)
        except Refused as refused:
            if not isinstance(step, AttachMasks) or refused.code != "taken":
                raise
        off = tuple(Detachment(one.column, one.mask) for one in step.attachments)
        return filing.execute(instance, DetachMasks(step.table, off))

    assert failed_by(but(execute=execute), new_place) == {"test_every_step_may_be_repeated"}


def test_a_target_that_swallows_errors_fails(new_place: NewPlace) -> None:
    def execute(instance: str, step: Any) -> Done:
        try:
            return filing.execute(instance, step)
        except Refused:
            return Done(filing.render(instance, step), "")

    assert failed_by(but(execute=execute), new_place) == {
        "test_an_object_of_somebody_else_is_not_replaced",
        "test_a_statement_that_is_refused_is_told_and_changes_nothing",
    }


def test_the_one_that_these_are_made_of_fails_nothing(new_place: NewPlace) -> None:
    assert failed_by(but(), new_place) == set()


def says_what_is_expected(instance: str, objects: Any) -> Any:
    return {behaviour: Seen(behaviour.shown) for one in objects for behaviour in one.behaviours}


def believes_that_it_is_never_away(instance: str, objects: Any) -> Any:
    try:
        return filing.prove(instance, objects)
    except Transient as error:
        return {behaviour: Seen(None, why=error.reason) for one in objects for behaviour in one.behaviours}


def believes_comments(instance: str, actual: Any, names: Any, used: Any) -> Any:
    told = filing.closer(instance, actual, names, used)
    objects = {name: replace(one, body=one.comment and one.comment.body) for name, one in told.objects.items()}
    return replace(told, objects=objects)


def takes_all_for_its_own(instance: str, tables: Any) -> Any:
    actual = filing.read(instance, tables)
    objects = {name: replace(known, owner=Owner.OURS) for name, known in actual.objects.items()}
    return replace(actual, objects=objects)


def forgets_what_is_replaced(instance: str, step: Any) -> Any:
    if isinstance(step, AttachMasks):
        step = replace(step, attachments=tuple(replace(one, replaces=None) for one in step.attachments))
    return filing.execute(instance, step)


def leaves_row_policies_as_they_are(instance: str, step: Any) -> Any:
    return Done("", "") if isinstance(step, ChangeRowPolicy) else filing.execute(instance, step)


def hashes_without_salt(instance: str, step: Any) -> Any:
    if not isinstance(step, CreateMask | ChangeMask):
        return filing.execute(instance, step)
    order = dialect.render(step, (HOME[0], HOME[1]), "")
    return Done(order, ask(instance, order).id)


def finds_no_uses(instance: str, actual: Any, names: Any, used: Any) -> Any:
    told = filing.closer(instance, actual, names, used)
    return replace(told, objects={name: replace(one, uses=frozenset()) for name, one in told.objects.items()})


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ({"prove": says_what_is_expected}, "test_what_an_object_does_not_show_is_not_proven"),
        ({"prove": believes_that_it_is_never_away}, "test_a_target_that_is_away_says_so_whatever_is_asked[prove]"),
        ({"closer": believes_comments}, "test_a_body_that_somebody_changed_by_hand_is_seen_and_written_again"),
        ({"read": takes_all_for_its_own}, "test_an_object_of_somebody_else_is_not_replaced"),
        ({"execute": hashes_without_salt}, "test_each_action_on_text_shows_what_it_shows_everywhere_and_is_proven"),
        ({"execute": forgets_what_is_replaced}, "test_a_column_goes_from_one_object_to_another_without_being_bare"),
        (
            {"execute": leaves_row_policies_as_they_are},
            "test_a_row_filter_shows_the_rows_it_should_to_those_it_should_and_leaves_nothing",
        ),
        ({"closer": finds_no_uses}, "test_the_body_and_the_uses_of_an_object_are_told_when_asked"),
        ({"tags": lambda *_: {}}, "test_tags_are_read_back_and_go_with_their_rule"),
    ],
)
def test_each_of_these_is_found_by_a_test_of_its_own(broken: dict[str, Any], test: str, new_place: NewPlace) -> None:
    assert failed_by(but(), new_place, only=test) == set()
    assert failed_by(but(**broken), new_place, only=test) == {test}


def but(**broken: Callable[..., Any]) -> Target:
    """Filing with other functions in place of its own."""
    return cast(Target, SimpleNamespace(**{name: getattr(filing, name) for name in filing.__all__} | broken))


def failed_by(target: Target, new_place: NewPlace, only: str = "") -> set[str]:
    """The tests of the contract that do not pass with a target, each tried on a warehouse of its own."""
    contract = type("Contract", (TargetContract,), {"target": target})()
    tests = inspect.getmembers(contract, lambda of: inspect.ismethod(of) and "place" in inspect.signature(of).parameters)
    failed = set()
    for name, test in tests:
        for case, arguments in cases(test) if name.startswith("test_") else ():
            if only not in {"", name + case}:
                continue
            try:
                test(new_place(), **arguments)
            except (Exception, pytest.fail.Exception):
                failed.add(name + case)
    return failed


def cases(test: Callable[..., Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """As pytest would call it: what is written after its name, and its arguments. At most one parametrize, of one argument."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    if not marks:
        yield "", {}
    for mark in marks:
        for value in mark.args[1]:
            yield f"[{value}]", {mark.args[0]: value}
