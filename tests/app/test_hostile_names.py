"""Names as warehouses allow them are taken over HTTP as they are; what no warehouse allows is refused with its field."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from lily.domain.inventory import Column, Table
from lily.domain.rules import EVERYONE
from tests.app.conftest import assert_problem, bearer
from tests.app.security import ALL, CUSTOMERS, Api, a_document, annotation, listed, states
from tests.connectors.hostile_names import HOSTILE, IMPOSSIBLE
from tests.domain.security import TYPES


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def refused(api: Api, method: str, path: str, body: Any) -> list[str]:
    """The fields for which the API refuses a body."""
    answer = api.http.open(f"/security{path}", method=method, data=json.dumps(body).encode(), headers=bearer(scope=ALL))
    return [fault["field"] for fault in assert_problem(answer, 422, "invalid-input")["errors"]]


def filtered(column: str) -> dict[str, Any]:
    return {"kind": "row_filter", "parameters": {"column": column, "operator": "=", "values": ["x"]}}


def test_rules_take_every_name_that_a_warehouse_allows(api: Api) -> None:
    match = {
        "columns": [quoted(name) for name in HOSTILE],
        "patterns": [f"{quoted(name)}.*" for name in HOSTILE],
        "databases": [quoted(name) for name in HOSTILE],
        "schemas": [f"{quoted(name)}.{quoted(name)}" for name in HOSTILE],
    }
    made = api.create(match=match)
    assert api("GET", f"/rules/{made['id']}")["match"] == match
    roles = [name for name in HOSTILE if ("role", name.lower()) not in EVERYONE]
    for start in range(0, len(roles), 100):
        some = [{"role": name} for name in roles[start : start + 100]]
        made = api.create(exempt=some)
        assert [one["role"] for one in api("GET", f"/rules/{made['id']}")["exempt"]] == roles[start : start + 100]


def test_annotations_take_every_name_and_keep_it_apart_from_its_twins(api: Api) -> None:
    for start in range(0, len(HOSTILE), 100):
        named = HOSTILE[start : start + 100]
        entries = [
            annotation(f"c{start + n}", column=name) | {"database": name, "schema": name, "table": name}
            for n, name in enumerate(named)
        ]
        items = api("PUT", "/annotations", states(*entries))["items"]
        assert [one["column"] for one in items] == list(named)
    for number in range(0, len(HOSTILE), 26):
        (found,) = api("GET", f"/annotations?target=snow&classification=c{number}")["items"]
        assert found["column"] == HOSTILE[number]


def test_a_rule_fits_the_column_named_and_no_other(api: Api) -> None:
    listed(Table(CUSTOMERS, tuple(Column(name, TYPES["text"]) for name in HOSTILE)))
    for name in HOSTILE[::26]:
        (told,) = api("POST", "/rules/preview", a_document(match={"columns": [quoted(name)]}))["targets"]
        assert [column["column"] for column in told["columns"]] == [name]


@pytest.mark.parametrize("name", IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_what_no_warehouse_allows_is_refused_by_field(api: Api, name: str) -> None:
    for field in ("columns", "patterns", "databases", "schemas"):
        body = a_document(match={"columns": ["a"], field: [quoted(name)]})
        assert refused(api, "POST", "/rules", body) == [f"match.{field}[0]"]
    assert refused(api, "POST", "/rules", a_document(exempt=[{"role": name}])) == ["exempt[0].role"]
    body = a_document(match={"columns": ["a"]}, action=filtered(quoted(name)))
    assert refused(api, "POST", "/rules", body) == ["action.parameters.column"]
    for field in ("database", "schema", "table", "column"):
        entry = annotation("Email") | {field: name}
        assert refused(api, "PUT", "/annotations", states(entry)) == [f"annotations[0].{field}"]
    assert refused(api, "POST", "/targets/snow/protect", {"tables": [f"a.b.{quoted(name)}"], "wait_s": 0}) == ["tables[0]"]
