"""Objects on trial: what each shows to each kind of reader, before any table depends on it.

What an unchanged body showed is remembered for a while, as nothing but the body decides it: a further column then costs no
trial. It is remembered in Redis, sealed, so that nobody else can claim it; losing it costs a trial and nothing else.
"""

from collections.abc import Mapping

import orjson

from connectors.contracts import Target as Connector
from lily.domain.proofs import Behaviour, ExpectedObject, Seen
from lily.runtime import cache, seal
from lily.runtime.errors import Permanent
from lily.runtime.settings import TargetSettings

REMEMBERED_S = 900


def tried(thing: ExpectedObject, config: TargetSettings, warehouse: Connector, *, is_new: bool) -> Mapping[Behaviour, Seen]:
    """What `thing` shows. Raises Permanent if a reader sees what that reader should not, else as the target does."""
    key = f"{config.name}:{thing.name}:{thing.body}"
    known = None if is_new else _remembered(thing, cache.get_many("trial", [key]).get(key))
    if known is not None:
        return known
    shown = warehouse.prove(config.name, [thing])
    for behaviour in thing.behaviours:
        seen = shown.get(behaviour)
        if seen is not None and seen.shown is not None and seen.shown != behaviour.shown and not seen.moot:
            raise Permanent(f"{thing.name} shows {seen.shown} on trial where {behaviour.shown} is right, so it is not to be used")
    if all(behaviour in shown and shown[behaviour].shown == behaviour.shown for behaviour in thing.behaviours):
        ids = [shown[behaviour].query_id for behaviour in thing.behaviours]
        cache.put_many("trial", {key: seal.seal(orjson.dumps(ids))}, REMEMBERED_S)
    return shown


def _remembered(thing: ExpectedObject, sealed: bytes | None) -> Mapping[Behaviour, Seen] | None:
    """A trial that went well showed what was right; only its query ids are worth keeping."""
    try:
        ids = orjson.loads(seal.unseal(sealed)) if sealed else []
    except ValueError:  # sealed with a key that is no longer active, or by somebody else
        return None
    behaviours = thing.behaviours
    if not ids or len(ids) != len(behaviours):
        return None
    return {behaviour: Seen(behaviour.shown, query_id) for behaviour, query_id in zip(behaviours, ids, strict=True)}
