"""Rules: how they are written, what may be asked for, and what is answered. lily.domain.rule_documents judges what is written."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length, OneOf

from app.schemas.events import page_cursor, page_limit, word
from app.schemas.problems import FaultSchema
from lily.domain.propagations import RuleState, State
from lily.domain.rules import ActionKind, Operator, Regulation

REGULATIONS = [regulation.value for regulation in Regulation]
ACTIONS = [kind.value for kind in ActionKind]
STATES = [state.value for state in State]
ANSWERED = frozenset({"id", "version", "created_at", "changed_at", "deleted_at", "links", "warnings"})  # only Lily says these


def when(description: str, *, nullable: bool = True) -> fields.String:
    return fields.String(allow_none=nullable, metadata={"format": "date-time", "description": description})


def texts(description: str) -> "fields.List[str]":
    return fields.List(fields.String(), metadata={"description": description})


class MatchSchema(Schema):
    classifications = texts("Found by annotation, in any case: columns that carry one of these.")
    columns = texts("Found by name: `email`, `customers.email`, up to `database.schema.table.column`; in double quotes exactly.")
    patterns = texts("As `columns`, with `*` for any run of characters and `?` for any one.")
    databases = texts("Only in these databases; everywhere if empty.")
    schemas = texts("Only in these schemas, as `schema` or `database.schema`; everywhere if empty.")
    whole_tables = fields.Boolean(
        metadata={"description": "true: a classification of a table, such as a tag in a catalog, counts for each of its columns."}
    )


class ActionSchema(Schema):
    kind = fields.String(metadata={"enum": ACTIONS})
    parameters = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(),
        metadata={
            "description": "redact: `text`; partial: `keep_first`, `keep_last`; date_truncate: `unit` (year, quarter, month); "
            f"row_filter: `column`, `operator` ({' '.join(o.value for o in Operator)}), `values`; tag_only: `tag`, `value`. The "
            "others take none."
        },
    )


class ExemptionSchema(Schema):
    role = fields.String(metadata={"description": "A role by its exact name, where the target has roles; or `group`."})
    group = fields.String(metadata={"description": "A group by its exact name, where the target has groups."})
    until = fields.String(metadata={"format": "date-time", "description": "The exemption ends by itself at this time."})
    reason = fields.String(metadata={"description": "Why; for those who read the rule later."})


class RuleDocumentSchema(Schema):
    """What an author writes. It is handed on as it came: its reader tells every fault with its field."""

    name = fields.String(required=True, metadata={"description": "1 to 200 characters."})
    description = fields.String(metadata={"description": "Up to 2,000 characters."})
    regulation = fields.String(required=True, metadata={"enum": REGULATIONS})
    match = fields.Nested(MatchSchema, required=True, metadata={"description": "What it is about: any of the first three."})
    action = fields.Nested(ActionSchema, required=True)
    exempt = fields.List(fields.Nested(ExemptionSchema), metadata={"description": "Readers whom the rule does not cover."})
    targets = fields.List(
        fields.String(), required=True, metadata={"description": 'Names of target instances; `["*"]` means all.'}
    )
    enabled = fields.Boolean(metadata={"description": "false: it protects nothing. true unless said otherwise."})

    def load(self, data: Any, **_: Any) -> Any:
        """The document without what answers add to it, so that what was read can be sent back."""
        return {name: value for name, value in data.items() if name not in ANSWERED} if isinstance(data, Mapping) else data


class PreviewedSchema(RuleDocumentSchema):
    """A rule that is only thought of."""

    id = fields.String(metadata={"description": "Of the rule whose next version this would be; without it, of a new one."})

    def load(self, data: Any, **_: Any) -> Any:
        """The document, with the id that it is about."""
        return super().load(data) | ({"id": data["id"]} if data.get("id") is not None else {})


class RuleLinksSchema(Schema):
    self = fields.String(metadata={"format": "uri"})
    versions = fields.String(metadata={"format": "uri"})
    propagations = fields.String(metadata={"format": "uri"})
    plan = fields.String(metadata={"format": "uri"})


class RuleSchema(RuleDocumentSchema):
    id = fields.String(metadata={"description": "Made by Lily; later rules sort after earlier ones."})
    version = fields.Integer(metadata={"description": "From 1. The ETag is this number in quotes."})
    created_at = when("Version 1.", nullable=False)
    changed_at = when("This version.", nullable=False)
    deleted_at = when("The rule is gone; this is its last version.")
    links = fields.Nested(RuleLinksSchema)


class WrittenRuleSchema(RuleSchema):
    warnings = fields.List(
        fields.Nested(FaultSchema), metadata={"description": "What the author should know and nothing is refused for."}
    )


class RulePageSchema(Schema):
    items = fields.List(fields.Nested(RuleSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})


class RuleQuerySchema(Schema):
    class Meta:
        unknown = RAISE

    regulation = fields.String(validate=OneOf(REGULATIONS), metadata={"enum": REGULATIONS})
    action = fields.String(validate=OneOf(ACTIONS), metadata={"enum": ACTIONS})
    target = word("A target instance that the rule names, or reaches by `*`.", "snowflake-prod")
    enabled = fields.Boolean()
    classification = word("One of those that the rule matches, in any case.", "Email")
    text = word("Part of name or description, in any case.", "address")
    limit, cursor = page_limit(), page_cursor()


class PageQuerySchema(Schema):
    class Meta:
        unknown = RAISE

    limit, cursor = page_limit(), page_cursor()


class PropagationQuerySchema(PageQuerySchema):
    target = word("Only in this target instance.", "snowflake-prod")
    state = fields.String(validate=OneOf(STATES), metadata={"enum": STATES})


class RetrySchema(Schema):
    class Meta:
        unknown = RAISE

    targets = fields.List(
        fields.String(validate=Length(1, 100)),
        load_default=None,
        allow_none=True,
        metadata={"description": "Only in these target instances; without it wherever the rule was on its way to."},
    )


class RetriedSchema(Schema):
    rule_id = fields.String()
    targets = texts("Where it is on its way again.")


class PropagationSchema(Schema):
    target = fields.String()
    table = fields.String(metadata={"description": "`DATABASE.SCHEMA.TABLE`, names exactly as stored."})
    version = fields.Integer(metadata={"description": "The rule's version that this is about."})
    state = fields.String(metadata={"enum": STATES})
    since = when("In this state since.", nullable=False)
    reason = fields.String(metadata={"description": "Why it is not enforced; empty if it is."})
    attempts = fields.Integer(metadata={"description": "Failed ones since it was asked for."})
    due_at = when("When it is tried again, if it is.")
    statements = texts("What ran last for this rule at this table, as it was sent.")
    proof = fields.Dict(
        allow_none=True,
        metadata={"description": "What was seen, by which kind of reader, under which query ids; never a value from a table."},
    )
    started_at = when("When work on this version began.")
    ended_at = when("When it came to its present end.")


class AskedSchema(Schema):
    target = fields.String()
    version = fields.Integer(metadata={"description": "The version that the target was last asked to follow."})
    asked_at = when("When the rule changed, or was asked for again.", nullable=False)
    done_at = when("When every table had come to an end; null: it is still on its way.")
    attempts = fields.Integer()
    reason = fields.String(metadata={"description": "Why the last attempt came to nothing."})
    due_at = when("When it is tried again, at the latest.")
    tables = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "How many tables are in which state."}
    )


class PropagationPageSchema(Schema):
    rule_id = fields.String()
    version = fields.Integer(metadata={"description": "The rule's present version; of a deleted rule its last."})
    state = fields.String(
        metadata={
            "enum": [state.value for state in RuleState],
            "description": "Of the present version as a whole; of a deleted rule, of taking its protection away.",
        }
    )
    targets = fields.List(fields.Nested(AskedSchema))
    items = fields.List(fields.Nested(PropagationSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})
