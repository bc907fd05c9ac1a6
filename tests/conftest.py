"""What all tests share: settings that lead to nothing real, and servers of their own, beside a running `make run`.

Fixtures that several folders use are named here; they live with what they are about.
"""

import base64
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest

from tests.records.conftest import table
from tests.runtime.conftest import _server, configured, redis_server, redis_url
from tests.sandbox.conftest import monte_carlo, process, receiver
from tests.servers import free_port, running, sandbox

__all__ = ["_server", "configured", "monte_carlo", "process", "receiver", "redis_server", "redis_url", "table"]

# A suite that takes minutes is run often; HYPOTHESIS_PROFILE=thorough looks at ten times as many examples.
hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=400, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Before anything reads them. What the person who runs the tests has set in their own shell must not matter.
for name in [name for name in os.environ if name.startswith(("LILY_", "AWS_", "SANDBOX_"))]:
    del os.environ[name]
os.environ.update(
    LILY_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",  # nobody there
    LILY_SEAL_KEY=base64.b64encode(b"1" * 32).decode(),
    LILY_JWT_SECRETS="j" * 32,
    LILY_SOURCE_MONTE_CARLO_SECRETS="s",
    AWS_ACCESS_KEY_ID="111111111111",
    AWS_SECRET_ACCESS_KEY="unused",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)


LONGEST = ("tests/journeys/", *(f"tests/sandbox/test_{name}.py" for name in ("up", "aws", "demo", "make")), "tests/tasks/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first: where several processes share the tests, none is left with one of them at the end."""
    items.sort(key=lambda item: next((n for n, path in enumerate(LONGEST) if item.nodeid.startswith(path)), len(LONGEST)))


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an AWS stand-in that lives as long as the session, with all that was put there."""
    port = free_port()
    state: Path = tmp_path_factory.mktemp("aws")
    with running(sandbox("aws", "--port", str(port), "--state", state), port, path="/_ministack/ready"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def aws_url(aws_server: str) -> str:
    """The URL of the AWS stand-in, empty at the beginning of each module. An access key of 12 digits is an account there."""
    reset = urllib.request.Request(f"{aws_server}/_ministack/reset", method="POST")  # noqa: S310
    with urllib.request.urlopen(reset, timeout=10):  # noqa: S310
        return aws_server


@pytest.fixture
def monte_carlo_url(process: httpx.Client) -> str:
    """The URL of Monte Carlo's stand-in."""
    return str(process.base_url).rstrip("/")
