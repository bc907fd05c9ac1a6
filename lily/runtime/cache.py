"""A cache in Redis that may forget anything at any time. Redis away means empty: never an error, never a wait of over a second.

Values are kept as they are: seal what nobody else may read.
"""

from collections.abc import Iterable, Mapping

import redis

from lily.runtime import redis_pool
from lily.runtime.settings import settings


def get_many(namespace: str, keys: Iterable[str]) -> dict[str, bytes]:
    """What is known, by key; the others are left out."""
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return {}
    found = redis_pool.attempt(lambda client: client.mget([_name(namespace, key) for key in wanted]))
    if not isinstance(found, list):
        return {}
    return {key: value for key, value in zip(wanted, found, strict=True) if isinstance(value, bytes)}


def put_many(namespace: str, values: Mapping[str, bytes], ttl_s: float) -> None:
    """Keep `values` for `ttl_s` seconds at most."""
    if not values:
        return

    def put(client: redis.Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        for key, value in values.items():
            pipeline.set(_name(namespace, key), value, px=max(1, int(ttl_s * 1000)))
        pipeline.execute()

    redis_pool.attempt(put)


def _name(namespace: str, key: str) -> str:
    return f"lily:cache:{settings().installation}:{namespace}:{key}"
