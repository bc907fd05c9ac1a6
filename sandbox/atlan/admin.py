"""The doors under `/sandbox/`: put a tenant together, act as its people, set what goes wrong, and see what happened."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.atlan import assets, errors, gate, settings, writes
from sandbox.atlan.assets import Asset
from sandbox.atlan.catalog import Call, Catalog
from sandbox.atlan.deliveries import Webhook
from sandbox.atlan.events import OPERATIONS
from sandbox.atlan.typedefs import SUPERTYPES, hashed

PERSON = "dana.data"
VIA_UI = {"x-atlan-via-ui": "true"}


class Admin:
    """Everything a test or a person may do that the vendor has no API for. Bodies are JSON; refusals are 400 with `error`."""

    def __init__(self, catalog: Catalog, entrance: Callable[[], gate.Gate]) -> None:
        self.catalog = catalog
        self.entrance = entrance  # asked at each request, since routes are made before what wraps them

    def routes(self) -> list[Route]:
        doors: dict[tuple[str, str], Callable[[Any], Awaitable[Any]]] = {
            ("POST", "assets"): self.seed,
            ("POST", "tables"): self.tables,
            ("POST", "lineage"): self.lineage,
            ("POST", "typedefs"): self.typedefs,
            ("POST", "tags"): self.tags,
            ("POST", "edit"): self.edit,
            ("POST", "delete"): self.delete,
            ("POST", "webhooks"): self.register,
            ("DELETE", "webhooks"): self.unregister,
            ("POST", "webhooks/release"): self.release,
            ("POST", "webhooks/again"): self.again,
            ("GET", "deliveries"): self.deliveries,
            ("GET", "settings"): self.settings,
            ("PATCH", "settings"): self.settings,
            ("GET", "faults"): self.faults,
            ("POST", "faults"): self.add_faults,
            ("DELETE", "faults"): self.clear_faults,
            ("GET", "requests"): self.requests,
            ("DELETE", "requests"): self.clear_requests,
            ("GET", "state"): self.state,
            ("GET", "idle"): self.idle,
            ("POST", "reset"): self.reset,
        }
        return [Route(f"/sandbox/{path}", _door(handler), methods=[method]) for (method, path), handler in doors.items()]

    async def seed(self, body: Any) -> Any:
        """`[{"typeName", "attributes", "guid"?, "tags"?, "custom"?, "relations"?}]`, without events unless `events` is true.

        Either the list itself or {"assets": list, "events": true}. Tags by name or id, not propagating, or an object with flags.
        `relations`: {name: [qualified names]}. What is there already stays as it is.
        """
        specs, eventful = (body.get("assets"), bool(body.get("events"))) if isinstance(body, dict) else (body, False)
        if type(specs) is not list:
            raise ValueError("expected a list of assets")
        call = Call("service-account-crawler", {}, eventful)
        made = [asset for spec in specs if (asset := self._seed_one(call, spec)) is not None]
        for spec in specs:
            self._relate(spec)
        for asset in made:
            self.catalog.tell(call, asset, "ENTITY_CREATE")
        return {"made": len(made), "guids": {asset.qualified_name: asset.guid for asset in made[:1000]}}

    def _seed_one(self, call: Call, spec: dict[str, Any]) -> Asset | None:
        kind, attributes = spec.get("typeName"), spec.get("attributes") or {}
        if kind not in SUPERTYPES or not attributes.get("qualifiedName") or not attributes.get("name"):
            raise ValueError(
                f"an asset needs a known typeName, attributes.name and attributes.qualifiedName: {json.dumps(spec)[:200]}"
            )
        if self.catalog.store.find(kind, attributes["qualifiedName"]):
            return None
        asset = Asset(kind, attributes=dict(attributes), custom=spec.get("custom") or {})
        asset.guid = spec.get("guid") or asset.guid
        tags = [self._tag(each) for each in spec.get("tags") or []]
        asset.direct = {each["typeName"]: assets.tag(each, asset.guid) for each in tags}
        self.catalog.store.add(asset)
        for name, each in asset.direct.items():
            if each["propagate"]:
                self.catalog.tasks.add("CLASSIFICATION_PROPAGATION_ADD", asset.guid, name, call)
        return asset

    def _relate(self, spec: dict[str, Any]) -> None:
        for name, ends in (spec.get("relations") or {}).items():
            if name not in assets.RELATIONS:
                raise ValueError(f"relations.{name}: known are {', '.join(assets.RELATIONS)}")
            asset = self.catalog.store.named(spec["typeName"], spec["attributes"]["qualifiedName"])
            self.catalog.store.relate(asset, name, [self.catalog.store.any_named(end).guid for end in ends])

    def _tag(self, spec: Any, **flags: Any) -> dict[str, Any]:
        given = spec if isinstance(spec, dict) else {"typeName": spec}
        return {"propagate": False, **flags, **given, "typeName": self.catalog.typedefs.tag_id(str(given.get("typeName")))}

    async def tables(self, body: Any) -> Any:
        """Tables with their columns; makes the connection, databases and schemas too.

        `{"connection": {"name", "qualifiedName"}, "tables": [{"database", "schema", "name", "type"?, "tags"?,
        "columns": [{"name", "dataType"?, "tags"?} or name]}]}`
        """
        return await self.seed({"assets": table_assets(body), "events": body.get("events", False)})

    async def lineage(self, body: Any) -> Any:
        """`[{"inputs": [..], "outputs": [..], "name"?}]`, by qualified name or guid; a process each."""
        call, store = Call("service-account-crawler", {}), self.catalog.store
        specs = body if isinstance(body, list) else [body]
        for spec in specs:
            ends = {side: [store.any_named(each) for each in spec[side]] for side in ("inputs", "outputs")}
            first, last = ends["inputs"][0], ends["outputs"][0]
            name = spec.get("name") or f"{first.name} -> {last.name}"
            connection = str(first.attributes.get("connectionQualifiedName"))
            key = assets_key(connection, ends)
            process = store.find("Process", key)
            if process is None:
                known = {"connectorName": connection.split("/")[1], "connectionQualifiedName": connection}
                process = Asset("Process", attributes={"name": name, "qualifiedName": key, **known})
                store.add(process)
                self.catalog.tell(call, process, "ENTITY_CREATE")
            for side, found in ends.items():
                store.relate(process, side, [each.guid for each in found])
            self.catalog.refresh_around(call, process)
        return {"processes": len(specs)}

    async def typedefs(self, body: Any) -> Any:
        """As the vendor's POST, except that what is there already is left alone."""
        taken = {
            each["displayName"] for place in (self.catalog.typedefs.tags, self.catalog.typedefs.sets) for each in place.values()
        }
        new = {
            name: [each for each in specs if each.get("displayName", each.get("name")) not in taken]
            for name, specs in body.items()
        }
        self.catalog.typedefs.create(new)
        return self.catalog.typedefs.answer([])

    async def tags(self, body: Any) -> Any:
        """As a person in the UI: `{"asset": guid or qualified name, "add": [..], "remove": [..], "propagate"?}`; or a list."""
        for spec in body if isinstance(body, list) else [body]:
            asset, call = self.catalog.store.any_named(str(spec.get("asset"))), Call(PERSON, dict(VIA_UI))
            remove = [self.catalog.typedefs.tag_id(each) for each in spec.get("remove") or []]
            add = [self._tag(each, propagate=bool(spec.get("propagate"))) for each in spec.get("add") or []]
            self.catalog.take_tags(call, asset, remove)
            self.catalog.put_tags(call, asset, add)
        return {"status": "done"}

    async def edit(self, body: Any) -> Any:
        """As a person in the UI: `{"asset", "attributes"?, "status": "ACTIVE"?}`; for announcements of others, or to restore."""
        asset, call = self.catalog.store.any_named(str(body.get("asset"))), Call(body.get("user", PERSON), dict(VIA_UI))
        spec = {"typeName": asset.type_name, "guid": asset.guid, "attributes": body.get("attributes") or {}}
        writes.upsert(self.catalog, call, [spec | ({"status": body["status"]} if "status" in body else {})], writes.Flags())
        return assets.full(asset, asset.tags)

    async def delete(self, body: Any) -> Any:
        """`{"asset", "purge"?, "parts"?}`: archive or purge, with `parts` all that is within it too, an event each."""
        asset, call = self.catalog.store.any_named(str(body.get("asset"))), Call(PERSON, dict(VIA_UI))
        gone = [asset, *(self.catalog.store.within(asset) if body.get("parts") else ())]
        for each in reversed(gone):
            (self.catalog.purge if body.get("purge") else self.catalog.archive)(call, each)
        return {"gone": len(gone)}

    async def register(self, body: Any) -> Any:
        """`{"url", "secret", "operations"?, "types"?}`: greets the receiver, which must answer 2xx."""
        operations = tuple(body.get("operations") or OPERATIONS)
        if unknown := sorted(set(operations) - set(OPERATIONS)):
            raise ValueError(f"operations: unknown {', '.join(unknown)}; known are {', '.join(OPERATIONS)}")
        if not body.get("url") or not body.get("secret"):
            raise ValueError("url and secret are needed")
        await self.catalog.webhooks.register(Webhook(body["url"], body["secret"], operations, tuple(body.get("types") or ())))
        return {"webhooks": len(self.catalog.webhooks.hooks)}

    async def unregister(self, _: Any) -> Any:
        self.catalog.webhooks.hooks.clear()
        return {"webhooks": 0}

    async def release(self, body: Any) -> Any:
        """`{"order": "kept" | "reversed" | "shuffled"}`"""
        return {"released": self.catalog.webhooks.release(body.get("order", "kept"))}

    async def again(self, body: Any) -> Any:
        """`{"number"}`: a delivery once more, byte for byte."""
        try:
            self.catalog.webhooks.again(body.get("number"))
        except KeyError:
            raise ValueError(f"delivery {body.get('number')} is not kept") from None
        return {"status": "sent"}

    async def deliveries(self, _: Any) -> Any:
        return [each.report() for each in self.catalog.webhooks.kept]

    async def settings(self, body: Any) -> Any:
        if body:
            self.catalog.index.catch_up()
            self.catalog.settings = settings.changed(self.catalog.settings, body)
        return asdict(self.catalog.settings)

    async def faults(self, _: Any) -> Any:
        return self.entrance().shown_faults()

    async def add_faults(self, body: Any) -> Any:
        self.entrance().faults += [gate.fault(each) for each in (body if isinstance(body, list) else [body])]
        return self.entrance().shown_faults()

    async def clear_faults(self, _: Any) -> Any:
        self.entrance().clear_faults()
        return []

    async def requests(self, _: Any) -> Any:
        """Calls of `/api/` one by one, and their counts: by kind, by agent id, by status."""
        log = list(self.entrance().log)
        by = {name: Counter(str(each[name]) for each in log) for name in ("agent", "status")}
        written = sum(each["entities"] or 0 for each in log)
        return {
            "total": sum(self.entrance().counts.values()),
            "calls": dict(self.entrance().counts),
            **by,
            "entities": written,
            "log": log,
        }

    async def clear_requests(self, _: Any) -> Any:
        self.entrance().clear_log()
        return {"status": "cleared"}

    async def state(self, _: Any) -> Any:
        """The truth of the store: assets with tags by name and announcement, and what is still on its way."""
        return {
            "assets": [self._shown(asset) for asset in self.catalog.store.by_guid.values()],
            "tasks": [task.shown() for task in self.catalog.tasks.all],
            **await self.idle(None),
        }

    def _shown(self, asset: Asset) -> dict[str, Any]:
        names = {key: each["displayName"] for key, each in self.catalog.typedefs.tags.items()}
        return {
            "guid": asset.guid, "typeName": asset.type_name, "status": asset.status, "attributes": asset.attributes,
            "direct": sorted(names.get(each, each) for each in asset.direct),
            "propagated": sorted({names.get(each, each) for each, _ in asset.propagated}),
            "custom": asset.custom, "relations": asset.relations,
        }  # fmt: skip

    async def idle(self, _: Any) -> Any:
        """Whether all tags have travelled and all webhooks were answered, so that absence means something."""
        waiting = self.catalog.webhooks.on_their_way
        return {"idle": self.catalog.tasks.idle and waiting == 0, "deliveries_on_their_way": waiting}

    async def reset(self, _: Any) -> Any:
        self.catalog.clear()
        self.entrance().clear()
        return {"status": "reset"}


