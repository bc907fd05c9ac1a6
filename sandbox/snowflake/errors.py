"""Errors as Snowflake words and numbers them. A comment says where a number is not published and was chosen here."""

from dataclasses import dataclass

COMPILATION = "SQL compilation error:\n"


@dataclass
class Refused(Exception):
    """A statement that fails. `code` has six digits; `line` and `position` are where, as far as the vendor says it."""

    code: str
    sqlstate: str
    message: str
    line: int = -1
    position: int = -1

    def __str__(self) -> str:
        return f"{self.code} ({self.sqlstate}): {self.message}"


def syntax(line: int, position: int, unexpected: str) -> Refused:
    """What stands there cannot stand there. `unexpected` is the text, or `<EOF>`."""
    words = f"syntax error line {line} at position {position} unexpected '{unexpected}'."
    return Refused("001003", "42000", COMPILATION + words, line, position)


def invalid(message: str) -> Refused:
    """A property with a value that it cannot have."""
    return Refused("001008", "22023", f"{COMPILATION}{message}")


def empty_statement() -> Refused:
    return Refused("000900", "42601", f"{COMPILATION}Empty SQL statement.")


def statement_count(actual: int, wanted: int) -> Refused:
    message = f"Actual statement count {actual} did not match the desired statement count {wanted}."
    return Refused("000008", "0A000", message)


def unsupported(what: str) -> Refused:
    return Refused("000002", "0A000", f"Unsupported feature '{what}'.")


def invalid_identifier(name: str) -> Refused:
    return Refused("000904", "42000", f"{COMPILATION}invalid identifier '{name}'")


def ambiguous_column(name: str) -> Refused:
    return Refused("002028", "42601", f"{COMPILATION}ambiguous column name '{name}'")


def unknown_function(name: str) -> Refused:
    return Refused("002140", "42601", f"{COMPILATION}Unknown function {name}")


def not_there(kind: str, name: str) -> Refused:
    """Missing or not visible: the vendor does not say which. `kind` is its word: Object, Table, Database, Masking policy."""
    state = "42S02" if kind in ("Object", "Table", "View") else "02000"
    return Refused("002003", state, f"{COMPILATION}{kind} '{name}' does not exist or not authorized.")


def cannot_be_performed() -> Refused:
    return Refused("002043", "02000", f"{COMPILATION}Object does not exist, or operation cannot be performed.")


def exists(kind: str, name: str) -> Refused:
    return Refused("002002", "42710", f"{COMPILATION}{kind} '{name}' already exists.")


def forbidden(kind: str, name: str) -> Refused:
    words = f"SQL access control error:\nInsufficient privileges to operate on {kind.lower()} '{name}'"
    return Refused("003001", "42501", words)


def role_not_granted(role: str) -> Refused:
    words = f"Requested role '{role}' is not assigned to the executing user. Specify another role to activate."
    return Refused("003013", "42501", f"SQL access control error:\n{words}")


def no_warehouse() -> Refused:
    words = "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.\n"
    return Refused("000606", "57P03", words)


def timed_out(seconds: int) -> Refused:
    words = f"Statement reached its statement or warehouse timeout of {seconds} second(s) and was canceled."
    return Refused("000630", "57014", words)


def cancelled() -> Refused:
    return Refused("000604", "57014", "SQL execution canceled")


# Policies and tags. Only 003529 and 003549 are known, from reports of users; the other numbers are chosen.


def column_has_policy(column: str) -> Refused:
    words = (
        f"Specified column already attached to another masking policy. A column cannot be attached to multiple masking policies. \
Please unset the current association in order to attach a new masking policy. Column: '{column}'."
    )
    return Refused("003529", "42601", COMPILATION + words)


def has_row_policy(table: str) -> Refused:
    words = f"Object '{table}' already has a ROW_ACCESS_POLICY. Only one ROW_ACCESS_POLICY is allowed at a time."
    return Refused("003549", "23505", COMPILATION + words)


def in_use(name: str) -> Refused:
    """Of a policy."""
    words = f"Policy {name} cannot be dropped/replaced as it is associated with one or more entities."
    return Refused("003551", "42601", COMPILATION + words)  # number chosen


def tag_in_use(name: str) -> Refused:
    words = f"Tag {name} cannot be dropped/replaced as it is associated with one or more masking policies."
    return Refused("003552", "42601", COMPILATION + words)  # number chosen


def parent_in_use(kind: str, name: str) -> Refused:
    words = f"Cannot drop {kind.lower()} '{name}': it contains policies or tags that are associated with entities outside of it."
    return Refused("003553", "42601", COMPILATION + words)  # number and wording chosen


def policy_types_differ() -> Refused:
    words = "Masking policy function argument and return type mismatch."
    return Refused("003554", "42601", COMPILATION + words)  # number chosen


def policy_does_not_fit(policy: str, policy_type: str, column: str, column_type: str) -> Refused:
    words = f"Policy {policy} of type {policy_type} cannot be attached to column '{column}' of type {column_type}."
    return Refused("003555", "42601", COMPILATION + words)  # number and wording chosen


def column_in_another_policy(column: str, policy: str) -> Refused:
    words = f"Column '{column}' cannot be in the signature of policy {policy}: it is protected by, or an argument of, another \
policy that was not created with EXEMPT_OTHER_POLICIES."
    return Refused("003556", "42601", COMPILATION + words)  # number and wording chosen


def no_policy_on(what: str) -> Refused:
    words = f"No policy of that name is attached to {what}."
    return Refused("003557", "42601", COMPILATION + words)  # number and wording chosen


def several_policies_by_tags(column: str) -> Refused:
    words = f"Column '{column}' is mapped to multiple masking policies by tags. Please contact your local administrator."
    return Refused("003558", "42601", COMPILATION + words)  # number chosen


def tag_has_policy(tag: str, sql_type: str) -> Refused:
    words = f"Tag {tag} already has a masking policy for data type {sql_type}."
    return Refused("003559", "42601", COMPILATION + words)  # number and wording chosen


def tag_value_refused(tag: str, value: str) -> Refused:
    words = f"Tag value '{value}' is not one of the allowed values of tag {tag}."
    return Refused("003560", "22023", COMPILATION + words)  # number and wording chosen


def too_many(what: str, limit: int) -> Refused:
    """A quota: `what` is counted."""
    return Refused("003561", "54000", f"{COMPILATION}Number of {what} exceeds the limit of {limit}.")  # number and wording chosen


def policy_context(message: str) -> Refused:
    """EXECUTE USING POLICY_CONTEXT with what it cannot simulate."""
    return Refused("003562", "42601", COMPILATION + message)  # number and wording chosen


def row_policy_signature(policy: str) -> Refused:
    words = f"Columns do not match the signature of row access policy {policy}."
    return Refused("003563", "42601", COMPILATION + words)  # number and wording chosen


# What values do


def too_long(value: str) -> Refused:
    return Refused("100078", "22000", f"String '{value}' is too long and would be truncated")


def out_of_range(message: str) -> Refused:
    return Refused("100039", "22003", f"Numeric value out of range: {message}")


def not_convertible(message: str) -> Refused:
    return Refused("100038", "22018", message)


def division_by_zero() -> Refused:
    return Refused("100051", "22012", "Division by zero")


def types_do_not_fit(message: str) -> Refused:
    return Refused("001044", "42P13", f"{COMPILATION}{message}")


def internal(message: str) -> Refused:
    return Refused("000603", "XX000", f"SQL execution internal error: {message}")
