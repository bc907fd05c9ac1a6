"""The difference between rule files and Lily as one document, and that document as text, and as Markdown for a pull request."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.cli.rule_changes import Change, Kind, set_of

SIGNS = {"create": "+", "replace": "~", "delete": "-"}
DONE = {"create": "created", "replace": "replaced", "delete": "deleted"}
SUMS = (("create", "to create"), ("replace", "to replace"), ("delete", "to delete"), ("none", "as they should be"))


def document(changes: Sequence[Change], own: str, previews: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`changes` in their order, those that are none included. `previews` by name: what Lily says would follow."""
    counts = {kind.value: sum(one.kind is kind for one in changes) for kind in Kind}
    return {
        "set": own,
        "applied": previews is None,
        "summary": counts,
        "changes": [_change(one, (previews or {}).get(one.name)) for one in changes],
    }


def _change(change: Change, preview: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "change": change.kind.value,
        "name": change.name,
        "rule_id": change.live["id"] if change.live else None,
        "version": change.live["version"] if change.live else None,
        "file": change.file.file if change.file else None,
        "line": change.file.line if change.file else None,
        "adopts": change.adopts,
        "set": set_of(change.live) if change.live else None,
        "fields": [{"field": one.path, "before": one.before, "after": one.after} for one in change.fields],
        "effects": [_effect(one) for one in preview["targets"]] if preview else [],
    }


def _effect(target: Mapping[str, Any]) -> dict[str, Any]:
    counts, brake = target["counts"], target["brake"]
    return {
        "target": target["target"],
        "tables": counts["tables"],
        "columns": counts["columns"],
        "statements": counts["statements"],
        "unsupported": len(target["unsupported"]),
        "conflicts": len(target["conflicts"]),
        "weakened": brake["weakened"],
        "held": brake["is_held"],
        "observed_at": target["observed_at"],
    }


def text(found: Mapping[str, Any]) -> str:
    """For a terminal."""
    return "\n".join([*_lines(found), _sum(found)])


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for one in found["changes"]:
        if one["change"] == "none":
            continue
        where = f"  ({one['file']}:{one['line']})" if one["file"] else f"  ({one['rule_id']}, in no file any more)"
        yield f"{SIGNS[one['change']]} {one['name']}{where}"
        if one["adopts"]:
            yield "    was made by other means; becomes a rule that is kept in files"
        if one["change"] != "delete":
            for field in [field for field in one["fields"] if field["field"] != "name"]:
                yield f"    {field['field']}: {_values(one['change'], field)}"
        for effect in one["effects"]:
            yield f"    -> {effect['target']}: {_effect_text(effect)}"


def markdown(found: Mapping[str, Any]) -> str:
    """For a comment on a pull request. Values are code, so that nothing in them is taken for Markdown."""
    lines = ["### Rules", "", _sum(found), ""]
    shown = [one for one in found["changes"] if one["change"] != "none"]
    if shown:
        lines += ["| | rule | field | before | after |", "| --- | --- | --- | --- | --- |"]
        lines += [row for one in shown for row in _rows(one)]
    effects = [(one, effect) for one in shown for effect in one["effects"]]
    if effects:
        lines += ["", "| rule | target | effect |", "| --- | --- | --- |"]
        lines += [f"| {_code(one['name'])} | {_code(effect['target'])} | {_effect_text(effect)} |" for one, effect in effects]
    for held in found.get("held", []):
        lines += ["", f"Held until somebody runs {_code(held['confirm'])} (or {_code(held['reject'])})."]
    return "\n".join(lines)


def _rows(one: Mapping[str, Any]) -> Iterator[str]:
    what, name = one["change"], _code(one["name"])
    fields = one["fields"] if what == "replace" else []
    if not fields:
        yield f"| {what} | {name} | {'kept in files from now on' if one['adopts'] else ''} | | |"
    for field in fields:
        yield f"| {what} | {name} | {_code(field['field'])} | {_value_code(field['before'])} | {_value_code(field['after'])} |"


def _sum(found: Mapping[str, Any]) -> str:
    words = {**dict(SUMS), **DONE} if found["applied"] else dict(SUMS)
    counts = [f"{n} {words[kind]}" for kind, n in found["summary"].items() if n]
    return ", ".join(counts) or "no rules"


def _effect_text(effect: Mapping[str, Any]) -> str:
    said = [f"{effect['columns']} columns in {effect['tables']} tables, {effect['statements']} statements"]
    said += [f"{effect[what]} {what}" for what in ("unsupported", "conflicts") if effect[what]]
    if effect["weakened"]:
        said.append(f"{effect['weakened']} places lose protection" + (", HELD until a person confirms" if effect["held"] else ""))
    if effect["observed_at"] is None:
        said.append("nothing was ever read there")
    return ", ".join(said)


def _values(change: str, field: Mapping[str, Any]) -> str:
    if change == "create":
        return _value(field["after"])
    return f"{_value(field['before'])} -> {_value(field['after'])}"


def _value(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)


def _value_code(value: Any) -> str:
    return "" if value is None else _code(json.dumps(value, ensure_ascii=False))


def _code(text: str) -> str:
    """A code span in a cell of a table: more backticks around it than within it, and no bar that would end the cell."""
    flat = " ".join(text.split()).replace("|", "\\|")
    ticks = "`"
    while ticks in flat:
        ticks += "`"
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"
