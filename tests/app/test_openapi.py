"""The description: valid, complete, and the same in the repository."""

import os
import subprocess
import sys
from typing import Any

import pytest
import yaml
from flask import Flask
from openapi_spec_validator import validate

from app import openapi
from app.schemas import events, examples, incidents, tokens
from tests.app.test_authorization import OPEN, endpoints, scope_of
from tests.servers import ROOT

UNDESCRIBED = {"api-docs.openapi_json", "static"}  # and the pages for people


@pytest.fixture
def described(app: Flask) -> dict[str, Any]:
    return openapi.document(app)


def test_it_is_valid_openapi_3_1(described: dict[str, Any]) -> None:
    validate(described)

    assert described["openapi"] == "3.1.0"


def test_what_is_in_the_repository_is_what_the_code_says() -> None:
    made = subprocess.run([sys.executable, "-m", "app.openapi"], cwd=ROOT, env=os.environ, capture_output=True, text=True)

    assert made.returncode == 0, made.stderr
    assert made.stdout == (ROOT / "docs" / "openapi.yaml").read_text(), "run `make openapi`"


def operations(app: Flask, described: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for endpoint, method, path in endpoints(app):
        if endpoint not in UNDESCRIBED and not endpoint.startswith("pages."):
            described_path = path.replace("/event_id", "/{event_id}").replace("/incident_id", "/{incident_id}")
            found.append((endpoint, described["paths"][described_path][method.lower()]))
    return found


def test_every_endpoint_is_described_with_its_scope_and_its_refusals(app: Flask, described: dict[str, Any]) -> None:
    found = operations(app, described)

    assert len(found) == 13
    for endpoint, operation in found:
        assert operation["summary"] and operation["description"], endpoint
        if endpoint in OPEN:
            assert "security" not in operation
        else:
            assert operation["security"] == [{"client": [scope_of(app, endpoint)]}, {"token": []}]
            assert {"401", "403", "429", "500"} <= set(operation["responses"])


def test_every_refusal_is_a_problem_document_with_an_example(app: Flask, described: dict[str, Any]) -> None:
    refusals = [
        (endpoint, status, response)
        for endpoint, operation in operations(app, described)
        for status, response in operation["responses"].items()
        if status >= "400"
    ]

    assert len(refusals) > 40
    for endpoint, status, response in refusals:
        content = response["content"]
        assert list(content) == ["application/problem+json"], (endpoint, status)
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        for example in content["application/problem+json"]["examples"].values():
            assert str(example["value"]["status"]) == status


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        (events.ReceiptSchema, examples.RECEIPT),
        (events.EventPageSchema, examples.EVENT_PAGE),
        (events.EventDetailSchema, examples.EVENT_DETAIL),
        (events.ReplayedSchema, examples.REPLAYED),
        (events.ReplayedManySchema, examples.REPLAYED_MANY),
        (incidents.IncidentPageSchema, examples.INCIDENT_PAGE),
        (incidents.IncidentDetailSchema, examples.INCIDENT_DETAIL),
        (tokens.TokenSchema, examples.TOKEN),
    ],
)
def test_examples_have_every_field_of_their_schema_and_no_other(schema: Any, example: dict[str, Any]) -> None:
    assert schema().dump(example) == example
    assert set(schema().fields) == set(example)


def test_it_can_be_written_and_read(described: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml.safe_dump(described)) == described
