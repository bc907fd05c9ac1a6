"""The JSON Schema of a rule in a file. docs/schemas/lily.rule.v1.json is what `lily rules schema` prints."""

from typing import Any

from app.schemas.rules import ACTIONS, REGULATIONS
from lily.domain.rule_documents import ENTRIES_MAX, EXEMPT_MAX


def schema() -> dict[str, Any]:
    """What an editor can check. Lily checks more: names of targets, types of parameters, what fits together."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "lily.rule.v1",
        "title": "A rule of Lily",
        "description": "One YAML document. A file may hold several; `lily rules apply -f` brings them into Lily.",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "regulation", "match", "action", "targets"],
        "properties": {
            "name": _text("Tells rules apart: a rule with another name is another rule.", 200),
            "description": {"type": "string", "maxLength": 1900, "description": "For those who read the rule."},
            "regulation": {"enum": REGULATIONS},
            "match": {
                "type": "object",
                "additionalProperties": False,
                "description": "What it is about: any of the first three.",
                "properties": {
                    "classifications": _texts("Columns that are annotated with one of these, in any case.", 256),
                    "columns": _texts("Columns by name: email, customers.email, up to database.schema.table.column."),
                    "patterns": _texts("As columns, with * for any run of characters and ? for any one."),
                    "databases": _texts("Only in these databases; everywhere if empty."),
                    "schemas": _texts("Only in these schemas, as schema or database.schema; everywhere if empty."),
                    "whole_tables": {
                        "type": ["boolean", "null"],
                        "description": "true: a classification of a table counts for each of its columns.",
                    },
                },
            },
            "action": {
                "type": "object",
                "additionalProperties": False,
                "required": ["kind"],
                "properties": {
                    "kind": {"enum": ACTIONS},
                    "parameters": {"type": ["object", "null"], "description": "As POST /security/rules describes them."},
                },
            },
            "exempt": {
                "type": ["array", "null"],
                "maxItems": EXEMPT_MAX,
                "description": "Readers whom the rule does not cover.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "oneOf": [{"required": ["role"]}, {"required": ["group"]}],
                    "properties": {
                        "role": _text("A role by its exact name, where the target has roles.", 256),
                        "group": _text("A group by its exact name, where the target has groups.", 256),
                        "until": {"type": ["string", "null"], "description": "ISO 8601 with an offset: it ends by itself then."},
                        "reason": {"type": ["string", "null"], "description": "Why."},
                    },
                },
            },
            "targets": _texts('Names of target instances; ["*"] means all.') | {"minItems": 1},
            "enabled": {"type": "boolean", "description": "false: it protects nothing."},
        },
    }


def _text(description: str, characters_max: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": characters_max, "description": description}


def _texts(description: str, characters_max: int | None = None) -> dict[str, Any]:
    item = {"type": "string", "minLength": 1} | ({"maxLength": characters_max} if characters_max else {})
    return {"type": "array", "maxItems": ENTRIES_MAX, "items": item, "description": description}
