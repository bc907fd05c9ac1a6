"""Atlan's stand-in with some tables, and Lily beside it: what people see on assets because of alerts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from lily.domain.catalog import Announcement
from lily.records import assets, due
from lily.runtime import breaker, clock
from tasks import asset_update, doors
from tests.tasks.catalog import SNOW, Tenant
from tests.tasks.conftest import Lily, an_alert
from tests.waiting import eventually

TABLE, VIEW, REPORT = f"{SNOW}/ZEUS/ARES/ARTEMIS", f"{SNOW}/ZEUS/ARES/ATHENA", f"{SNOW}/ZEUS/ARES/HERMES"
APOLLO = f"{SNOW}/ZEUS/ARES/APOLLO"
MC = "default/monte-carlo/1700000000"
NAMES = (TABLE, VIEW, REPORT, APOLLO)
OURS = ("event", "badge", "showing", "asset", "downstream")
ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@dataclass
class World:
    lily: Lily
    atlan: Tenant

    def alert(self, incident: str = ONE, table: str = "artemis", **more: Any) -> None:
        self.lily.deliver(an_alert(incident, table, **more))

    def fixed(self, incident: str = ONE, table: str = "artemis") -> None:
        self.alert(incident, table, alert_feedback="fixed")

    def settle(self) -> None:
        """Wait until nothing is owed to any of the tables."""

        def is_so() -> bool:
            return not any(map(self.owing, NAMES)) or self.hasten()

        eventually(is_so, within_s=10)

    def hasten(self) -> bool:
        """As the countdowns do, which find nothing to do before it is time. False, for it has to be looked at again."""
        for shown in assets.load(assets.member("atlan", name) for name in NAMES).values():
            if shown.due_at is not None:
                lane_key, member = assets.waits_as(shown)
                doors.wake(lane_key, [member])
        return False

    def add(self, *names: str) -> None:
        """A crawler of Atlan's finds tables of ZEUS.ARES."""
        tables = [{"database": "ZEUS", "schema": "ARES", "name": name, "columns": ["ID"]} for name in names]
        self.atlan.post("tables", {"connection": {"name": "snow", "qualifiedName": SNOW}, "tables": tables})

    def badge(self, name: str = TABLE) -> Announcement | None:
        """As people see it."""
        values = self.asset(name)["attributes"]
        if not values.get("announcementType"):
            return None
        message = values.get("announcementMessage") or ""
        return Announcement(values["announcementType"], values["announcementTitle"], message)

    def quality(self, name: str = TABLE) -> dict[str, Any]:
        """The values of custom metadata, in no order."""
        custom: dict[str, dict[str, Any]] = self.asset(name)["custom"]
        return {key: value for fields in custom.values() for key, value in fields.items()}

    def asset(self, name: str) -> dict[str, Any]:
        listed = self.atlan.http.get("/sandbox/state").json()["assets"]
        found: dict[str, Any] = next(one for one in listed if one["attributes"].get("qualifiedName") == name)
        return found

    def announce(self, title: str, name: str = TABLE) -> None:
        """A person does."""
        parts = {"announcementType": "information", "announcementTitle": title, "announcementMessage": ""}
        self.atlan.post("edit", {"asset": name, "attributes": parts})

    def writes(self) -> list[dict[str, Any]]:
        """Bulk writes that were let in, as the stand-in noted them."""
        log = self.atlan.http.get("/sandbox/requests").json()["log"]
        return [one for one in log if one["call"] == "POST entity/bulk" and one["status"] == 200]

    def shows(self, title: str | None, name: str = TABLE, within_s: float = 10) -> None:
        """Wait until the badge of an asset is that, and stays so."""

        def is_so() -> bool:
            badge = self.badge(name)
            return ((badge.title if badge else None) == title and not self.owing(name)) or self.hasten()

        eventually(is_so, within_s=within_s)

    def owing(self, name: str = TABLE) -> bool:
        shown = assets.get("atlan", name)
        return shown is not None and shown.due_at is not None

    def owes_nothing(self) -> bool:
        """Whether nothing at all is due any more."""
        until = clock.now() + timedelta(hours=1)
        return not any(due.page(kind, shard, until) for kind in OURS for shard in range(due.SHARDS))

    def sweep_after(self, seconds: float) -> None:
        with clock.freeze(clock.now() + timedelta(seconds=seconds)):
            self.lily.sweep()


@pytest.fixture
def world(lily: Lily, atlan_process: httpx.Client, configured: Callable[..., None]) -> Iterator[World]:
    assert atlan_process.post("/sandbox/reset").is_success
    breaker._start_anew()
    tenant = Tenant(atlan_process)
    world = World(lily, tenant)
    world.add("ARTEMIS", "ATHENA", "HERMES")
    configured(
        LILY_CATALOGS="atlan",
        LILY_CATALOG_ATLAN_URL=str(atlan_process.base_url).rstrip("/"),
        LILY_CATALOG_ATLAN_TOKEN="sandbox",
        LILY_CATALOG_ATLAN_CALLS_PER_MINUTE="60000",
        LILY_CONNECTIONS="snow",
        LILY_CONNECTION_SNOW_QUALIFIED_NAME=SNOW,
        LILY_CONNECTION_SNOW_KIND="snowflake",
        LILY_SWEEP_AFTER_S="1",
    )
    yield world
    atlan_process.delete("/sandbox/faults")


assert asset_update  # Celery knows its tasks
