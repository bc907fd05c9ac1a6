"""Monte Carlo's webhook bodies, version v0.1, in Lily's words.

Source: https://docs.getmontecarlo.com/docs/webhooks. Two openings are documented as samples; the updates only as a table of
fields (`alert_feedback`, `declared_alert_severity`, `owner`), so these are read inside `payload` and beside it. Of the two
places the inner one counts, unless it says nothing. Every update repeats the type of the opening; which update it is, only
the fields tell.

What is a claim, when the same field may be absent, null or a word:

- A word is a claim. A word that is not known claims nothing.
- A null status never is: new alerts carry one, and an opening that arrives late must not revive what was closed.
- A null severity or owner claims that there is none, but not in an opening: a body in which nothing is said and the status is
  null, or none of the three fields is there. An opening that arrives late thus wipes nothing. An alert that was marked as an
  incident always has a status ("investigating where it was null"), so an unmarking does not look like an opening.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from connectors.contracts import BodyRejected
from connectors.monte_carlo import words
from lily.domain.assets import TableRef, table_name
from lily.domain.incidents import CLOSED_STATUSES, Change

ID_CHARS_MAX = 256  # a UUID has 36
NAME_CHARS_MAX = 1024  # of a table with database and schema; a longer one is not cut, as that would name another table
TEXT_CHARS_MAX = 500
URL_CHARS_MAX = 2048
TABLES_MAX = 100

_OBJECTS = ("payload", "account")
_STRINGS = ("action", "type", "version")
_STATUS, _SEVERITY, _OWNER = "alert_feedback", "declared_alert_severity", "owner"
_TYPES = {
    f"open_{word}_incident": ours for theirs, ours in words.TYPES.items() for word in (theirs, ours)
}  # documented: open_anomaly_incident, open_custom_rule_anomaly_incident


def check_shape(body: Mapping[str, Any]) -> None:
    """The documented types of the documented fields. All of them may be absent, and null counts as absent.

    These fields decide what a delivery is, and at the top level the signature does not fix their type: `{"payload": {...}}` is
    signed like `{"payload": "{...}"}`. Raises BodyRejected.
    """
    if not isinstance(body, Mapping):
        raise BodyRejected("body", f"must be an object, not {_json_type(body)}")
    for field in _OBJECTS:
        if not isinstance(body.get(field), Mapping | None):
            raise BodyRejected(field, f"must be an object, not {_json_type(body[field])}")
    for field in _STRINGS:
        if not isinstance(body.get(field), str | None):
            raise BodyRejected(field, f"must be a string, not {_json_type(body[field])}")
    account_id = _at(body, "account").get("id")
    if not isinstance(account_id, str | None):
        raise BodyRejected("account.id", f"must be a string, not {_json_type(account_id)}")
    if account_id is not None and len(account_id) > ID_CHARS_MAX:
        raise BodyRejected("account.id", f"must have at most {ID_CHARS_MAX} characters, not {len(account_id)}")


def account(body: Mapping[str, Any]) -> str:
    """`account.id`; empty if it is missing."""
    return _text(_at(body, "account").get("id"), ID_CHARS_MAX) or ""


def incident(body: Mapping[str, Any]) -> str | None:
    """`payload.incident_id`, which is the alert's id in every variant. None if it is missing or absurd."""
    found = _text(_at(body, "payload").get("incident_id"), ID_CHARS_MAX)
    return words.alert_id(found) if found else None


def normalise(body: Mapping[str, Any]) -> Change:
    """The body as a claim. Never raises for a body that passed `check_shape`: what is odd in it is left out."""
    payload = _at(body, "payload")
    links = _links(payload)
    if not payload or body.get("action") not in ("incident", None):  # what its fields mean is a guess: no state is claimed
        return Change(incident(body), "unknown", "unknown", links, tuple(_tables(payload)))
    fields = _fields(body, payload)
    return Change(
        incident=incident(body),
        type=_TYPES.get(str(body.get("type")), "unknown"),
        action=_action(fields),
        values={**_claims(fields), **links},
        tables=tuple(_tables(payload)),
    )


