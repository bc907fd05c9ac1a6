"""Propagation: background tasks of the whole tenant, one after the other, that carry tags along lineage and into parts.

Every kind of task does the same: compare where a tag of one source should be with where it is. So tasks may run late, twice or
in any order and still end in the right state.
"""

import asyncio
import copy
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sandbox.atlan.assets import Asset, now_ms

if TYPE_CHECKING:
    from sandbox.atlan.catalog import Call, Catalog
    from sandbox.atlan.store import Store

KEPT_MAX = 5000


@dataclass
class Task:
    kind: str
    source: str  # guid of the asset that the tag was put on
    tag: str
    call: "Call"
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "PENDING"  # PENDING | IN_PROGRESS | COMPLETE | FAILED
    created_ms: int = field(default_factory=now_ms)
    started_ms: int | None = None
    ended_ms: int | None = None
    error: str = ""

    def shown(self) -> dict[str, Any]:
        parameters = {"entityGuid": self.source, "classificationName": self.tag}
        return {
            "type": self.kind, "guid": self.guid, "createdBy": self.call.user, "createdTime": self.created_ms,
            "updatedTime": self.ended_ms or self.started_ms or self.created_ms,
            "startTime": self.started_ms, "endTime": self.ended_ms,
            "timeTakenInSeconds": None if self.ended_ms is None else (self.ended_ms - (self.started_ms or 0)) // 1000,
            "status": self.status, "attemptCount": 0, "errorMessage": self.error, "entityGuid": self.source,
            "classificationTypeName": self.tag, "classificationId": None, "parameters": parameters,
        }  # fmt: skip

    def fields(self) -> dict[str, Any]:
        """What clauses of a task search see."""
        return {
            "__task_guid": self.guid, "__task_type": self.kind, "__task_status": self.status, "__task_entityGuid": self.source,
            "__task_classificationTypeName": self.tag, "__task_createdBy": self.call.user, "__task_timestamp": self.created_ms,
            "__task_startTime": self.started_ms, "__task_endTime": self.ended_ms,
        }  # fmt: skip


class Tasks:
    """The queue. `run` works on it as long as the server lives."""

    def __init__(self) -> None:
        self.all: list[Task] = []
        self._waiting: list[Task] = []
        self._news = asyncio.Event()

    def clear(self) -> None:
        self.all.clear()
        self._waiting.clear()

    @property
    def idle(self) -> bool:
        return not any(task.status in ("PENDING", "IN_PROGRESS") for task in self.all)

    def add(self, kind: str, source: str, tag: str, call: "Call") -> None:
        if any((each.kind, each.source, each.tag) == (kind, source, tag) for each in self._waiting[-50:]):
            return  # has not begun, so it will see this change too
        task = Task(kind, source, tag, call)
        if len(self.all) > 2 * KEPT_MAX:
            self.all = [each for each in self.all[:-KEPT_MAX] if each.status == "PENDING"] + self.all[-KEPT_MAX:]
        self.all.append(task)
        self._waiting.append(task)
        self._news.set()

    def next(self) -> Task | None:
        """The task whose turn it is; it waits no longer."""
        return self._waiting.pop(0) if self._waiting else None

    async def run(self, catalog: "Catalog") -> None:
        """Never returns. What goes wrong in a task fails that task only."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await asyncio.sleep(catalog.settings.propagation_delay_s)
                if (task := self.next()) is None:
                    break  # cleared meanwhile
                task.status, task.started_ms = "IN_PROGRESS", now_ms()
                try:
                    await carry(catalog, task)
                    task.status = "COMPLETE"
                except Exception as error:  # shown to those who look for it
                    task.status, task.error = "FAILED", repr(error)
                task.ended_ms = now_ms()


async def carry(catalog: "Catalog", task: Task) -> None:
    """Bring one tag of one source to where it should be, chunk by chunk; each chunk's events go before reads show it."""
    key, store = (task.tag, task.source), catalog.store
    wanted = set(reach(store, task.source, task.tag))
    present = {guid for guid, asset in store.by_guid.items() if key in asset.propagated}
    source = store.by_guid.get(task.source)
    tag = source.direct.get(task.tag) if source else None
    stale = {guid for guid in wanted & present if store.by_guid[guid].propagated[key] != tag}
    call = replace(task.call, at_ms=now_ms(), headers={"x-atlan-task-guid": task.guid, **task.call.headers})
    steps = itertools.chain(sorted(present - wanted), sorted((wanted - present) | stale))
    while chunk := list(itertools.islice(steps, catalog.settings.propagation_chunk)):
        for guid in chunk:
            if guid in store.by_guid:
                _change(catalog, call, store.by_guid[guid], key, tag if guid in wanted else None)
        await asyncio.sleep(0)


def _change(catalog: "Catalog", call: "Call", asset: Asset, key: tuple[str, str], tag: dict[str, Any] | None) -> None:
    asset.hide(max(catalog.settings.propagation_commit_s, catalog.settings.stale_reads_s))
    old = asset.propagated.pop(key, None)
    if tag is not None:
        asset.propagated[key] = copy.deepcopy(tag)
    catalog.saved(asset, call)
    if old is None or tag is None:
        operation = "CLASSIFICATION_DELETE" if tag is None else "CLASSIFICATION_ADD"
        catalog.tell(call, asset, operation, [copy.deepcopy(tag or old)])


def reach(store: "Store", source_guid: str, tag_name: str) -> Iterator[str]:
    """Guids of all assets that a tag on `source_guid` should have reached."""
    source = store.by_guid.get(source_guid)
    tag = source.direct.get(tag_name) if source else None
    if source is None or tag is None or not tag["propagate"]:
        return
    if source.status == "DELETED" and tag["removePropagationsOnEntityDelete"]:
        return
    seen, front = {source_guid}, [source]
    while front:
        asset = front.pop()
        for near in _next(store, asset, tag):
            if near.guid not in seen and near.status == "ACTIVE":
                seen.add(near.guid)
                front.append(near)
                yield near.guid


def _next(store: "Store", asset: Asset, tag: dict[str, Any]) -> Iterator[Asset]:
    if not tag["restrictPropagationThroughLineage"]:
        for process in (store.by_guid[guid] for guid in asset.relations.get("inputToProcesses", ())):
            if process.status == "ACTIVE":
                yield from (store.by_guid[guid] for guid in process.relations.get("outputs", ()))
    if not tag["restrictPropagationThroughHierarchy"]:
        yield from store.parts(asset)
