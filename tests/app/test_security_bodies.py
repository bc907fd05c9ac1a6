"""Whatever a body holds, it is stored or refused with the field that is wrong: never a 5xx, never half of it."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.app.conftest import assert_problem, bearer
from tests.app.security import ALL, Api, a_document, annotation, states

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["\0", "*", 'a."b', "2026-01-01", "a" * 3000, "PUBLIC", "ﬀ", "🙂" * 255]),
)
anything = st.recursive(
    odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=5
)
KNOWN = ["classifications", "columns", "patterns", "kind", "parameters", "text", "values", "column", "operator", "role", "until"]


@st.composite
def mutated(draw: st.DrawFn, body: Any) -> Any:
    """A good body with something odd somewhere in it."""
    changed = json.loads(json.dumps(body))
    here = changed
    for _ in range(draw(st.integers(0, 3))):
        inner = list(here.values()) if isinstance(here, dict) else here
        deeper = [one for one in inner if isinstance(one, dict | list) and one]
        if not deeper:
            break
        here = draw(st.sampled_from(deeper))
    if isinstance(here, dict):
        here[draw(st.sampled_from([*here, *KNOWN]))] = draw(anything)
    else:
        here[draw(st.integers(0, len(here) - 1))] = draw(anything)
    return changed


DOCUMENTS = [
    a_document(exempt=[{"role": "A", "until": "2099-01-01T00:00:00Z"}], targets=["snow", "*"]),
    a_document(
        action={"kind": "row_filter", "parameters": {"column": "REGION", "operator": "in", "values": ["EU", "US"]}},
        match={"columns": ["a.b"], "patterns": ['*."x"'], "databases": ["CRM"], "schemas": ["CRM.PUBLIC"]},
    ),
    a_document(action={"kind": "partial", "parameters": {"keep_first": 1, "keep_last": 2}}),
]


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


def sent(api: Api, method: str, path: str, body: Any) -> Any:
    raw = json.dumps(body).encode()
    return api.http.open(f"/security{path}", method=method, data=raw, headers=bearer(scope=ALL) | {"If-Match": "*"})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(DOCUMENTS).flatmap(mutated))
@example(a_document(action={"kind": "row_filter", "parameters": {"column": "N", "operator": "=", "values": [10**37]}}))
def test_a_rule_is_stored_as_it_was_sent_or_refused_by_field(api: Api, body: dict[str, Any]) -> None:
    answer = sent(api, "POST", "/rules", body)

    if answer.status_code == 201:
        shown = sent(api, "GET", f"/rules/{answer.get_json()['id']}", None).get_json()
        sent_ones = {name: value for name, value in body.items() if value is not None}  # null is as good as left out
        assert {name: shown[name] for name in sent_ones} == sent_ones
        assert sent(api, "PUT", f"/rules/{shown['id']}", shown).get_json()["version"] == 1
        assert sent(api, "POST", "/rules/preview", shown).status_code == 200
    elif answer.status_code == 400:  # what strict JSON refuses
        assert_problem(answer, 400, "invalid-json")
    else:
        assert all(fault["field"] and fault["reason"] for fault in assert_problem(answer, 422, "invalid-input")["errors"])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(mutated(states(annotation("Email"), {"asset": "default/imagined/bricks/a/b/c/d", "classifications": ["x"]})))
def test_a_statement_is_in_force_or_refused_by_field(api: Api, body: dict[str, Any]) -> None:
    answer = sent(api, "PUT", "/annotations", body)

    if answer.status_code == 200:
        for one in answer.get_json()["items"]:
            found = sent(api, "GET", f"/annotations?target={one['target']}", None).get_json()["items"]
            assert (one["table"], one["column"]) in {(other["table"], other["column"]) for other in found}
    elif answer.status_code == 400:
        assert_problem(answer, 400, "invalid-json")
    else:
        assert assert_problem(answer, 422, "invalid-input")["errors"]
