"""How many calls are let in: by agent id, as the metastore's own chart has it, and for the tenant, as the vendor's page says.

The two are not in the same place in reality: the first answers 429 with `Retry-After: 1`, the second blocks for a minute.
"""

from collections import deque
from dataclasses import dataclass, field

from sandbox.atlan.settings import Settings

# class -> (calls a minute, burst); `/entity/bulk/` with a final slash is not `/entity/bulk`
CLASSES = {"search": (500, 100), "bulk": (1000, 100), "rest": (500, 20)}
EXACT = {"/api/meta/search/indexsearch": "search", "/api/meta/entity/bulk": "bulk"}
UI = "product_webapp"


@dataclass
class Bucket:
    left: float
    at: float


@dataclass
class Limits:
    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    last_minute: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0

    def clear(self) -> None:
        self.buckets.clear()
        self.last_minute.clear()
        self.blocked_until = 0.0

    def refusal(self, path: str, agent: str, origin: str, settings: Settings, now: float) -> str | None:
        """Whether a call at `now` is refused, and by which limit: `tenant` or `agent`. `now` must not go backwards."""
        if not settings.limits or origin == UI:
            return None
        if now < self.blocked_until:
            return "tenant"
        while self.last_minute and self.last_minute[0] <= now - 60:
            self.last_minute.popleft()
        if len(self.last_minute) >= settings.tenant_per_minute:
            self.blocked_until = now + settings.block_s
            self.last_minute.clear()
            return "tenant"
        self.last_minute.append(now)
        kind = EXACT.get(path, "rest")
        a_minute, burst = CLASSES[kind]
        bucket = self.buckets.setdefault((agent, kind), Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at) * a_minute / 60)
        bucket.at = now
        if bucket.left < 1:
            return "agent"
        bucket.left -= 1
        return None
