"""What the metastore answers under `/api/meta/`, as far as the vendor's client and Lily's own calls need it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.atlan import assets, errors, lineage, writes
from sandbox.atlan.assets import Asset
from sandbox.atlan.catalog import Call, Catalog
from sandbox.atlan.query import compile_query
from sandbox.atlan.typedefs import SUPERTYPES

Handler = Callable[[Catalog, "Asked"], Any]


class Asked:
    """A request in the words of the handlers: path, query and body, and who asks."""

    def __init__(self, request: Request, raw: bytes) -> None:
        self.path = request.path_params
        self.pairs = parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True)
        self.query = dict(self.pairs)
        self._raw = raw
        self.entry: dict[str, Any] = request.scope.get("entry", {})  # the call in the log
        sent = {name: value for name, value in request.headers.items() if name.startswith("x-atlan-")}
        self.call = Call(f"service-account-apikey-{sent.get('x-atlan-agent-id') or '1'}", sent)

    @property
    def body(self) -> Any:
        try:
            return json.loads(self._raw)
        except ValueError as error:
            raise errors.Refused(400, "ATLAS-400-00-001", f"invalid JSON: {error}") from None

    @property
    def object(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        body = self.body
        if not isinstance(body, dict):
            raise errors.Refused(400, "ATLAS-400-00-001", "invalid JSON: expected an object")
        return body

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


def routes(catalog: Catalog) -> list[Route]:
    def route(method: str, path: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            raw = await request.body()
            asked = Asked(request, raw)
            try:
                result = handler(catalog, asked)
            except errors.Refused as refused:
                return JSONResponse(refused.body, refused.status)
            return Response(status_code=204) if result is None else JSONResponse(result)

        return Route(f"/api/meta{path}", answer, methods=[method])

    return [
        route("POST", "/search/indexsearch", index_search),
        route("POST", "/lineage/list", lineage_list),
        route("POST", "/task/search", task_search),
        route("GET", "/entity/guid/{guid}", get_one),
        route("GET", "/entity/guid/{guid}/header", get_header),
        route("GET", "/entity/guid/{guid}/classifications", get_tags),
        route("POST", "/entity/guid/{guid}/classifications", add_tags),
        route("PUT", "/entity/guid/{guid}/classifications", add_tags),
        route("DELETE", "/entity/guid/{guid}/classification/{tag}", delete_tag),
        route("POST", "/entity/guid/{guid}/businessmetadata/{set}", set_custom),
        route("GET", "/entity/uniqueAttribute/type/{type}", get_named),
        route("PUT", "/entity/uniqueAttribute/type/{type}", update_named),
        route("GET", "/entity/bulk/uniqueAttribute/type/{type}", get_many_named),
        route("GET", "/entity/bulk", get_many),
        route("POST", "/entity/bulk", upsert),
        route("DELETE", "/entity/bulk", delete),
        route("GET", "/types/typedefs", get_typedefs),
        route("POST", "/types/typedefs", lambda catalog, asked: catalog.typedefs.create(asked.object)),
        route("PUT", "/types/typedefs", lambda catalog, asked: catalog.typedefs.update(asked.object)),
        route("DELETE", "/types/typedef/name/{name}", lambda catalog, asked: catalog.typedefs.delete(asked.path["name"])),
    ]


def index_search(catalog: Catalog, asked: Asked) -> Any:
    return catalog.index.search(asked.object, catalog.settings.hidden)


def lineage_list(catalog: Catalog, asked: Asked) -> Any:
    body = asked.object
    catalog.check_visible(asked.call, [catalog.store.get(str(body.get("guid")))], "read entity")
    answer = lineage.walk(catalog.store, body)
    for place, entity in enumerate(answer["entities"]):
        if not catalog.visible(catalog.store.get(entity["guid"])):
            answer["entities"][place] = {"typeName": entity["typeName"], "guid": "-1", "attributes": {}, "depth": entity["depth"]}
    return answer


def task_search(catalog: Catalog, asked: Asked) -> Any:
    dsl = asked.object.get("dsl") or {}
    test = compile_query(dsl.get("query") or {"match_all": {}})
    found = [task for task in catalog.tasks.all if test(task.fields())]
    start, size = int(dsl.get("from") or 0), int(dsl.get("size") or 10)
    tasks = [task.shown() for task in found[start : start + size]]
    return {"tasks": tasks, "approximateCount": len(found), "aggregations": {}}


def get_one(catalog: Catalog, asked: Asked) -> Any:
    return {"referredEntities": {}, "entity": _read(catalog, asked, catalog.store.get(asked.path["guid"]))}


def get_header(catalog: Catalog, asked: Asked) -> Any:
    asset = catalog.store.get(asked.path["guid"])
    catalog.check_visible(asked.call, [asset], "read entity")
    return assets.header(asset)


def get_named(catalog: Catalog, asked: Asked) -> Any:
    return {"referredEntities": {}, "entity": _read(catalog, asked, _named(catalog, asked))}


def get_many(catalog: Catalog, asked: Asked) -> Any:
    """By guid: one that is not known spoils the whole call."""
    found = [catalog.store.get(guid) for guid in asked.all("guid")]
    return {"referredEntities": {}, "entities": [_read(catalog, asked, asset) for asset in found]}


def get_many_named(catalog: Catalog, asked: Asked) -> Any:
    """By qualified name: those that are not known are left out."""
    kind = _type(asked.path["type"])
    names = [value for key, value in asked.pairs if key.startswith("attr_") and key.endswith(":qualifiedName")]
    found = [asset for name in dict.fromkeys(names) if (asset := catalog.store.find(kind, name)) and catalog.visible(asset)]
    return {"referredEntities": {}, "entities": [_read(catalog, asked, asset) for asset in found]}


def get_tags(catalog: Catalog, asked: Asked) -> Any:
    asset = catalog.store.get(asked.path["guid"])
    catalog.check_visible(asked.call, [asset], "read entity")
    tags = asset.shown_tags()
    body = {"list": tags, "startIndex": 0, "pageSize": len(tags), "totalCount": len(tags), "sortType": "NONE", "sortBy": None}
    return {key: value for key, value in body.items() if value is not None}


def add_tags(catalog: Catalog, asked: Asked) -> Any:
    specs = asked.body
    for spec in specs:
        if spec.get("typeName") not in catalog.typedefs.tags:
            raise errors.unknown_tag(str(spec.get("typeName")))
    catalog.put_tags(asked.call, catalog.store.get(asked.path["guid"]), specs)


def delete_tag(catalog: Catalog, asked: Asked) -> Any:
    catalog.take_tags(asked.call, catalog.store.get(asked.path["guid"]), [asked.path["tag"]])


def set_custom(catalog: Catalog, asked: Asked) -> Any:
    asset = catalog.store.get(asked.path["guid"])
    catalog.check_visible(asked.call, [asset], "update entity")
    writes.set_custom(catalog, asked.call, asset, asked.path["set"], asked.object)


def update_named(catalog: Catalog, asked: Asked) -> Any:
    """A partial update of one asset that is there already."""
    asset = _named(catalog, asked)
    spec = (asked.object.get("entity") or {}) | {"typeName": asset.type_name, "guid": asset.guid}
    answer = writes.upsert(catalog, asked.call, [spec], writes.Flags())
    return answer | {"guidAssignments": {}}


def upsert(catalog: Catalog, asked: Asked) -> Any:
    how = writes.flags(asked.query)
    entities = asked.object.get("entities")
    asked.entry["entities"] = len(entities or ())
    return writes.upsert(catalog, asked.call, entities, how)


def delete(catalog: Catalog, asked: Asked) -> Any:
    """SOFT archives; HARD and PURGE remove."""
    found = [catalog.store.get(guid) for guid in asked.all("guid")]
    kind = asked.query.get("deleteType", "SOFT")
    if kind not in ("SOFT", "HARD", "PURGE"):
        raise errors.bad(f"deleteType: {kind} is not known")
    catalog.check_visible(asked.call, found, "delete entity")
    gone: list[Asset] = []
    for asset in found:
        if kind == "SOFT":
            gone += [asset] if catalog.archive(asked.call, asset) else []
        else:
            catalog.purge(asked.call, asset)
            gone.append(asset)
    return {"mutatedEntities": {"DELETE": [assets.header(each) for each in gone]} if gone else {}, "guidAssignments": {}}


def get_typedefs(catalog: Catalog, asked: Asked) -> Any:
    return catalog.typedefs.answer([part for value in asked.all("type") for part in value.split(",")])


def _named(catalog: Catalog, asked: Asked) -> Asset:
    return catalog.store.named(_type(asked.path["type"]), asked.query.get("attr:qualifiedName", ""))


def _type(name: str) -> str:
    if name not in SUPERTYPES:
        raise errors.unknown_type(name)
    return name


def _read(catalog: Catalog, asked: Asked, asset: Asset) -> dict[str, Any]:
    catalog.check_visible(asked.call, [asset], "read entity")
    body = assets.full(asset, asset.shown_tags())
    if asked.query.get("ignoreRelationships") != "true":
        body["relationshipAttributes"] = catalog.store.references(asset)
    return body
