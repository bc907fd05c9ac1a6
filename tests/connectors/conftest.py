"""An API of Monte Carlo's for each test, and a source that asks it."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors import monte_carlo
from lily.domain.alerts import AlertDetails
from tests.connectors.atlan_fixtures import atlan_api, catalog, catalog_name, set_up_catalog
from tests.connectors.monte_carlo_api import Api, serve

__all__ = ["atlan_api", "catalog", "catalog_name", "set_up_catalog"]


@pytest.fixture
def instance(request: pytest.FixtureRequest) -> str:
    """A name of its own for each test, as breakers and budgets are kept by it."""
    return f"mc-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def configure(api: Api, instance: str, configured: Callable[..., None]) -> Callable[..., None]:
    prefix = f"LILY_SOURCE_{instance.upper().replace('-', '_')}_"

    def change(**more: str) -> None:
        own = {"KIND": "monte-carlo", "SECRETS": "s", "API_URL": api.url, "API_ID": "an-id", "API_TOKEN": "a-token"}
        own |= {"API_TIMEOUT_S": "2", **more}
        configured(LILY_SOURCES=f"monte-carlo,{instance}", **{prefix + name: value for name, value in own.items()})

    return change


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    server = serve(api)
    yield api
    api.ending.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(configure: Callable[..., None], instance: str, redis_server: Any) -> Callable[..., dict[str, AlertDetails]]:
    configure()
    return lambda *ids: monte_carlo.fetch_details(instance, ids)
