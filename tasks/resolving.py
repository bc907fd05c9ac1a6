"""Which asset of which catalog a source's table is. What was found is kept in Redis for a while, what was not in the records."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import orjson

from connectors import registry
from lily.domain.assets import Asset, ConnectionMap, Reason, TableRef, Unresolved
from lily.domain.catalog import Priority
from lily.records import connections, unresolved
from lily.records.unresolved import Key, Missing
from lily.runtime import cache, logs
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import CatalogSettings, settings

log = logs.get(__name__)

FOUND_KEPT_S = 3600.0
MISSING_KEPT_S = 60.0
AT_ONCE_MAX = 100  # tables in one question
QUESTIONS_MAX = 3  # in one batch; whose tables are not among them waits a moment
AGAIN_FIRST_S, AGAIN_LAST_S = 60.0, 3600.0  # until a table that was not found is looked for again


@dataclass
class Resolved:
    """What became of tables: assets, with their catalogs; or why that is not known yet."""

    assets: dict[TableRef, list[tuple[str, Asset]]] = field(default_factory=dict)
    missing: dict[TableRef, list[tuple[str, Unresolved]]] = field(default_factory=dict)
    pending: dict[TableRef, Transient | Permanent] = field(default_factory=dict)
    fresh: set[TableRef] = field(default_factory=set)  # of which a catalog was asked just now


def connection_map(catalog: str) -> ConnectionMap:
    """The connections named through the API, and those of the settings that it does not name. Raises Transient, Permanent."""
    named = connections.of(catalog)
    known = {one.qualified_name for one in named}
    configured = registry.connection_map(catalog).connections
    return ConnectionMap((*named, *(one for one in configured if one.qualified_name not in known)))


def resolve(tables: Collection[TableRef], again: Collection[TableRef] = ()) -> Resolved:
    """What each table is in each catalog that has its connection. `again`: those for which the catalogs are asked anew.

    Raises Transient and Permanent where the records do not answer, never because of a catalog.
    """
    result = Resolved()
    strangers: dict[TableRef, tuple[str, Unresolved]] = {}
    served: set[TableRef] = set()
    for config in settings().catalogs.values():
        known = connection_map(config.name)
        ours = []
        for table in dict.fromkeys(tables):
            search = known.search(table)
            if isinstance(search, Unresolved) and search.reason is Reason.UNKNOWN_CONNECTION:
                strangers.setdefault(table, (config.name, search))
            else:
                served.add(table)
                ours.append(table)
        _resolve_in(config, known, ours, again, result)
    for table, (catalog, why) in strangers.items():
        if table not in served:
            result.missing.setdefault(table, []).append((catalog, why))
    return result


def list_missing(result: Resolved, waiting: Mapping[TableRef, Collection[Key]], now: datetime) -> None:
    """Write down what was not found, with the incidents that wait for it, and take from the list what was found.

    Raises Transient and Permanent. Safe to repeat.
    """
    lost = {unresolved.member(name, table): (name, table, why) for table, some in result.missing.items() for name, why in some}
    found = {unresolved.member(name, table) for name in settings().catalogs for table in result.assets if table in result.fresh}
    known = unresolved.load([*lost, *found]) if lost or found else {}
    unresolved.delete_many([member for member in known if member in found - lost.keys()])
    changed = []
    for member, (name, table, why) in lost.items():
        before = known.get(member) or Missing(name, table, why, now)
        keys = tuple(dict.fromkeys((*before.incidents, *waiting.get(table, ()))))[-unresolved.INCIDENTS_MAX :]
        after = replace(before, why=why, incidents=keys)
        if before.due_at is None or before.due_at <= now:
            wait_s = min(AGAIN_LAST_S, AGAIN_FIRST_S * 2.0 ** min(before.looks, 10))
            after = replace(after, looks=before.looks + 1, due_at=now + timedelta(seconds=wait_s))
        if after != before:
            changed.append(after)
    for one in changed:
        log.info("table.unresolved", catalog=one.catalog, table=one.table.name, reason=one.why.reason.value, looks=one.looks)
    unresolved.save_many(changed)


def forget(catalog: str, tables: Iterable[TableRef]) -> None:
    """Ask the catalog for these the next time."""
    space = _space(catalog, connection_map(catalog))
    cache.put_many(space, {_name(table): b"" for table in tables}, 1.0)


def _resolve_in(
    config: CatalogSettings, known: ConnectionMap, tables: Sequence[TableRef], again: Collection[TableRef], result: Resolved
) -> None:
    kept = _kept(config.name, known, [table for table in tables if table not in again])
    asked = [table for table in tables if table not in kept]
    for start in range(0, len(asked), AT_ONCE_MAX):
        some = asked[start : start + AT_ONCE_MAX]
        if start >= QUESTIONS_MAX * AT_ONCE_MAX:
            result.pending |= dict.fromkeys(some, Transient("many tables are looked for at once", retry_after_s=1.0))
            continue
        try:
            answers = registry.catalog(config.kind).resolve(config.name, some, known, priority=Priority.BADGE)
        except (Transient, Permanent) as error:
            result.pending |= dict.fromkeys(some, error)
            continue
        _keep(config.name, known, answers)
        result.fresh |= answers.keys()
        kept |= answers
    for table, answer in kept.items():
        if isinstance(answer, Unresolved):
            result.missing.setdefault(table, []).append((config.name, answer))
        else:
            result.assets.setdefault(table, []).append((config.name, answer))


def _kept(catalog: str, known: ConnectionMap, tables: Sequence[TableRef]) -> dict[TableRef, Asset | Unresolved]:
    forms = cache.get_many(_space(catalog, known), map(_name, tables))
    found: dict[TableRef, Asset | Unresolved] = {}
    for table in tables:
        if form := forms.get(_name(table)):
            kind, *fields = orjson.loads(form)
            found[table] = Asset(*fields) if kind == "asset" else Unresolved(table.name, Reason(fields[0]), fields[1])
    return found


def _keep(catalog: str, known: ConnectionMap, answers: Mapping[TableRef, Asset | Unresolved]) -> None:
    space = _space(catalog, known)
    found = {table: one for table, one in answers.items() if isinstance(one, Asset)}
    lost = {table: one for table, one in answers.items() if isinstance(one, Unresolved)}
    forms = {_name(table): orjson.dumps(["asset", a.qualified_name, a.type, a.guid, a.name]) for table, a in found.items()}
    cache.put_many(space, forms, FOUND_KEPT_S)
    reasons = {_name(table): orjson.dumps(["missing", one.reason.value, one.detail]) for table, one in lost.items()}
    cache.put_many(space, reasons, MISSING_KEPT_S)


def _space(catalog: str, known: ConnectionMap) -> str:
    """Of this very map: a change of it forgets all."""
    listed = sorted((one.qualified_name, one.kind, sorted(one.warehouses)) for one in known.connections)
    return f"assets:{catalog}:{hashlib.sha256(orjson.dumps(listed)).hexdigest()[:16]}"


def _name(table: TableRef) -> str:
    return f"{table.warehouse}|{table.name}"
