"""The stand-in's GraphQL API: what the vendor's schema promises, and errors for everything else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.sandbox.conftest import AUTH, MonteCarlo, start
from tests.waiting import eventually

ALERTS = """
query Alerts($ids: [UUID!], $first: Int, $after: String) {
  getAlerts(ids: $ids, first: $first, after: $after) {
    totalCount
    edges { cursor node { id } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
FILTERED = "query ($filter: AlertsFilterInput, $ids: [UUID!]) { getAlerts(ids: $ids, filter: $filter) { edges { node { id } } } }"


def ids_of(connection: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in connection["edges"]]


def errors(monte_carlo: MonteCarlo, query: str, **variables: Any) -> tuple[int, str]:
    """The status, and the first error's message."""
    answer = monte_carlo.http.post("/graphql", json={"query": query, "variables": variables}, headers=AUTH)
    return answer.status_code, answer.json()["errors"][0]["message"]


def test_calls_without_the_right_key_are_refused(monte_carlo: MonteCarlo) -> None:
    query = {"query": "{ getTables { edges { cursor } } }"}

    without = monte_carlo.http.post("/graphql", json=query)
    wrong = monte_carlo.http.post("/graphql", json=query, headers={**AUTH, "x-mcd-token": "guess"})

    assert (without.status_code, without.json()) == (401, {"message": "Unauthorized"})
    assert (wrong.status_code, wrong.json()) == (403, {"message": "Forbidden"})


def test_unknown_alerts_are_left_out(monte_carlo: MonteCarlo) -> None:
    known = monte_carlo.alert()["id"]

    answer = monte_carlo.ask(ALERTS, ids=[str(uuid4()), known, known])["getAlerts"]

    assert (ids_of(answer), answer["totalCount"]) == ([known], 1)
    assert monte_carlo.ask("query ($id: UUID!) { getAlert(id: $id) { __typename } }", id=str(uuid4())) == {"getAlert": None}


def test_nothing_asked_is_nothing_answered(monte_carlo: MonteCarlo) -> None:
    monte_carlo.alert()

    assert monte_carlo.ask(ALERTS, ids=[])["getAlerts"]["edges"] == []


def test_a_page_has_a_hundred_at_most_and_pages_hold_each_alert_once(monte_carlo: MonteCarlo) -> None:
    made = [each["alert"]["id"] for each in monte_carlo.post("/sandbox/alerts", [{"deliver": "none"}] * 230)]
    seen, sizes, after, more = [], [], None, True
    while more:
        answer = monte_carlo.ask(ALERTS, ids=made, first=500, after=after)["getAlerts"]
        after, more = answer["pageInfo"]["endCursor"], answer["pageInfo"]["hasNextPage"]
        assert answer["totalCount"] == 230
        seen += ids_of(answer)
        sizes.append(len(answer["edges"]))

    assert sizes == [100, 100, 30]
    assert sorted(seen) == sorted(made)
    assert len(monte_carlo.ask(ALERTS, ids=made)["getAlerts"]["edges"]) == 100
    assert len(monte_carlo.ask(ALERTS, ids=made, first=7)["getAlerts"]["edges"]) == 7


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ getAlerts(ids: []) { edges { node { uuidd } } } }", "Cannot query field 'uuidd' on type 'Alert'"),
        ("{ getAlerts(ids: [], last: 3) { totalCount } }", "Unknown argument 'last'"),
        ("{ getIncidents { totalCount } }", "Cannot query field 'getIncidents'"),
        ("{ getAlerts(", "Syntax Error"),
        ('{ getAlerts(ids: ["7"]) { totalCount } }', "UUID cannot represent value"),
        ('{ getAlert(id: "x") { id } }', "UUID cannot represent value"),
    ],
)
def test_a_query_that_does_not_fit_the_schema_is_a_400_with_errors(monte_carlo: MonteCarlo, query: str, message: str) -> None:
    status, said = errors(monte_carlo, query)

    assert status == 400
    assert message in said


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ getAlerts { totalCount } }", "must be provided"),
        ('{ getAlerts(createdTime: {after: "2026-01-01", before: "2026-04-01"}) { totalCount } }', "within 2 months"),
        ('{ getAlerts(ids: [], after: "there") { totalCount } }', "Invalid cursor"),
        ("{ getAlerts(ids: [], first: -1) { totalCount } }", "must not be negative"),
        ('{ getTableLineage(direction: "sideways", mcon: "m") { baseNode { mcon } } }', "direction must be"),
        (f'mutation {{ setAlertOwner(alertId: "{uuid4()}", owner: "a") {{ alert {{ id }} }} }}', "not found"),
    ],
)
def test_a_query_that_fits_but_makes_no_sense_is_a_200_with_errors(monte_carlo: MonteCarlo, query: str, message: str) -> None:
    status, said = errors(monte_carlo, query)

    assert status == 200
    assert message in said


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"query": 7}', b"\xff"])
def test_a_body_without_a_query_is_a_400(monte_carlo: MonteCarlo, body: bytes) -> None:
    answer = monte_carlo.http.post("/graphql", content=body, headers=AUTH)

    assert (answer.status_code, answer.json()) == (400, {"errors": [{"message": "Must provide query string."}]})


