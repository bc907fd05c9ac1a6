"""What every source promises, whatever its vendor: inherit SignedSourceContract in a class named Test..., or SourceContract where
the vendor's proof does not cover the body, and say what is asked for.
"""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.contracts import BodyRejected, SignatureRejected, Source
from lily.domain.deliveries import event_id
from lily.domain.incidents import STATE_FIELDS, STATUSES

ACTIONS = {"opened", "acknowledged", "status_updated", "owner_changed", "marked", "unmarked", "resolved", "unknown"}
SEVERITIES = {"SEV-1", "SEV-2", "SEV-3", "SEV-4", None}
SECRETS = ("first secret", "second secret")
INHERITED = [HealthCheck.too_slow, HealthCheck.differing_executors]  # several classes run one test; it keeps nothing on them
HEAVY = ("httpx", "httpcore", "redis", "boto3", "celery", "flask", "marshmallow")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class SourceContract:
    source: ClassVar[Source]
    module: ClassVar[str]  # where the source lives, as a dotted path
    deliveries: ClassVar[Sequence[Mapping[str, Any]]]  # at least two that the vendor documents, of a known type each
    misshapen: ClassVar[Sequence[tuple[Any, str]]]  # bodies to be refused, with the path of the field at fault
    fields: ClassVar[Sequence[str]]  # the vendor's names of fields, at any depth
    words: ClassVar[Sequence[str]]  # the vendor's values
    actions: ClassVar[Set[str]] = ACTIONS  # Lily's words for what it may tell

    def sign(self, raw: bytes, secret: str) -> str:
        """The header's value, as the vendor computes it, written for the test from the vendor's documentation."""
        raise NotImplementedError

    # Signatures

    def test_a_delivery_is_accepted_under_either_active_secret(self) -> None:
        for body in self.deliveries:
            for secret in SECRETS:
                self.source.verify(body, self.sign(_compact(body), secret), SECRETS)

    def test_a_retired_secret_is_refused(self) -> None:
        signature = self.sign(_compact(self.deliveries[0]), "retired secret")

        with pytest.raises(SignatureRejected):
            self.source.verify(self.deliveries[0], signature, SECRETS)

    def test_nothing_is_accepted_without_an_active_secret(self) -> None:
        signature = self.sign(_compact(self.deliveries[0]), "")

        with pytest.raises(SignatureRejected):
            self.source.verify(self.deliveries[0], signature, ())

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda _: None,
            lambda _: "",
            lambda good: good[:-1] + "\n",
            lambda good: "é" * len(good),
            lambda good: good * 8_192,
        ],
        ids=["missing", "empty", "newline", "not ASCII", "very long"],
    )
    def test_a_signature_of_another_shape_is_refused_before_the_body_is_looked_at(self, spoil: Any) -> None:
        signature = spoil(self.sign(_compact(self.deliveries[0]), SECRETS[0]))

        assert not self.source.is_signature_shaped(signature)
        with pytest.raises(SignatureRejected):
            self.source.verify(_Untouchable(), signature, SECRETS)

    def test_no_delivery_is_a_greeting(self) -> None:
        for raw in (b"", b"{}", *map(_compact, self.deliveries)):
            assert not self.source.is_greeting(raw)

    # What it says

    def test_documented_deliveries_have_the_documented_shape(self) -> None:
        for body in self.deliveries:
            self.source.check_shape(body)

    def test_known_fields_of_another_type_are_refused_by_name(self) -> None:
        for body, field in self.misshapen:
            with pytest.raises(BodyRejected) as caught:
                self.source.check_shape(body)
            assert caught.value.field == field

    def test_documented_deliveries_are_of_a_known_type(self) -> None:
        for body in self.deliveries:
            change = self.source.normalise(body)
            assert change.type != "unknown"
            assert change.action != "unknown"

    def test_fields_that_nobody_knows_change_nothing(self) -> None:
        for body in self.deliveries:
            more = {**copy.deepcopy(dict(body)), "brand_new": {"status": "fixed"}, "another": [1]}
            self.source.check_shape(more)
            assert self.source.normalise(more) == self.source.normalise(body)

    @settings(suppress_health_check=INHERITED, deadline=None)
    @given(st.data())
    def test_normalise_never_raises_and_keeps_to_lilys_words(self, data: st.DataObject) -> None:
        body = data.draw(self._odd_bodies())
        try:
            self.source.check_shape(body)
        except BodyRejected:
            return

        change = self.source.normalise(body)

        assert change.incident is None or change.incident == self.source.incident(body)
        assert self.source.incident(body) != ""
        assert change.action in self.actions
        assert change.type
        assert set(change.values) <= {*STATE_FIELDS, "title", "url"}
        assert change.values.get("status", "open") in STATUSES
        assert change.values.get("severity") in SEVERITIES
        assert all(value is None or value for value in change.values.values())
        assert len(change.tables) <= 100
        assert all(table.name and table.name == table.name.lower() for table in change.tables)
        assert isinstance(self.source.account(body), str)

    def _odd_bodies(self) -> st.SearchStrategy[dict[str, Any]]:
        """A documented delivery with pieces of it replaced by something else, or bodies made of the vendor's own words."""
        names = st.sampled_from(self.fields) | st.text(max_size=4)
        leaves = st.sampled_from(self.words) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
        values = st.recursive(
            leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6), max_leaves=20
        )
        objects = st.dictionaries(names, values, max_size=8)
        replaced = st.builds(_with, st.sampled_from(self.deliveries), st.integers(0, 60), values)
        return objects | replaced | st.fixed_dictionaries({"payload": objects})

    # Where it lives

    def test_importing_it_loads_nothing_heavy(self) -> None:
        program = f"import sys, {self.module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"

        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        assert loaded.stdout.split() == []

    def test_it_says_how_it_signs(self) -> None:
        assert self.source.signature_header == self.source.signature_header.lower()
        assert self.source.signature_header in self.source.documentation


