"""The running system as `make demo` meets it: Lily's API, Monte Carlo's stand-in, and the queue behind the event bus."""

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox import databricks_world, snowflake_world
from sandbox.surroundings import ROOT

READY_S = 20.0
CALL_S = 10.0
HIDDEN_S = 5  # what was read and is not ours comes back after that, for whoever it is meant for
EVERY_S = (0.02, 0.03, 0.05, 0.1, 0.2)  # between two looks; the API counts them against its limit

T = TypeVar("T")


class Unmet(Exception):
    """There is no sense in going on. The message says what was expected, what was seen and what to do."""


@dataclass(frozen=True)
class Answer:
    status: int  # 0: none at all
    body: Any
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class Message:
    """One message as a subscriber gets it: EventBridge's envelope, with Lily's CloudEvent in `detail`."""

    envelope: Mapping[str, Any]
    came_at: datetime

    @property
    def detail(self) -> Mapping[str, Any]:
        detail: Mapping[str, Any] = self.envelope["detail"]
        return detail


class System:
    """What `run.json` says about a system that is ready, and the ways to speak to it."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.web: str = state["web_url"]
        self.monte_carlo: str = state["monte_carlo_url"]
        self.snowflake_url: str = state["snowflake_url"]
        self.databricks_url: str = state["databricks_url"]
        self.atlan: str | None = state["atlan_url"]
        self.targets: list[str] = state["targets"]
        self.flower: str = state["flower_url"]
        self.logs: str = state["logs"]
        self._queue_url: str = state["queue_url"]
        self._queue = _queue_client(state)
        self.token = _token(self.web, state["client"])

    def lily(self, path: str) -> Answer:
        """Ask Lily's API."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Have Lily's API do something. An answer "too many requests" is waited out, as its other users are asked to do."""
        url, deadline = f"{self.web}{path}", time.monotonic() + CALL_S
        raw = None if body is None else json.dumps(body).encode()
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})}
        while True:
            answer = ask(url, method, raw, told)
            if answer.status != 429 or time.monotonic() + answer.retry_after_s > deadline:
                return answer
            time.sleep(answer.retry_after_s)

    def sandbox(self, method: str, path: str, body: object) -> Any:
        """Have Monte Carlo's stand-in do something. Raises Unmet if it refuses."""
        answer = ask(f"{self.monte_carlo}/sandbox{path}", method, json.dumps(body).encode())
        if answer.status not in (200, 201):
            raise Unmet(f"{method} {self.monte_carlo}/sandbox{path} was answered with {_seen(answer)}; expected 200 or 201")
        return answer.body

    def snowflake(self, text: str, **how: Any) -> list[list[Any]]:
        """The rows of a statement in Snowflake's stand-in; `how` says as whom. Raises Unmet if it refuses."""
        try:
            return snowflake_world.sql(self.snowflake_url, text, **how)
        except (snowflake_world.Refused, OSError) as error:
            raise Unmet(f"{self.snowflake_url} was to run {text[:100]}, but: {error}") from error

    def databricks(self, text: str, **how: Any) -> list[list[Any]]:
        """The rows of a statement in Databricks' stand-in; `how` says as whom. Raises Unmet if it refuses."""
        try:
            return databricks_world.sql(self.databricks_url, text, **how)
        except (databricks_world.Refused, OSError) as error:
            raise Unmet(f"{self.databricks_url} was to run {text[:100]}, but: {error}") from error

    def databricks_dump(self) -> Any:
        """Everything that Databricks' stand-in holds, but rows. Raises Unmet."""
        answer = ask(f"{self.databricks_url}/sandbox/dump?rows=false")
        if answer.status != 200:
            raise Unmet(f"{self.databricks_url}/sandbox/dump was answered with {_seen(answer)}")
        return answer.body

    def atlan_door(self, door: str, body: object = None) -> Answer:
        """The door `/sandbox/<door>` of Atlan's stand-in: what is there, or with a body what is to be done."""
        raw = None if body is None else json.dumps(body).encode()
        return ask(f"{self.atlan}/sandbox/{door}", "GET" if body is None else "POST", raw)

    def messages(self, ids: Collection[str], within_s: float) -> dict[str, list[Message]]:
        """What came for these ids of CloudEvents and all other occurrences of their events, by id.

        Reads until each id came and the queue shows nothing more, or time is up. Deletes these only: others may read here too.
        SQS may hand out one message twice, which counts once. Raises Unmet if the queue cannot be read.
        """
        try:
            return self._read(ids, time.monotonic() + within_s)
        except (BotoCoreError, ClientError) as error:
            raise Unmet(f"the queue {self._queue_url} was to be read, but: {error}") from error

    def _read(self, ids: Collection[str], deadline: float) -> dict[str, list[Message]]:
        events = {name.partition(".")[0] for name in ids}
        came: dict[str, dict[str, Message]] = defaultdict(dict)
        while time.monotonic() < deadline:
            is_all = set(ids) <= came.keys()
            batch = self._received(wait_s=0 if is_all else 1)
            if is_all and not batch:
                break
            for raw in batch:
                envelope = json.loads(raw["Body"])
                name = str(envelope["detail"].get("id"))
                if name.partition(".")[0] in events:
                    sent_at = datetime.fromtimestamp(int(raw["Attributes"]["SentTimestamp"]) / 1000, UTC)
                    came[name][raw["MessageId"]] = Message(envelope, sent_at)
                    self._queue.delete_message(QueueUrl=self._queue_url, ReceiptHandle=raw["ReceiptHandle"])
        return {name: list(found.values()) for name, found in came.items()}

    def _received(self, wait_s: int) -> list[Any]:
        answer = self._queue.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=HIDDEN_S,
            AttributeNames=["SentTimestamp"],
        )
        found: list[Any] = answer.get("Messages", [])
        return found


