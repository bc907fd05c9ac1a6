"""Hot calls to AWS: signed as botocore signs them, and every kind of failure told apart."""

import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from lily.runtime import aws, aws_json
from lily.runtime.errors import Permanent, Transient
from tests.aws_answers import Answers, answering

names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=", min_size=1, max_size=40)


@given(body=st.binary(), secret=names, token=st.none() | names, service=st.sampled_from(["dynamodb", "events"]))
def test_the_signature_is_the_one_that_botocore_makes(body: bytes, secret: str, token: str | None, service: str) -> None:
    credentials = Credentials("AKIA1", secret, token)
    host = f"{service}.eu-west-1.amazonaws.com"
    line = aws_json._Line(service, f"https://{host}/", host, "eu-west-1", credentials, None)

    headers = aws_json.signed(line, "DoIt", body, time.gmtime())

    signed = ("content-type", "host", "x-amz-target")
    request = AWSRequest("POST", line.url, {name: value for name, value in headers.items() if name.lower() in signed}, body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(credentials, service, "eu-west-1")
    request.headers["X-Amz-Date"] = headers["X-Amz-Date"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert auth.scope(request) in headers["Authorization"]
    assert headers.get("X-Amz-Security-Token") == token


@pytest.fixture
def answers(configured: Callable[..., None]) -> Iterator[Answers]:
    configured()
    aws.forget()
    with answering("dynamodb") as made:
        yield made
    aws.forget()


def test_bytes_travel_in_base64(answers: Answers) -> None:
    answers.add("PutItem", {})

    assert aws_json.call("dynamodb", "PutItem", {"Item": {"raw": {"B": b"\x00\xff"}}}) == {}

    assert answers.requests == [{"Item": {"raw": {"B": "AP8="}}}]


def test_a_condition_that_does_not_hold_is_told_with_what_is_there_instead(answers: Answers) -> None:
    answers.refuse("PutItem", "ConditionalCheckFailedException", Item={"pk": {"S": "a"}})

    with pytest.raises(aws.ConditionFailed) as raised:
        aws_json.call("dynamodb", "PutItem", {})

    assert raised.value.item == {"pk": {"S": "a"}}


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("ProvisionedThroughputExceededException", 400), ("InternalServerError", 500), ("Odd", 503)],
)
def test_what_passes_is_tried_again(answers: Answers, code: str, status: int) -> None:
    answers.refuse("GetItem", code, status)
    answers.add("GetItem", {"found": 1})

    assert aws_json.call("dynamodb", "GetItem", {}, attempts=2) == {"found": 1}


def test_what_goes_on_failing_is_transient_after_the_last_attempt(answers: Answers) -> None:
    for _ in range(2):
        answers.refuse("GetItem", "ThrottlingException")

    with pytest.raises(Transient, match="GetItem: ThrottlingException: m"):
        aws_json.call("dynamodb", "GetItem", {}, attempts=2)


def test_what_will_not_pass_is_not_tried_again(answers: Answers) -> None:
    answers.refuse("GetItem", "AccessDeniedException")

    with pytest.raises(Permanent, match="GetItem: AccessDeniedException: m"):
        aws_json.call("dynamodb", "GetItem", {}, attempts=3)


def test_an_error_page_of_something_in_between_is_transient(answers: Answers) -> None:
    answers.waiting.append(("GetItem", 502, b"<html>Bad Gateway</html>"))
    answers.waiting.append(("GetItem", 200, b"<html>Welcome to this hotel</html>"))

    for _ in range(2):
        with pytest.raises(Transient):
            aws_json.call("dynamodb", "GetItem", {}, attempts=1)


def test_a_damaged_answer_is_asked_for_again(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = iter([1, 2])
    real = aws_json.zlib.crc32
    monkeypatch.setattr(aws_json, "zlib", SimpleNamespace(crc32=lambda data: real(data) if next(checks) > 1 else 0))
    answers.add("GetItem", {"found": 1})
    answers.add("GetItem", {"found": 2})

    assert aws_json.call("dynamodb", "GetItem", {}, attempts=2) == {"found": 2}


def test_without_credentials_the_reason_is_said(configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    configured()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    aws.forget()

    with pytest.raises(Permanent, match="credentials"):
        aws_json.call("dynamodb", "GetItem", {})
    aws.forget()


def test_numbers_and_text_arrive_as_they_were_sent(answers: Answers) -> None:
    answers.add("PutItem", {})
    item = {"n": {"N": "1" * 38}, "s": {"S": "é\u2028\x00😀"}}

    aws_json.call("dynamodb", "PutItem", {"Item": item})

    assert json.loads(json.dumps(answers.requests[0])) == {"Item": item}
