"""Values of security in the JSON form in which items hold them, and back. Unknown keys of a newer version are ignored.

Names stay exactly as a target stores them. Sets are sorted, so that equal values have equal forms.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from lily.domain import brake, proofs
from lily.domain.branches import Branch, MaskSpec
from lily.domain.classifications import Annotation, Place
from lily.domain.inventory import Column, DataType, Family, Site, Table, TableId, TableKind, Zone
from lily.domain.masking import MaskType
from lily.domain.naming import Spec
from lily.domain.proofs import Expected, ExpectedObject, Outcome, Unmet
from lily.domain.rows import Argument, RowCondition, RowSpec
from lily.domain.rules import Action, ActionKind, Literal, Operator, Principal
from lily.domain.steps import TagEntry
from lily.records.forms import time_form, time_from
from lily.runtime import clock

Form = dict[str, Any]
DEFLATED = 1  # zlib's level: three times as fast as its default, for a tenth more bytes


def table_key(table: TableId) -> str:
    """32 hex digits that stand for a table in keys, for which its names may be too long."""
    return hashlib.sha256(json.dumps(table_id_form(table), separators=(",", ":")).encode()).hexdigest()[:32]


def deflated(form: Any) -> bytes:
    """A form as the binary attribute of an item."""
    return zlib.compress(orjson.dumps(form), DEFLATED)


def inflated(data: bytes) -> Any:
    """Raises ValueError for anything that `deflated` has not made."""
    try:
        return orjson.loads(zlib.decompress(data))
    except zlib.error as error:
        raise ValueError(str(error)) from error


def table_id_form(table: TableId) -> list[str]:
    return [table.database, table.schema, table.name]


def table_id_from(form: Sequence[str]) -> TableId:
    return TableId(form[0], form[1], form[2])


def site_form(site: Site) -> list[Any]:
    return [table_id_form(site.table), site.column]


def site_from(form: Sequence[Any]) -> Site:
    return Site(table_id_from(form[0]), form[1])


def type_form(of: DataType) -> list[Any]:
    return [of.family.value, of.text, of.signature, of.length, of.precision, of.scale, of.zone.value]


def type_from(form: Sequence[Any]) -> DataType:
    return DataType(Family(form[0]), form[1], form[2], form[3], form[4], form[5], Zone(form[6]))


def table_form(table: Table) -> Form:
    """The types are listed once, and each column names its own by its place: most columns of a table share a few."""
    types = list(dict.fromkeys(column.type for column in table.columns))
    places = {of: place for place, of in enumerate(types)}
    return {
        "id": table_id_form(table.id),
        "kind": table.kind.value,
        "object": table.object_id,
        "types": [type_form(of) for of in types],
        "columns": [[column.name, places[column.type]] for column in table.columns],
    }


def table_from(form: Mapping[str, Any]) -> Table:
    types = [type_from(one) for one in form["types"]]
    columns = tuple(Column(name, types[place]) for name, place in form["columns"])
    return Table(table_id_from(form["id"]), columns, TableKind(form["kind"]), form["object"])


def principal_form(principal: Principal) -> list[str]:
    return [principal.kind, principal.name]


def principal_from(form: Sequence[str]) -> Principal:
    return Principal(form[0], form[1])


def principals_form(principals: frozenset[Principal]) -> list[list[str]]:
    return [principal_form(principal) for principal in sorted(principals)]


def principals_from(form: Sequence[Sequence[str]]) -> frozenset[Principal]:
    return frozenset(principal_from(one) for one in form)


def action_form(action: Action | None) -> list[Any] | None:
    """What a mask shows; None: the value itself."""
    return None if action is None else [action.kind.value, action.text, action.keep_first, action.keep_last, action.unit]


def action_from(form: Sequence[Any] | None) -> Action | None:
    return None if form is None else Action(ActionKind(form[0]), form[1], form[2], form[3], form[4])


def mask_form(spec: MaskSpec) -> Form:
    of = spec.type
    return {
        "rules": list(spec.rules),
        "type": [of.family.value, of.signature, of.fit, of.zone.value],
        "branches": [[[principals_form(c) for c in one.conditions], action_form(one.action)] for one in spec.branches],
        "salt": spec.salt,
    }


def mask_from(form: Mapping[str, Any]) -> MaskSpec:
    family, signature, fit, zone = form["type"]
    return MaskSpec(
        tuple(form["rules"]),
        MaskType(Family(family), signature, fit, Zone(zone)),
        tuple(
            Branch(tuple(principals_from(c) for c in conditions), action_from(action)) for conditions, action in form["branches"]
        ),
        form["salt"],
    )


def literal_form(value: Literal) -> Any:
    """Numbers may have 38 digits, of which JSON as it is read here keeps 64 bits."""
    return {"int": str(value)} if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def literal_from(form: Any) -> Literal:
    value: Literal = int(form["int"]) if isinstance(form, dict) else form
    return value


def rows_form(spec: RowSpec) -> Form:
    return {
        "rules": list(spec.rules),
        "arguments": [[one.family.value, one.signature, one.zone.value] for one in spec.arguments],
        "conditions": [
            [principals_form(one.exempt), one.argument, one.operator.value, [literal_form(value) for value in one.values]]
            for one in spec.conditions
        ],
    }


def rows_from(form: Mapping[str, Any]) -> RowSpec:
    return RowSpec(
        tuple(form["rules"]),
        tuple(Argument(Family(family), signature, Zone(zone)) for family, signature, zone in form["arguments"]),
        tuple(
            RowCondition(principals_from(exempt), argument, Operator(operator), tuple(map(literal_from, values)))
            for exempt, argument, operator, values in form["conditions"]
        ),
    )


def spec_form(spec: Spec) -> Form:
    return {"mask": mask_form(spec)} if isinstance(spec, MaskSpec) else {"row_policy": rows_form(spec)}


def spec_from(form: Mapping[str, Any]) -> Spec:
    return mask_from(form["mask"]) if "mask" in form else rows_from(form["row_policy"])


def object_form(thing: ExpectedObject) -> list[Any]:
    return [thing.name, spec_form(thing.spec), thing.body]


def object_from(form: Sequence[Any]) -> ExpectedObject:
    return ExpectedObject(form[0], spec_from(form[1]), form[2])


def expected_form(expected: Expected) -> Form:
    form = {
        "masks": dict(expected.masks),
        "rows": expected.rows,
        "row_columns": list(expected.row_columns),
        "objects": [object_form(thing) for thing in expected.objects],
        "absent": [[column, name] for column, name in expected.absent.items()],
        "unmet": [[one.column, one.code, one.text] for one in expected.unmet],
    }
    return {"table": table_id_form(expected.table), **{name: value for name, value in form.items() if value or value == ""}}


def expected_from(form: Mapping[str, Any]) -> Expected:
    return Expected(
        table=table_id_from(form["table"]),
        masks=form.get("masks", {}),
        rows=form.get("rows"),
        row_columns=tuple(form.get("row_columns", ())),
        objects=tuple(object_from(one) for one in form.get("objects", ())),
        absent=dict(form.get("absent", ())),
        unmet=tuple(Unmet(column, code, text) for column, code, text in form.get("unmet", ())),
    )


def tag_form(tag: TagEntry) -> list[Any]:
    return [tag.column, tag.key, tag.value]


def tag_from(form: Sequence[Any]) -> TagEntry:
    return TagEntry(form[0], form[1], form[2])


def verdict_form(verdict: proofs.Verdict) -> Form:
    return {
        "outcome": verdict.outcome.value,
        "reasons": list(verdict.reasons),
        "at": time_form(verdict.at),
        "bodies": dict(verdict.bodies),
        "query_ids": list(verdict.query_ids),
    }


def verdict_from(form: Mapping[str, Any]) -> proofs.Verdict:
    return proofs.Verdict(
        Outcome(form["outcome"]),
        tuple(form["reasons"]),
        clock.from_iso(form["at"]),
        form["bodies"],
        tuple(form["query_ids"]),
    )


def annotation_form(annotation: Annotation) -> list[Any]:
    """Without its table, which whoever keeps it knows."""
    if not isinstance(annotation.subject, Place):
        raise TypeError(f"annotations are kept by their place in a target; {annotation.subject} has to be resolved before")
    return [
        annotation.subject.column,
        annotation.source,
        sorted(annotation.classifications),
        time_form(annotation.stated_at),
        annotation.withdrawn,
        time_form(annotation.lost_at),
    ]


def annotation_from(form: Sequence[Any], target: str, table: TableId) -> Annotation:
    column, source, classifications, stated_at, withdrawn, lost_at = form[:6]
    place = Place(target, table, column)
    return Annotation(place, source, frozenset(classifications), clock.from_iso(stated_at), withdrawn, time_from(lost_at))


def weakening_form(one: brake.Weakening) -> list[Any]:
    reader = None if one.reader is None else principals_form(one.reader)
    return [site_form(one.site), one.why.value, one.before, one.after, reader]


def weakening_from(form: Sequence[Any]) -> brake.Weakening:
    reader = None if form[4] is None else principals_from(form[4])
    return brake.Weakening(site_from(form[0]), brake.Why(form[1]), form[2], form[3], reader)
