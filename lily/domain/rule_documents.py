"""Rules as their authors write them (JSON or YAML) and as they are stored: reading reports every fault with its field.

    name: Mask e-mail addresses            # 1-200 characters
    description: ...                       # up to 2,000, may be absent
    regulation: PII                        # PII GDPR HIPAA PCI CUSTOM
    match: {classifications: [Email], columns: [], patterns: ["*.e?mail*"], databases: [], schemas: [], whole_tables: false}
    action: {kind: partial, parameters: {keep_last: 4}}
    exempt: [{role: AUDITOR, until: "2027-01-01T00:00:00Z", reason: audit}, {group: auditors}]
    targets: ["*"]                         # or names of target instances
    enabled: true

Parameters: redact `text`; partial `keep_first`, `keep_last`; date_truncate `unit` (year, quarter, month); row_filter `column`,
`operator`, `values`; tag_only `tag`, `value`. The others take none.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from lily.domain import patterns
from lily.domain.faults import Faults, kind_of
from lily.domain.rules import (
    LISTS,
    NULL_TESTS,
    SHOWN_MAX,
    TEXT_DEFAULT,
    Action,
    ActionKind,
    Exemption,
    InvalidRule,
    Literal,
    Match,
    Operator,
    Principal,
    Regulation,
    RowFilter,
    Rule,
    Tag,
    check_ends,
    check_together,
)

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
FIELDS = ("name", "description", "regulation", "match", "action", "exempt", "targets", "enabled")
MATCH_FIELDS = ("classifications", "columns", "patterns", "databases", "schemas", "whole_tables")
ENTRIES_MAX = 1000  # of any list in a rule
EXEMPT_MAX = 100
TAG_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
TAG_VALUE = re.compile(r"[\w+@]([\w+@ -]*[\w+@])?")  # what both warehouses allow in a tag's value, old texts and new
NUMBER_MAX = 10**38


def new(rule_id: str, document: Mapping[str, Any], now: datetime) -> Rule:
    """Version 1 of a rule. Raises InvalidRule with every fault."""
    if not ID.fullmatch(rule_id):
        raise ValueError(f"rule id {rule_id!r}: must be 1 to 64 of letters, digits, _ and -")
    return _read(rule_id, document, version=1, created_at=now, changed_at=now)


def replaced(before: Rule, document: Mapping[str, Any], now: datetime) -> Rule:
    """The next version of a rule, wholly as `document` says. Raises InvalidRule with every fault."""
    return _read(before.id, document, version=before.version + 1, created_at=before.created_at, changed_at=now, before=before)


def stored(rule: Rule) -> dict[str, Any]:
    """A rule as plain data that JSON can hold, for `restored`."""
    times = {"created_at": rule.created_at, "changed_at": rule.changed_at, "deleted_at": rule.deleted_at}
    texts = {name: at.isoformat() for name, at in times.items() if at is not None}
    return {"id": rule.id, "version": rule.version, "document": dict(rule.document), **texts}


def restored(kept: Mapping[str, Any]) -> Rule:
    """The rule that `stored` was given. What was valid when it was written stays readable when its exemptions have ended."""
    created, changed = (datetime.fromisoformat(kept[name]) for name in ("created_at", "changed_at"))
    rule = _read(kept["id"], kept["document"], version=kept["version"], created_at=created, changed_at=changed, check_times=False)
    gone = kept.get("deleted_at")
    return replace(rule, deleted_at=datetime.fromisoformat(gone), enabled=False) if gone else rule


def _read(
    rule_id: str,
    document: Mapping[str, Any],
    *,
    version: int,
    created_at: datetime,
    changed_at: datetime,
    before: Rule | None = None,
    check_times: bool = True,
) -> Rule:
    faults = Faults()
    _known(faults, "", document, FIELDS)
    exempt = _exemptions(faults, document.get("exempt"))
    targets = tuple(
        faults.text(f"targets[{n}]", t, 100) for n, t in enumerate(faults.items("targets", document.get("targets"), 100))
    )
    if not targets:
        faults.add("targets", 'names no target; give names of target instances, or ["*"] for all')
    enabled = document.get("enabled", True)
    if not isinstance(enabled, bool):
        faults.add("enabled", f"must be true or false, not {kind_of(enabled)}")
    rule = Rule(
        id=rule_id,
        version=version,
        document=_plain(document),
        name=faults.text("name", document.get("name"), 200),
        regulation=_choice(faults, "regulation", document.get("regulation"), Regulation, Regulation.CUSTOM),
        match=_match(faults, document.get("match")),
        action=_action(faults, document.get("action")),
        exempt=exempt,
        targets=targets,
        enabled=bool(enabled),
        created_at=created_at,
        changed_at=changed_at,
        description=faults.text("description", document.get("description") or "", 2000, empty=True),
    )
    check_together(rule, faults)
    if check_times:
        check_ends(rule, before, changed_at, faults)
    if faults.found:
        raise InvalidRule(*faults.found)
    return rule


def _match(faults: Faults, given: object) -> Match:
    match = _object(faults, "match", given, MATCH_FIELDS)
    whole = match.get("whole_tables")
    if whole is not None and not isinstance(whole, bool):
        faults.add("match.whole_tables", f"must be true or false, not {kind_of(whole)}")
    if whole is True and not match.get("classifications"):
        faults.add("match.whole_tables", "is about classifications of tables; name some, or leave it out")
    names = faults.items("match.classifications", match.get("classifications"), ENTRIES_MAX)
    return Match(
        classifications=tuple(faults.text(f"match.classifications[{n}]", name, 256) for n, name in enumerate(names)),
        columns=_paths(faults, "match.columns", match.get("columns"), 4),
        patterns=_paths(faults, "match.patterns", match.get("patterns"), 4, wild=True),
        databases=_paths(faults, "match.databases", match.get("databases"), 1),
        schemas=_paths(faults, "match.schemas", match.get("schemas"), 2),
        whole_tables=whole is True,
    )


def _paths(
    faults: Faults, where: str, given: object, parts_max: int, *, wild: bool = False
) -> tuple[tuple[patterns.Part, ...], ...]:
    read = []
    for n, text in enumerate(faults.items(where, given, ENTRIES_MAX)):
        path = _path(faults, f"{where}[{n}]", text, parts_max, wild=wild)
        if path:
            read.append(path)
    return tuple(read)


def _path(faults: Faults, where: str, given: object, parts_max: int, *, wild: bool = False) -> tuple[patterns.Part, ...]:
    known = len(faults.found)
    text = faults.text(where, given, 2100)
    if len(faults.found) > known:
        return ()
    try:
        return patterns.parse(text, parts_max, wild=wild)
    except ValueError as error:
        faults.add(where, str(error))
        return ()


def _action(faults: Faults, given: object) -> Action:
    action = _object(faults, "action", given, ("kind", "parameters"))
    kind = _choice(faults, "action.kind", action.get("kind"), ActionKind, None)
    read = PARAMETERS.get(kind) if kind else None
    known, build = read or ((), _nothing)
    parameters = action.get("parameters")
    if kind is None:
        return Action(ActionKind.NULLIFY)
    return build(faults, kind, _object(faults, "action.parameters", {} if parameters is None else parameters, known))


def _nothing(_: Faults, kind: ActionKind, __: Mapping[str, Any]) -> Action:
    return Action(kind)


def _redact(faults: Faults, kind: ActionKind, given: Mapping[str, Any]) -> Action:
    return Action(kind, text=faults.text("action.parameters.text", given.get("text", TEXT_DEFAULT), 64))


def _partial(faults: Faults, kind: ActionKind, given: Mapping[str, Any]) -> Action:
    counts = []
    for name in ("keep_first", "keep_last"):
        count = given.get(name, 0)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= SHOWN_MAX:
            faults.add(f"action.parameters.{name}", f"must be a whole number from 0 to {SHOWN_MAX}")
            count = 1
        counts.append(count)
    if not any(counts):
        faults.add("action.parameters", "keep nothing; give keep_first or keep_last, or use redact")
    return Action(kind, keep_first=counts[0], keep_last=counts[1])


def _truncate(faults: Faults, kind: ActionKind, given: Mapping[str, Any]) -> Action:
    unit = given.get("unit")
    if unit not in ("year", "quarter", "month"):
        faults.add("action.parameters.unit", "must be year, quarter or month")
        unit = "year"
    return Action(kind, unit=unit)


def _row_filter(faults: Faults, kind: ActionKind, given: Mapping[str, Any]) -> Action:
    where = "action.parameters"
    column = _path(faults, f"{where}.column", given.get("column"), 1)
    operator = _choice(faults, f"{where}.operator", given.get("operator"), Operator, Operator.EQUAL)
    raw = given.get("values")
    values = faults.items(f"{where}.values", raw if isinstance(raw, list | tuple) or raw is None else [raw], ENTRIES_MAX)
    wanted = "none" if operator in NULL_TESTS else "one or more" if operator in LISTS else "one"
    if not {"none": not values, "one": len(values) == 1, "one or more": bool(values)}[wanted]:
        faults.add(f"{where}.values", f"must hold {wanted} for operator {operator.value}, not {len(values)}")
    checked = tuple(_literal(faults, f"{where}.values[{n}]", value) for n, value in enumerate(values))
    if len({kind_of(value) for value in checked}) > 1:
        faults.add(f"{where}.values", "mix text, numbers and booleans; give values of one kind")
    part = column[0] if column else patterns.Part("?", is_exact=True)
    return Action(kind, filter=RowFilter(part, operator, checked))


def _literal(faults: Faults, where: str, value: object) -> Literal:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) >= NUMBER_MAX:
            faults.add(where, "must be a finite number of at most 38 digits")
            return 0
        return value
    if isinstance(value, date | time):  # YAML reads them by itself
        return value.isoformat()
    return faults.text(where, value, 4000, empty=True)


def _tag_only(faults: Faults, kind: ActionKind, given: Mapping[str, Any]) -> Action:
    if "tag" not in given:
        if "value" in given:
            faults.add("action.parameters.tag", "is missing although a value is given")
        return Action(kind)
    name = faults.text("action.parameters.tag", given["tag"], 64)
    value = faults.text("action.parameters.value", given.get("value"), 256)
    if name and not TAG_NAME.fullmatch(name):
        faults.add("action.parameters.tag", "must be lower-case letters and digits, in words joined by single _")
    if name.upper() in Regulation.__members__:
        faults.add("action.parameters.tag", "is the name of a regulation, whose tag Lily sets by itself; choose another")
    if value and not TAG_VALUE.fullmatch(value):
        faults.add("action.parameters.value", "may hold letters, digits, _ + @ - and blanks inside: what every warehouse allows")
    return Action(kind, tag=Tag(name, value))


PARAMETERS: Mapping[ActionKind, tuple[tuple[str, ...], Callable[[Faults, ActionKind, Mapping[str, Any]], Action]]] = {
    ActionKind.REDACT: (("text",), _redact),
    ActionKind.PARTIAL: (("keep_first", "keep_last"), _partial),
    ActionKind.DATE_TRUNCATE: (("unit",), _truncate),
    ActionKind.ROW_FILTER: (("column", "operator", "values"), _row_filter),
    ActionKind.TAG_ONLY: (("tag", "value"), _tag_only),
}


def _exemptions(faults: Faults, given: object) -> tuple[Exemption, ...]:
    read = []
    for n, entry in enumerate(faults.items("exempt", given, EXEMPT_MAX)):
        where = f"exempt[{n}]"
        exemption = _object(faults, where, entry, ("role", "group", "until", "reason"))
        if not isinstance(entry, Mapping):
            continue
        kinds = [kind for kind in ("role", "group") if exemption.get(kind) is not None]
        if len(kinds) != 1:
            faults.add(where, "must name either a role or a group")
            continue
        name = faults.text(f"{where}.{kinds[0]}", exemption[kinds[0]], 255)
        reason = faults.text(f"{where}.reason", exemption.get("reason") or "", 500, empty=True)
        read.append(Exemption(Principal(kinds[0], name), _time(faults, f"{where}.until", exemption.get("until")), reason))
    return tuple(read)


def _time(faults: Faults, where: str, given: object) -> datetime | None:
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        at = None
    if not isinstance(at, datetime) or at.utcoffset() is None:
        faults.add(where, "must be an ISO 8601 time with a zone, such as 2027-01-01T00:00:00Z")
        return None
    try:
        return at.astimezone(UTC)
    except OverflowError:
        faults.add(where, "is beyond the years that can be told; leave it out for an exemption without end")
        return None


def _choice(faults: Faults, where: str, given: object, words: Any, otherwise: Any) -> Any:
    known = [word.value for word in words]
    if isinstance(given, str) and given in known:
        return words(given)
    faults.add(where, f"must be one of {', '.join(known)}" + ("" if given is None else f", not {str(given)[:40]!r}"))
    return otherwise


def _object(faults: Faults, where: str, given: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        faults.add(where, "is missing" if given is None else f"must be an object, not {kind_of(given)}")
        return {}
    _known(faults, where, given, known)
    return given


def _known(faults: Faults, where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            path = f"{where}.{name}" if where else str(name)
            faults.add(path, f"is not known here; {'known are ' + ', '.join(known) if known else 'nothing is'}")


def _plain(value: Any) -> Any:
    """The document as JSON holds it: YAML's dates become text, tuples lists."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date | time) else value
