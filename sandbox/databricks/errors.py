"""The ways in which Databricks says no: a statement FAILED with error class and SQLSTATE, or a REST answer with an error code."""


class Refused(Exception):
    """A statement that fails. `error_class` is what callers may rely on, `words` are not."""

    def __init__(self, error_class: str, sqlstate: str | None, words: str, error_code: str = "BAD_REQUEST") -> None:
        super().__init__(f"[{error_class}] {words}" + (f" SQLSTATE: {sqlstate}" if sqlstate else ""))
        self.error_class = error_class
        self.sqlstate = sqlstate
        self.words = words
        self.error_code = error_code


class Bad(Exception):
    """A request of the REST APIs that is refused."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code


# What a REST call answers where a statement would fail with this class.
REST: dict[str, tuple[int, str]] = {
    "TABLE_OR_VIEW_NOT_FOUND": (404, "TABLE_DOES_NOT_EXIST"),
    "ROUTINE_NOT_FOUND": (404, "FUNCTION_DOES_NOT_EXIST"),
    "SCHEMA_NOT_FOUND": (404, "SCHEMA_DOES_NOT_EXIST"),
    "NO_SUCH_CATALOG": (404, "CATALOG_DOES_NOT_EXIST"),
    "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION": (404, "COLUMN_DOES_NOT_EXIST"),
    "POLICY_NOT_FOUND": (404, "NOT_FOUND"),
    "INSUFFICIENT_PERMISSIONS": (403, "PERMISSION_DENIED"),
    "POLICY_ALREADY_EXISTS": (409, "ALREADY_EXISTS"),
}


def as_rest(refused: Refused) -> Bad:
    """The same refusal, as a REST call tells it."""
    status, code = REST.get(refused.error_class, (400, "INVALID_PARAMETER_VALUE"))
    return Bad(status, code, refused.words)


def syntax(near: str) -> Refused:
    """Something stands where it cannot."""
    return Refused("PARSE_SYNTAX_ERROR", "42601", f"Syntax error at or near {near}.")


def table_missing(shown: str) -> Refused:
    """Also for what nobody may know of."""
    words = f"The table or view {shown} cannot be found. Verify the spelling and correctness of the schema and catalog."
    return Refused("TABLE_OR_VIEW_NOT_FOUND", "42P01", words)


def column_missing(shown: str) -> Refused:
    """No column of that name."""
    return Refused("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", "42703", f"A column with name {shown} cannot be resolved.")


def routine_missing(shown: str) -> Refused:
    """A function that is called, and that neither the language nor the catalog has."""
    return Refused("UNRESOLVED_ROUTINE", "42883", f"Cannot resolve routine {shown} on search path.")


def not_allowed(privilege: str, kind: str, name: str) -> Refused:
    """A privilege is missing."""
    words = f"Insufficient privileges: User does not have {privilege.replace('_', ' ')} on {kind.capitalize()} '{name}'."
    return Refused("INSUFFICIENT_PERMISSIONS", "42501", words)


def invalid(words: str, sub: str = "") -> Refused:
    """A value that Unity Catalog does not take."""
    return Refused(f"INVALID_PARAMETER_VALUE{'.' + sub if sub else ''}", "22023", words)


def masks_unsupported(feature: str, table: str, words: str) -> Refused:
    """Something that column masks exclude."""
    words = f"Column mask policies for {table} are not supported: {words}"
    return Refused(f"COLUMN_MASKS_FEATURE_NOT_SUPPORTED.{feature}", "0A000", words)


def filters_unsupported(feature: str, table: str, words: str) -> Refused:
    """Something that row filters exclude."""
    words = f"Row level security for {table} is not supported: {words}"
    return Refused(f"ROW_LEVEL_SECURITY_FEATURE_NOT_SUPPORTED.{feature}", "0A000", words)


def unsupported(what: str) -> Refused:
    """The real service may do this; the stand-in does not, and says so rather than guess."""
    return Refused("UNSUPPORTED_FEATURE.STANDIN", "0A000", f"The stand-in does not do this: {what}.")
