"""Rules: what should be protected, where, how, and except for whom; and what may not stand together in one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from lily.domain.faults import Faults, Invalid
from lily.domain.patterns import Part

EVERYONE = frozenset({("role", "public"), ("group", "account users"), ("group", "users")})  # whoever is exempt with these: all
ALL_TARGETS = "*"
TEXT_DEFAULT = "***"  # what redact shows unless the rule says something else
SHOWN_MAX = 32  # characters that partial may keep


class InvalidRule(Invalid):
    """A rule cannot be accepted as written; `faults` lists every field."""


class Regulation(StrEnum):
    PII = "PII"
    GDPR = "GDPR"
    HIPAA = "HIPAA"
    PCI = "PCI"
    CUSTOM = "CUSTOM"


class ActionKind(StrEnum):
    """What a rule does. masking.py says what readers then see."""

    NULLIFY = "nullify"
    REDACT = "redact"
    HASH = "hash"
    PARTIAL = "partial"
    EMAIL_DOMAIN = "email_domain"
    DATE_TRUNCATE = "date_truncate"
    ROW_FILTER = "row_filter"
    TAG_ONLY = "tag_only"


MASKS = frozenset(ActionKind) - {ActionKind.ROW_FILTER, ActionKind.TAG_ONLY}


class Operator(StrEnum):
    """How a row filter compares. A comparison with NULL is never true, so such rows are hidden; IS_NULL alone asks for them."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    IN = "in"
    NOT_IN = "not_in"
    IS_NULL = "is_null"
    IS_NOT_NULL = "is_not_null"


LISTS = frozenset({Operator.IN, Operator.NOT_IN})
NULL_TESTS = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL})
Literal = str | int | float | bool


@dataclass(frozen=True)
class RowFilter:
    """Readers who are not exempt see the rows for which `column operator values` is true.

    `column` is one part of a path (see patterns), found in each matched table. `values` are as many as the operator takes:
    none for null tests, one for comparisons, one or more for lists. Dates and times are ISO 8601 text.
    """

    column: Part
    operator: Operator
    values: tuple[Literal, ...] = ()


@dataclass(frozen=True)
class Tag:
    """A tag of a tag_only rule: its key comes under Lily's own prefix (see naming)."""

    name: str
    value: str


@dataclass(frozen=True)
class Action:
    """An action with its parameters; those that its kind does not take have their defaults."""

    kind: ActionKind
    text: str = ""  # redact: what is shown
    keep_first: int = 0  # partial: characters shown
    keep_last: int = 0
    unit: str = ""  # date_truncate: "year" | "quarter" | "month"
    filter: RowFilter | None = None  # row_filter
    tag: Tag | None = None  # tag_only; None: the tag of the rule's regulation


@dataclass(frozen=True, order=True)
class Principal:
    """Whom a warehouse can recognise: a `role` (Snowflake) or a `group` (Databricks), by its exact name."""

    kind: str
    name: str


@dataclass(frozen=True)
class Exemption:
    """Readers who hold `principal` are not covered by the rule, up to but not including `until`."""

    principal: Principal
    until: datetime | None = None
    reason: str = ""

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True)
class Match:
    """What a rule is about. A column is matched if any of classifications, columns or patterns is about it, within the scope.

    `classifications` compare without case against the column's own annotation. `columns` and `patterns` are paths (see
    patterns), the latter with wildcards. Scope: `databases` and `schemas` (`schema` or `database.schema`); empty: everywhere.
    A table is matched (by row_filter, and by tag_only on the table) if its own annotation has one of the classifications, or
    one of its columns is matched. A classification on a table says nothing about each of its columns, unless `whole_tables`: then
    it counts for every one of them, those that come later too.
    """

    classifications: tuple[str, ...] = ()
    columns: tuple[tuple[Part, ...], ...] = ()
    patterns: tuple[tuple[Part, ...], ...] = ()
    databases: tuple[tuple[Part, ...], ...] = ()
    schemas: tuple[tuple[Part, ...], ...] = ()
    whole_tables: bool = False


@dataclass(frozen=True)
class Rule:
    """One version of a rule. `document` is what its author wrote, checked; the other fields are read from it.

    `targets` names target instances, or is `("*",)` for all. A deleted rule keeps its last version with `deleted_at`.
    """

    id: str
    version: int
    document: Mapping[str, Any]
    name: str
    regulation: Regulation
    match: Match
    action: Action
    exempt: tuple[Exemption, ...]
    targets: tuple[str, ...]
    enabled: bool
    created_at: datetime
    changed_at: datetime
    description: str = ""
    deleted_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        return self.enabled and self.deleted_at is None

    def aims_at(self, target: str) -> bool:
        """Whether this rule is to be in force in the target instance `target`."""
        return self.is_active and (ALL_TARGETS in self.targets or target in self.targets)

    def exempts(self, kind: str, now: datetime) -> frozenset[Principal]:
        """The principals of one kind that are exempt at `now`. Those of another kind mean nobody there."""
        return frozenset(e.principal for e in self.exempt if e.principal.kind == kind and e.holds(now))

    def next_change_at(self, now: datetime) -> datetime | None:
        """When the first time-boxed exemption that still holds ends by itself."""
        ends = [e.until for e in self.exempt if e.until is not None and e.holds(now)]
        return min(ends, default=None)


def check_together(rule: Rule, faults: Faults) -> None:
    """What each field allows and all of them together do not."""
    match = rule.match
    if not (match.classifications or match.columns or match.patterns or faults.any_in("match")):
        faults.add("match", "names nothing; give classifications, columns or patterns (the pattern * means every column)")
    if rule.action.kind is ActionKind.TAG_ONLY and rule.exempt:
        faults.add("exempt", "makes no sense with tag_only, which hides nothing; leave it out")
    seen: set[Principal] = set()
    for place, exemption in enumerate(rule.exempt):
        principal = exemption.principal
        if (principal.kind, principal.name.strip().casefold()) in EVERYONE:
            faults.add(f"exempt[{place}].{principal.kind}", f"{principal.name!r} is everyone, so nothing would be protected")
        if principal in seen:
            faults.add(f"exempt[{place}]", f"names the {principal.kind} {principal.name!r} a second time; keep one")
        seen.add(principal)


def check_ends(rule: Rule, before: Rule | None, now: datetime, faults: Faults) -> None:
    """A new exemption that has ended already is a mistake; one that ended since it was written may stay."""
    known = {(e.principal, e.until) for e in before.exempt} if before else set()
    for place, exemption in enumerate(rule.exempt):
        if not exemption.holds(now) and (exemption.principal, exemption.until) not in known:
            faults.add(f"exempt[{place}].until", "has passed already; give a time to come or leave the exemption out")


def deleted(rule: Rule, now: datetime) -> Rule:
    """The version that says the rule is gone. Deleting twice changes nothing."""
    if rule.deleted_at is not None:
        return rule
    return replace(rule, version=rule.version + 1, enabled=False, changed_at=now, deleted_at=now)
