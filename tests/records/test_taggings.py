"""What is known of a catalog's tags, in a real table: assets that are due to be read, names by id, and backfills."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lily.domain.assets import Asset
from lily.domain.backfills import Backfill, Phase, State
from lily.domain.catalog import Attached, Hint
from lily.domain.classifications import Place
from lily.domain.inventory import TableId
from lily.records import backfills, due, tag_names, taggings
from lily.records.taggings import Kept, Tip
from lily.runtime import clock, lanes

pytestmark = pytest.mark.usefixtures("table")

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
EMAIL = Asset("default/snowflake/1/DB/S/T/\U0001f600 E/M#AIL", "Column", "guid", "E/M#AIL")
PLACE = Place("snow", TableId("DB", "S", "T"), "E/M#AIL")


def a_tip(tag: str = "pii", at: datetime = NOON) -> Tip:
    hint = Hint("tags_added", EMAIL.qualified_name, added=frozenset({Attached(tag, "guid")}), at=at)
    return Tip("atlan", "default/snowflake/1", EMAIL, hint, (PLACE,))


def ask(*tips: Tip) -> Kept:
    (kept,) = taggings.ask_many(tips or [a_tip()], NOON)
    return kept


def waiting() -> list[tuple[str, str]]:
    found = [one for shard in range(due.SHARDS) for one in due.page("tagging", shard, NOON + timedelta(days=9))]
    return [(one.member, one.lane_key) for one in found]


def test_an_asset_that_somebody_told_of_is_due_until_it_was_read() -> None:
    kept = ask()
    member = taggings.member("atlan", EMAIL.qualified_name)
    assert taggings.load([member]) == [kept]
    assert waiting() == [(member, lanes.of_tags("atlan"))]
    assert kept.tagging.given == {"pii"}

    assert taggings.save_many([replace(kept, due_at=None)]) == [True]

    assert waiting() == []
    assert taggings.get_many([kept.name])[kept.name].tagging == kept.tagging


def test_what_is_told_while_an_asset_is_being_read_stays_due() -> None:
    began = ask()
    ask(a_tip("gdpr"))

    assert taggings.save_many([replace(began, due_at=None)]) == [False]

    (kept,) = taggings.load([taggings.member(*began.name)])
    assert kept.due_at is not None
    assert kept.tagging.given == {"pii", "gdpr"}


def test_of_many_who_tell_at_once_nobody_is_overheard() -> None:
    tags = [f"tag{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tag: ask(a_tip(tag)), tags))

    (kept,) = taggings.load([taggings.member("atlan", EMAIL.qualified_name)])
    assert kept.tagging.given == set(tags)


def test_a_tag_keeps_every_name_that_it_had() -> None:
    assert tag_names.learn("atlan", {"id": "PII", "other": "GDPR"}) == {"id": ("PII",), "other": ("GDPR",)}
    assert tag_names.learn("atlan", {"id": "Personal"}) == {"id": ("PII", "Personal")}
    assert tag_names.learn("atlan", {"id": "PII"}) == {"id": ("Personal", "PII")}
    assert tag_names.of("atlan", ["id", "none"]) == {"id": ("Personal", "PII")}
    assert tag_names.of("another", ["id"]) == {}


def test_the_names_of_a_tag_are_bounded_and_the_first_one_stays() -> None:
    for number in range(tag_names.NAMES_MAX + 3):
        names = tag_names.learn("atlan", {"id": f"name {number}"})["id"]

    assert len(names) == tag_names.NAMES_MAX
    assert (names[0], names[-1]) == ("name 0", f"name {tag_names.NAMES_MAX + 2}")


def test_of_several_who_learn_a_name_at_once_none_is_lost() -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: tag_names.learn("atlan", {"id": f"name {number}"}), range(3)))

    assert set(tag_names.of("atlan", ["id"])["id"]) == {"name 0", "name 1", "name 2"}


def test_a_backfill_comes_back_as_it_was_and_of_two_who_go_on_one_wins() -> None:
    new = Backfill("b", "atlan", "default/snowflake/1", "DB.*.*", ("PII",), dry_run=True, by="ann", started_at=NOON)
    started = backfills.start(new, clock.now())
    assert started is not None
    after = backfills.save(replace(started, phase=Phase.CHECK, cursor="snow#1", seen=3, progress_at=NOON))

    assert after is not None
    assert backfills.get("b") == after
    assert backfills.load([backfills.member(after)]) == [after]
    assert backfills.save(replace(started, seen=9)) is None
    ended = backfills.save(replace(after, state=State.DONE, due_at=None, ended_at=clock.now()))
    assert ended is not None
    assert [one for shard in range(due.SHARDS) for one in due.page("backfill", shard, NOON + timedelta(days=3650))] == []
