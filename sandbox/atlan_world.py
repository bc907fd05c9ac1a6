"""A small tenant of Atlan to govern, put into the stand-in: the tables of the two warehouses, what is made of them, and tags.

`python -m sandbox.atlan_world --url http://127.0.0.1:8040` makes what is missing and changes nothing that is there, so each
`make run` may call it. With SANDBOX_ATLAN_WEBHOOK_SECRET and `--webhook-url`, webhooks go there.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

SNOWFLAKE = {"name": "snowflake-prod", "qualifiedName": "default/snowflake/1732406400"}
DATABRICKS = {"name": "databricks-prod", "qualifiedName": "default/databricks/1732406460"}
MONTE_CARLO = {"name": "monte-carlo", "qualifiedName": "default/monte-carlo/1732406520"}
COLUMNS = (
    ("ID", "NUMBER", "BIGINT"),
    ("NAME", "VARCHAR", "STRING"),
    ("EMAIL", "VARCHAR", "STRING"),
    ("PHONE", "VARCHAR", "STRING"),
    ("BORN", "DATE", "DATE"),
    ("COUNTRY", "VARCHAR", "STRING"),
    ("BALANCE", "NUMBER", "DECIMAL"),
)
# name, type, schema, the columns of CUSTOMERS that it keeps
DOWNSTREAM = (
    ("CUSTOMER_CONTACTS", "View", "CRM", ("ID", "NAME", "EMAIL", "PHONE")),
    ("BALANCE_BY_COUNTRY", "View", "CRM", ("COUNTRY", "BALANCE")),
    ("NEWSLETTER", "Table", "MARKETING", ("NAME", "EMAIL")),
)
EDGES = (("CRM/CUSTOMERS", "CRM/CUSTOMER_CONTACTS"), ("CRM/CUSTOMERS", "CRM/BALANCE_BY_COUNTRY"))
FURTHER = ("CRM/CUSTOMER_CONTACTS", "MARKETING/NEWSLETTER")
TYPEDEFS = {
    "classificationDefs": [
        {"displayName": "PII", "options": {"color": "Red"}},
        {"displayName": "GDPR", "options": {"color": "Yellow"}},
    ],
    "businessMetadataDefs": [
        {
            "displayName": "Data quality",
            "attributeDefs": [
                {"displayName": "Open incidents", "typeName": "int", "options": {"primitiveType": "int"}},
                {
                    "displayName": "Incident link",
                    "typeName": "string",
                    "options": {"primitiveType": "string", "customType": "url"},
                },
            ],
        }
    ],
}


class Refused(Exception):
    """The stand-in does not do it."""


def main(arguments: list[str]) -> int:
    """0 if all is there."""
    parser = argparse.ArgumentParser("python -m sandbox.atlan_world", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8040", help="where the stand-in answers (%(default)s)")
    parser.add_argument("--webhook-url", help="where its webhooks go; must answer already")
    given = parser.parse_args(arguments)
    try:
        make(given.url, given.webhook_url, os.environ.get("SANDBOX_ATLAN_WEBHOOK_SECRET", ""))
    except (Refused, OSError) as error:
        print(f"{given.url}: {error}", file=sys.stderr)
        return 1
    return 0


def make(url: str, webhook_url: str | None = None, secret: str = "") -> None:
    """Everything that is missing. Raises Refused and OSError."""
    post(url, "typedefs", TYPEDEFS)
    post(url, "assets", [{"typeName": "Connection", "attributes": MONTE_CARLO | _connection(MONTE_CARLO)}])
    for connection, word, kind in ((SNOWFLAKE, str.upper, 1), (DATABRICKS, str.lower, 2)):
        columns = {each[0]: {"name": word(each[0]), "dataType": each[kind]} for each in COLUMNS}
        tables = [("CUSTOMERS", "Table", "CRM", tuple(columns)), *DOWNSTREAM]
        specs = [
            {
                "database": word("ANALYTICS"),
                "schema": word(schema),
                "name": word(name),
                "type": what,
                "columns": [columns[column] for column in kept],
            }
            for name, what, schema, kept in tables
        ]
        post(url, "tables", {"connection": connection, "tables": specs})
        post(url, "lineage", [_edge(connection, word, *edge) for edge in _edges()])
    if webhook_url and secret:
        post(url, "webhooks", {"url": webhook_url, "secret": secret})


def _edges() -> list[tuple[str, str]]:
    """From table to table, and from column to column of the same name."""
    kept = {f"{schema}/{name}": columns for name, _, schema, columns in DOWNSTREAM}
    tables = [*EDGES, FURTHER]
    return [*tables, *((f"{one}/{column}", f"{other}/{column}") for one, other in tables for column in kept[other])]


def _edge(connection: dict[str, str], word: Any, one: str, other: str) -> dict[str, list[str]]:
    path = f"{connection['qualifiedName']}/{word('ANALYTICS')}"
    return {"inputs": [f"{path}/{word(one)}"], "outputs": [f"{path}/{word(other)}"]}


def _connection(spec: dict[str, str]) -> dict[str, str]:
    name = spec["qualifiedName"]
    return {"connectorName": name.split("/")[1], "connectionQualifiedName": name}


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
