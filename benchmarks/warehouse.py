"""Snowflake's stand-in beside a measured system: tables to govern, a reader, faults, and what was asked of it."""

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.system import ROOT, Failed, until
from sandbox import snowflake_world
from sandbox.surroundings import TARGET, new_key, public_key

TYPES = ("VARCHAR(100)", "VARCHAR", "NUMBER(12,2)", "DATE", "VARCHAR(40)")
STORED = ("'ann@x.example'", "'a text'", "12.5", "'2020-02-02'", "'short'")
SCHEMA = "BENCH"
DONE = ("enforced", "nothing_to_do")


@dataclass(frozen=True)
class Warehouse:
    """The stand-in, over its door for all rights."""

    url: str

    def sql(self, text: str, **how: Any) -> list[list[Any]]:
        return snowflake_world.sql(self.url, text, **how)

    def read(self, table: str, columns: str) -> list[list[Any]]:
        """As somebody who is exempt from nothing."""
        text = f"SELECT {columns} FROM ANALYTICS.{SCHEMA}.{table}"  # noqa: S608 - names from here
        return self.sql(text, role="ANALYST", trusted=False, warehouse="BI_WH", secondary="NONE")

    def make_tables(self, names: list[str], columns: int) -> None:
        """Tables of as many columns with one row each, which everybody may read."""
        self.sql(
            f"CREATE SCHEMA IF NOT EXISTS ANALYTICS.{SCHEMA}; GRANT USAGE ON SCHEMA ANALYTICS.{SCHEMA} TO ROLE LILY; "
            f"GRANT USAGE ON DATABASE ANALYTICS TO ROLE PUBLIC; GRANT USAGE ON SCHEMA ANALYTICS.{SCHEMA} TO ROLE PUBLIC"
        )
        described = ", ".join(f"C{n} {TYPES[n % len(TYPES)]}" for n in range(columns))
        row = ", ".join(STORED[n % len(STORED)] for n in range(columns))
        for name in names:
            table = f"ANALYTICS.{SCHEMA}.{name}"
            self.sql(
                f"CREATE TABLE {table} ({described}); INSERT INTO {table} VALUES ({row}); "  # noqa: S608 - as above
                f"GRANT SELECT ON TABLE {table} TO ROLE PUBLIC"
            )

    def fault(self, **spec: Any) -> None:
        self._call("POST", "/sandbox/faults", spec)

    def mend(self) -> None:
        self._call("DELETE", "/sandbox/faults")

    def forget_queries(self) -> None:
        self._call("DELETE", "/sandbox/queries")

    def queries(self, match: str) -> list[dict[str, Any]]:
        """Lily's statements that match, oldest first."""
        found = self._call("GET", f"/sandbox/queries?{urllib.parse.urlencode({'match': match})}")
        return [query for query in found if query["user"] == "LILY_SVC"]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", raw, method=method)  # noqa: S310 - on this machine
        with _direct.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@contextlib.contextmanager
