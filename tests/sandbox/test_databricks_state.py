"""The Databricks stand-in with --state: what it keeps over an end."""

from pathlib import Path

import httpx

from sandbox import databricks_world
from tests.sandbox.conftest import Databricks
from tests.servers import free_port, running, sandbox

CUSTOMERS = "analytics.crm.customers"


def test_a_workspace_outlives_an_orderly_end_and_goes_on(tmp_path: Path) -> None:
    port = free_port()
    command = sandbox("databricks", "--port", str(port), "--state", tmp_path)
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url) as http:
        stand_in = Databricks(http, url)
        with running(command, port, path="/healthz") as process:
            databricks_world.make(url, "s3cret")
            stand_in.sql(
                "CREATE FUNCTION gov.lily.m (v STRING) RETURNS STRING RETURN '-'",
                f"ALTER TABLE {CUSTOMERS} ALTER COLUMN email SET MASK gov.lily.m",
            )
            before = stand_in.dump()
            process.terminate()
            process.wait(timeout=10)
    with running(command, port, path="/healthz"), httpx.Client(base_url=url) as http:
        stand_in = Databricks(http, url)
        assert stand_in.dump() == before
        databricks_world.make(url, "s3cret")  # finds all there
        assert stand_in.dump() == before
        stand_in.sql("CREATE TABLE analytics.crm.more (a INT)", "INSERT INTO analytics.crm.more VALUES (1)")
        assert stand_in.sql(f"SELECT count(DISTINCT email), max(a) FROM {CUSTOMERS}, analytics.crm.more") == [["1", "1"]]