def table_assets(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that belongs to some tables, from their connection down to the columns, as a crawler would write it."""
    connection = body["connection"]["qualifiedName"]
    base = {"connectorName": connection.split("/")[1], "connectionQualifiedName": connection}
    made = {connection: _asset("Connection", body["connection"]["name"], connection, base)}
    for table in body["tables"]:
        kind, path = table.get("type", "Table"), f"{connection}/{table['database']}"
        made.setdefault(path, _asset("Database", table["database"], path, base))
        within = base | {"databaseName": table["database"], "databaseQualifiedName": path}
        path = f"{path}/{table['schema']}"
        made.setdefault(path, _asset("Schema", table["schema"], path, within))
        within |= {"schemaName": table["schema"], "schemaQualifiedName": path}
        path, columns = f"{path}/{table['name']}", table.get("columns") or []
        spec = {"tags": table.get("tags"), "guid": table.get("guid")}
        made.setdefault(path, _asset(kind, table["name"], path, within | {"columnCount": len(columns)}) | spec)
        word = "view" if kind in ("View", "MaterialisedView") else "table"
        within |= {f"{word}Name": table["name"], f"{word}QualifiedName": path}
        for order, column in enumerate(columns, 1):
            given = column if isinstance(column, dict) else {"name": column}
            own = within | {"order": order, "dataType": given.get("dataType", "VARCHAR")}
            spec = {"tags": given.get("tags"), "guid": given.get("guid")}
            made[f"{path}/{given['name']}"] = _asset("Column", given["name"], f"{path}/{given['name']}", own) | spec
    return list(made.values())


def assets_key(connection: str, ends: dict[str, list[Asset]]) -> str:
    return f"{connection}/{hashed(*(each.guid for side in ends.values() for each in side))}"


def _asset(kind: str, name: str, qualified_name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"typeName": kind, "attributes": attributes | {"name": name, "qualifiedName": qualified_name}}


def _door(handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        raw = await request.body()
        try:
            return JSONResponse(await handler(json.loads(raw) if raw else {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return JSONResponse({"error": f"{error}"}, 400)
        except errors.Refused as refused:
            return JSONResponse({"error": str(refused)}, 400)

    return answer
