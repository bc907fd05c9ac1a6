"""Targets: what may be asked for, and what is answered."""

from marshmallow import RAISE, Schema, fields
from marshmallow.validate import Length, OneOf, Range

from app.schemas.annotations import TABLE_PATH
from app.schemas.events import word
from app.schemas.problems import FaultSchema
from app.schemas.rules import PageQuerySchema, texts, when
from lily.domain.propagations import State
from lily.domain.targets import Mode

MODES = [mode.value for mode in Mode]
TABLES_MAX = 100
WAIT_S_MAX = 30.0
OUTCOMES = [*(state.value for state in State), "nothing_to_protect", "missing"]


class TargetLinksSchema(Schema):
    self = fields.String(metadata={"format": "uri"})
    tables = fields.String(metadata={"format": "uri"})
    plans = fields.String(metadata={"format": "uri"})
    drift = fields.String(metadata={"format": "uri"})


class InventorySchema(Schema):
    read_at = when("When the list of tables was last read as a whole; null: never.")
    age_s = fields.Float(allow_none=True, metadata={"description": "Seconds since then."})


class TargetSchema(Schema):
    name = fields.String()
    kind = fields.String(metadata={"description": "The connector that serves it.", "example": "snowflake"})
    mode = fields.String(
        metadata={
            "enum": MODES,
            "description": "enforce: rules take effect. report: plans are made and nothing is changed. paused: nothing is done.",
        }
    )
    configured_mode = fields.String(metadata={"enum": MODES, "description": "Its mode by the settings; the API may change it."})
    changed_at = when("When the mode was last changed by the API.")
    changed_by = fields.String(allow_none=True, metadata={"description": "The client that did."})
    proves = fields.Boolean(
        allow_none=True,
        metadata={"description": "It was seen to tell readers apart in a known case, so `enforced` means something."},
    )
    trouble = fields.String(metadata={"description": "Why it cannot be reached, or proves nothing; empty if all is well."})
    remarks = texts("What its administrator should know.")
    checked_at = when("When Lily last looked at what it can do there.")
    inventory = fields.Nested(InventorySchema)
    tables = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "How many tables that rules concern are in which state."},
    )
    links = fields.Nested(TargetLinksSchema)


class TargetListSchema(Schema):
    items = fields.List(fields.Nested(TargetSchema))


class ModeSchema(Schema):
    class Meta:
        unknown = RAISE

    mode = fields.String(required=True, validate=OneOf(MODES), metadata={"enum": MODES})


class ChangedModesSchema(Schema):
    items = fields.List(fields.Nested(TargetSchema))
    changed = texts("The targets whose mode is another now.")


class TableQuerySchema(PageQuerySchema):
    text = word("Part of the table's path, in any case.", "customer")


class ColumnSchema(Schema):
    name = fields.String()
    type = fields.String(metadata={"description": "As the target spells it."})
    family = fields.String(metadata={"description": "What masks and filters care about."})


class TableSchema(Schema):
    table = fields.String(metadata={"description": f"{TABLE_PATH}."})
    database = fields.String()
    schema = fields.String()
    name = fields.String()
    kind = fields.String()
    columns = fields.List(fields.Nested(ColumnSchema))


class TablePageSchema(Schema):
    inventory = fields.Nested(InventorySchema)
    items = fields.List(fields.Nested(TableSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null: there is no more."})


class ProtectSchema(Schema):
    class Meta:
        unknown = RAISE

    tables = fields.List(
        fields.String(),
        required=True,
        validate=Length(1, TABLES_MAX),
        metadata={"description": f"{TABLE_PATH}. Up to {TABLES_MAX}.", "example": ["CRM.PUBLIC.CUSTOMERS"]},
    )
    wait_s = fields.Float(
        load_default=0.0, validate=Range(0, WAIT_S_MAX), metadata={"description": "How long to wait for the outcome, at most."}
    )


class ProtectedTableSchema(Schema):
    table = fields.String()
    state = fields.String(
        metadata={"enum": OUTCOMES, "description": "nothing_to_protect: no rule concerns it. missing: there is no such table."}
    )
    reasons = texts("What is missing; empty if nothing is.")
    columns = texts("Columns that carry a mask of Lily's.")
    rows = fields.Boolean(metadata={"description": "A row policy of Lily's is on it."})
    ended_at = when("When it was last looked at; null: it is still waiting.")


class ProtectedSchema(Schema):
    done = fields.Boolean(metadata={"description": "Every table was looked at since this request."})
    tables = fields.List(fields.Nested(ProtectedTableSchema))


class MaskQuerySchema(Schema):
    class Meta:
        unknown = RAISE

    table = fields.String(
        required=True, validate=Length(1, 1000), metadata={"description": f"{TABLE_PATH}, such as `CRM.PUBLIC.CUSTOMERS`."}
    )


class SightSchema(Schema):
    reader = texts("Who holds these sees it so; empty: everybody else.")
    sees = fields.String(metadata={"description": "`clear`, or the action."})


class PlannedMaskSchema(Schema):
    name = fields.String(metadata={"description": "Of the policy or function."})
    rules = texts("Ids of the rules that it serves.")
    readers = fields.List(fields.Nested(SightSchema))


class MaskedColumnSchema(Schema):
    column = fields.String()
    type = fields.String()
    classifications = texts("All that sources say of it.")
    carries = fields.String(allow_none=True, metadata={"description": "The mask of Lily's that it was last seen with."})
    wanted = fields.Nested(PlannedMaskSchema, allow_none=True, metadata={"description": "The mask that it is to have."})
    unprotected = fields.Nested(FaultSchema, allow_none=True, metadata={"description": "What rules ask and cannot be done."})


class PlannedRowsSchema(Schema):
    name = fields.String()
    rules = texts("Ids of the rules that it serves.")
    columns = texts("What it compares.")


class MaskedRowsSchema(Schema):
    carries = fields.String(allow_none=True)
    wanted = fields.Nested(PlannedRowsSchema, allow_none=True)


class MasksSchema(Schema):
    target = fields.String()
    table = fields.String()
    kind = fields.String()
    state = fields.String(allow_none=True, metadata={"description": "When it was last looked at; null: it never was."})
    reasons = texts("Why it is not enforced.")
    observed_at = when("When it was last looked at.")
    inventory = fields.Nested(InventorySchema)
    columns = fields.List(fields.Nested(MaskedColumnSchema))
    rows = fields.Nested(MaskedRowsSchema)
    statements = texts("What would run now to bring it there.")