def find(environ: Mapping[str, str], wait: Callable[[str], None]) -> System:
    """The system that `make run` started and that is ready; `wait` is told once if that takes a while. Raises Unmet."""
    path = (ROOT / environ.get("LILY_RUN_DATA", ".lily")).resolve() / "run.json"
    said: list[str] = []

    def ready() -> System | None:
        state = _state(path)
        answer = ask(f"{state['web_url']}/readyz")
        if answer.status == 200:
            return System(state)
        if not said:
            said.append(f"waiting for {state['web_url']} to be ready")
            wait(said[0])
        return None

    system = until(ready, READY_S)
    if system is None:
        raise Unmet(f"Lily is not ready after {READY_S:g} s; see what `make run` says, and its logs in {path.parent / 'logs'}")
    return system


def until(look: Callable[[], T | None], within_s: float) -> T | None:
    """The first true thing that `look` sees, or None when the time is up."""
    deadline, looks = time.monotonic() + within_s, 0
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(EVERY_S[min(looks, len(EVERY_S) - 1)])
        looks += 1
    return seen or None


def ask(url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One request, without any proxy. Nobody there is an answer too: status 0, with the reason as its body."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 - from run.json
    try:
        with _without_proxy.open(request, timeout=CALL_S) as answer:
            return Answer(answer.status, _parsed(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _parsed(error.read()), float(error.headers.get("Retry-After") or 1))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error))


def _state(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        os.kill(state["pid"], 0)
    except PermissionError as error:
        if error.filename is None:  # it runs, as somebody else
            return state
        raise Unmet(f"{path} belongs to another user; run `make demo` as the one who ran `make run`") from None
    except (FileNotFoundError, ProcessLookupError):
        raise Unmet("nothing runs here: start `make run` in another terminal, wait until it says ready, then try again") from None
    return state


def _token(web: str, client: Mapping[str, str]) -> str:
    form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": client["secret"]}
    answer = ask(f"{web}/auth/token", "POST", urllib.parse.urlencode(form).encode())
    if answer.status != 200:
        raise Unmet(f"{web}/auth/token gave no token to the client {client['id']}, but {_seen(answer)}")
    token: str = answer.body["access_token"]
    return token


def _queue_client(state: Mapping[str, Any]) -> Any:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a profile or an endpoint of the user's own account has no business here
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return botocore.session.get_session().create_client(
        "sqs",
        region_name=state["aws_region"],
        endpoint_url=state["aws_url"],
        aws_access_key_id=state["aws_account"],
        aws_secret_access_key="unused",  # noqa: S106 - the stand-in does not ask
        config=Config(proxies={}, connect_timeout=CALL_S, read_timeout=CALL_S),
    )


def _seen(answer: Answer) -> str:
    return f"{answer.status or 'no answer'}: {str(answer.body)[:300]}"


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
