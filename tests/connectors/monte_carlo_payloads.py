"""The recorded and derived webhook bodies in tests/payloads/monte_carlo, by file name without its ending."""

import copy
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "payloads" / "monte_carlo"
VECTORS = json.loads((FOLDER / "signatures.json").read_text())
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "signatures")


def payload(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return body


def an_alert(top: dict[str, Any] | None = None, **inside: Any) -> dict[str, Any]:
    """The documented opening with fields added inside `payload`, and beside it."""
    body = copy.deepcopy(payload("open_anomaly_volume"))
    body["payload"].update(inside)
    return {**body, **(top or {})}
