"""Monte Carlo's GraphQL API: the state of alerts and their exact tables, for a whole batch in one call.

Source: the schema that the vendor publishes with pycarlo 0.15.500, and https://docs.getmontecarlo.com/docs/api for the two
headers. Nothing is cached: the state is the very thing that is asked for, and the tables come with it.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.monte_carlo import answers, words
from lily.domain.alerts import AlertDetails
from lily.runtime import bucket, clock, logs, outgoing
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import ApiSettings, settings

ALERTS = Path(__file__).with_name("alerts.graphql").read_text()
PAGES_MAX = 20  # the API's largest page is not documented
BUDGET_BURST = 0.1  # of a day's calls may go at once, the others evenly: together never more than the plan in any 24 hours
DAY_S = 86_400
AGAIN_WITHIN_S = 0.05

log = logs.get(__name__)


@dataclass(frozen=True)
class _Call:
    """What the pages of one reading share: whose it is, and until when (`time.monotonic`) it may take."""

    instance: str
    api: ApiSettings
    deadline: float

    def left_s(self) -> float:
        return self.deadline - time.monotonic()


def fetch_details(instance: str, alert_ids: Sequence[str]) -> dict[str, AlertDetails]:
    """Details by alert id as it was asked for.

    Left out are alerts that Monte Carlo does not know or has merged into others, ids that are no UUIDs (the API refuses a
    query that holds one) and, with a line in the log, alerts of which the answer cannot be understood. Nothing is returned of
    a batch that could not be read to its end: what is missing in an answer must mean that it is not there.
    """
    api = settings().sources[instance].api
    if api is None:
        raise Permanent(f"source {instance!r} has no API; set LILY_SOURCE_{instance.upper().replace('-', '_')}_API_URL")
    asked = {alert_id: words.alert_id(alert_id) for alert_id in alert_ids if words.is_uuid(alert_id)}
    ids = sorted(set(asked.values()))
    if not ids:
        return {}
    read_at = clock.now()  # before the call: what arrives while it is under way may be newer than its answer
    nodes = _read(_Call(instance, api, time.monotonic() + api.timeout_s), ids)
    details = {}
    for node in nodes:
        try:
            alert = answers.details(node, read_at)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("alert.misunderstood", source=instance, alert_id=str(node.get("id")), reason=repr(error))
        else:
            details[alert.alert_id] = alert
    return {spelled: details[alert_id] for spelled, alert_id in asked.items() if alert_id in details}


def warm(instance: str) -> None:
    """Make what the first call would wait for. Connects to nothing."""
    api = settings().sources[instance].api
    if api is not None:
        outgoing.warm(api.url)


def _read(call: _Call, ids: Sequence[str]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    after: str | None = None
    for _ in range(PAGES_MAX):
        page = _page_or_again(call, {"ids": ids, "first": len(ids), "after": after})
        for position, reason in page.failed.items():
            log.warning("alert.left_out", source=call.instance, position=position, reason=reason)
        nodes += page.nodes
        after = page.next
        if after is None or len(nodes) >= len(ids):
            return nodes
    raise Transient(f"Monte Carlo's answer for {len(ids)} alerts had more than {PAGES_MAX} pages")


def _page_or_again(call: _Call, variables: dict[str, Any]) -> answers.Page:
    """One page. A failure that came fast, and does not ask for patience, gets a second try within the same deadline."""
    try:
        return _page(call, variables)
    except Transient as error:
        if error.retry_after_s is not None or call.left_s() < call.api.timeout_s / 2:
            raise
    time.sleep(random.random() * min(AGAIN_WITHIN_S, call.left_s() / 4))
    return _page(call, variables)


def _page(call: _Call, variables: dict[str, Any]) -> answers.Page:
    _spend_one(call)
    left_s = call.left_s()
    if left_s <= 0:
        raise Transient(f"Monte Carlo did not answer within {call.api.timeout_s} s")
    answer = outgoing.post_json(
        call.api.url,
        {"query": ALERTS, "variables": variables, "operationName": "Alerts"},
        headers={"x-mcd-id": call.api.id, "x-mcd-token": call.api.token.reveal()},
        timeout_s=left_s,
        name=call.instance,
    )
    return answers.page(answer)


def _spend_one(call: _Call) -> None:
    per_day = call.api.calls_per_day
    wait_s = bucket.take(
        f"monte-carlo:{call.instance}",
        1,
        capacity=max(1.0, BUDGET_BURST * per_day),
        per_second=(1 - BUDGET_BURST) * per_day / DAY_S,
    )
    if wait_s > 0:
        raise Transient(f"the daily budget of {per_day} calls to Monte Carlo is used up for now", retry_after_s=wait_s)
