"""Atlan for each test: a server of its own, and a catalog instance of its own, as breakers and budgets are kept by its name."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.connectors.atlan_api import Api, serving

SNOW = "default/snowflake/1732406400"


@pytest.fixture
def atlan_api() -> Iterator[Api]:
    with serving(Api()) as api:
        yield api


@pytest.fixture
def catalog_name() -> str:
    return f"atlan-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def set_up_catalog(atlan_api: Api, catalog_name: str, configured: Callable[..., None]) -> Callable[..., None]:
    prefix = f"LILY_CATALOG_{catalog_name.upper().replace('-', '_')}_"

    def change(**more: str) -> None:
        own = {"KIND": "atlan", "URL": atlan_api.url, "TOKEN": "TOKEN", "TIMEOUT_S": "5", "CALLS_PER_MINUTE": "60000", **more}
        configured(
            LILY_CATALOGS=catalog_name,
            LILY_CONNECTIONS="prod",
            LILY_CONNECTION_PROD_CATALOG=catalog_name,
            LILY_CONNECTION_PROD_QUALIFIED_NAME=SNOW,
            LILY_CONNECTION_PROD_KIND="snowflake",
            **{prefix + key: value for key, value in own.items()},
        )

    return change


@pytest.fixture
def catalog(set_up_catalog: Callable[..., None], catalog_name: str, redis_server: Any) -> str:
    """The name of an instance that is set up."""
    set_up_catalog()
    return catalog_name
