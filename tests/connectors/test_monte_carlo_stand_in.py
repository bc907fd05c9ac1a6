"""The connector and the stand-in were written apart, each from the vendor's documentation: do they understand each other?"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from connectors import monte_carlo as source
from connectors.contracts import SignatureRejected
from lily.domain.assets import TableRef
from tests.sandbox.conftest import AUTH, SECOND_SECRET, SECRET, MonteCarlo, Receiver
from tests.waiting import eventually


@pytest.fixture
def fetch(monte_carlo: MonteCarlo, configured: Callable[..., None], redis_server: Any) -> Callable[..., Any]:
    configured(
        LILY_SOURCES="monte-carlo",
        LILY_SOURCE_MONTE_CARLO_API_URL=f"{str(monte_carlo.http.base_url).rstrip('/')}/graphql",
        LILY_SOURCE_MONTE_CARLO_API_ID=AUTH["x-mcd-id"],
        LILY_SOURCE_MONTE_CARLO_API_TOKEN=AUTH["x-mcd-token"],
        LILY_SOURCE_MONTE_CARLO_API_TIMEOUT_S="5",
    )
    return lambda *ids: source.fetch_details("monte-carlo", ids)


def test_a_new_alert_arrives_signed_and_is_understood(monte_carlo: MonteCarlo, receiver: Receiver):
    alert = monte_carlo.alert(tables=["zeus:ares.artemis"])

    [received, *_] = eventually(lambda: receiver.got)
    body = json.loads(received.body)
    source.check_shape(body)
    source.verify(body, received.signature, [SECRET, SECOND_SECRET])
    with pytest.raises(SignatureRejected):
        source.verify(body, received.signature, ["another secret"])
    change = source.normalise(body)
    assert (change.incident, change.action) == (alert["id"], "opened")
    assert change.type != "unknown"
    assert change.tables == (TableRef("zeus:ares.artemis"),)


def test_the_api_tells_of_all_alerts_and_their_tables(monte_carlo: MonteCarlo, fetch: Callable[..., Any]):
    alerts = [monte_carlo.alert(tables=[f"zeus:ares.t{number}"]) for number in range(3)]
    ids = [alert["id"] for alert in alerts]

    found = fetch(*ids, "00000000-0000-4000-8000-000000000000")

    assert found.keys() == set(ids)
    for number, alert in enumerate(alerts):
        details = found[alert["id"]]
        assert (details.status, details.severity, details.title) == ("open", None, alert["title"])
        assert [table.name for table in details.tables] == [f"zeus:ares.t{number}"]
        assert details.tables[0].key.startswith("MCON++")


def test_an_update_is_told_alike_by_webhook_and_api(monte_carlo: MonteCarlo, receiver: Receiver, fetch: Callable[..., Any]):
    alert = monte_carlo.alert(tables=["zeus:ares.artemis"])
    update = "mutation Close($uuid: UUID!) { updateAlert(uuid: $uuid, status: FIXED) { __typename } }"
    monte_carlo.ask(update, uuid=alert["id"])

    [received] = eventually(lambda: receiver.got[1:])
    body = json.loads(received.body)
    source.verify(body, received.signature, [SECRET])
    assert source.normalise(body).values["status"] == fetch(alert["id"])[alert["id"]].status == "fixed"
