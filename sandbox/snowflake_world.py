"""A small Snowflake account to govern, put into the stand-in: people in a table, roles that read it, and a role for Lily.

`python -m sandbox.snowflake_world --url http://127.0.0.1:8020` makes what is missing and changes nothing that is there, so each
`make run` may call it. The key in SANDBOX_SNOWFLAKE_PUBLIC_KEY becomes the one of Lily's service user.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

PEOPLE = (
    ("Ada Winter", "ada.winter@example.com", "+44 20 7946 0101", "1984-03-12", "DE", 1250.50),
    ("Bilal Osman", "bilal.osman@example.org", "+49 30 901820", "1991-07-30", "DE", 310.00),
    ("Chiara Conti", "c.conti@example.com", "+39 06 12345678", "1978-11-02", "IT", 9875.25),
    ("Dmitri Hahn", "dmitri@hahn.example", "+43 1 5123456", "1969-01-23", "AT", 42.00),
    ("Elif Kaya", "elif.kaya@example.net", "+90 212 5550199", "1999-05-17", "TR", 780.10),
    ("Femi Ade", "femi@ade.example", "+234 1 4613456", "1988-09-09", "NG", 2300.00),
    ("Grace Lin", "grace.lin@example.com", "+886 2 27208889", "1995-12-31", "TW", 15.75),
    ("Hugo Blanc", "hugo.blanc@example.fr", "+33 1 40205050", "1973-06-06", "FR", 5400.00),
)
WORLD = """
CREATE ROLE IF NOT EXISTS LILY COMMENT = 'Governs; reads nothing';
CREATE ROLE IF NOT EXISTS ANALYST; CREATE ROLE IF NOT EXISTS SUPPORT; CREATE ROLE IF NOT EXISTS DATA_STEWARD;
CREATE ROLE IF NOT EXISTS SUPPORT_LEAD; GRANT ROLE SUPPORT TO ROLE SUPPORT_LEAD; GRANT ROLE DATA_STEWARD TO ROLE SYSADMIN;
CREATE WAREHOUSE IF NOT EXISTS LILY_WH; CREATE WAREHOUSE IF NOT EXISTS BI_WH;
CREATE DATABASE IF NOT EXISTS GOV; CREATE SCHEMA IF NOT EXISTS GOV.LILY;
CREATE DATABASE IF NOT EXISTS ANALYTICS; CREATE SCHEMA IF NOT EXISTS ANALYTICS.CRM;
CREATE USER IF NOT EXISTS LILY_SVC TYPE = SERVICE DEFAULT_ROLE = LILY DEFAULT_SECONDARY_ROLES = ();
GRANT ROLE LILY TO USER LILY_SVC;
GRANT USAGE ON WAREHOUSE LILY_WH TO ROLE LILY; GRANT USAGE ON WAREHOUSE BI_WH TO ROLE PUBLIC;
GRANT USAGE ON DATABASE GOV TO ROLE LILY;
GRANT USAGE, CREATE MASKING POLICY, CREATE ROW ACCESS POLICY, CREATE TAG, CREATE TABLE ON SCHEMA GOV.LILY TO ROLE LILY;
GRANT APPLY MASKING POLICY, APPLY ROW ACCESS POLICY, APPLY TAG ON ACCOUNT TO ROLE LILY;
GRANT USAGE ON DATABASE ANALYTICS TO ROLE LILY; GRANT USAGE ON ALL SCHEMAS IN DATABASE ANALYTICS TO ROLE LILY
"""
TABLE = """
CREATE TABLE ANALYTICS.CRM.CUSTOMERS (ID NUMBER(10,0), NAME VARCHAR(100), EMAIL VARCHAR(255), PHONE VARCHAR(30), BORN DATE,
COUNTRY VARCHAR(2), BALANCE NUMBER(12,2))
"""
READERS = """
GRANT USAGE ON DATABASE ANALYTICS TO ROLE PUBLIC; GRANT USAGE ON SCHEMA ANALYTICS.CRM TO ROLE PUBLIC;
GRANT SELECT ON TABLE ANALYTICS.CRM.CUSTOMERS TO ROLE PUBLIC
"""


class Refused(Exception):
    """The stand-in does not do it."""


def main(arguments: list[str]) -> int:
    """0 if all is there."""
    parser = argparse.ArgumentParser(
        "python -m sandbox.snowflake_world", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument("--url", default="http://127.0.0.1:8020", help="where the stand-in answers (%(default)s)")
    url = parser.parse_args(arguments).url
    try:
        make(url, os.environ.get("SANDBOX_SNOWFLAKE_PUBLIC_KEY", ""))
    except (Refused, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    return 0


def make(url: str, public_key: str) -> None:
    """Everything that is missing. Raises Refused and OSError."""
    sql(url, WORLD)
    if not sql(url, "SHOW TABLES LIKE 'CUSTOMERS' IN SCHEMA ANALYTICS.CRM"):
        rows = ", ".join(
            f"({number}, '{name}', '{email}', '{phone}', '{born}', '{country}', {balance})"
            for number, (name, email, phone, born, country, balance) in enumerate(PEOPLE, 1)
        )
        sql(url, f"{TABLE}; INSERT INTO ANALYTICS.CRM.CUSTOMERS VALUES {rows}; {READERS}")  # noqa: S608 - the people above
    if public_key:
        sql(url, f"ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{public_key}'")


def sql(url: str, text: str, **how: Any) -> list[list[Any]]:
    """The rows of the last of some statements, run with all rights unless `how` says otherwise. Raises Refused and OSError."""
    body = json.dumps({"sql": text, **how}).encode()
    request = urllib.request.Request(f"{url}/sandbox/sql", body, {"content-type": "application/json"})  # noqa: S310
    try:
        with _without_proxy.open(request, timeout=10) as answer:
            rows: list[list[Any]] = json.load(answer)["rows"]
            return rows
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(error.read().decode(errors="replace")[:500]) from None


_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
