"""The stand-in's schema is a true part of the vendor's, and everything in it is answered."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from graphql.utilities.print_schema import print_input_value

from sandbox.monte_carlo.resolvers import ROOT
from tests.sandbox.conftest import MonteCarlo

OURS = build_schema((Path(__file__).parents[2] / "sandbox" / "monte_carlo" / "schema.graphql").read_text())
VENDORS = os.environ.get("LILY_PYCARLO_SCHEMA")  # path of pycarlo/lib/schema.json, out of the wheel of pycarlo


def test_every_query_and_mutation_of_the_schema_has_a_resolver() -> None:
    assert OURS.query_type
    assert OURS.mutation_type
    assert set(ROOT) == {*OURS.query_type.fields, *OURS.mutation_type.fields}


def all_fields(of: GraphQLNamedType) -> str:
    """A selection of every field below a type; the schema's types do not refer back to themselves."""
    if isinstance(of, GraphQLUnionType):
        return "{ __typename " + " ".join(f"... on {each.name} {all_fields(each)}" for each in of.types) + " }"
    if not isinstance(of, GraphQLObjectType):
        return ""
    return "{ " + " ".join(f"{name} {all_fields(get_named_type(field.type))}" for name, field in of.fields.items()) + " }"


def nulls(value: Any, path: str = "") -> list[str]:
    """Where a value is null or an empty list."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in nulls(inner, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [each for inner in value for each in nulls(inner, path)]
    return [path] if value in (None, []) else []


def test_an_alert_with_everything_set_has_no_empty_field(monte_carlo: MonteCarlo) -> None:
    rule = {"metric": "rows", "operator": "LT", "threshold": 1}
    alert = monte_carlo.alert(
        rule=rule, tables=["a:b.c"], sub_types=["SQL_RULE_BREACH"], severity="SEV_1", priority="P1", status="FIXED",
        owner="a@example.com", audiences=["Data"], domains=["Sales"], monitor_tags=["team=data"], slo_status="MET",
    )  # fmt: skip
    monte_carlo.patch(f"/sandbox/alerts/{alert['id']}", {"comment": "done", "ticket": "DATA-1"})
    monte_carlo.post("/sandbox/tables", {"full_table_id": "a:b.d", "upstream": ["a:b.c"]})
    mcon = alert["tables"][0]["mcon"]
    arguments = {
        "getAlerts": f'(ids: ["{alert["id"]}"])',
        "getAlert": f'(id: "{alert["id"]}")',
        "getTables": "",
        "getTable": f'(mcon: "{mcon}")',
        "getTableLineage": f'(mcon: "{mcon}", direction: "downstream")',
    }
    assert OURS.query_type
    fields = OURS.query_type.fields.items()
    whole = " ".join(f"{name}{arguments[name]} {all_fields(get_named_type(field.type))}" for name, field in fields)

    assert nulls(monte_carlo.ask(f"{{ {whole} }}")) == []


def differences(ours: GraphQLSchema, vendors: GraphQLSchema) -> list[str]:
    """What we declare and the vendor does not, or otherwise; and what the vendor demands and we do not know."""
    found = []
    for name, mine in ours.type_map.items():
        theirs = vendors.type_map.get(name)
        if type(theirs) is not type(mine):
            found.append(f"{name}: {theirs!r}")
        elif isinstance(mine, GraphQLEnumType) and isinstance(theirs, GraphQLEnumType):
            found += (
                [f"{name}: {sorted(set(mine.values) ^ set(theirs.values))}"] if set(mine.values) != set(theirs.values) else []
            )
        elif isinstance(mine, GraphQLUnionType) and isinstance(theirs, GraphQLUnionType):
            found += [f"{name}: {theirs.types}"] if {t.name for t in mine.types} != {t.name for t in theirs.types} else []
        elif not is_leaf_type(mine):
            found += _field_differences(name, mine, theirs)
    return found


def _field_differences(name: str, mine: Any, theirs: Any) -> list[str]:
    found = []
    if isinstance(mine, GraphQLObjectType):
        found += [f"{name} implements {[i.name for i in theirs.interfaces]}"] if _interfaces(mine) != _interfaces(theirs) else []
    for field_name, field in mine.fields.items():
        at, other = f"{name}.{field_name}", theirs.fields.get(field_name)
        if other is None or str(other.type) != str(field.type):
            found.append(f"{at}: {other and other.type}")
        elif not isinstance(mine, GraphQLInputObjectType):
            theirs_printed = {key: _printed(key, arg) for key, arg in other.args.items()}
            mine_printed = {key: _printed(key, arg) for key, arg in field.args.items()}
            found += [f"{at}: {printed}" for key, printed in mine_printed.items() if theirs_printed.get(key) != printed]
            needed = {key for key, arg in other.args.items() if is_required_argument(arg)}
            found += [f"{at}({key}) missing" for key in needed - set(field.args)]
    if isinstance(mine, GraphQLInputObjectType):
        needed = {key for key, field in theirs.fields.items() if is_required_input_field(field)}
        found += [f"{name}.{key} missing" for key in needed - set(mine.fields)]
    return found


def _printed(name: str, argument: GraphQLArgument) -> str:
    # The library has two places for a default; printing knows both.
    return print_input_value(name, argument).partition(" @deprecated")[0]


def _interfaces(of: GraphQLObjectType) -> set[str]:
    return {interface.name for interface in of.interfaces}


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ("title: String!", "title: String"),
        ("enum Priority {\n  P1", "enum Priority {\n  P0\n  P1"),
        ("union GenericAlert = Alert | MergedAlert", "union GenericAlert = Alert"),
        ("limit: Int = 500", "limit: Int = 100"),
        ("direction: String!, ", ""),
        ("type JiraTicket implements NodeWithUUID", "type JiraTicket"),
        ("  before: DateTime!\n  after: DateTime!", "  after: DateTime!"),
    ],
)
def test_the_comparison_sees_differences(changed: str, difference: str) -> None:
    source = (Path(__file__).parents[2] / "sandbox" / "monte_carlo" / "schema.graphql").read_text()
    assert changed in source

    assert differences(build_schema(source.replace(changed, difference)), OURS) != []


@pytest.mark.skipif(not VENDORS, reason="LILY_PYCARLO_SCHEMA is not set to the path of the vendor's schema.json")
def test_the_schema_is_a_part_of_the_vendors() -> None:
    document = json.loads(Path(VENDORS or "").read_text())

    assert differences(OURS, build_client_schema(document.get("data", document))) == []
