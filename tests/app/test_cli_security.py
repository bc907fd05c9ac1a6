"""`lily protect`, `plans`, `targets`, `grants`, `doctor`: against Lily over HTTP, with a warehouse in memory behind it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from connectors import registry
from lily.records import inventory
from lily.runtime import clock
from lily.runtime.errors import Transient
from lily.runtime.settings import settings
from tests.app.cli import Shell, served
from tests.app.conftest import SECRETS
from tests.app.security import Api
from tests.app.test_security_whole import create, stating
from tests.domain.security import a_table
from tests.tasks import toy
from tests.tasks.conftest import lily
from tests.tasks.test_propagation import CUSTOMERS, house

__all__ = ["house", "lily"]

PATH = "CRM.PUBLIC.customers"


@pytest.fixture
def shell(house: toy.House, configured: Callable[..., None]) -> Iterator[Shell]:
    configured(
        LILY_JWT_SECRETS=",".join(SECRETS), LILY_TARGET_TOY_CATALOG_CONNECTION="default/toy/1", LILY_TARGET_TOY_BRAKE_PLACES="0"
    )
    inventory.save("toy", [CUSTOMERS], clock.now())
    with served(create_app()) as url:
        yield Shell(url)


@pytest.fixture
def api(shell: Shell) -> Api:
    return Api(create_app().test_client())


def test_a_pipeline_waits_until_its_new_table_is_protected(shell: Shell, api: Api) -> None:
    create(api, match={"columns": ["email"]})
    toy.settle("lily", CUSTOMERS, a_table("fresh", email="text"))

    found = shell.json("protect", "-t", "toy", "--wait", "CRM.PUBLIC.fresh")

    assert found["protected"]
    assert [(one["state"], one["columns"]) for one in found["tables"]] == [("enforced", ["email"])]
    assert "enforced" in shell("protect", "-t", "toy", "--wait", "CRM.PUBLIC.fresh").stdout


def test_a_table_that_is_not_protected_ends_the_command_with_2(shell: Shell, api: Api, house: toy.House) -> None:
    create(api, match={"columns": ["email"]})

    missing = shell.json("protect", "-t", "toy", "--wait", PATH, "CRM.PUBLIC.none", code=2)
    assert {one["table"]: one["state"] for one in missing["tables"]} == {PATH: "enforced", "CRM.PUBLIC.none": "missing"}

    house.proves = False
    create(api, match={"columns": ["phone"]})
    assert "attached" in shell("protect", "-t", "toy", "--wait", PATH, code=2).stdout


def test_a_target_that_is_away_is_waited_for_no_longer_than_asked(shell: Shell, house: toy.House) -> None:
    house.away = Transient("toy: no answer")

    waited = shell.json("protect", "-t", "toy", "--wait", "--timeout", "0.5", PATH, code=2)

    assert not waited["protected"]
    assert waited["tables"][0]["state"] in {"pending", "failed"}


def test_a_paused_target_protects_nothing_and_the_command_says_so(shell: Shell) -> None:
    assert shell.json("targets", "pause", "toy")["changed"] == ["toy"]
    assert shell.json("targets", "pause", "toy")["changed"] == []

    assert "paused" in shell("protect", "-t", "toy", "--wait", PATH, code=2).stdout
    many = [f"CRM.PUBLIC.t{number}" for number in range(101)]  # more than one request takes
    assert [one["table"] for one in shell.json("protect", "-t", "toy", "--wait", *many, code=2)["tables"]] == many
    assert "lily targets resume toy" in shell("doctor", "--remote").stdout
    assert "paused" in shell("targets", "list").stdout

    assert shell.json("targets", "resume", "--all")["changed"] == ["toy"]
    assert shell.json("targets", "list")["items"][0]["mode"] == "enforce"
    assert "There is no target" in shell("targets", "pause", "nowhere", code=1).stderr
    shell("targets", "pause", code=2)


def test_what_is_wrongly_named_is_told_by_its_field(shell: Shell) -> None:
    assert "tables[0]" in shell("protect", "-t", "toy", "a.b", code=1).stderr
    assert "There is no target" in shell("protect", "-t", "nowhere", PATH, code=1).stderr


def test_what_the_brake_holds_is_shown_with_the_command_that_confirms_it(shell: Shell, api: Api, tmp_path: Path) -> None:
    for column in ("email", "phone", "region"):
        api("PUT", "/annotations", stating(column, "Email"))
    file = tmp_path / "r.yaml"
    file.write_text(
        "name: Hide\nregulation: PII\nmatch: {classifications: [Email]}\naction: {kind: redact}\ntargets: [toy]\nenabled: true\n"
    )
    applied = shell.json("rules", "apply", "-f", file)
    assert applied["effects"][0]["state"] == "enforced"
    file.write_text(file.read_text().replace("true", "false"))
    assert shell.json("rules", "plan", "-f", file, code=2)["changes"][0]["effects"][0]["held"]

    told = shell("rules", "apply", "-f", file, code=2)
    (held,) = shell.json("plans", "list")["items"]
    assert f"lily plans confirm {held['id']}" in told.stderr
    assert "email" in shell("plans", "show", held["id"]).stdout
    assert toy.carried(CUSTOMERS.id)

    assert shell.json("plans", "confirm", held["id"])["state"] == "confirmed"
    assert not toy.carried(CUSTOMERS.id)
    assert shell.json("plans", "list")["items"] == []
    assert "done" in shell("plans", "reject", held["id"], code=1).stderr


def test_the_doctor_finds_all_well_or_says_what_to_do(shell: Shell, configured: Callable[..., None]) -> None:
    shell("protect", "-t", "toy", "--wait", PATH)

    well = shell.json("doctor")
    assert well["ok"] and {one["ok"] for one in well["checks"]} <= {True, None}
    checked = {one["check"] for one in well["checks"]}
    assert {"settings", "redis from here", "table lily from here", "bus lily from here", "api", "token", "target toy"} <= checked

    assert "rules:read" in Shell(shell.url, "events:read")("doctor", code=1).stdout
    assert "LILY_URL" in Shell("http://127.0.0.1:9")("doctor", "--remote", code=1).stdout
    (redis,) = [one for one in _with_redis_away(shell, configured) if one["check"] == "redis from here"]
    assert not redis["ok"] and "LILY_REDIS_URL" in redis["remedy"]
    settings.cache_clear()
    broken = Shell("http://127.0.0.1:9", environ={"LILY_REDIS_URL": "localhost"}).json("doctor", code=1)
    assert [one["check"] for one in broken["checks"] if one["ok"] is False] == ["setting LILY_REDIS_URL", "api"]


def _with_redis_away(shell: Shell, configured: Callable[..., None]) -> list[dict[str, Any]]:
    configured(LILY_REDIS_URL="redis://127.0.0.1:9/0")
    found: list[dict[str, Any]] = shell.json("doctor", code=1)["checks"]
    return found


def test_grants_are_printed_and_checked_as_the_connector_says(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no connector says" in shell("grants", "toy", code=1).stderr
    monkeypatch.setitem(registry.TARGETS, "toy", "tests.app.granting")

    assert shell("grants", "toy").stdout == "-- to see tables\nGRANT USAGE ON X;\n-- to tag (optional)\nGRANT APPLY TAG;\n"
    assert "it has: toy" in shell("grants", "nowhere", code=1).stderr
    checked = shell.json("grants", "toy", "--check", code=2)
    assert not checked["complete"]
    assert [(one["sql"], one["held"]) for one in checked["grants"]] == [("GRANT USAGE ON X", False), ("GRANT APPLY TAG", None)]
    assert "missing" in shell("grants", "toy", "--check", code=2).stdout
