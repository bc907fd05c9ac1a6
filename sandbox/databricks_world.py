"""A small Databricks workspace to govern, put into the stand-in: people in a table, groups that read it, a principal for Lily.

`python -m sandbox.databricks_world --url http://127.0.0.1:8030` makes what is missing and changes nothing that is there, so each
`make run` may call it. The secret in SANDBOX_DATABRICKS_CLIENT_SECRET becomes the one of Lily's service principal `lily-svc`.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

from sandbox.snowflake_world import PEOPLE

SERVICE = "lily-svc"
WAREHOUSE = "abcdef0123456789"
USERS = {
    "ana@example.com": "analysts",
    "sam@example.com": "support",
    "lea@example.com": "support_leads",
    "dora@example.com": "data_stewards",
}
# Roles that Lily may assume to prove what readers see: one outside of all groups, one that counts as a data steward.
PROOF_OUTSIDE, PROOF_INSIDE = "lily_proof_outside", "lily_proof_steward"
GROUPS: tuple[dict[str, Any], ...] = (
    {"name": "analysts"},
    {"name": "support", "add_groups": ["support_leads"]},
    {"name": "support_leads"},
    {"name": "data_stewards", "add_groups": [PROOF_INSIDE]},
    {"name": PROOF_OUTSIDE, "assumers": [SERVICE]},
    {"name": PROOF_INSIDE, "assumers": [SERVICE]},
)
SPACES = (
    "CREATE CATALOG IF NOT EXISTS gov", "CREATE SCHEMA IF NOT EXISTS gov.lily",
    "CREATE CATALOG IF NOT EXISTS analytics", "CREATE SCHEMA IF NOT EXISTS analytics.crm",
)  # fmt: skip
TABLE = """CREATE TABLE IF NOT EXISTS analytics.crm.customers
(id BIGINT, name STRING, email STRING, phone STRING, born DATE, country STRING, balance DECIMAL(12,2))"""
GRANTS = (
    f"GRANT USE CATALOG ON CATALOG gov TO `{SERVICE}`",
    f"GRANT USE SCHEMA, CREATE FUNCTION, EXECUTE ON SCHEMA gov.lily TO `{SERVICE}`",
    "GRANT USE CATALOG ON CATALOG gov TO `account users`",
    "GRANT USE SCHEMA, EXECUTE ON SCHEMA gov.lily TO `account users`",
    f"GRANT USE CATALOG ON CATALOG analytics TO `{SERVICE}`",
    f"GRANT USE SCHEMA, MANAGE, APPLY TAG, SELECT ON SCHEMA analytics.crm TO `{SERVICE}`",
)
READERS = (
    "GRANT USE CATALOG ON CATALOG analytics TO `account users`",
    "GRANT USE SCHEMA ON SCHEMA analytics.crm TO `account users`",
    "GRANT SELECT ON TABLE analytics.crm.customers TO `account users`",
)


class Refused(Exception):
    """The stand-in does not do it."""


def main(arguments: list[str]) -> int:
    """0 if all is there."""
    parser = argparse.ArgumentParser(
        "python -m sandbox.databricks_world", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument("--url", default="http://127.0.0.1:8030", help="where the stand-in answers (%(default)s)")
    url = parser.parse_args(arguments).url
    try:
        make(url, os.environ.get("SANDBOX_DATABRICKS_CLIENT_SECRET", ""))
    except (Refused, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    return 0


def make(url: str, client_secret: str) -> None:
    """Everything that is missing. Raises Refused and OSError."""
    post(url, "principals", {"name": SERVICE, "kind": "ServicePrincipal", "display": "Lily", "secret": client_secret})
    for user in USERS:
        post(url, "principals", {"name": user, "kind": "User"})
    for group in GROUPS:
        members = [user for user, in_group in USERS.items() if in_group == group["name"]]
        post(url, "groups", {**group, "add": members})
    post(url, "warehouses", {"id": WAREHOUSE, "name": "lily", "users": [SERVICE, *USERS, PROOF_OUTSIDE, PROOF_INSIDE]})
    sql(url, *SPACES)
    if not sql(url, "SELECT 1 FROM system.information_schema.tables WHERE table_schema = 'crm' AND table_name = 'customers'"):
        rows = ", ".join(
            f"({number}, '{name}', '{email}', '{phone}', '{born}', '{country}', {balance})"
            for number, (name, email, phone, born, country, balance) in enumerate(PEOPLE, 1)
        )
        sql(url, TABLE, f"INSERT INTO analytics.crm.customers VALUES {rows}", *GRANTS, *READERS)  # noqa: S608 - the people above


def sql(url: str, *texts: str, **how: Any) -> list[list[Any]]:
    """The rows of the last of some statements, run with all rights unless `how` says otherwise. Raises Refused and OSError."""
    rows: list[list[Any]] = post(url, "sql", {"sql": list(texts), **how})["rows"]
    return rows


def post(url: str, what: str, value: Any) -> Any:
    """At the stand-in's own door. Raises Refused and OSError."""
    body = json.dumps(value).encode()
    request = urllib.request.Request(f"{url}/sandbox/{what}", body, {"content-type": "application/json"})  # noqa: S310
    try:
        with _without_proxy.open(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(error.read().decode(errors="replace")[:500]) from None


_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
