"""The stand-ins as processes: Monte Carlo with a receiver that its webhooks can reach, and Snowflake."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SANDBOX_PYTHON = ROOT / ".venv-sandbox" / "bin" / "python"
SECRET = "lily-test-secret"
SECOND_SECRET = "the-next-secret"
AUTH = {"x-mcd-id": "key", "x-mcd-token": "token"}


def start(*arguments: str) -> subprocess.Popen[str]:
    """The stand-in with `arguments`, on any free port."""
    command = [str(SANDBOX_PYTHON), "-m", "sandbox.monte_carlo", *arguments]
    environ = {**os.environ, "SANDBOX_MC_ID": AUTH["x-mcd-id"], "SANDBOX_MC_TOKEN": AUTH["x-mcd-token"]}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environ, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


@dataclass
class Received:
    body: bytes
    signature: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    url: str = ""
    status: int = 202
    got: list[Received] = field(default_factory=list)


@dataclass(frozen=True)
class MonteCarlo:
    """The stand-in, as seen over HTTP."""

    http: httpx.Client

    def post(self, path: str, value: Any = None) -> Any:
        answer = self.http.post(path, json=value)
        assert answer.is_success, answer.text
        return answer.json()

    def patch(self, path: str, value: Any) -> Any:
        answer = self.http.patch(path, json=value)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.http.get(path).json()

    def alert(self, **spec: Any) -> dict[str, Any]:
        """A new alert, as the API shows it."""
        made: dict[str, Any] = self.post("/sandbox/alerts", spec)["alert"]
        return made

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query that has no errors."""
        answer = self.http.post("/graphql", json={"query": query, "variables": variables}, headers=AUTH).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


