"""What `make demo` sends, and what must come of it: alerts with all their updates, a delivery in other bytes, a forged one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.console import Console
from sandbox.demo_report import Check, short
from sandbox.demo_system import System, Unmet, until

FINAL = ("published", "parked")
DANA, LEE = "dana@example.com", "lee@example.com"
RULE = {"description": "Too many orders without a customer", "metric": "null_rate", "threshold": 0.05, "value": 0.4}


@dataclass(frozen=True)
class Step:
    """A change of an alert, in the words of Monte Carlo's stand-in, and what its incident must be afterwards in Lily's."""

    what: str
    change: Mapping[str, Any]
    effect: str
    status: str = "open"
    severity: str | None = None
    owner: str | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Story:
    """One alert from its beginning; the first step makes it."""

    title: str
    type: str
    table: str
    steps: tuple[Step, ...]


STORIES = (
    Story(
        "an anomaly, with every update that Monte Carlo sends",
        "anomaly",
        "shop:crm.users",
        (
            Step("opened", {"title": "Half of the rows are missing", "owner": DANA, "priority": "P1"}, "opened", owner=DANA),
            Step("owner changed", {"owner": LEE}, "updated", owner=LEE),
            Step("acknowledged", {"status": "ACKNOWLEDGED"}, "updated", "acknowledged", owner=LEE),
            Step("in progress", {"status": "WORK_IN_PROGRESS"}, "updated", "work_in_progress", owner=LEE),
            Step("marked", {"severity": "SEV_2"}, "updated", "work_in_progress", "SEV-2", LEE),
            Step("unmarked", {"severity": None}, "updated", "work_in_progress", owner=LEE),
            Step("resolved", {"status": "FIXED"}, "resolved", "fixed", owner=LEE),
        ),
    ),
    Story(
        "a breach of a custom rule",
        "custom_rule_anomaly",
        "shop:pay.cards",
        (Step("custom rule", {"title": RULE["description"], "owner": DANA, "rule": RULE}, "opened", owner=DANA),),
    ),
    Story(
        "an alert of a type that nobody has heard of",
        "unknown",
        "shop:web.hits",
        (Step("unknown type", {"owner": LEE, "webhook_type": "open_something_new_incident"}, "opened", owner=LEE),),
    ),
    Story(
        "fixed, reopened, fixed again: the last webhook equals the first to the byte",
        "anomaly",
        "shop:ops.stock",
        (
            Step("another", {"owner": DANA}, "opened", owner=DANA),
            Step("fixed", {"status": "FIXED"}, "resolved", "fixed", owner=DANA),
            Step("reopened", {"status": None}, "reopened", owner=DANA),
            Step("fixed again", {"status": "FIXED"}, "resolved", "fixed", owner=DANA, duplicate=True),
        ),
    ),
)
REPEATED = "opened"  # this step's webhook is sent once more in other bytes


@dataclass(frozen=True)
class Told:
    """A step that was taken: the webhook with its answer, and the event as Lily's API shows it in the end."""

    step: Step
    story: Story
    alert: Mapping[str, Any]
    delivery: Mapping[str, Any]
    event: Mapping[str, Any]

    @property
    def message_id(self) -> str:
        """Under which the bus has it: a delivery that came again, and changed something again, is a new occurrence."""
        return f"{self.event['id']}.2" if self.step.duplicate else str(self.event["id"])


