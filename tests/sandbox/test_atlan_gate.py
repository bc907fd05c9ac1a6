"""Who gets into Atlan's stand-in, how many, and what goes wrong on demand."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.atlan.limits import Limits
from sandbox.atlan.settings import Settings
from tests.sandbox.atlan import Atlan, guid

READ = f"entity/guid/{guid('a01')}"
SEARCH, BULK, OTHER = "/api/meta/search/indexsearch", "/api/meta/entity/bulk", "/api/meta/entity/bulk/"


def test_a_wrong_token_is_not_let_in(atlan: Atlan) -> None:
    answer = atlan.api("GET", READ, headers={"authorization": "Bearer guess"})

    assert (answer.status_code, answer.json()) == (401, {"code": 1001, "message": "unauthorized"})


def test_each_agent_has_a_limit_of_its_own(atlan: Atlan) -> None:
    atlan.settings(limits=True)
    answers = [atlan.api("GET", READ) for _ in range(60)]
    refused = [each for each in answers if each.status_code == 429]
    other = atlan.api("GET", READ, headers={"x-atlan-agent-id": "lily"})
    interface = atlan.api("GET", READ, headers={"x-atlan-client-origin": "product_webapp"})

    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].headers["content-type"] == "text/html"
    assert (other.status_code, interface.status_code) == (200, 200)
    atlan.settings(retry_after=False)
    assert next(each for _ in range(60) if (each := atlan.api("GET", READ)).status_code == 429).headers.get("retry-after") is None


def test_the_tenants_limit_blocks_everybody(atlan: Atlan) -> None:
    atlan.settings(limits=True, tenant_per_minute=5)
    answers = [atlan.api("GET", READ, headers={"x-atlan-agent-id": f"agent-{number}"}) for number in range(7)]

    assert [each.status_code for each in answers] == [200] * 5 + [429] * 2
    assert "retry-after" not in answers[-1].headers
    assert answers[-1].json() == {"code": 429, "message": "too many requests"}


@given(st.lists(st.tuples(st.sampled_from([SEARCH, BULK, OTHER]), st.floats(0, 30)), max_size=400), st.integers(1, 300))
def test_no_minute_has_more_calls_than_its_limits_allow(calls: list[tuple[str, float]], tenant: int) -> None:
    limits, settings, now = Limits(), Settings(limits=True, tenant_per_minute=tenant), 0.0
    let_in: list[float] = []
    blocked_at: float | None = None
    for path, wait in calls:
        now += wait / 20
        refused = limits.refusal(path, "agent", "", settings, now)
        if refused is None:
            let_in.append(now)
            assert blocked_at is None or now >= blocked_at + 60
            assert len([each for each in let_in if each > now - 60]) <= tenant
        elif refused == "tenant" and (blocked_at is None or now >= blocked_at + 60):
            blocked_at = now


def test_a_final_slash_changes_the_limit_only() -> None:
    limits, settings = Limits(), Settings(limits=True, tenant_per_minute=10_000)

    def burst(path: str) -> int:
        return sum(limits.refusal(path, "agent", "", settings, 1.0) is None for _ in range(200))

    assert (burst(BULK), burst(SEARCH), burst(OTHER)) == (100, 100, 20)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_connection_is_dropped_before_or_after_the_deed(atlan: Atlan, kind: str) -> None:
    atlan.post("faults", {"kind": kind, "count": 1})
    entity = {"typeName": "Table", "attributes": {"qualifiedName": "default/snowflake/1/T", "name": "T"}}

    with pytest.raises(httpx.TransportError):
        atlan.upsert(entity)

    assert bool(atlan.find({"term": {"qualifiedName": "default/snowflake/1/T"}})["entities"]) == (kind == "drop_after")


def test_a_share_of_the_calls_is_refused(atlan: Atlan) -> None:
    atlan.post("faults", {"kind": "status", "status": 429, "share": 0.3, "retry_after_s": 1, "path": "guid"})
    answers = [atlan.api("GET", READ).status_code for _ in range(100)]

    assert 10 < answers.count(429) < 60
    assert answers.count(200) == 100 - answers.count(429)
    assert atlan.find()["approximateCount"] > 0  # elsewhere nothing is refused


def test_a_hanging_call_ends_when_the_faults_are_cleared(atlan: Atlan) -> None:
    atlan.post("faults", [{"kind": "hang", "count": 1}, {"kind": "latency", "delay_s": 0.05, "count": 1}])

    with pytest.raises(httpx.ReadTimeout):
        atlan.api("GET", READ, timeout=0.2)
    assert atlan.api("GET", READ).elapsed.total_seconds() >= 0.05
    assert atlan.get("faults") == []


def test_what_is_called_is_counted(atlan: Atlan) -> None:
    atlan.delete("requests")
    atlan.api("GET", READ)
    atlan.api("GET", f"entity/guid/{guid('a02')}", headers={"x-atlan-agent-id": "lily"})
    table = {"typeName": "Table", "attributes": {"qualifiedName": "default/snowflake/1/T", "name": "T"}}
    atlan.upsert(table, table)

    seen = atlan.get("requests")
    assert seen["calls"] == {"GET /entity/guid/*": 2, "POST /entity/bulk": 1}
    assert (seen["agent"], seen["status"], seen["entities"]) == ({"tests": 2, "lily": 1}, {"200": 3}, 2)


@pytest.mark.parametrize(
    "spec", [{"kind": "boom"}, {"kind": "hang", "times": 3}, {"kind": "hang", "share": 2}, {"kind": "hang", "count": 0}]
)
def test_a_fault_that_is_not_understood_is_refused(atlan: Atlan, spec: dict[str, object]) -> None:
    assert atlan.http.post("/sandbox/faults", json=spec).status_code == 400
    assert atlan.get("faults") == []
