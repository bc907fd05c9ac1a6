"""Lily's API, as a client of hers uses it."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.system import Failed

ASKS_EVERY_S = 1 / 30
DONE = ("enforced", "nothing_to_do")
MOVING = {"pending", "applying", "drifted"}


class Api:
    """Rules made here are for `targets`. Raises Failed for anything but a success."""

    def __init__(self, url: str, targets: Sequence[str]) -> None:
        self._url = url
        self._targets = list(targets)
        self._turns, self._next_at = threading.Lock(), 0.0
        form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "s" * 32}
        request = urllib.request.Request(f"{url}/auth/token", urllib.parse.urlencode(form).encode())  # noqa: S310
        with _direct.open(request, timeout=10) as answer:
            self._token = json.load(answer)["access_token"]

    def _take_turn(self) -> None:
        """All who wait ask in turn, 30 times a second together: more would cost the system more than what is measured."""
        with self._turns:
            at = self._next_at = max(time.monotonic(), self._next_at + ASKS_EVERY_S)
        time.sleep(max(0.0, at - time.monotonic()))

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[Any, str]:
        """The answer and its ETag."""
        raw = None if body is None else json.dumps(body).encode()
        told = {"authorization": f"Bearer {self._token}", "content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self._url}{path}", raw, told, method=method)  # noqa: S310
        try:
            with _direct.open(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null"), answer.headers.get("ETag", "")
        except urllib.error.HTTPError as error:
            with error:
                raise Failed(f"{method} {path}: {error.code} {error.read().decode()[:400]}") from None

    def annotate(self, places: Iterable[Mapping[str, str]], classes: Sequence[str]) -> None:
        entries = [{**place, "classifications": list(classes)} for place in places]
        self.ask("PUT", "/security/annotations", {"source": "bench", "annotations": entries})

    def create(self, name: str, classification: str, action: Mapping[str, Any], targets: Sequence[str] = ()) -> dict[str, Any]:
        document = {
            "name": name,
            "regulation": "PII",
            "match": {"classifications": [classification]},
            "action": action,
            "targets": list(targets) or self._targets,
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

    def tables(self, rule: Mapping[str, Any]) -> dict[str, dict[str, int]]:
        """How many tables are in which state, by target."""
        told = self.ask("GET", f"/security/rules/{rule['id']}/propagations?limit=1")[0]
        if told["version"] != rule["version"]:
            return {}
        return {one["target"]: dict(one["tables"]) for one in told["targets"]}

    def await_end(self, rule: Mapping[str, Any], within_s: float) -> float:
        """Seconds until no table was on its way any more in any target, however it ended. Raises Failed when time is up."""
        began_at = time.monotonic()
        while not (tables := self.tables(rule)) or any(MOVING & of.keys() or not of for of in tables.values()):
            if time.monotonic() - began_at > within_s:
                raise Failed(f"rule {rule['id']} is still on its way after {within_s:g} s: {tables}")
            self._take_turn()
        return time.monotonic() - began_at

    def await_state(self, rule: Mapping[str, Any], within_s: float, wanted: Sequence[str] = DONE) -> float:
        """Seconds until a rule was seen in one of these states, polled. Raises Failed when time is up."""
        began_at = time.monotonic()
        while (state := self.state(rule)) not in wanted:
            if time.monotonic() - began_at > within_s:
                raise Failed(f"rule {rule['id']} is {state} after {within_s:g} s")
            self._take_turn()
        return time.monotonic() - began_at


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
