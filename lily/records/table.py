"""The one table in which Lily remembers everything.

| item | pk | sk | indexes |
| --- | --- | --- | --- |
| event | `E#<id>` | `E` | gs1; gs2 until published and its badge is owed by an asset, or parked; gs3 by its first asset |
| body that does not fit | `E#<id>` | `B#<n>` | |
| repeat of an event | `E#<id>` | `R` | gs2 while its claim has not been looked at |
| event's further assets | `E#<id>` | `A#<asset>` | gs3 |
| incident | `I#<source>#<incident>` | `S` | gs1; gs2 while a re-read or a message is owed |
| day of the list | `L` | `<yyyymmdd>` | |
| annotations of a table and its columns | `T#<target>#<table>` | `N` | |
| request to look at a table again | `T#<target>#<table>` | `L` | gs2 while due |
| annotated tables; those of a classification | `N#<target>`; `K#<target>#<class>` | `<table>` | |
| table as it was last looked at | `S#<target>` | `<table>` | |
| inventory: table; head | `V#<target>` | `<table>`; `~` | |
| who has a principal | `VH#<target>` | `<kind>#<name>` | |
| drift | `D#<target>` | `<table>#<kind>#<column>` | gs1 |
| rule; one that was deleted | `RULES`; `GONE` | `<rule>` | |
| version of a rule | `R#<rule>` | `V#<number>` | |
| request of a rule to a target | `R#<rule>` | `Q#<target>` | gs2 until it is done |
| propagation of a rule at a table | `R#<rule>` | `P#<target>#<table>` | |
| loss of protection that is to be told | `W#<target>#<digest>` | `W` | gs2 until it was told |
| held plan; what of it does not fit | `HELD`; `HELD#<target>#<plan>` | `<target>#<plan>`; `<digest>#<n>` | |
| the account of the day | `SPENT#<target>` | `<ms>#<random>#<n>` | |
| asset of a catalog that was tagged | `Y#<catalog>#<asset>` | `Y` | gs2 while its tags are to be read |
| names of a catalog's tag | `TAGS#<catalog>` | `<tag>` | |
| backfill from a catalog; its progress | `SYNCS` | `<catalog>#<id>` | gs2 until it is done |
| asset on which something is shown | `A#<catalog>#<asset>` | `A` | gs2 until what is seen is right, and others were told |
| incident and where it is shown | `U#<source>#<incident>` | `U` | gs2 while it is to be brought there |
| table that is no asset | `UNRESOLVED` | `<catalog>#<table>` | gs2 until it is found |
| connections named through the API | `CONNECTIONS` | `<catalog>` | |
| target as it is run | `TARGETS` | `<target>` | |
| audit entry, and the last one | `AUDIT` | `<sequence>`, `~` | |

| index | key | serves |
| --- | --- | --- |
| gs1 | g1 = `L#<yyyymmdd>#<shard>`, `I#<shard>` or `D#<target>`, t = `<ms>#<id>` | newest first, filtered on typ, sta, sev, src |
| gs2 | g2 = `P#<kind>#<shard>`, due = `<ms>#<lane key>#<id>`; parked: `F#<kind>#<shard>`, due = t | the sweep; what is parked |
| gs3 | g3 = `A#<asset>`, t | events of an asset |

Attributes: `d` (everything no index needs: JSON, deflated where it is long), `raw` (body as sent, deflated),
`sta typ sev src` (filters), `ver` (conditional writes), `exp` (TTL in epoch seconds). Names are short because every write pays
for them.
"""

from typing import Any

from lily.runtime import aws
from lily.runtime.errors import Permanent
from lily.runtime.settings import settings

FILTERS = ["typ", "sta", "sev", "src"]


def check() -> None:
    """Raises Transient where DynamoDB does not answer, Permanent where the table is not there or not yet usable."""
    description = aws.call(aws.dynamodb().describe_table, TableName=settings().table)
    status = description["Table"]["TableStatus"]
    if status not in {"ACTIVE", "UPDATING"}:
        raise Permanent(f"table {settings().table} is {status}")


def create() -> bool:
    """Make the table, and switch TTL, point-in-time recovery, encryption and deletion protection on. Safe to repeat.

    False: it was there already.
    """
    from botocore.exceptions import ClientError

    client, name = aws.client("dynamodb", read_timeout_s=10.0), settings().table
    made = True
    try:
        client.create_table(TableName=name, **_definition())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise
        made = False
    client.get_waiter("table_exists").wait(TableName=name)
    if client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] not in {"ENABLED", "ENABLING"}:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "exp"})
    client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    return made


def _definition() -> dict[str, Any]:
    return {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in ("pk", "sk", "g1", "t", "g2", "due", "g3")
        ],
        "KeySchema": _key("pk", "sk"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "gs1",
                "KeySchema": _key("g1", "t"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": FILTERS},
            },
            {"IndexName": "gs2", "KeySchema": _key("g2", "due"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
            {"IndexName": "gs3", "KeySchema": _key("g3", "t"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
        ],
        "SSESpecification": {"Enabled": True, "SSEType": "KMS"},
        "DeletionProtectionEnabled": True,
    }


def _key(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
