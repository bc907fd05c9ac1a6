"""Monte Carlo's incidents as assets of Atlan's type `MCIncident`, beside the vendor's own connector, which polls.

Source: pyatlan 11.6.0 (MCIncident); the vendor's connector makes them too, with qualified names that are not published, so they
are looked for by `mcIncidentId`. Values are Monte Carlo's words. Lily never writes `assetMc...`: that connector would undo it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from connectors.atlan import client, search
from connectors.atlan.client import Call
from lily.domain.assets import Asset
from lily.domain.catalog import IncidentAsset, Priority
from lily.runtime import cache, logs
from lily.runtime.errors import Permanent, Transient

TYPE = "MCIncident"
FOUND_KEPT_S = 86_400.0
LOOK_S = 1.0  # badges go in the same request, and wait no longer for this
MISSED_KEPT_S = 600.0  # their connector may make it meanwhile
STATES: Mapping[str, str] = {
    "open": "NO_STATUS",
    "acknowledged": "INVESTIGATING",
    "work_in_progress": "WORK_IN_PROGRESS",
    "fixed": "FIXED",
    "expected": "EXPECTED",
    "no_action_needed": "NO_ACTION_NEEDED",
    "false_positive": "FALSE_POSITIVE",
}

TYPES: Mapping[str, str] = {
    "anomaly": "ANOMALIES",
    "custom_rule_anomaly": "CUSTOM_RULE_ANOMALIES",
    "schema_change": "SCHEMA_CHANGES",
    "json_schema_change": "JSON_SCHEMA_CHANGES",
    "deleted_table": "DELETED_TABLES",
    "dbt_error": "DBT_ERRORS",
    "etl_error": "ETL_ERRORS",
    "metric_anomaly": "METRIC_ANOMALIES",
    "metric_comparison_anomaly": "METRIC_COMPARISON_ANOMALIES",
    "performance_anomaly": "PERFORMANCE_ANOMALIES",
}

log = logs.get(__name__)


def entities(instance: str, incidents: Sequence[IncidentAsset]) -> dict[str, dict[str, Any]]:
    """By incident the entity to be written. Left out are those that have no asset and may have none; all if the search fails."""
    last = {incident.id: incident for incident in incidents}
    if not last:
        return {}
    try:
        call = client.begin(instance, Priority.READ_BACK, LOOK_S)
        known = _known(call, last.keys())
    except (Transient, Permanent) as error:
        log.warning("incident_asset.not_looked_for", catalog=instance, incidents=len(last), reason=error.reason)
        return {}
    made: dict[str, dict[str, Any]] = {}
    for name, incident in last.items():
        if (asset := known.get(name)) is not None:
            made[name] = _known_one(incident, asset)
        elif call.api.incident_connection is not None:
            made[name] = _own_one(incident, call.api.incident_connection)
    return made


def _known(call: Call, ids: Collection[str]) -> dict[str, Asset]:
    """Those that have an asset. Where there was none is remembered for a while, too."""
    namespace = f"incidents:{call.api.name}"
    kept = {name: orjson.loads(value) for name, value in cache.get_many(namespace, ids).items()}
    known = {name: Asset(*fields) for name, fields in kept.items() if fields}
    if unknown := [name for name in ids if name not in kept]:
        found = search.incidents(call, unknown)
        forms = {name: orjson.dumps([one.qualified_name, one.type, one.guid, one.name]) for name, one in found.items()}
        cache.put_many(namespace, forms, FOUND_KEPT_S)
        cache.put_many(namespace, {name: b"null" for name in unknown if name not in found}, MISSED_KEPT_S)
        known |= found
    return known


def _known_one(incident: IncidentAsset, asset: Asset) -> dict[str, Any]:
    """Only its state, and the tables beside those that it has."""
    attributes = {"qualifiedName": asset.qualified_name, "name": asset.name, **_state(incident)}
    tables = {"appendRelationshipAttributes": {"mcIncidentAssets": _tables(incident)}} if incident.tables else {}
    return {"typeName": TYPE, "guid": asset.guid, "attributes": attributes, **tables}


def _own_one(incident: IncidentAsset, connection: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "qualifiedName": f"{connection}/incident/{incident.id}",
        "name": incident.title or f"Incident {incident.id}",
        "connectorName": "monte-carlo",
        "connectionQualifiedName": connection,
        "mcLabels": ["lily"],
        "mcIncidentId": incident.id,
        "mcIncidentType": TYPES.get(incident.type, incident.type.upper()),
        "mcIncidentSubTypes": list(incident.sub_types),
        "mcIncidentWarehouse": incident.warehouse,
        "mcAssetQualifiedNames": [table.qualified_name for table in incident.tables],
        **({"sourceURL": incident.url} if incident.url else {}),
        **_state(incident),
        "mcIncidentAssets": _tables(incident),
    }
    return {"typeName": TYPE, "attributes": attributes}


def _state(incident: IncidentAsset) -> dict[str, Any]:
    state = {"mcIncidentState": STATES.get(incident.status, incident.status.upper())}
    if incident.severity is not None:
        state["mcIncidentSeverity"] = incident.severity
    if incident.priority is not None:
        state["mcIncidentPriority"] = incident.priority
    return state


def _tables(incident: IncidentAsset) -> list[dict[str, Any]]:
    return [{"typeName": table.type, "uniqueAttributes": {"qualifiedName": table.qualified_name}} for table in incident.tables]