def test_changes_move_the_updated_time_and_ranges_find_it(monte_carlo: MonteCarlo) -> None:
    before = monte_carlo.alert(created_time="2026-01-01T00:00:00Z")
    after = monte_carlo.patch(f"/sandbox/alerts/{before['id']}", {"comment": "looking"})["alert"]
    query = "query ($span: DateTimeRangeInput) { getAlerts(updatedTime: $span) { edges { node { id } } } }"
    changed = datetime.fromisoformat(after["updatedTime"])

    def found(start: datetime, end: datetime) -> list[str]:
        span = {"after": start.isoformat(), "before": end.isoformat()}
        return ids_of(monte_carlo.ask(query, span=span)["getAlerts"])

    assert after["updatedTime"] > before["updatedTime"] == before["createdTime"] == after["createdTime"]
    assert found(changed, changed + timedelta(days=1)) == [before["id"]]  # the start belongs to the range
    assert found(changed - timedelta(days=1), changed) == []  # the end does not


def test_filters_find_what_they_name(monte_carlo: MonteCarlo) -> None:
    fixed = monte_carlo.alert(status="FIXED", tables=["a:b.c"], severity="SEV_1", owner="a@example.com")["id"]
    schema = monte_carlo.alert(type="SCHEMA_CHANGES", priority="P2", sub_types=["SCHEMA_ANOMALY_FIELDS_ADDED"])["id"]

    def found(**criteria: Any) -> list[str]:
        return ids_of(monte_carlo.ask(FILTERED, ids=[fixed, schema], filter=criteria)["getAlerts"])

    assert found(include={"statuses": ["FIXED"], "owners": ["a@example.com"]}) == [fixed]
    assert found(include={"statuses": ["FIXED"], "priorities": ["P2"]}) == []
    assert found(include={"tableIds": ["a:b.c"], "severities": ["SEV_1", "SEV_2"]}) == [fixed]
    assert found(include={"subTypes": ["SCHEMA_ANOMALY_FIELDS_ADDED"]}) == [schema]
    assert found(exclude={"types": ["SCHEMA_CHANGES"]}) == [fixed]


def test_a_merged_alert_is_not_listed_and_says_where_it_went(monte_carlo: MonteCarlo) -> None:
    kept, merged = monte_carlo.alert()["id"], monte_carlo.alert()["id"]
    monte_carlo.patch(f"/sandbox/alerts/{merged}", {"merged_into": kept})
    query = "query ($id: UUID!) { getAlert(id: $id) { __typename ... on Alert { id } ... on MergedAlert { mergedIntoAlertId } } }"

    assert ids_of(monte_carlo.ask(ALERTS, ids=[kept, merged])["getAlerts"]) == [kept]
    assert monte_carlo.ask(query, id=merged)["getAlert"] == {"__typename": "MergedAlert", "mergedIntoAlertId": kept}
    assert monte_carlo.ask(query, id=kept)["getAlert"] == {"__typename": "Alert", "id": kept}


def test_an_alert_can_be_written_back_to(monte_carlo: MonteCarlo) -> None:
    alert_id = monte_carlo.alert()["id"]
    mutation = """mutation ($id: UUID!) {
      updateAlert(uuid: $id, declaredIncidentSeverity: SEV_2, name: "Named") { alert { title severity status } }
      setAlertOwner(alertId: $id, owner: "a@example.com") { alert { owner { email } } }
      createOrUpdateAlertComment(alertId: $id, comment: "first") { commentEvent { uuid createdTime } }
    }"""
    answer = monte_carlo.ask(mutation, id=alert_id)
    comment = answer["createOrUpdateAlertComment"]["commentEvent"]["uuid"]
    edit = """mutation ($id: UUID!, $comment: UUID) {
      updateAlert(uuid: $id, declaredIncidentSeverity: NO_SEVERITY, status: NO_STATUS) { alert { severity status } }
      createOrUpdateAlertComment(alertId: $id, comment: "second", commentId: $comment) { commentEvent { uuid } }
    }"""
    edited = monte_carlo.ask(edit, id=alert_id, comment=comment)

    assert answer["updateAlert"] == {"alert": {"title": "Named", "severity": "SEV_2", "status": "ACKNOWLEDGED"}}
    assert answer["setAlertOwner"] == {"alert": {"owner": {"email": "a@example.com"}}}
    assert edited["updateAlert"] == {"alert": {"severity": None, "status": None}}
    shown = monte_carlo.get(f"/sandbox/alerts/{alert_id}")
    assert (shown["commentCount"], shown["lastCommentText"]) == (1, "second")


