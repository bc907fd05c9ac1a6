"""The working set of a batch: what its members are, as one step hands them to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lily.domain.alerts import AlertDetails
from lily.domain.events import FINAL, Event, Repeat
from lily.domain.incidents import Effect, Incident
from lily.records import events, forms, incidents
from lily.runtime import lanes

Key = tuple[str, str]  # source, incident id


@dataclass
class Work:
    """Events and repeats still to be dealt with, incidents that owe a re-read or a message, and what the source says of them."""

    events: dict[str, Event] = field(default_factory=dict)  # by id
    repeats: dict[str, Repeat] = field(default_factory=dict)  # by event id; its event is in `originals`
    originals: dict[str, Event] = field(default_factory=dict)
    rereads: set[Key] = field(default_factory=set)
    details: dict[Key, AlertDetails] = field(default_factory=dict)
    unread: dict[Key, str] = field(default_factory=dict)  # why there are none, where they were wanted
    enriched_at: datetime | None = None
    effective: dict[str, tuple[Effect, Mapping[str, Any]]] = field(default_factory=dict)  # repeats by event id: what they did
    told: dict[Key, Incident] = field(default_factory=dict)  # incidents with messages of their own to publish

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.repeats or self.rereads)


def gather(members: tuple[str, ...]) -> Work:
    """The members of a batch, read from the records. Whatever is finished already is left out. Raises Transient, Permanent."""
    names = [member.lstrip("!") for member in members]
    event_ids = [name[2:] for name in names if name[:2] == "e:"]
    repeat_ids = [name[2:] for name in names if name[:2] == "r:"]
    loaded = events.load_many([*event_ids, *repeat_ids], even_expired=True)
    repeats = events.load_repeats(repeat_ids) if repeat_ids else {}
    owing = incidents.load_members([name for name in names if name[:2] == "i:"])
    return Work(
        events={event_id: event for event_id in event_ids if (event := loaded.get(event_id)) and event.state not in FINAL},
        repeats={event_id: repeat for event_id, repeat in repeats.items() if repeat.due_at and event_id in loaded},
        originals={event_id: loaded[event_id] for event_id in repeats if event_id in loaded},
        rereads={(incident.source, incident.id) for incident in owing if incident.reread_due_at or incident.outbox},
    )


def keep(batch: lanes.Batch, work: Work) -> None:
    """Leave the working set, sealed, for the next step."""
    form = {
        "events": [events.dump(event) for event in work.events.values()],
        "repeats": [_repeat_form(repeat) for repeat in work.repeats.values()],
        "originals": [events.dump(event) for event in work.originals.values()],
        "rereads": sorted(work.rereads),
        "details": [[*key, forms.details_form(details)] for key, details in work.details.items()],
        "enriched_at": forms.time_form(work.enriched_at),
        "unread": [[*key, reason] for key, reason in work.unread.items()],
        "effective": work.effective,
        "told": sorted(work.told),
    }
    lanes.save_work(batch, form)


def fetch(batch: lanes.Batch) -> Work | None:
    """The working set that the step before left; None if it is gone, or of another version of Lily: gather it again."""
    form = lanes.load_work(batch)
    try:
        return _restore(form) if form is not None else None
    except (KeyError, TypeError, ValueError):
        return None


def _restore(form: Mapping[str, Any]) -> Work:
    told = [(source, incident) for source, incident in form["told"]]
    return Work(
        events={event.id: event for event in map(events.restore, form["events"])},
        repeats={repeat.event_id: repeat for repeat in map(_repeat_from, form["repeats"])},
        originals={event.id: event for event in map(events.restore, form["originals"])},
        rereads={(source, incident) for source, incident in form["rereads"]},
        details={(source, incident): forms.details_from(details) for source, incident, details in form["details"]},
        enriched_at=forms.time_from(form["enriched_at"]),
        unread={(source, incident): reason for source, incident, reason in form["unread"]},
        effective={event_id: (Effect(what), snapshot) for event_id, (what, snapshot) in form["effective"].items()},
        told=incidents.load_many(told) if told else {},
    )


def _repeat_form(repeat: Repeat) -> list[Any]:
    due_at = forms.time_form(repeat.due_at)
    arrived_at = repeat.arrived_at.isoformat()
    return [repeat.event_id, repeat.count, arrived_at, repeat.lane_key, repeat.occurrence, repeat.attempts, due_at]


def _repeat_from(form: list[Any]) -> Repeat:
    event_id, count, arrived_at, lane_key, occurrence, attempts, due_at = form
    return Repeat(event_id, count, datetime.fromisoformat(arrived_at), lane_key, occurrence, attempts, forms.time_from(due_at))
