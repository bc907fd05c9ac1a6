"""What was tagged before anybody listened, and what events were lost of: read page by page, and read again by schedule."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app import create_app
from lily.domain.backfills import Backfill, State
from lily.domain.inventory import TableId
from lily.records import annotations, backfills
from lily.runtime import breaker, clock, lanes
from tasks import backfill as backfilling
from tasks import doors
from tests.app.cli import Shell, served
from tests.app.conftest import SECRETS
from tests.connectors.snowflake_account import NAME, account
from tests.sandbox.conftest import snowflake, snowflake_process
from tests.tasks.catalog import SNOW, Governed, Tenant, atlan_process, tenant
from tests.tasks.test_snowflake import CLEAR, sweep_later
from tests.tasks.test_tags import MASKED, world

__all__ = ["account", "atlan_process", "snowflake", "snowflake_process", "tenant", "world"]


def run(backfill_id: str = "b1", **more: Any) -> Backfill:
    now = clock.now()
    new = replace(Backfill(backfill_id, "atlan", SNOW, "", (), dry_run=False, by="ann", started_at=now), **more)
    started = backfills.start(new, now)
    assert started is not None
    doors.wake(lanes.of_backfills("atlan"), [backfills.member(started)])
    return found(backfill_id)


def found(backfill_id: str = "b1") -> Backfill:
    known = backfills.get(backfill_id)
    assert known is not None
    return known


def many(tenant: Tenant, tables: int, columns: int) -> None:
    """Tagged columns, of tables that the warehouse need not have."""
    tagged = [{"name": f"C{number}", "tags": ["PII"]} for number in range(columns)]
    own = [{"database": "DB", "schema": "S", "name": f"M{number}", "columns": tagged} for number in range(tables)]
    tenant.post("tables", {"connection": {"name": "snow", "qualifiedName": SNOW}, "tables": own})


def annotated(tables: int) -> int:
    found = annotations.of_tables(NAME, [TableId("DB", "S", f"M{number}") for number in range(tables)])
    return sum(one.classifications == {"PII"} for some in found.values() for one in some)


def test_what_was_tagged_before_is_masked(world: Governed) -> None:
    world.atlan.tag(add=("PII",))

    done = run()

    assert (done.state, done.seen, done.stated, done.about) == (State.DONE, 1, 1, 1)
    assert world.emails() == MASKED


def test_a_dry_run_counts_and_changes_nothing(world: Governed) -> None:
    world.atlan.tag(add=("PII",))

    done = run(dry_run=True)

    assert (done.state, done.seen, done.stated) == (State.DONE, 1, 1)
    assert world.annotation() is None
    assert world.emails() == CLEAR


def test_the_removal_of_a_tag_of_which_the_event_was_lost_is_found(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    run()
    world.atlan.tag(remove=("PII",))

    backfilling.reread_tags("atlan")
    sweep_later()

    assert world.emails() == CLEAR


def test_an_index_that_is_behind_takes_no_tag_away(world: Governed) -> None:
    world.atlan.tag(add=("GDPR",))
    world.hand_over()
    world.atlan.settings(index_lag_s=60.0)
    world.atlan.tag(add=("PII",))
    world.hand_over()
    assert world.emails() == MASKED

    done = run()

    assert done.state is State.DONE
    assert world.emails() == MASKED


def test_an_asset_that_is_gone_is_marked_and_stays_masked(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    run()
    world.atlan.delete(purge=True)

    run("b2")

    annotation = world.annotation()
    assert annotation is not None
    assert annotation.is_lost
    assert world.emails() == MASKED


@pytest.mark.parametrize(("pattern", "stated"), [("db.s.t", 1), ("db.*.x*", 0)])
def test_a_pattern_says_which_tables_are_meant(world: Governed, pattern: str, stated: int) -> None:
    world.atlan.tag(add=("PII",))

    done = run(pattern=pattern)

    assert (done.stated, done.elsewhere) == (stated, 1 - stated)


def test_some_hundred_columns_go_on_where_they_stopped(world: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after a page was stated and before that was written down: the page is done again, and no other."""
    many(world.atlan, tables=20, columns=15)
    saves = 0
    save = backfills.save

    def dies(one: Backfill) -> Backfill | None:
        nonlocal saves
        saves += 1
        if saves == 3:
            raise SystemExit
        return save(one)

    monkeypatch.setattr(backfilling.records, "save", dies)
    with pytest.raises(SystemExit):
        run()
    stopped = found()
    assert (stopped.state, stopped.seen) == (State.RUNNING, 100)
    monkeypatch.undo()

    sweep_later()

    done = found()
    assert (done.state, done.seen, done.checked) == (State.DONE, 300, 300)
    assert done.stated + 100 >= 300
    assert annotated(20) == 300
    assert sum(world.atlan.calls().values()) <= 0.05 * 300 + 5


def test_a_catalog_that_refuses_is_asked_again_and_one_that_forbids_ends_it(world: Governed) -> None:
    world.atlan.tag(add=("PII",))
    world.atlan.post("faults", {"kind": "status", "status": 503, "count": None})
    waiting = run()
    assert (waiting.state, waiting.failures) == (State.RUNNING, 1)

    world.atlan.http.delete("/sandbox/faults")
    breaker._start_anew()
    sweep_later()
    assert found().state is State.DONE

    world.atlan.post("faults", {"kind": "status", "status": 401, "count": None})
    assert run("b2").state is State.FAILED
    assert "401" in found("b2").reason


def test_the_command_waits_and_shows_what_was_found(world: Governed, configured: Callable[..., None]) -> None:
    configured(LILY_JWT_SECRETS=",".join(SECRETS))
    world.atlan.tag(add=("PII",))
    with served(create_app()) as url:
        shell = Shell(url)

        counted = shell.json("annotations", "sync", "--dry-run")
        done = shell.json("annotations", "sync", "--connection", SNOW, "--pattern", "db.s.*")

        assert (counted["state"], counted["dry_run"], counted["stated"]) == ("done", True, 1)
        assert (done["state"], done["stated"]) == ("done", 1)
        assert done["id"] in shell("annotations", "status").stdout
    assert world.emails() == MASKED
