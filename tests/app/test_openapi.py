"""The description: valid, complete, and the same in the repository."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from flask import Flask
from openapi_spec_validator import validate

from app import openapi
from app.schemas import (
    annotations,
    audit,
    drift,
    events,
    examples,
    incidents,
    plans,
    previews,
    rules,
    security_examples,
    targets,
    tokens,
)
from tests.app.test_authorization import OPEN, endpoints, scope_of
from tests.servers import ROOT

ARGUMENTS = ("event_id", "incident_id", "rule_id", "version_number", "target_name", "plan_id", "backfill_id")
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
            described_path = re.sub(rf"/({'|'.join(ARGUMENTS)})\b", r"/{\1}", path)
            found.append((endpoint, described["paths"][described_path][method.lower()]))
    return found


def test_every_endpoint_is_described_with_its_scope_and_its_refusals(app: Flask, described: dict[str, Any]) -> None:
    found = operations(app, described)

    assert len(found) == 48
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
        (rules.RulePageSchema, security_examples.RULE_PAGE),
        (rules.RuleSchema, security_examples.RULE),
        (rules.RuleSchema, security_examples.DELETED_RULE),
        (rules.WrittenRuleSchema, security_examples.WRITTEN_RULE),
        (rules.RuleDocumentSchema, security_examples.RULE_DOCUMENT),
        (rules.PropagationPageSchema, security_examples.PROPAGATION_PAGE),
        (rules.PropagationSchema, security_examples.PROPAGATION),
        (rules.RetriedSchema, security_examples.RETRIED),
        (previews.PreviewSchema, security_examples.PREVIEW),
        (previews.TargetPreviewSchema, security_examples.PREVIEW["targets"][0]),
        (annotations.StatedManySchema, security_examples.STATED),
        (annotations.StatedSchema, security_examples.STATED["items"][0]),
        (annotations.AnnotationPageSchema, security_examples.ANNOTATION_PAGE),
        (annotations.AnnotationSchema, security_examples.ANNOTATION),
        (targets.TargetListSchema, security_examples.TARGET_LIST),
        (targets.TargetSchema, security_examples.TARGET),
        (targets.ChangedModesSchema, security_examples.CHANGED_MODES),
        (targets.TablePageSchema, security_examples.TABLE_PAGE),
        (targets.MasksSchema, security_examples.MASKS),
        (targets.ProtectedSchema, security_examples.PROTECTED),
        (targets.ProtectedSchema, security_examples.PROTECTING),
        (plans.PlanPageSchema, security_examples.PLAN_PAGE),
        (plans.PlanDetailSchema, security_examples.PLAN_DETAIL),
        (plans.PlanDetailSchema, security_examples.CONFIRMED_PLAN),
        (drift.DriftPageSchema, security_examples.DRIFT_PAGE),
        (drift.ReconcilingSchema, security_examples.RECONCILING),
        (audit.AuditPageSchema, security_examples.AUDIT_PAGE),
    ],
)
def test_examples_have_every_field_of_their_schema_and_no_other(schema: Any, example: dict[str, Any]) -> None:
    assert schema().dump(example) == example
    assert set(schema().fields) == set(example)


def test_it_can_be_written_and_read(described: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml.safe_dump(described)) == described
