"""Types: which kinds of assets there are, and the tags and custom metadata that people defined, under hashed ids.

Source: typedefs as the vendor's SDK reads them. An id is made once and outlives every rename.
"""

import hashlib
import string
from dataclasses import dataclass, field
from typing import Any

from sandbox.atlan import errors

# type -> its supertypes besides Asset and Referenceable, as far as a search may name them
SUPERTYPES: dict[str, tuple[str, ...]] = {
    "Connection": (), "Process": (), "ColumnProcess": ("Process",), "AtlasGlossary": (), "AtlasGlossaryTerm": (),
    "Database": ("SQL",), "Schema": ("SQL",), "Table": ("SQL",), "View": ("SQL",), "MaterialisedView": ("SQL",),
    "SnowflakeDynamicTable": ("Table", "SQL"), "TablePartition": ("SQL",), "Column": ("SQL",), "SnowflakeTag": ("SQL",),
    "MCIncident": ("MonteCarlo", "DataQuality"), "MCMonitor": ("MonteCarlo", "DataQuality"),
}  # fmt: skip
SOURCE_TAG = {"category": "STRUCT", "guid": "s-1", "name": "SourceTagAttachment", "typeVersion": "1.0", "attributeDefs": []}
LISTS = {"CLASSIFICATION": "classificationDefs", "BUSINESS_METADATA": "businessMetadataDefs", "STRUCT": "structDefs"}
ALPHABET = string.ascii_letters + string.digits


def hashed(*words: str) -> str:
    """22 letters and digits, the same for the same words."""
    number = int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest())
    return "".join(ALPHABET[number // 62**place % 62] for place in range(22))


@dataclass
class Typedefs:
    """The definitions by id. What a deleted id meant is forgotten, as in the metastore."""

    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, categories: list[str]) -> dict[str, Any]:
        """What GET shows: all lists always, those not asked for empty."""
        body: dict[str, Any] = {"enumDefs": [], "structDefs": [], "classificationDefs": [], "entityDefs": []}
        body |= {"relationshipDefs": [], "businessMetadataDefs": [], "searchParameters": {}}
        wanted = [each.upper() for each in categories] or list(LISTS)
        found = {
            "CLASSIFICATION": list(self.tags.values()),
            "BUSINESS_METADATA": list(self.sets.values()),
            "STRUCT": [SOURCE_TAG],
        }
        return body | {LISTS[each]: found[each] for each in wanted if each in LISTS}

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Define what is in the body; answers it with ids. Refused if a name is taken."""
        made: dict[str, list[dict[str, Any]]] = {"classificationDefs": [], "businessMetadataDefs": []}
        for category, name in (("CLASSIFICATION", "classificationDefs"), ("BUSINESS_METADATA", "businessMetadataDefs")):
            for spec in body.get(name) or []:
                made[name].append(self._define(category, spec))
        return self.answer(["NONE"]) | made

    def _define(self, category: str, spec: dict[str, Any]) -> dict[str, Any]:
        place = self.tags if category == "CLASSIFICATION" else self.sets
        display = str(spec.get("displayName") or spec.get("name") or "")
        if not display:
            raise errors.bad("displayName is missing")
        if any(each["displayName"] == display for each in place.values()):
            raise errors.Refused(409, "ATLAS-409-00-001", f"Given type {display} already exists")
        given = str(spec.get("name") or "")
        new = given if len(given) == 22 and given.isalnum() else hashed(category, display, str(len(place)))
        attributes = [self._attribute(new, each) for each in spec.get("attributeDefs") or []]
        common = {"category": category, "guid": f"t-{new}", "name": new, "displayName": display, "typeVersion": "1.0"}
        place[new] = spec | common | {"attributeDefs": attributes, "options": spec.get("options") or {}}
        if category == "CLASSIFICATION":
            place[new] = {"superTypes": [], "entityTypes": ["Asset"], "subTypes": []} | place[new]
        return place[new]

    def _attribute(self, owner: str, spec: dict[str, Any]) -> dict[str, Any]:
        display = str(spec.get("displayName") or spec.get("name"))
        given = str(spec.get("name") or "")
        name = given if len(given) == 22 and given.isalnum() else hashed(owner, display)
        kind = {"typeName": "string", "isOptional": True, "cardinality": "SINGLE", "valuesMinCount": 0, "valuesMaxCount": 1}
        flags = {"isUnique": False, "isIndexable": True, "includeInNotification": False}
        return kind | flags | spec | {"name": name, "displayName": display}

    def update(self, body: dict[str, Any]) -> dict[str, Any]:
        """Change what is in the body, by id: a new `displayName` renames, new attributes are added."""
        made: dict[str, list[dict[str, Any]]] = {"classificationDefs": [], "businessMetadataDefs": []}
        for place, name in ((self.tags, "classificationDefs"), (self.sets, "businessMetadataDefs")):
            for spec in body.get(name) or []:
                old = place.get(spec.get("name", ""))
                if old is None:
                    raise errors.unknown_type(str(spec.get("name")))
                attributes = [self._attribute(old["name"], each) for each in spec.get("attributeDefs") or old["attributeDefs"]]
                place[old["name"]] = old | spec | {"attributeDefs": attributes}
                made[name].append(place[old["name"]])
        return self.answer(["NONE"]) | made

    def delete(self, name: str) -> None:
        if self.tags.pop(name, None) is None and self.sets.pop(name, None) is None:
            raise errors.unknown_type(name)

    def tag_id(self, name: str) -> str:
        """The id of a tag, given that or the name that people see. ValueError if there is none."""
        for each, spec in self.tags.items():
            if name in (each, spec["displayName"]):
                return each
        raise ValueError(f"no tag {name!r}; POST /sandbox/typedefs defines some")