@pytest.fixture(scope="session")
def process() -> Iterator[httpx.Client]:
    if not SANDBOX_PYTHON.exists():
        pytest.fail(f"{SANDBOX_PYTHON} is missing; `make test` creates it")
    running = start("--port", "0", "--secret", SECRET, "--second-secret", SECOND_SECRET)
    assert running.stdout
    words = running.stdout.readline().split()  # blocks until it listens
    assert "listening" in words, running.communicate(timeout=5)
    with httpx.Client(base_url=next(word.rstrip(",") for word in words if word.startswith("http://"))) as client:
        yield client
    running.terminate()
    running.communicate(timeout=10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(Received(body, self.headers["x-mcd-signature"]))
            answer = b'{"duplicate": false}'
            self.send_response(receiver.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/webhooks/monte-carlo"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        server.shutdown()


@pytest.fixture
def monte_carlo(process: httpx.Client, receiver: Receiver) -> MonteCarlo:
    """As new, with its webhooks going to `receiver`."""
    stand_in = MonteCarlo(process)
    stand_in.post("/sandbox/reset")
    stand_in.patch("/sandbox/webhooks", {"url": receiver.url})
    return stand_in


@dataclass(frozen=True)
class Snowflake:
    """Snowflake's stand-in: the admin door over HTTP, and connections with the vendor's connector."""

    http: httpx.Client
    port: int
    opened: list[Any] = field(default_factory=list)

    def sql(self, text: str, **how: Any) -> list[list[Any]]:
        """The rows of the last of these statements, run as ACCOUNTADMIN with all rights unless `how` says otherwise."""
        answer = self.http.post("/sandbox/sql", json={"sql": text, **how})
        assert answer.is_success, answer.text
        rows: list[list[Any]] = answer.json()["rows"]
        return rows

    def fault(self, **spec: Any) -> None:
        assert self.http.post("/sandbox/faults", json=spec).is_success

    def settings(self, **changed: Any) -> None:
        answer = self.http.patch("/sandbox/settings", json=changed)
        assert answer.is_success, answer.text

    def queries(self, match: str = "") -> list[dict[str, Any]]:
        """The log of statements, oldest first."""
        found: list[dict[str, Any]] = self.http.get("/sandbox/queries", params={"match": match}).json()
        return found

    def connect(self, user: str = "LILY_SVC", role: str = "LILY", **how: Any) -> Any:
        """A connection, by password unless `how` says otherwise. It is closed at the end of the test."""
        import snowflake.connector

        given = {
            "account": "org-acct",
            "user": user,
            "role": role,
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
            "warehouse": "WH",
            "secondary_roles": "NONE",
            "enable_server_session_keep_alive_auto_detection": False,
            "login_timeout": 10,
            "retry_timeout": 10,
            "retry_max_attempts": 1,
            **({} if "authenticator" in how else {"password": "pw"}),
            **how,
        }
        connection = snowflake.connector.connect(**given)
        self.opened.append(connection)
        return connection

    def reader(self, role: str, **how: Any) -> Any:
        """A cursor of somebody who holds this role and no other."""
        user = f"U_{role.encode().hex()}"  # login names ignore case
        self.sql(f"CREATE USER IF NOT EXISTS {user} PASSWORD = 'pw' DEFAULT_SECONDARY_ROLES = ()")
        self.sql(f'GRANT ROLE "{role}" TO USER {user}')
        return self.connect(user, f'"{role}"', **how).cursor()


@pytest.fixture(scope="session")
def snowflake_process() -> Iterator[Snowflake]:
    from tests.servers import free_port, running, sandbox

    port = free_port()
    command = sandbox("snowflake", "--port", str(port))
    with running(command, port, path="/healthz"), httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        yield Snowflake(http, port)


WORLD = """
CREATE ROLE LILY; CREATE ROLE PII; CREATE ROLE ANALYST; CREATE ROLE BOSS; GRANT ROLE PII TO ROLE BOSS;
CREATE USER LILY_SVC PASSWORD = 'pw' DEFAULT_ROLE = LILY; GRANT ROLE LILY TO USER LILY_SVC;
CREATE WAREHOUSE WH;
CREATE DATABASE GOV; CREATE SCHEMA GOV.LILY;
CREATE DATABASE DB; CREATE SCHEMA DB.S;
CREATE TABLE DB.S.T (ID INT, EMAIL VARCHAR(40), NAME VARCHAR, AMOUNT NUMBER(10,2), BORN DATE);
INSERT INTO DB.S.T VALUES (1, 'ann@x.org', 'Ann', 1.5, '1990-05-06'), (2, 'bob@y.org', NULL, 22.75, '1985-01-31');
GRANT USAGE ON DATABASE GOV TO ROLE LILY;
GRANT USAGE, CREATE MASKING POLICY, CREATE ROW ACCESS POLICY, CREATE TAG, CREATE TABLE ON SCHEMA GOV.LILY TO ROLE LILY;
GRANT APPLY MASKING POLICY, APPLY ROW ACCESS POLICY, APPLY TAG ON ACCOUNT TO ROLE LILY;
GRANT USAGE ON DATABASE DB TO ROLE LILY; GRANT USAGE ON SCHEMA DB.S TO ROLE LILY;
GRANT USAGE ON DATABASE DB TO ROLE PUBLIC; GRANT USAGE ON SCHEMA DB.S TO ROLE PUBLIC; GRANT SELECT ON TABLE DB.S.T TO ROLE PUBLIC;
GRANT USAGE ON WAREHOUSE WH TO ROLE PUBLIC
"""


@pytest.fixture
def snowflake(snowflake_process: Snowflake) -> Iterator[Snowflake]:
    """The stand-in with a small world: a table that everyone may read, and a role LILY that may govern it."""
    assert snowflake_process.http.post("/sandbox/reset").is_success
    snowflake_process.sql(WORLD)
    yield snowflake_process
    for connection in snowflake_process.opened:
        connection.close()
    snowflake_process.opened.clear()


@pytest.fixture
def lily(snowflake: Snowflake) -> Any:
    """A cursor of the role LILY."""
    return snowflake.connect().cursor()


def refusal(cursor: Any, sql: str, *parameters: Any) -> tuple[int, str]:
    """Number and SQLSTATE of the error with which this statement must fail."""
    import snowflake.connector

    with pytest.raises(snowflake.connector.Error) as caught:
        cursor.execute(sql, *parameters)
    return caught.value.errno, str(caught.value.sqlstate)


@dataclass(frozen=True)
class Databricks:
    """Databricks' stand-in: the admin door over HTTP, and the vendor's SDK."""

    http: httpx.Client
    url: str

    def post(self, what: str, **value: Any) -> Any:
        answer = self.http.post(f"/sandbox/{what}", json=value)
        assert answer.is_success, answer.text
        return answer.json()

    def sql(self, *texts: str, **how: Any) -> list[list[Any]]:
        """The rows of the last of these statements, with all rights, or as `user`, or in the role of `group`."""
        rows: list[list[Any]] = self.post("sql", sql=list(texts), **how)["rows"]
        return rows

    def fault(self, **spec: Any) -> None:
        self.post("faults", **spec)

    def settings(self, **changed: Any) -> None:
        answer = self.http.patch("/sandbox/settings", json=changed)
        assert answer.is_success, answer.text

    def statements(self, match: str = "") -> list[dict[str, Any]]:
        """The journal, oldest first."""
        found: list[dict[str, Any]] = self.http.get("/sandbox/statements", params={"match": match}).json()
        return found

    def dump(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/sandbox/dump").json()
        return found

    def client(self, name: str = "lily-svc", **how: Any) -> Any:
        """The SDK, logged in as this service principal, which is made if it is missing."""
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config

        self.post("principals", name=name, kind="ServicePrincipal", secret="s3cret")
        given = {"retry_timeout_seconds": 5, "http_timeout_seconds": 10, **how}
        return WorkspaceClient(
            config=Config(
                host=self.url, client_id=name, client_secret="s3cret", auth_type="oauth-m2m", **given
            )
        )  # fmt: skip

    def run(self, client: Any, statement: str, **how: Any) -> Any:
        """What the statement API answers to the SDK."""
        from sandbox.databricks_world import WAREHOUSE

        given = {"wait_timeout": "30s", "warehouse_id": WAREHOUSE, **how}
        return client.statement_execution.execute_statement(statement=statement, **given)

    def refusal(self, client: Any, statement: str) -> tuple[str, str | None]:
        """Class and SQLSTATE of the error with which this statement must fail."""
        status = self.run(client, statement).status
        assert status.state.value == "FAILED", (statement, status)
        assert status.error
        return status.error.message.partition("]")[0].lstrip("["), status.sql_state


@pytest.fixture(scope="session")
def databricks_process() -> Iterator[Databricks]:
    from tests.servers import free_port, running, sandbox

    port = free_port()
    command = sandbox("databricks", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    with running(command, port, path="/healthz"), httpx.Client(base_url=url, timeout=20) as http:
        yield Databricks(http, url)


@pytest.fixture
def databricks(databricks_process: Databricks) -> Databricks:
    """As new, with the world of `sandbox.databricks_world` in it."""
    from sandbox import databricks_world

    databricks_process.post("reset")
    databricks_world.make(databricks_process.url, "s3cret")
    return databricks_process


@pytest.fixture(scope="session")
def atlan_process() -> Iterator[Any]:
    from tests.sandbox.atlan import Atlan
    from tests.servers import free_port, running, sandbox

    port = free_port()
    url, key = f"http://127.0.0.1:{port}", {"authorization": "Bearer sandbox", "x-atlan-agent-id": "tests"}
    command = sandbox("atlan", "--port", str(port), "--token", "sandbox", "--propagation-delay-s", "0.01")
    with running(command, port, path="/healthz"), httpx.Client(base_url=url, timeout=20, headers=key, trust_env=False) as http:
        yield Atlan(http, url)


@pytest.fixture
def atlan(atlan_process: Any) -> Any:
    """Atlan's stand-in, as new, with the assets of the captured exchanges in it."""
    from tests.sandbox.atlan import seed

    atlan_process.post("reset")
    seed(atlan_process)
    return atlan_process
