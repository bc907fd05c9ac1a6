"""Who sent a delivery, and which event it is: nothing but computing, so that it can be done wherever it disturbs nobody."""

from dataclasses import dataclass

from app import strict_json
from app.strict_json import Unreadable
from connectors import registry
from connectors.contracts import BodyRejected, SignatureRejected
from lily.domain.deliveries import event_id, lane_key
from lily.runtime.settings import SourceSettings


@dataclass(frozen=True)
class Proven:
    """The delivery is genuine. `account` is whom it speaks for at the source, `event_id` its content address."""

    account: str
    event_id: str
    lane_key: str


@dataclass(frozen=True)
class Unproven:
    """It does not prove its sender. `reason` is for the log, not for the sender."""

    reason: str


@dataclass(frozen=True)
class Unfit:
    """The body is no JSON, or (`readable`) not what its source documents. `place` is a field then."""

    place: str
    reason: str
    readable: bool


Verdict = Proven | Unproven | Unfit


def prove(config: SourceSettings, raw: bytes, signature: str | None) -> Verdict:
    """What is to be held of a body that arrived for the source `config` under `signature`.

    None is right for a source that does not ask for one. Takes up to some 200 ms for 1 MiB.
    """
    source = registry.source(config.kind)
    try:
        body = strict_json.parse(raw)
        source.check_shape(body)
        if signature is not None or not config.unsigned:
            source.verify(body, signature, [secret.reveal() for secret in config.secrets])
    except Unreadable as error:
        return Unfit(error.place, error.reason, readable=False)
    except BodyRejected as error:
        return Unfit(error.field, error.reason, readable=True)
    except SignatureRejected as error:
        return Unproven(str(error))
    account = source.account(body)
    if config.account is not None and account != config.account:
        return Unproven(f"it speaks for account {account or '(none)'}, not {config.account}")
    event = event_id(config.name, account, body)
    incident = source.incident(body)
    return Proven(account, event, lane_key(config.name, incident if incident is not None else event))