class SignedSourceContract(SourceContract):
    """For a source that signs its bodies, and tells of incidents."""

    # Signatures

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda good: good[:-1],
            lambda good: good + "0",
            lambda good: good.upper(),
            lambda good: " " + good[1:],
            lambda good: good[:-1] + "g",
            lambda good: "١" * len(good),  # a digit to Unicode, not to us
        ],
        ids=[
            "truncated",
            "one digit more",
            "upper case",
            "space",
            "not hex",
            "Arabic",
        ],
    )
    def test_a_signature_that_is_nearly_one_is_refused_before_the_body_is_looked_at(self, spoil: Any) -> None:
        signature = spoil(self.sign(_compact(self.deliveries[0]), SECRETS[0]))

        assert not self.source.is_signature_shaped(signature)
        with pytest.raises(SignatureRejected):
            self.source.verify(_Untouchable(), signature, SECRETS)

    def test_a_delivery_changed_anywhere_is_refused(self) -> None:
        for body in self.deliveries:
            signature = self.sign(_compact(body), SECRETS[0])
            for changed in _changed_at_each_place(body):
                with pytest.raises(SignatureRejected):
                    self.source.verify(changed, signature, SECRETS)

    @settings(suppress_health_check=INHERITED)
    @given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
    def test_any_json_object_that_is_signed_is_accepted(self, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()

        self.source.verify(json.loads(raw), self.sign(raw, SECRETS[1]), SECRETS)

    @pytest.mark.parametrize("body", [{"\ud800": 1}, {"x": "\udfff"}], ids=["key", "value"])
    def test_a_body_that_no_one_could_have_signed_is_refused_and_no_crash(self, body: dict[str, Any]) -> None:
        with pytest.raises(SignatureRejected):
            self.source.verify(body, "0" * len(self.sign(b"{}", "s")), SECRETS)

    @pytest.mark.parametrize("depth", [400, 990, 5_000, 100_000])
    def test_a_body_of_any_depth_is_refused_and_no_crash(self, depth: int) -> None:
        body: Any = []
        for _ in range(depth):
            body = [body]

        try:
            with pytest.raises(SignatureRejected):
                self.source.verify({"x": body}, "0" * len(self.sign(b"{}", "s")), SECRETS)
        finally:
            while body:  # or its own deletion goes as deep
                body = body.pop()

    # One delivery, one event

    def test_the_same_delivery_in_other_bytes_is_signed_alike_and_is_the_same_event(self) -> None:
        for body in self.deliveries:
            signature = self.sign(_compact(body), SECRETS[0])
            for raw in _other_bytes(body):
                arrived = json.loads(raw)
                self.source.check_shape(arrived)
                self.source.verify(arrived, signature, SECRETS)
                assert self.id(arrived) == self.id(body), raw

    def test_the_order_of_keys_does_not_make_another_event(self) -> None:
        for body in self.deliveries:
            assert self.id(_reversed(body)) == self.id(body)

    def test_deliveries_that_differ_anywhere_are_different_events(self) -> None:
        for body in self.deliveries:
            ids = [self.id(changed) for changed in (body, *_changed_at_each_place(body))]

            assert len(set(ids)) == len(ids)

    def test_the_type_of_an_unknown_top_level_value_that_the_signature_does_not_fix_makes_no_other_event(self) -> None:
        for value, text in (
            (1.0, "1.0"),
            (None, "None"),
            (True, "True"),
            (7, "7"),
            ([1, "é"], "[1, 'é']"),
            ({"a": None}, "{'a': None}"),
        ):
            for body in self.deliveries:
                typed, as_text = {**body, "brand_new": value}, {**body, "brand_new": text}
                assert self.sign(_compact(typed), "s") == self.sign(_compact(as_text), "s"), "this source signs types: override"
                assert self.id(typed) == self.id(as_text)

    def id(self, body: Mapping[str, Any]) -> str:
        return event_id("an-instance", self.source.account(body), body)

    # What it says

    def test_documented_deliveries_are_about_an_incident(self) -> None:
        for body in self.deliveries:
            assert self.source.normalise(body).incident

    def test_the_lane_is_that_of_the_incident(self) -> None:
        for body in self.deliveries:
            assert self.source.normalise(body).incident == self.source.incident(body)


class _Untouchable(Mapping[str, Any]):
    """A body that must not be read."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError("the body was read")

    __iter__ = __len__ = __getitem__  # type: ignore[assignment]


def _compact(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _other_bytes(body: Mapping[str, Any]) -> Iterator[bytes]:
    yield json.dumps(body, indent=7, separators=(" ,\r\n", "\t: ")).encode()
    yield json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    yield json.dumps(body).replace("a", "\\u0061").replace("/", "\\/").encode()
    first = json.dumps(next(iter(body)))
    yield f'{{{first}: "overruled", {json.dumps(body)[1:]}'.encode()


def _reversed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _reversed(value[key]) for key in reversed(list(value))}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys: Any = value if isinstance(value, Mapping) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*at, key)
        yield from _places(value[key], (*at, key))


def _changed_at_each_place(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for number, _ in enumerate(_places(body)):
        yield _with(body, number, "changed")


def _with(body: Mapping[str, Any], number: int, value: Any) -> dict[str, Any]:
    """A copy of `body` with `value` at one of its places."""
    changed = copy.deepcopy(dict(body))
    places = list(_places(changed))
    *path, last = places[number % len(places)]
    holder: Any = changed
    for key in path:
        holder = holder[key]
    holder[last] = value
    return changed
