"""What attacks the server is what it claims to be: else a kept promise says nothing."""

import json
from collections import Counter

import pytest

from benchmarks import attackers, odd_bodies, raw_cases
from benchmarks.raw_cases import Case
from connectors import monte_carlo
from connectors.contracts import SignatureRejected

SECRET = "of-the-attacked"


def parts(case: Case) -> tuple[str | None, bytes]:
    """The signature and the body of a delivery."""
    head, _, body = b"".join(case.pieces).partition(b"\r\n\r\n")
    _, _, rest = head.partition(b"x-mcd-signature: ")
    return rest.partition(b"\r\n")[0].decode() or None, body


def test_names_of_raw_cases_are_unique_and_tell_what_is_wrong() -> None:
    counts = Counter(case.name for case in raw_cases.cases(SECRET))

    assert [name for name, count in counts.items() if count > 1] == []
    assert len(counts) > 150


def test_bodies_that_are_to_be_judged_by_what_is_in_them_are_genuine() -> None:
    judged = [case for case in raw_cases.cases(SECRET) if 202 in case.statuses]
    assert judged
    for case in judged:
        signature, body = parts(case)

        monte_carlo.verify(json.loads(body), signature, [SECRET])


def test_false_deliveries_are_well_formed_and_fail_by_their_signature_only() -> None:
    for case in attackers.false_deliveries(SECRET):
        signature, body = parts(case)

        assert abs(len(body) - 900_000) < 50_000
        monte_carlo.check_shape(json.loads(body))
        assert monte_carlo.is_signature_shaped(signature)
        with pytest.raises(SignatureRejected, match="fits none of"):
            monte_carlo.verify(json.loads(body), signature, [SECRET])


def test_odd_bodies_are_as_many_as_asked_for_all_different_and_the_same_each_time() -> None:
    made = odd_bodies.cases(150, SECRET)

    assert len(made) == len({case.pieces for case in made}) == 150
    assert made == odd_bodies.cases(150, SECRET)
    assert len({case.name for case in made}) == 3


def test_a_document_with_a_part_replaced_leaves_the_template_alone() -> None:
    document = {"a": [{"b": 1}], "c": 2}

    found = odd_bodies.paths(document)

    assert found == [("a",), ("a", 0), ("a", 0, "b"), ("c",)]
    assert odd_bodies.with_part(document, ("a", 0, "b"), [None]) == {"a": [{"b": [None]}], "c": 2}
    assert document == {"a": [{"b": 1}], "c": 2}


def test_a_half_sent_request_never_is_a_whole_one() -> None:
    for number in range(10):
        sent = attackers._half(number)
        head, end, body = sent.partition(b"\r\n\r\n")

        assert not end or b"chunked" in head or len(body) < 900_000
