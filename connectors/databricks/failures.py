"""What failures of Databricks mean: Transient, or Refused with its code. By error class and SQLSTATE, never by wording.

Source: docs.databricks.com, Error classes; databricks-sdk 0.162, errors. A class that is not known is Refused if its state
says that the statement is at fault (42xxx, 0A000), else Transient.
"""

import re
from collections.abc import Mapping
from typing import Any

from connectors.contracts import Refused
from lily.runtime import logs
from lily.runtime.errors import Permanent, Transient
from lily.runtime.redact import text
from lily.runtime.settings import TargetSettings

log = logs.get(__name__)

CLASS = re.compile(r"\s*\[([A-Z0-9_]+)(?:\.[A-Za-z0-9_.]+)?\]")
STATE = re.compile(r"SQLSTATE:\s*([0-9A-Z]{5})")
CLASSES: Mapping[str, str] = {
    "TABLE_OR_VIEW_NOT_FOUND": "gone",
    "SCHEMA_NOT_FOUND": "gone",
    "NO_SUCH_CATALOG": "gone",
    "NO_SUCH_CATALOG_EXCEPTION": "gone",
    "UNRESOLVED_COLUMN": "gone",
    "UNRESOLVED_ROUTINE": "gone",
    "ROUTINE_NOT_FOUND": "gone",
    "ROW_COLUMN_ACCESS": "unsupported",
    "ROUTINE_ALREADY_EXISTS": "exists",
    "INSUFFICIENT_PERMISSIONS": "denied",
    "PERMISSION_DENIED": "denied",
    "COLUMN_MASKS_FEATURE_NOT_SUPPORTED": "unsupported",
    "COLUMN_MASKS_CHECK_CONSTRAINT_UNSUPPORTED": "unsupported",
    "ROW_LEVEL_SECURITY_FEATURE_NOT_SUPPORTED": "unsupported",
    "ROW_LEVEL_SECURITY_CHECK_CONSTRAINT_UNSUPPORTED": "unsupported",
    "ROW_LEVEL_SECURITY_COLUMN_MASK_FEATURE_NOT_SUPPORTED": "unsupported",
    "POLICY_ON_SECURABLE_TYPE_NOT_SUPPORTED": "unsupported",
    "POLICY_ALREADY_EXISTS": "exists",
    "INVALID_PARAMETER_VALUE": "statement",
    "PARSE_SYNTAX_ERROR": "statement",
    "WRONG_NUM_ARGS": "statement",
    "DATATYPE_MISMATCH": "statement",
    "CAST_INVALID_INPUT": "statement",
}
STATES: Mapping[str, str] = {
    "42P01": "gone",
    "42704": "gone",
    "42703": "gone",
    "42883": "gone",
    "42723": "exists",
    "42501": "denied",
    "0A000": "unsupported",
}
PASSING = frozenset(  # error codes of the Statement API with which nothing is said about the statement
    {"TEMPORARILY_UNAVAILABLE", "SERVICE_UNDER_MAINTENANCE", "WORKSPACE_TEMPORARILY_UNAVAILABLE", "IO_ERROR", "ABORTED"}
    | {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL_ERROR", "CANCELLED", "UNKNOWN"}
)


def of_statement(status: Mapping[str, Any], config: TargetSettings) -> Transient | Refused:
    """Of a statement that ended otherwise than well."""
    error = status.get("error") or {}
    said = str(error.get("message") or "")
    found = CLASS.match(said)
    name = found[1] if found else ""
    state = str(status.get("sql_state") or next(iter(STATE.findall(said)), ""))
    reason = f"{config.name}: {text(said, 800) or status.get('state')}"
    if status.get("state") != "FAILED" or error.get("error_code") in PASSING:
        return Transient(reason)
    code = CLASSES.get(name) or STATES.get(state) or ("statement" if state.startswith("42") else "")
    if not code:
        return Transient(reason)
    if code == "statement":
        log.error("target.statement_refused", target=config.name, error_class=name, state=state)
    return Refused(reason + _way_out(code, config), code)


def of_call(error: Exception, config: TargetSettings) -> Transient | Permanent | None:
    """Of a request; None: it was not let in, so nothing was done, and another token may help."""
    from databricks.sdk import errors
    from databricks.sdk.errors.base import DatabricksError

    if isinstance(error, Transient | Permanent):
        return error
    if not isinstance(error, DatabricksError):
        return Transient(f"{config.name}: {type(error).__name__}")  # no answer, or none that can be read
    if isinstance(error, errors.Unauthenticated):
        return None
    # What the client adds to refusals is its own configuration.
    reason = f"{config.name}: {error.error_code or type(error).__name__}: {text(str(error).partition('. Config:')[0], 500)}"
    if isinstance(error, errors.PermissionDenied):
        return Refused(reason + _way_out("denied", config), "denied")
    if isinstance(error, errors.NotFound):
        return Refused(reason, "gone")
    if isinstance(error, errors.BadRequest | errors.NotImplemented | errors.AlreadyExists):
        return Refused(reason, "statement" if isinstance(error, errors.BadRequest) else "unsupported")
    return Transient(reason, getattr(error, "retry_after_secs", None))


def _way_out(code: str, config: TargetSettings) -> str:
    if code == "denied":
        who, where = config.oauth_client_id, config.warehouse
        return f" (if it is there: GRANT MANAGE on its schema to {who}, and CAN USE on the warehouse {where})"
    return ""
