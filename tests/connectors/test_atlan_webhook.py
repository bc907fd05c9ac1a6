import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import strict_json
from connectors import atlan
from connectors.atlan.webhook import OPERATIONS
from connectors.contracts import SignatureRejected
from lily.domain.catalog import Attached, Hint
from lily.domain.incidents import Change
from tests.connectors.atlan_api import PAYLOADS
from tests.contracts.source_contract import SourceContract

WEBHOOKS = {path.stem: path.read_bytes() for path in sorted((PAYLOADS / "webhooks").glob("*.json"))}
ABOUT_NO_ASSET = {"validation", "workflow_failed", "workflow_succeeded", "data_quality_rule_fail", "data_quality_rule_updated"}
SNOW = "default/snowflake/1732406400"
PII = "yiB7RLvdC2yeryLPjaDeHM"
EMAIL, DAILY = "6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7a02", "6f0d3a51-0c1e-4a53-9b0a-1d1f2f8f7a03"


def body_of(name: str) -> dict[str, Any]:
    return strict_json.parse(WEBHOOKS[name])


def hint_of(name: str) -> Hint:
    [hint] = atlan.hints(body_of(name))
    return hint


class TestSource(SourceContract):
    source = atlan
    module = "connectors.atlan"
    deliveries = tuple(body_of(name) for name in WEBHOOKS if name not in ABOUT_NO_ASSET)
    misshapen = (
        ([], "body"),
        ({"message": {"operationType": 1}}, "message.operationType"),
        ({"message": {"entity": "x"}}, "message.entity"),
        ({"message": {"entity": {"attributes": []}}}, "message.entity.attributes"),
        ({"message": {"relationship": 1}}, "message.relationship"),
        ({"message": {"headers": []}}, "message.headers"),
    )
    fields = (
        *("message", "entity", "attributes", "operationType", "mutatedDetails", "classifications", "typeName", "guid", "headers"),
        *("qualifiedName", "eventTime", "deleteHandler", "entityGuid"),
    )
    words = (
        "CLASSIFICATION_ADD",
        "CLASSIFICATION_DELETE",
        "ENTITY_UPDATE",
        "ENTITY_DELETE",
        "HARD",
        "lily",
        "Column",
        "ü" * 2_000,
    )
    actions = frozenset({*OPERATIONS.values(), "unknown"})

    def sign(self, raw: bytes, secret: str) -> str:  # noqa: ARG002 - it covers no body
        return secret or "s"

    @pytest.mark.parametrize("given", ["third", "FIRST SECRET", "first secret ", "first secre"])
    def test_a_secret_that_is_nearly_one_is_refused(self, given):
        with pytest.raises(SignatureRejected):
            atlan.verify({}, given, ["first secret", "second secret"])

    def test_an_empty_secret_opens_nothing(self):
        with pytest.raises(SignatureRejected):
            atlan.verify({}, "", [""])

    @given(st.text())
    def test_what_cannot_be_a_secret_is_never_compared(self, header):
        if atlan.is_signature_shaped(header):
            atlan.verify({}, header, [header])
        else:
            with pytest.raises(SignatureRejected):
                atlan.verify({}, header, [header])


class TestGreeting:
    def test_the_validation_is_known_in_any_white_space(self):
        assert atlan.is_greeting(WEBHOOKS["validation"])
        assert atlan.is_greeting(json.dumps(body_of("validation"), indent=3).encode())

    @pytest.mark.parametrize("name", sorted(WEBHOOKS.keys() - {"validation"}))
    def test_nothing_else_is_a_greeting(self, name):
        assert not atlan.is_greeting(WEBHOOKS[name])

    @pytest.mark.parametrize("more", [{"message": {}}, {"atlan-webhook": "Hello"}])
    def test_a_greeting_with_anything_else_in_it_is_none(self, more):
        assert not atlan.is_greeting(json.dumps(body_of("validation") | more).encode())

    @given(st.binary(max_size=300))
    def test_no_bytes_are_a_crash(self, raw):
        assert not atlan.is_greeting(raw)


class TestHints:
    @pytest.mark.parametrize("name", sorted(WEBHOOKS))
    def test_every_event_that_the_vendor_sends_is_accepted_and_says_which_asset_it_is_about(self, name):
        body = body_of(name)
        atlan.check_shape(body)

        hints = atlan.hints(body)

        assert len(hints) == (0 if name in ABOUT_NO_ASSET else 1)
        for hint in hints:
            assert hint.qualified_name
            assert hint.guid
            assert hint.type
            assert hint.operation != "unknown"
            assert atlan.incident(body) == hint.guid
            kind = "catalog_echo" if hint.is_echo else "catalog_change"
            assert atlan.normalise(body) == Change(None, kind, hint.operation)
        if not hints:
            assert atlan.normalise(body).type == "unknown"

    def test_a_tag_that_was_put_on(self):
        hint = hint_of("classification_add_direct")

        [added] = hint.added
        assert (hint.operation, hint.guid, added) == ("tags_added", EMAIL, Attached(PII, EMAIL))
        assert (hint.qualified_name, hint.type) == (f"{SNOW}/ANALYTICS/PUBLIC/ORDERS/EMAIL", "Column")
        assert (hint.connection, hint.stated, hint.removed) == (SNOW, hint.added, frozenset())
        assert hint.at == datetime.fromtimestamp(1795500000, UTC)
        assert not hint.is_echo

    def test_a_tag_that_came_by_propagation_names_where_it_was_put_on(self):
        hint = hint_of("classification_add_propagated")

        assert (hint.guid, hint.added) == (DAILY, {Attached(PII, EMAIL)})

    def test_a_tag_that_was_taken_away_and_what_is_left(self):
        hint = hint_of("classification_delete")

        assert (hint.operation, hint.removed, hint.stated) == ("tags_removed", {Attached(PII, EMAIL)}, frozenset())

    def test_a_tag_from_the_warehouse_is_a_tag(self):
        assert {one.tag for one in hint_of("classification_add_source_tag").added}
        assert hint_of("classification_update").operation == "tags_changed"

    def test_archived_and_purged_are_told_apart(self):
        assert (hint_of("entity_delete_archived").operation, hint_of("entity_delete_archived").lost) == ("lost", "archived")
        assert (hint_of("entity_delete_purged").operation, hint_of("entity_delete_purged").lost) == ("lost", "purged")

    def test_lilys_own_writes_come_back_as_echoes(self):
        echoes = {name for name in WEBHOOKS.keys() - ABOUT_NO_ASSET if hint_of(name).is_echo}

        assert echoes == {"entity_update_announcement"}
        assert hint_of("entity_update_announcement").changed["announcementType"] == "issue"

    @pytest.mark.parametrize("operation", ["ENTITY_RENAME", "", None])
    def test_an_operation_that_nobody_knows_is_still_a_reason_to_read_the_asset(self, operation):
        body = copy.deepcopy(body_of("entity_create_column"))
        body["message"]["operationType"] = operation

        [hint] = atlan.hints(body)
        assert (hint.operation, hint.added, hint.lost) == ("unknown", frozenset(), "")

    def test_a_relationship_is_no_asset(self):
        message = {"operationType": "RELATIONSHIP_CREATE", "relationship": {"guid": "g"}}

        assert atlan.hints({"message": message}) == ()

    def test_keys_inside_a_tag_that_nobody_knows_do_no_harm(self):
        body = copy.deepcopy(body_of("classification_add_direct"))
        body["message"]["mutatedDetails"][0] |= {"brandNew": [1], "entityStatus": None}

        assert atlan.hints(body) == (hint_of("classification_add_direct"),)
