"""The schema of the stand-in, read from schema.graphql, with the two scalars that need checking."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from graphql import GraphQLEnumType, GraphQLError, GraphQLScalarType, GraphQLSchema, ValueNode, build_schema
from graphql.utilities import value_from_ast_untyped


def _build() -> GraphQLSchema:
    schema = build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
    _check("UUID", schema, parse_uuid)
    _check("DateTime", schema, parse_time)
    return schema


def _check(name: str, schema: GraphQLSchema, parse: Any) -> None:
    scalar = schema.type_map[name]
    assert isinstance(scalar, GraphQLScalarType)  # noqa: S101 - schema.graphql declares it

    def parse_value(value: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise GraphQLError(f"{name} cannot represent value: {value!r}") from error

    def parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        return parse_value(value_from_ast_untyped(node, variables))

    scalar.parse_value = parse_value  # type: ignore[method-assign]
    scalar.parse_literal = parse_literal  # type: ignore[method-assign]


def parse_uuid(raw: object) -> str:
    """The usual form (lower case, hyphens) of a UUID. ValueError if it is none."""
    return str(UUID(raw if isinstance(raw, str) else repr(raw)))


def parse_time(raw: object) -> datetime:
    """An aware UTC time from ISO 8601; without an offset it is taken as UTC. ValueError if it is none."""
    if type(raw) is not str:
        raise ValueError(f"{raw!r} is not a time")
    at = datetime.fromisoformat(raw)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


SCHEMA = _build()


def enum_values(name: str) -> tuple[str, ...]:
    """The values of one of the vendor's enums, in the vendor's order."""
    enum = SCHEMA.type_map[name]
    assert isinstance(enum, GraphQLEnumType)  # noqa: S101 - schema.graphql declares it
    return tuple(enum.values)
