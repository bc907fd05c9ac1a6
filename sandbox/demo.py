"""`make demo`: a guided tour of the running system. It sends alerts, shows what becomes of them, and checks all of it.

Alerts are made up in Monte Carlo's stand-in, which sends its signed webhooks to Lily; what became of them is asked of Lily's API
and read from a queue behind the event bus. Then one rule masks customers in the stand-ins of two warehouses, and goes again; an
alert shows on assets in Atlan's stand-in, and a tag there hides a column. Each run has alerts and rules of its own, so it can be
repeated at will.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sandbox import demo_catalog as catalog
from sandbox import demo_report as report
from sandbox import demo_security as security
from sandbox.console import Console
from sandbox.demo_report import Check, Ink, short
from sandbox.demo_steps import Told, Tour
from sandbox.demo_system import Message, Unmet, find

PATIENCE_S = 10.0
EXAMPLE = "marked"  # this step's message is shown whole
LEGEND = (
    "accept: how long the sender waited for its 202, which is part of ingest. total: from arrival to published;",
    "of what came again (.2): from its arrival to the subscriber's queue.",
)

Messages = Mapping[str, list[Message]]


def main(arguments: list[str]) -> int:
    """0 if everything is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds to wait for anything (%(default)g)")
    patience_s = parser.parse_args(arguments).patience
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a terminal without ticks gets question marks
    console = Console()
    ink = Ink(sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    try:
        tour = Tour(find(os.environ, console.step), console, patience_s)
        tour.take()
        messages = tour.system.messages([one.message_id for one in tour.told], patience_s)
        console.step(f"the subscriber's queue had {sum(map(len, messages.values()))} messages about them")
        secured = security.take(tour.system, console, patience_s)
        shown = _shown_in_catalog(tour, console, patience_s)
        show(tour, messages, ink)
        if secured:
            show_rule(secured, ink)
        if shown:
            show_catalog(shown, ink)
        is_good = judge(tour, messages, [*(secured.checks if secured else []), *(shown.checks if shown else [])], ink)
        tell_where(tour)
    except Unmet as error:
        console.error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    _say("", f"{ink.tick(is_good)} {'All is' if is_good else 'Not all is'} as it should be, after {console.elapsed_s():.1f} s.")
    return 0 if is_good else 1


def _shown_in_catalog(tour: Tour, console: Console, patience_s: float) -> catalog.Seen | None:
    """The catalog's part; where it comes to nothing, the others are judged all the same."""
    try:
        return catalog.take(tour.system, console, patience_s)
    except Unmet as error:
        return catalog.Seen(checks=[Check("the catalog shows what it should", "all of it", str(error))])


def show(tour: Tour, messages: Messages, ink: Ink) -> None:
    """One message whole, and a table of all."""
    for one in tour.told:
        if one.step.what == EXAMPLE and one.message_id in messages:
            _say(*report.heading(f"What a subscriber of the event bus gets: the message of `{EXAMPLE}`", ink))
            _say(*report.document(messages[one.message_id][0].envelope))
    _say(*report.heading("What became of them, and in how many milliseconds", ink))
    _say(*report.table([row(one, messages) for one in tour.told], ink), "", *map(ink.dim, LEGEND))


def show_rule(seen: security.Seen, ink: Ink) -> None:
    """The customers before, with and after the rule, side by side, the statements that ran, and the proofs."""
    for moment in seen.moments:
        _say(*report.heading(f"Customers {moment}", ink), *report.grid(*security.beside(seen, moment), ink))
    for side in seen.sides:
        _say(*report.heading(f"What ran in {side.title}; all proven {seen.enforced_ms:.0f} ms after the API call", ink))
        _say(*report.statements(seen.statements[side.target]))
        told = seen.proofs[side.target]["behaviours"]
        proven = [[one["object"], ", ".join(one["reader"]) or "everybody else", one["seen"]] for one in told]
        _say("", *report.grid(("object, tried on made-up values", "reader", "is shown"), proven, ink))


def show_catalog(seen: catalog.Seen, ink: Ink) -> None:
    """What the catalog showed of an alert, what a tag there hid, and how long each took."""
    if not seen.took_ms:
        return
    _say(*report.heading("What people see in Atlan while the incident is open", ink))
    heads = ("where", "kind", "title", "message")
    told = [
        [place, one["announcementType"], one["announcementTitle"], str(one.get("announcementMessage") or "")[:60]]
        for place, one in seen.announcements.items()
    ]
    _say(*report.grid(heads, told, ink))
    if seen.shown:
        _say(*report.heading("Addresses before and after the tag was set in Atlan", ink))
        rows = [list(some) for some in zip(*seen.shown.values(), strict=True)]
        _say(*report.grid(list(seen.shown), rows[: security.ROWS_SHOWN], ink))
    _say(*report.heading("How long it took", ink))
    _say(*report.grid(("what", "ms"), [[what, f"{ms:.0f}"] for what, ms in seen.took_ms.items()], ink))


def judge(tour: Tour, messages: Messages, more: Iterable[Check], ink: Ink) -> bool:
    """A line for everything that should be so; whether it is."""
    checks = [*tour.checks, *of_events(tour.told), *of_messages(tour.told, messages), of_incidents(tour), *more]
    _say(*report.heading("Is everything as it should be?", ink), *report.judged(checks, ink))
    return all(check.holds for check in checks)


def tell_where(tour: Tour) -> None:
    """Where to look at what was made, ready to be copied."""
    system, first = tour.system, tour.told[0]
    rows = [
        ("API", f"{system.web}  (documentation: {system.web}/docs)"),
        ("Figures", f"{system.web}/metrics"),
        ("Monte Carlo stand-in", f"{system.monte_carlo}  (its alerts, and what it can be made to do)"),
        ("Snowflake stand-in", f"{system.snowflake_url}  (its tables, who ran what)"),
        ("Databricks stand-in", f"{system.databricks_url}  (the same)"),
        *([("Atlan stand-in", f"{system.atlan}  (its assets with their banners, tags and lineage)")] if system.atlan else []),
        ("Flower", system.flower),
        ("Logs", system.logs),
    ]
    curl = 'curl -H "Authorization: Bearer $TOKEN"'
    below = [
        f"export TOKEN={system.token}",
        f"{curl} {system.web}/events/{first.event['id']}",
        f"{curl} {system.web}/incidents/{first.alert['id']}",
        f"{curl} '{system.web}/events?asset={first.story.table}&limit=5'",
        f"{curl} {system.web}/security/targets",
    ]
    tour.console.box("Where to look", rows, below)


def of_events(told: Iterable[Told]) -> list[Check]:
    """What must be so of the events, as the API shows them. Of one that came again, it shows the first time."""
    fresh = [one for one in told if not one.step.duplicate]
    return [
        _compared("only what came before is a duplicate", told, lambda one: one.step.duplicate, _duplicate),
        _compared("every event is published", told, lambda _: "published", lambda one: one.event["status"]),
        _compared("each has its type, or is `unknown`", told, lambda one: one.story.type, lambda one: one.event["type"]),
        _compared(
            "each did to its incident what it should", fresh, lambda one: one.step.effect, lambda one: _left(one).get("effect")
        ),
        _compared(
            "each left its incident with the right status and severity",
            fresh,
            lambda one: _words(one.step.status, one.step.severity),
            lambda one: _words(_left(one).get("status"), one.event["severity"]),
        ),
        _compared(
            "each has the table and the owner that Monte Carlo's API knows",
            fresh,
            lambda one: _words("done", one.story.table, one.step.owner),
            _enrichment,
        ),
    ]


def of_messages(told: Iterable[Told], messages: Messages) -> list[Check]:
    """What must be so of the messages, whose ids are those of events and of later occurrences."""
    what_by_id = {one.message_id: one.step.what for one in told}
    came = {what_by_id.get(name, f"{short(name)}, which nobody expected"): found for name, found in messages.items()}
    return [
        Check(
            "the bus brought one message for each event, and one more (.2) for what was fixed again",
            dict.fromkeys(what_by_id.values(), 1),
            {what: len(found) for what, found in came.items()},
        ),
        Check(
            "each message's type says what was done",
            {one.step.what: f"lily.incident.{one.step.effect}" for one in told},
            {what: _words(*sorted({one.envelope["detail-type"] for one in found})) for what, found in came.items()},
        ),
    ]


def of_incidents(tour: Tour) -> Check:
    """The incidents in the end."""
    last = {one.alert["id"]: one for one in tour.told}
    seen = {}
    for incident in last:
        answer = tour.system.lily(f"/incidents/{incident}")
        shown = answer.body if answer.status == 200 else {"status": f"{answer.status} {answer.body}"}
        seen[short(incident)] = _words(shown["status"], shown.get("severity"), shown.get("owner"))
    expected = {short(incident): _words(one.step.status, one.step.severity, one.step.owner) for incident, one in last.items()}
    return Check("each incident stands as Monte Carlo has it", expected, seen)


def row(told: Told, messages: Messages) -> list[str]:
    """A line of the table. What came again has no steps of its own to show, only what its subscriber saw."""
    event, found = told.event, messages.get(told.message_id)
    effect, severity, milliseconds = _left(told).get("effect"), event["severity"], event["milliseconds"]
    if told.step.duplicate:
        detail = found[0].detail if found else {"data": {}}
        effect, severity = detail["data"].get("effect"), (detail["data"].get("incident") or {}).get("severity")
        milliseconds = {"total": _ms_between(detail["time"], found[0])} if found else {}
    texts = [told.step.what, short(told.message_id), short(told.alert["id"]), ", ".join(event["assets"])]
    return [*texts, severity or "–", event["status"], effect or "–", *report.figures(milliseconds, told.delivery["ms"])]


def _compared(claim: str, told: Iterable[Told], expected: Callable[[Told], object], seen: Callable[[Told], object]) -> Check:
    return Check(claim, {one.step.what: expected(one) for one in told}, {one.step.what: seen(one) for one in told})


def _duplicate(told: Told) -> Any:
    return told.delivery["answer"]["duplicate"]


def _left(told: Told) -> Mapping[str, Any]:
    left: Mapping[str, Any] = told.event["incident"] or {}
    return left


def _enrichment(told: Told) -> str:
    details = told.event["enrichment_details"]
    return _words(told.event["enrichment"], *told.event["assets"], details.get("owner"), details.get("reason"))


def _ms_between(arrived_at: str, message: Message) -> float:
    return (message.came_at - datetime.fromisoformat(arrived_at)).total_seconds() * 1000


def _words(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _say(*lines: str) -> None:
    with contextlib.suppress(OSError):  # whoever read it has gone
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