@dataclass
class Tour:
    """One run, and what it has seen so far."""

    system: System
    console: Console
    patience_s: float  # for each event to be published, and for all late details together
    told: list[Told] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)  # of what is no event of its own
    waited_s: float = 0.0  # for late details

    def take(self) -> None:
        """Send everything, each change once the one before is published: a reading of an alert shows its latest state.

        Raises Unmet when a webhook is not accepted, or its event not published in time.
        """
        for story in STORIES:
            self.console.step(f"{story.title} ({story.table})")
            alert: Mapping[str, Any] = {"tables": [story.table]}
            for step in story.steps:
                alert = self._send(story, step, alert)
        self._forge()

    def _send(self, story: Story, step: Step, alert: Mapping[str, Any]) -> Mapping[str, Any]:
        spec = {"deliver": "now", **step.change}
        if "id" in alert:
            outcome = self.system.sandbox("PATCH", f"/alerts/{alert['id']}", spec)
        else:
            outcome = self.system.sandbox("POST", "/alerts", {**alert, **spec})
        delivery = outcome["deliveries"][0]
        told = Told(step, story, outcome["alert"], delivery, self._ended(step, _accepted(step.what, delivery)))
        self.told.append(told)
        self.console.step(f"  {step.what:<14}  event {_outcome(told)}")
        if step.what == REPEATED:
            self._repeat(told)
        return told.alert

    def _ended(self, step: Step, receipt: Mapping[str, Any]) -> Mapping[str, Any]:
        """The event once nothing more is to be expected of it."""
        path = f"/events/{receipt['event_id']}"
        event: dict[str, Any] = {}

        def is_told() -> bool:
            answer = self.system.lily(path)
            event.update(answer.body if answer.status == 200 else {"status": f"{answer.status} {answer.body}"})
            is_new = not receipt["duplicate"] or (event.get("repeats") or {}).get("occurrences", 1) > 1
            return event["status"] in FINAL and is_new

        if not until(is_told, self.patience_s):
            wanted = f"published {'once more ' if receipt['duplicate'] else ''}within {self.patience_s:g} s"
            where = f"{self.system.web}{path}; the logs are in {self.system.logs}"
            raise Unmet(f"{step.what}: its event was to be {wanted}, but is {event['status']}: {where}")
        if event["enrichment"] == "pending" and self.waited_s < self.patience_s:
            reason = event["enrichment_details"].get("reason")
            self.console.notice(f"{step.what}: published without details ({reason}); Lily asks for them again")
            began_at = time.monotonic()
            until(lambda: is_told() and event["enrichment"] != "pending", self.patience_s - self.waited_s)
            self.waited_s += time.monotonic() - began_at
        return event

    def _repeat(self, told: Told) -> None:
        again = self.system.sandbox("POST", f"/deliveries/{told.delivery['number']}/again", {"form": "escaped"})
        receipt = _accepted("in other bytes", again)
        self.console.step(f"  in other bytes  event {short(receipt['event_id'])}{' again' if receipt['duplicate'] else ''}")
        self.checks.append(
            Check(
                "the same delivery in other bytes is the same event",
                {"event": told.event["id"], "duplicate": True},
                {"event": receipt["event_id"], "duplicate": receipt["duplicate"]},
            )
        )

    def _forge(self) -> None:
        self.console.step("a forged alert: signed with a secret that nobody has")
        outcome = self.system.sandbox("POST", "/alerts", {"title": "Forged", "tables": [STORIES[0].table], "deliver": "forged"})
        delivery = outcome["deliveries"][0]
        answer = delivery["status"] or delivery["error"]
        self.console.step(f"  forged          answered with {answer}")
        incident = self.system.lily(f"/incidents/{outcome['alert']['id']}")
        self.checks.append(
            Check("a forged delivery is refused with 401, and no incident comes of it", (401, 404), (answer, incident.status))
        )


def _accepted(what: str, delivery: Mapping[str, Any]) -> Mapping[str, Any]:
    answer = delivery["answer"]
    if delivery["status"] != 202 or not isinstance(answer, dict) or "event_id" not in answer:
        said = (
            delivery["error"] or f"{delivery['status']} {answer.get('title') or answer if isinstance(answer, dict) else answer}"
        )
        raise Unmet(f"{what}: Lily was to accept the webhook with 202 and the id of its event, but answered {said}")
    return answer


def _outcome(told: Told) -> str:
    event = told.event
    if told.step.duplicate:
        return f"{short(event['id'])} again, {event['status']} as {short(told.message_id)}"
    left = event["incident"] or {}
    total = event["milliseconds"].get("total", 0.0)
    return f"{short(event['id'])} {event['status']}  {left.get('effect')}, {left.get('status')}, {total:.0f} ms"
