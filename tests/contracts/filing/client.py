"""Orders to filing, one at a time: the only module that knows its client, and its errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.contracts import Refused
from lily.runtime import breaker
from lily.runtime.errors import Transient
from lily.runtime.settings import settings

if TYPE_CHECKING:
    from tests.contracts.filing.warehouse import Answer

CODES: Mapping[int, str] = {403: "denied", 404: "gone", 409: "exists", 412: "taken", 423: "in_use"}


@dataclass(frozen=True)
class Found:
    id: str
    value: Any


def ask(instance: str, order: str) -> Found:
    """What filing answers. Raises Transient if nobody knows whether the order was done, Refused if it was not."""
    return breaker.call(f"filing:{instance}", lambda: _ask(instance, order))


def _ask(instance: str, order: str) -> Found:
    from tests.contracts.filing.warehouse import Refusal, Session, Unreachable

    config = settings().targets[instance]
    try:
        answer: Answer = Session(str(config.warehouse), str(config.user), config.statement_timeout_s).order(order)
    except Unreachable as error:
        raise Transient(f"{instance}: {error}") from error
    except Refusal as error:
        do = json.loads(order)["do"]
        raise Refused(f"{instance} refused to {do}: {error}", CODES.get(error.code, "statement")) from error
    return Found(answer.id, answer.found)