def test_tables_come_with_alerts_and_know_their_neighbours(monte_carlo: MonteCarlo) -> None:
    alert = monte_carlo.alert(tables=["Raw:shop.orders"])
    source = alert["tables"][0]["mcon"]
    monte_carlo.post(
        "/sandbox/tables", {"full_table_id": "raw:shop.daily", "upstream": ["raw:shop.orders"], "table_type": "VIEW"}
    )
    monte_carlo.post("/sandbox/tables", {"full_table_id": "raw:shop.weekly", "upstream": ["raw:shop.daily"]})
    lineage = """query ($mcon: String, $hops: Int, $direction: String!) {
      getTableLineage(mcon: $mcon, hops: $hops, direction: $direction) { connectedNodes { displayName objectType } }
    }"""

    def connected(direction: str, hops: int | None = None) -> list[tuple[str, str]]:
        graph = monte_carlo.ask(lineage, mcon=source, direction=direction, hops=hops)["getTableLineage"]
        return [(node["displayName"], node["objectType"]) for node in graph["connectedNodes"]]

    assert connected("downstream") == [("raw:shop.daily", "view")]
    assert connected("downstream", 2) == [("raw:shop.daily", "view"), ("raw:shop.weekly", "table")]
    assert connected("upstream", 9) == []
    fields = "fullTableId projectName dataset tableId warehouse { uuid }"
    by_mcon = monte_carlo.ask(f"query ($m: String) {{ getTable(mcon: $m) {{ {fields} }} }}", m=source)["getTable"]
    warehouse = by_mcon.pop("warehouse")["uuid"]
    assert by_mcon == {"fullTableId": "raw:shop.orders", "projectName": "raw", "dataset": "shop", "tableId": "orders"}
    by_name = "query ($w: UUID, $n: String) { getTable(dwId: $w, fullTableId: $n) { mcon } }"
    assert monte_carlo.ask(by_name, w=warehouse, n="raw:shop.orders") == {"getTable": {"mcon": source}}
    many = "query ($m: [String]) { getTables(mcons: $m) { edges { node { mcon } } } }"
    assert monte_carlo.ask(many, m=[source, "MCON++nowhere"])["getTables"]["edges"] == [{"node": {"mcon": source}}]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"statuss": "FIXED"}, "unknown statuss; known are id, "),
        ({"status": "fixed"}, "status: 'fixed' is not one of ACKNOWLEDGED, "),
        ({"tables": ["orders"]}, "tables: 'orders' is not of the form project:dataset.table"),
        ({"deliver": "tomorrow"}, "deliver: 'tomorrow' is not one of now, "),
        ({"created_time": 7}, "created_time: 7 is not a time"),
        ({"id": "x"}, "id: "),
        ("x", "expected a JSON object"),
        ([[]], "expected a JSON object"),
    ],
)
def test_a_request_for_an_impossible_alert_is_told_what_is_wrong(monte_carlo: MonteCarlo, spec: Any, message: str) -> None:
    answer = monte_carlo.http.post("/sandbox/alerts", json=spec)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
    assert monte_carlo.get("/sandbox/alerts") == []


def test_the_page_shows_alerts_and_trusts_no_title(monte_carlo: MonteCarlo) -> None:
    alert = monte_carlo.alert(title="<script>alert(1)</script>")

    page = monte_carlo.http.get("/").text

    assert alert["id"] in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert f"BASE={str(monte_carlo.http.base_url).rstrip('/')}" in page


def test_a_reset_forgets_everything(monte_carlo: MonteCarlo) -> None:
    monte_carlo.alert(tables=["a:b.c"])
    monte_carlo.patch("/sandbox/webhooks", {"mode": "hold", "state_at": "top_level"})
    monte_carlo.post("/sandbox/faults", {"kind": "hang"})

    monte_carlo.post("/sandbox/reset")

    for path in ("alerts", "tables", "deliveries", "faults", "requests"):
        assert monte_carlo.get(f"/sandbox/{path}") == []
    options = monte_carlo.get("/sandbox/webhooks")
    assert (options["mode"], options["state_at"], options["url"]) == ("now", "payload", None)


def test_a_taken_port_is_named(monte_carlo: MonteCarlo) -> None:
    second = start("--port", str(monte_carlo.http.base_url.port))

    _, error = second.communicate(timeout=10)

    assert second.returncode == 1
    assert error.startswith(f"--port {monte_carlo.http.base_url.port}: cannot listen there")


def test_it_ends_when_told_even_while_a_request_hangs() -> None:
    running = start("--port", "0")
    assert running.stdout
    url = next(word.rstrip(",") for word in running.stdout.readline().split() if word.startswith("http://"))
    with httpx.Client(base_url=url) as client, ThreadPoolExecutor() as threads:
        client.post("/sandbox/faults", json={"kind": "hang"})
        hanging = threads.submit(httpx.post, f"{url}/graphql", json={}, timeout=30)
        eventually(lambda: client.get("/sandbox/requests").json() != [])

        running.terminate()

        try:
            running.communicate(timeout=10)
        finally:
            running.kill()
        assert isinstance(hanging.exception(timeout=10), httpx.TransportError)