def warehouse(folder: Path, port: int) -> Iterator[tuple[Warehouse, dict[str, str]]]:
    """A running stand-in with its small world, and the settings by which Lily knows it as a target."""
    folder.mkdir(parents=True, exist_ok=True)
    python, key = ROOT / ".venv-sandbox" / "bin" / "python", new_key()
    with (folder / "snowflake.log").open("ab") as log:
        process = subprocess.Popen(
            [python, "-m", "sandbox.snowflake", "--port", str(port)], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    stand_in = Warehouse(f"http://127.0.0.1:{port}")
    try:
        until(lambda: _answers(stand_in.url), "Snowflake's stand-in")
        snowflake_world.make(stand_in.url, public_key(key))
        yield stand_in, _settings(stand_in.url, key)
    finally:
        process.kill()
        process.wait()


def _settings(url: str, key: str) -> dict[str, str]:
    prefix = f"LILY_TARGET_{TARGET.upper().replace('-', '_')}_"
    values = {
        "KIND": "snowflake",
        "URL": url,
        "ACCOUNT": "SANDBOX",
        "USER": "LILY_SVC",
        "PRIVATE_KEY": key.replace("\n", "\\n"),
        "ROLE": "LILY",
        "WAREHOUSE": "LILY_WH",
        "HOME": "GOV.LILY",
        "DATABASES": "ANALYTICS",
    }
    return {
        "LILY_TARGETS": TARGET,
        "LILY_HASH_SALT": "0123456789abcdef0123456789abcdef",
        "LILY_CLIENTS": "bench",
        "LILY_CLIENT_BENCH_SECRET": "s" * 32,
        "LILY_CLIENT_BENCH_SCOPES": "rules:read rules:write rules:weaken annotations:write admin",
        "LILY_RATE_LIMIT": "1000000/minute",
        **{f"{prefix}{name}": os.environ.get(f"{prefix}{name}", value) for name, value in values.items()},
    }


class Api:
    """Lily's API, as a client of hers uses it."""

    def __init__(self, url: str) -> None:
        self._url = url
        form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "s" * 32}
        request = urllib.request.Request(f"{url}/auth/token", urllib.parse.urlencode(form).encode())  # noqa: S310
        with _direct.open(request, timeout=10) as answer:
            self._token = json.load(answer)["access_token"]

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[Any, str]:
        """The answer and its ETag. Raises Failed for anything but a success."""
        raw = None if body is None else json.dumps(body).encode()
        told = {"authorization": f"Bearer {self._token}", "content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self._url}{path}", raw, told, method=method)  # noqa: S310
        try:
            with _direct.open(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null"), answer.headers.get("ETag", "")
        except urllib.error.HTTPError as error:
            with error:
                raise Failed(f"{method} {path}: {error.code} {error.read().decode()[:400]}") from None

    def annotate(self, table: str, classes: Mapping[str, list[str]]) -> None:
        place = {"target": TARGET, "database": "ANALYTICS", "schema": SCHEMA, "table": table}
        entries = [{**place, "column": column, "classifications": given} for column, given in classes.items()]
        self.ask("PUT", "/security/annotations", {"source": "bench", "annotations": entries})

    def create(self, name: str, classification: str, action: Mapping[str, Any]) -> dict[str, Any]:
        document = {
            "name": name,
            "regulation": "PII",
            "match": {"classifications": [classification]},
            "action": action,
            "targets": [TARGET],
        }
        made: dict[str, Any] = self.ask("POST", "/security/rules", document)[0]
        return made

    def change(self, rule_id: str, action: Mapping[str, Any]) -> dict[str, Any]:
        rule, etag = self.ask("GET", f"/security/rules/{rule_id}")
        made: dict[str, Any] = self.ask("PUT", f"/security/rules/{rule_id}", {**rule, "action": action}, {"If-Match": etag})[0]
        return made

    def delete(self, rule_id: str) -> dict[str, Any]:
        _, etag = self.ask("GET", f"/security/rules/{rule_id}")
        gone: dict[str, Any] = self.ask("DELETE", f"/security/rules/{rule_id}", None, {"If-Match": etag})[0]
        return gone

    def state(self, rule: Mapping[str, Any]) -> str:
        """Of this version of a rule; `pending` while the API tells of another."""
        told = self.ask("GET", f"/security/rules/{rule['id']}/propagations?limit=1")[0]
        return str(told["state"]) if told["version"] == rule["version"] else "pending"

    def await_state(
        self, rule: Mapping[str, Any], within_s: float, wanted: tuple[str, ...] = ("enforced", "nothing_to_do")
    ) -> float:
        """Seconds until a rule was seen in one of these states, polled. Raises Failed when time is up."""
        began_at = time.monotonic()
        while (state := self.state(rule)) not in wanted:
            if time.monotonic() - began_at > within_s:
                raise Failed(f"rule {rule['id']} is {state} after {within_s:g} s")
            time.sleep(0.02)
        return time.monotonic() - began_at


def _answers(url: str) -> bool:
    try:
        with _direct.open(f"{url}/healthz", timeout=2):
            return True
    except OSError:
        return False


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
