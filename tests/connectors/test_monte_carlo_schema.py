"""Lily's queries fit the vendor's GraphQL schema."""

import json
import os
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, GraphQLSchema, build_client_schema, build_schema, parse, validate

import connectors.monte_carlo
from connectors.monte_carlo import words
from lily.domain.incidents import STATUSES
from tests.connectors.monte_carlo_api import SCHEMA

QUERIES = sorted(Path(connectors.monte_carlo.__file__).parent.glob("*.graphql"))
CUT = build_schema(SCHEMA.read_text())
FULL_PATH = os.environ.get("PYCARLO_SCHEMA")  # pycarlo/lib/schema.json of its wheel: 11 MB, so not kept here
with_full_schema = pytest.mark.skipif(not FULL_PATH, reason="PYCARLO_SCHEMA names no file")


def full_schema() -> GraphQLSchema:
    introspection = json.loads(Path(FULL_PATH or "").read_text())
    # Its defaults of some mutations are not valid, so it is taken as it is.
    return build_client_schema(introspection.get("data", introspection), assume_valid=True)


def values(schema: GraphQLSchema, enum: str) -> set[str]:
    found = schema.get_type(enum)
    assert isinstance(found, GraphQLEnumType)
    return set(found.values)


def test_there_are_queries():
    assert [path.name for path in QUERIES] == ["alerts.graphql"]


@pytest.mark.parametrize("path", QUERIES, ids=[path.name for path in QUERIES])
def test_each_query_fits_the_part_of_the_schema_that_is_kept_here(path):
    assert validate(CUT, parse(path.read_text())) == []


@with_full_schema
@pytest.mark.parametrize("path", QUERIES, ids=[path.name for path in QUERIES])
def test_each_query_fits_the_whole_schema(path):
    assert validate(full_schema(), parse(path.read_text())) == []


@with_full_schema
def test_the_part_that_is_kept_here_says_what_the_whole_schema_says():
    full = full_schema()

    for name, kept in CUT.type_map.items():
        if name.startswith("__"):
            continue
        whole = full.get_type(name)
        assert type(whole) is type(kept), name
        if isinstance(kept, GraphQLObjectType):
            for field, definition in kept.fields.items():
                theirs = whole.fields[field]
                assert str(theirs.type) == str(definition.type), (name, field)
                assert {arg: str(each.type) for arg, each in definition.args.items()}.items() <= {
                    arg: str(each.type) for arg, each in theirs.args.items()
                }.items()
        elif isinstance(kept, GraphQLEnumType):
            assert set(kept.values) == set(whole.values), name


def test_a_query_with_a_field_that_is_not_there_would_be_found():
    spoiled = QUERIES[0].read_text().replace("updatedTime", "updatedAt")

    assert validate(CUT, parse(spoiled))


def test_every_word_of_the_api_has_one_of_ours():
    assert {words.alert_type(word) for word in values(CUT, "AlertType")} == set(words.TYPES.values())
    assert all(words.status(word) in STATUSES for word in values(CUT, "AlertStatus"))
    assert {words.severity(word) for word in values(CUT, "Severity")} == words.SEVERITIES