def _fields(body: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the three fields of an update that are there, null if they say nothing.

    At the top level the text `None` carries the signature of null, so it counts as null there.
    """
    found = {}
    for name in (_STATUS, _SEVERITY, _OWNER):
        beside = None if body.get(name) == "None" else body.get(name)
        if name in payload or name in body:
            found[name] = beside if payload.get(name) is None else payload[name]
    return found


def _claims(fields: Mapping[str, Any]) -> dict[str, str | None]:
    if _is_opening(fields):
        return {}
    status, severity, owner = (fields.get(name) for name in (_STATUS, _SEVERITY, _OWNER))
    claims: dict[str, str | None] = {
        "status": words.status(status) if isinstance(status, str) else None,
        "severity": words.severity(severity) if isinstance(severity, str) else None,
        "owner": _text(owner, TEXT_CHARS_MAX),
    }
    denied = {ours for ours, name in (("severity", _SEVERITY), ("owner", _OWNER)) if fields.get(name, "") is None}
    return {name: value for name, value in claims.items() if value is not None or name in denied}


def _action(fields: Mapping[str, Any]) -> str:
    """Which of the documented updates it is, as far as it can be told: the weightiest that its fields allow."""
    claims = _claims(fields)
    if _is_opening(fields):
        return "opened"
    if fields.get(_STATUS) is not None and "status" not in claims:
        return "unknown"
    if claims.get("status") in CLOSED_STATUSES:
        return "resolved"
    if claims.get("severity"):
        return "marked"
    if "status" in claims:
        return "acknowledged" if claims["status"] == "acknowledged" else "status_updated"
    if claims.get("owner"):
        return "owner_changed"
    if "severity" in claims:
        return "unmarked"
    return "owner_changed" if "owner" in claims else "unknown"


def _is_opening(fields: Mapping[str, Any]) -> bool:
    return all(value is None for value in fields.values()) and (not fields or _STATUS in fields)


def _links(payload: Mapping[str, Any]) -> dict[str, str | None]:
    """Title and address, where there are any. Only web addresses: a console will make links of them."""
    url = _text(payload.get("url"), URL_CHARS_MAX)
    titles = (rule.get("description") for rule in _rules(payload))
    details = (event.get("event_details") for event in _objects(payload.get("event_list")))
    title = next((text.strip() for text in (*titles, *details) if isinstance(text, str) and text.strip()), None)
    found = {"title": title and title[:TEXT_CHARS_MAX], "url": url if url and url.startswith(("https://", "http://")) else None}
    return {name: value for name, value in found.items() if value}


def _tables(payload: Mapping[str, Any]) -> Iterator[TableRef]:
    """The tables that it names, at most TABLES_MAX, each once."""
    names = dict.fromkeys(name for name in _table_names(payload) if len(name) <= NAME_CHARS_MAX)
    return (TableRef(name) for name in islice(names, TABLES_MAX))


def _table_names(payload: Mapping[str, Any]) -> Iterator[str]:
    group = payload.get("group_id")
    database, _, schema = group.partition(":") if isinstance(group, str) else ("", "", "")
    for event in _objects(payload.get("event_list")):
        if bare := _text(event.get("table_name"), NAME_CHARS_MAX):
            # A colon is what sets off the database in a full name, so this one needs no group.
            yield bare.lower() if ":" in bare else table_name(database.strip(), schema.strip(), bare)
    for rule in _rules(payload):
        for comparison in _objects(rule.get("comparisons")):
            if full := _text(comparison.get("full_table_id"), NAME_CHARS_MAX):
                yield full.lower()


def _rules(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The custom rules behind an alert: the vendor's sample has the rule inside the event, others saw it beside `event_list`."""
    if isinstance(payload.get("rule"), Mapping):
        yield payload["rule"]
    for event in _objects(payload.get("event_list")):
        if isinstance(event.get("rule"), Mapping):
            yield event["rule"]


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def _at(body: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = body.get(field)
    return value if isinstance(value, Mapping) else {}


def _text(value: object, chars_max: int) -> str | None:
    """A name as a text: not empty, not too long. A number where a name is expected is taken for its digits."""
    if isinstance(value, bool) or not isinstance(value, str | int) or (isinstance(value, int) and value.bit_length() > 256):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= chars_max else None


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
