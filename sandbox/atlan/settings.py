"""What can be set while the stand-in runs: how late things become visible, how webhooks travel, and how many calls are let in."""

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds, shares from 0 to 1."""

    index_lag_s: float = 0.0  # from a write until searches see it
    stale_reads_s: float = 0.0  # from a write of tags until reads by guid or name see it; its event is on its way before
    propagation_delay_s: float = 0.1  # from a task's turn in the queue until it starts
    propagation_commit_s: float = 0.0  # from the events of a chunk until reads see what they tell
    propagation_chunk: int = 200
    webhook_delay_s: float = 0.0
    webhook_reorder_s: float = 0.0  # each delivery waits for a random part of it, so that they overtake each other
    webhook_duplicates: float = 0.0  # share that is sent twice
    webhook_loss: float = 0.0  # share that is never sent
    webhook_hold: bool = False  # kept until POST /sandbox/webhooks/release
    limits: bool = False  # the limits per agent id and the tenant's
    tenant_per_minute: int = 400
    block_s: float = 60.0  # how long everything is refused after the tenant's limit
    retry_after: bool = True  # whether refusals by agent id carry Retry-After: 1
    hidden: tuple[str, ...] = ()  # beginnings of qualified names that the token may not see


def changed(settings: Settings, spec: Any) -> Settings:
    """The settings with those of `spec` in place. ValueError says what is wrong with it."""
    if type(spec) is not dict:
        raise ValueError("settings: expected an object")
    known = {each.name: each for each in fields(Settings)}
    if unknown := sorted(set(spec) - set(known)):
        raise ValueError(f"settings: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    return replace(settings, **{name: _checked(name, known[name].default, value) for name, value in spec.items()})


def _checked(name: str, default: Any, value: Any) -> Any:
    if isinstance(default, tuple):
        if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise ValueError(f"{name}: expected a list of strings")
        return tuple(value)
    if isinstance(default, bool):
        if type(value) is not bool:
            raise ValueError(f"{name}: expected true or false")
        return value
    least = 1 if isinstance(default, int) else 0
    if type(value) not in ((int,) if isinstance(default, int) else (int, float)) or value < least:
        raise ValueError(f"{name}: {value!r}; expected a number from {least}")
    if name in ("webhook_duplicates", "webhook_loss") and value > 1:
        raise ValueError(f"{name}: {value!r}; expected a share from 0 to 1")
    return value
