"""A table of one's own for each test: in the stand-in every access key of twelve digits is an account of its own."""

import random
from collections.abc import Callable, Iterator

import pytest

from lily.records import days
from lily.records import table as table_of
from lily.runtime import aws


@pytest.fixture
def table(aws_url: str, configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"{random.randrange(10**11, 10**12)}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    configured(LILY_AWS_ENDPOINT_URL=aws_url)
    aws.forget()
    days.forget()
    table_of.create()
    yield
    aws.forget()
    days.forget()
