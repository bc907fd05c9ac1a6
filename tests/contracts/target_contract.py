"""What every target promises, whatever its vendor: inherit TargetContract in a class named Test..., with a fixture `place`.

A Place is the warehouse as somebody sees it who has all rights there: beside the connector, never through it. What the connector
says is compared with what the place shows.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from connectors.contracts import Refused, Target
from lily.domain import masking
from lily.domain.branches import MaskSpec
from lily.domain.inventory import Site
from lily.domain.proofs import Outcome, compare
from lily.domain.rules import MASKS, ActionKind, Rule
from lily.domain.steps import AttachMasks, CreateMask, SetTags, Step
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings
from tests.contracts.place import Place, enforce, plan, verdict
from tests.domain.security import a_rule

HEAVY = ("snowflake.connector", "databricks", "google.cloud", "duckdb", "celery", "flask", "boto3")


class TargetContract:
    target: ClassVar[Target]
    module: ClassVar[str]  # where the target lives, as a dotted path
    client: ClassVar[tuple[str, ...]] = ()  # what of the vendor's must not be loaded with it, beside what is HEAVY

    def rule(self, place: Place, action: str = "redact", **more: Any) -> Rule:
        exempt = [{place.exempt.kind: place.exempt.name}]
        return a_rule("r1", action, match={"columns": [place.text.lower()]}, **{"exempt": exempt, **more})

    # What is loaded

    def test_importing_it_loads_no_client(self) -> None:
        code = f"import sys, {self.module}; print([name for name in {(*HEAVY, *self.client)} if name in sys.modules])"
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

        assert made.stdout.strip() == "[]", made.stdout + made.stderr

    def test_what_it_can_do_and_how_a_step_reads_is_known_while_it_is_away(self, place: Place) -> None:
        made = plan(self.target, place, [self.rule(place)])
        place.go_away()
        try:
            self.target.capabilities(place.instance)
            texts = [self.target.render(place.instance, step) for step in made.steps]
            again = [self.target.render(place.instance, step) for step in made.steps]
        finally:
            place.come_back()

        assert all(texts)
        assert texts == again

    # What is there

    def test_the_inventory_has_the_table_with_its_columns_and_nothing_of_lilys_own(self, place: Place) -> None:
        enforce(self.target, place, [self.rule(place)])
        listed = [table for page in self.target.tables(place.instance) for table in page]
        read = self.target.read(place.instance, [place.table]).tables[place.table].table

        (found,) = [table for table in listed if table.id == place.table]
        assert place.text in {column.name for column in found.columns}
        assert [(c.name, c.type.signature) for c in found.columns] == [(c.name, c.type.signature) for c in read.columns]
        assert len({table.id for table in listed}) == len(listed)
        home = settings().targets[place.instance].home
        assert not [table for table in listed if (table.id.database, table.id.schema) == home]

    def test_a_table_that_is_not_there_is_left_out_and_said_to_be_gone(self, place: Place) -> None:
        made = enforce(self.target, place, [self.rule(place)])
        place.drop_table()

        assert place.table not in self.target.read(place.instance, [place.table]).tables
        assert not self.target.observe(place.instance, [made.tables[0].expected])[place.table].exists
        assert place.table not in self.target.tags(place.instance, [place.table])

    def test_who_is_not_there_is_said_not_to_be(self, place: Place) -> None:
        nobody = replace(place.exempt, name="nobody_of_that_name")
        found = self.target.holders(place.instance, [place.exempt, nobody])

        assert (found[place.exempt].exists, found[nobody].exists) == (True, False)

    # What is done

    def test_a_rule_hides_what_it_should_from_those_it_should_and_is_proven(self, place: Place) -> None:
        stored = list(place.shown(place.text, None))
        assert self.target.check(place.instance).proves

        made = enforce(self.target, place, [self.rule(place)])

        assert not set(place.shown(place.text, None)) & set(stored)
        assert list(place.shown(place.text, place.exempt)) == stored
        found = verdict(self.target, place, made)
        assert (found.outcome, found.reasons) == (Outcome.ENFORCED, ())

    def test_what_is_in_force_needs_no_step(self, place: Place) -> None:
        enforce(self.target, place, [self.rule(place)])

        assert plan(self.target, place, [self.rule(place)]).steps == ()

    def test_a_change_takes_effect_and_a_rule_that_is_gone_leaves_nothing(self, place: Place) -> None:
        self.target.check(place.instance)  # what it needs for its known case stays
        before, stored = place.dump(), list(place.shown(place.text, None))
        enforce(self.target, place, [self.rule(place)])
        made = enforce(self.target, place, [self.rule(place, "nullify", exempt=[])])
        assert set(place.shown(place.text, None)) == {None}
        assert set(place.shown(place.text, place.exempt)) == {None}
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

        enforce(self.target, place, [])

        assert list(place.shown(place.text, None)) == stored
        assert place.dump() == before

    def test_each_action_on_text_shows_what_it_shows_everywhere_and_is_proven(self, place: Place) -> None:
        stored, salt = list(place.shown(place.text, None)), settings().hash_salt
        for action in (kind for kind in ActionKind if kind in MASKS):
            made = enforce(self.target, place, [self.rule(place, action.value)])
            ((of, strictest),) = [
                (one.spec.type, one.spec.branches[-1].action)
                for one in made.tables[0].expected.objects
                if isinstance(one.spec, MaskSpec)
            ]

            meant = [masking.masked(strictest, value, of, salt.reveal() if salt else "") for value in stored]
            assert list(place.shown(place.text, None)) == meant, action
            assert list(place.shown(place.text, place.exempt)) == stored, action
            assert verdict(self.target, place, made).outcome is Outcome.ENFORCED, action

    def test_a_column_goes_from_one_object_to_another_without_being_bare(self, place: Place) -> None:
        stored = set(place.shown(place.text, None))
        one, both = [self.rule(place)], [self.rule(place), replace(self.rule(place, "nullify"), id="r2")]
        enforce(self.target, place, one)
        for rules in (both, one):
            made = plan(self.target, place, rules)
            assert any(on.replaces for step in made.steps if isinstance(step, AttachMasks) for on in step.attachments)
            for step in made.steps:
                self.target.execute(place.instance, step)
                assert not set(place.shown(place.text, None)) & stored, step

            assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

    def test_a_row_filter_shows_the_rows_it_should_to_those_it_should_and_leaves_nothing(self, place: Place) -> None:
        self.target.check(place.instance)
        before, stored = place.dump(), list(place.shown(place.text, None))
        for value in stored[:2]:
            asked = {"column": place.text.lower(), "operator": "=", "values": [value]}
            made = enforce(self.target, place, [self.rule(place, "row_filter", parameters=asked)])

            assert list(place.shown(place.text, None)) == [value]
            assert list(place.shown(place.text, place.exempt)) == stored
            found = verdict(self.target, place, made)
            assert (found.outcome, found.reasons) == (Outcome.ENFORCED, ())

        enforce(self.target, place, [])

        assert list(place.shown(place.text, None)) == stored
        assert place.dump() == before

    # What is read back

    def test_tags_are_read_back_and_go_with_their_rule(self, place: Place) -> None:
        made = enforce(self.target, place, [self.rule(place)])
        entries = {entry for step in made.steps if isinstance(step, SetTags) for entry in step.entries}
        assert entries
        assert self.target.tags(place.instance, [place.table])[place.table] == entries

        enforce(self.target, place, [])

        assert self.target.tags(place.instance, [place.table])[place.table] == frozenset()

    def test_the_body_and_the_uses_of_an_object_are_told_when_asked(self, place: Place) -> None:
        made = enforce(self.target, place, [self.rule(place)])
        verdict(self.target, place, made)  # with its canary there
        (create,) = [step for step in made.steps if isinstance(step, CreateMask)]
        read = self.target.read(place.instance, [place.table])
        told = self.target.closer(place.instance, read, [create.name], [create.name]).objects[create.name]

        assert (read.objects[create.name].body, read.objects[create.name].uses) == (None, None)
        assert told.body == create.body
        if told.uses is None:
            assert not self.target.capabilities(place.instance).tells_uses
        else:
            assert told.uses == {Site(place.table, place.text)}

    def test_what_an_object_does_not_show_is_not_proven(self, place: Place) -> None:
        enforce(self.target, place, [self.rule(place)])
        made = plan(self.target, place, [self.rule(place, "nullify", exempt=[])])  # the same object; not done
        shown = self.target.prove(place.instance, made.tables[0].expected.objects)

        assert shown
        assert not [behaviour for behaviour, seen in shown.items() if seen.shown == behaviour.shown]

    def test_what_somebody_took_off_by_hand_is_seen_to_be_missing(self, place: Place) -> None:
        made = enforce(self.target, place, [self.rule(place)])
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

        place.take_off(place.text)

        assert verdict(self.target, place, made).outcome is Outcome.FAILED
        assert plan(self.target, place, [self.rule(place)]).steps
        enforce(self.target, place, [self.rule(place)])
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

    def test_a_body_that_somebody_changed_by_hand_is_seen_and_written_again(self, place: Place) -> None:
        stored = list(place.shown(place.text, None))
        made = enforce(self.target, place, [self.rule(place)])
        (create,) = [step for step in made.steps if isinstance(step, CreateMask)]
        place.change_by_hand(create.name, create.comment)
        assert list(place.shown(place.text, None)) == stored

        assert verdict(self.target, place, made).outcome is Outcome.FAILED
        enforce(self.target, place, [self.rule(place)])

        assert not set(place.shown(place.text, None)) & set(stored)
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

    def test_what_was_not_done_is_not_seen(self, place: Place) -> None:
        made = plan(self.target, place, [self.rule(place)])
        observed = self.target.observe(place.instance, [made.tables[0].expected])[place.table]

        assert compare(made.tables[0].expected, observed).outcome is Outcome.FAILED

    # What is not ours

    def test_an_object_of_somebody_else_is_not_replaced(self, place: Place) -> None:
        self.target.check(place.instance)
        made = plan(self.target, place, [self.rule(place)])
        (create,) = [step for step in made.steps if isinstance(step, CreateMask)]
        place.make_foreign(create.name)
        before = place.dump()

        with pytest.raises(Refused) as refused:
            self.target.execute(place.instance, create)

        assert refused.value.code == "exists"
        assert place.dump() == before
        rules = [self.rule(place)]
        made = enforce(self.target, place, rules)
        assert create.name not in {step.name for step in made.steps if isinstance(step, CreateMask)}
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED
        enforce(self.target, place, [])
        assert place.dump() == before

    # What is done twice, or half

    def test_every_step_may_be_repeated(self, place: Place) -> None:
        rules = [self.rule(place)]
        made = plan(self.target, place, rules)
        for step in made.steps:
            self._twice(place, step)

        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED
        assert plan(self.target, place, rules).steps == ()
        self._ends_as_if_done_once(place)

    def _twice(self, place: Place, step: Step) -> None:
        self.target.execute(place.instance, step)
        after = place.dump()
        try:
            self.target.execute(place.instance, step)
        except Refused as refused:
            assert refused.code in {"exists", "taken", "gone", "in_use"}, refused
        assert place.dump() == after, f"{type(step).__name__}, done twice, is not what it is done once"

    def _ends_as_if_done_once(self, place: Place) -> None:
        enforce(self.target, place, [])
        assert plan(self.target, place, []).steps == ()

    def test_a_statement_that_is_refused_is_told_and_changes_nothing(self, place: Place) -> None:
        made = plan(self.target, place, [self.rule(place)])
        for step in made.steps:
            before = place.dump()
            place.refuse_next()
            with pytest.raises((Transient, Permanent)):
                self.target.execute(place.instance, step)
            assert place.dump() == before, step
            self.target.execute(place.instance, step)

        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

    @pytest.mark.parametrize("number", range(5))
    def test_an_answer_that_is_lost_is_told_and_the_next_plan_goes_on_from_there(self, place: Place, number: int) -> None:
        rules = [self.rule(place)]
        steps = plan(self.target, place, rules).steps
        for step in steps[:number]:
            self.target.execute(place.instance, step)
        if number < len(steps):
            place.lose_next()
            with pytest.raises((Transient, Permanent)):
                self.target.execute(place.instance, steps[number])
        enforce(self.target, place, rules)

        made = plan(self.target, place, rules)
        assert made.steps == ()
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED

    @pytest.mark.parametrize("ask", ["read", "closer", "tables", "execute", "holders", "tags", "prove", "observe"])
    def test_a_target_that_is_away_says_so_whatever_is_asked(self, place: Place, ask: str) -> None:
        made = enforce(self.target, place, [self.rule(place)])
        (step, *_), expected = made.steps, made.tables[0].expected
        actual, names = self.target.read(place.instance, [place.table]), [one.name for one in expected.objects]
        questions: dict[str, Callable[[], object]] = {
            "read": lambda: self.target.read(place.instance, [place.table]),
            "closer": lambda: self.target.closer(place.instance, actual, names, names),
            "tables": lambda: list(self.target.tables(place.instance)),
            "execute": lambda: self.target.execute(place.instance, step),
            "holders": lambda: self.target.holders(place.instance, [place.exempt]),
            "tags": lambda: self.target.tags(place.instance, [place.table]),
            "prove": lambda: self.target.prove(place.instance, expected.objects),
            "observe": lambda: self.target.observe(place.instance, [expected]),
        }
        place.go_away()
        try:
            with pytest.raises(Transient):
                questions[ask]()
        finally:
            place.come_back()

    def test_after_it_was_closed_it_works_again(self, place: Place) -> None:
        self.target.close(place.instance)

        made = enforce(self.target, place, [self.rule(place)])

        assert any(isinstance(step, AttachMasks) for step in made.steps)
        assert verdict(self.target, place, made).outcome is Outcome.ENFORCED
