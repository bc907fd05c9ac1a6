"""What answers about security look like, for the documentation; a test holds them against the schemas."""

from typing import Any

_ID = "r_01kc0v1h5nq8w3x9r4t7"
_URL = f"http://127.0.0.1:8000/security/rules/{_ID}"
_TABLE = "CRM.PUBLIC.CUSTOMERS"
_MASK = "lily_prod__mask_text64_5b1d0a6f3c2e4d5f6a7b"

RULE_DOCUMENT = {
    "name": "Hide e-mail addresses",
    "description": "Analysts see the domain only.",
    "regulation": "PII",
    "match": {"classifications": ["Email"], "patterns": ["*.e?mail*"]},
    "action": {"kind": "email_domain"},
    "exempt": [{"role": "AUDITOR", "until": "2027-01-01T00:00:00Z", "reason": "Audit of 2026"}],
    "targets": ["*"],
    "enabled": True,
}

RULE = RULE_DOCUMENT | {
    "id": _ID,
    "version": 1,
    "created_at": "2026-11-24T17:00:00.120Z",
    "changed_at": "2026-11-24T17:00:00.120Z",
    "deleted_at": None,
    "links": {
        "self": _URL,
        "versions": f"{_URL}/versions",
        "propagations": f"{_URL}/propagations",
        "plan": f"{_URL}/plan",
    },
}

WRITTEN_RULE = RULE | {
    "warnings": [
        {
            "field": "exempt[0].role",
            "reason": "'AUDITOR' does not exist in snowflake-prod, so it exempts nobody there (names are exact, case included)",
        }
    ]
}

DELETED_RULE = RULE | {
    "version": 2,
    "enabled": False,
    "changed_at": "2026-11-24T18:00:00.000Z",
    "deleted_at": "2026-11-24T18:00:00.000Z",
}

RULE_PAGE = {"items": [RULE], "next_cursor": None}

PROPAGATION = {
    "target": "snowflake-prod",
    "table": _TABLE,
    "version": 1,
    "state": "enforced",
    "since": "2026-11-24T17:00:00.910Z",
    "reason": "",
    "attempts": 0,
    "due_at": None,
    "statements": [f'ALTER TABLE "CRM"."PUBLIC"."CUSTOMERS" MODIFY COLUMN "EMAIL" SET MASKING POLICY "GOV"."LILY"."{_MASK}"'],
    "proof": {
        "outcome": "enforced",
        "at": "2026-11-24T17:00:00.880+00:00",
        "bodies": {_MASK: "7f9c2ba4e88f827d616045507605853e"},
        "query_ids": ["01b2c3d4-0000-1111-0000-000000000001"],
        "behaviours": [
            {
                "object": _MASK,
                "reader": ["role AUDITOR"],
                "expected": "clear",
                "seen": "clear",
                "query_id": "01b2c3d4-0000-1111-0000-000000000002",
            }
        ],
    },
    "started_at": "2026-11-24T17:00:00.190Z",
    "ended_at": "2026-11-24T17:00:00.910Z",
}

PROPAGATION_PAGE = {
    "rule_id": _ID,
    "version": 1,
    "state": "enforced",
    "targets": [
        {
            "target": "snowflake-prod",
            "version": 1,
            "asked_at": "2026-11-24T17:00:00.120Z",
            "done_at": "2026-11-24T17:00:00.930Z",
            "attempts": 0,
            "reason": "",
            "due_at": None,
            "tables": {"enforced": 1},
        }
    ],
    "items": [PROPAGATION],
    "next_cursor": None,
}

RETRIED = {"rule_id": _ID, "targets": ["snowflake-prod"]}

STATEMENT = {
    "source": "data-contracts",
    "stated_at": "2026-11-24T17:00:00Z",
    "annotations": [
        {
            "target": "snowflake-prod",
            "database": "CRM",
            "schema": "PUBLIC",
            "table": "CUSTOMERS",
            "column": "EMAIL",
            "classifications": ["Email", "PII"],
        },
        {"asset": "default/snowflake/1700000000/CRM/PUBLIC/CUSTOMERS/PHONE", "classifications": []},
    ],
}

ANNOTATION = {
    "target": "snowflake-prod",
    "table": _TABLE,
    "column": "EMAIL",
    "source": "data-contracts",
    "classifications": ["Email", "PII"],
    "stated_at": "2026-11-24T17:00:00.000Z",
    "lost_at": None,
}

STATED = {"items": [ANNOTATION | {"entry": 0, "changed": True, "outdated": False}]}

ANNOTATION_PAGE = {"items": [ANNOTATION], "next_cursor": None}

BACKFILL_WISH = {"connection": "default/snowflake/1700000000", "pattern": "CRM.PUBLIC.*", "dry_run": False}

BACKFILL_BEGUN: dict[str, Any] = {
    "id": "20261124170000-0f3c9a7be1d2",
    "catalog": "atlan",
    "connection": "default/snowflake/1700000000",
    "pattern": "CRM.PUBLIC.*",
    "tags": [],
    "dry_run": False,
    "by": "ann",
    "state": "running",
    "phase": "search",
    "about": 0,
    "seen": 0,
    "stated": 0,
    "asked": 0,
    "elsewhere": 0,
    "checked": 0,
    "reason": "",
    "started_at": "2026-11-24T17:00:00.000Z",
    "progress_at": None,
    "ended_at": None,
    "links": {"self": "http://127.0.0.1:8000/security/annotations/sync/20261124170000-0f3c9a7be1d2"},
}

BACKFILL: dict[str, Any] = {
    **BACKFILL_BEGUN,
    "phase": "check",
    "about": 1240,
    "seen": 1240,
    "stated": 37,
    "elsewhere": 1203,
    "checked": 100,
    "progress_at": "2026-11-24T17:00:09.000Z",
}

BACKFILL_PAGE = {"items": [BACKFILL], "next_cursor": None}

_TARGET_URL = "http://127.0.0.1:8000/security"
INVENTORY = {"read_at": "2026-11-24T16:59:30.000Z", "age_s": 30.1}

TARGET: dict[str, Any] = {
    "name": "snowflake-prod",
    "kind": "snowflake",
    "mode": "enforce",
    "configured_mode": "enforce",
    "changed_at": None,
    "changed_by": None,
    "proves": True,
    "trouble": "",
    "remarks": [],
    "checked_at": "2026-11-24T16:59:30.000Z",
    "inventory": INVENTORY,
    "tables": {"enforced": 12, "failed": 1},
    "links": {
        "self": f"{_TARGET_URL}/targets/snowflake-prod",
        "tables": f"{_TARGET_URL}/targets/snowflake-prod/tables",
        "plans": f"{_TARGET_URL}/plans?target=snowflake-prod",
        "drift": f"{_TARGET_URL}/drift?target=snowflake-prod",
    },
}

TARGET_LIST = {"items": [TARGET]}

CHANGED_MODES = TARGET_LIST | {"changed": ["snowflake-prod"]}

TABLE_PAGE = {
    "inventory": INVENTORY,
    "items": [
        {
            "table": _TABLE,
            "database": "CRM",
            "schema": "PUBLIC",
            "name": "CUSTOMERS",
            "kind": "table",
            "columns": [{"name": "EMAIL", "type": "VARCHAR(16777216)", "family": "text"}],
        }
    ],
    "next_cursor": None,
}

READERS = [{"reader": ["role AUDITOR"], "sees": "clear"}, {"reader": [], "sees": "email_domain"}]

PREVIEW: dict[str, Any] = {
    "rule_id": _ID,
    "version": 1,
    "targets": [
        {
            "target": "snowflake-prod",
            "aims": True,
            "observed_at": "2026-11-24T16:55:00.000Z",
            "inventory_read_at": "2026-11-24T16:59:30.000Z",
            "counts": {"tables": 1, "planned": 1, "columns": 1, "statements": 2},
            "columns": [
                {
                    "table": _TABLE,
                    "column": "EMAIL",
                    "type": "VARCHAR(16777216)",
                    "action": "email_domain",
                    "falls_back": False,
                    "rules": [_ID],
                    "readers": READERS,
                }
            ],
            "unsupported": [],
            "conflicts": [],
            "remarks": [],
            "exempt": [
                {
                    "principal": "role AUDITOR",
                    "until": "2027-01-01T00:00:00.000Z",
                    "reason": "Audit of 2026",
                    "exists": True,
                    "users": 3,
                    "through": ["role ACCOUNTADMIN"],
                }
            ],
            "notes": ["Whoever has an exempt role is exempt, through every role that inherits it too."],
            "side_effects": [],
            "brake": {"is_held": False, "weakened": 0, "counted": 0, "enforced": 12, "places": []},
            "statements": [
                f'CREATE MASKING POLICY "GOV"."LILY"."{_MASK}" AS (val VARCHAR) RETURNS VARCHAR -> ...',
                f'ALTER TABLE "CRM"."PUBLIC"."CUSTOMERS" MODIFY COLUMN "EMAIL" SET MASKING POLICY "GOV"."LILY"."{_MASK}"',
            ],
        }
    ],
}

MASKS = {
    "target": "snowflake-prod",
    "table": _TABLE,
    "kind": "table",
    "state": None,
    "reasons": [],
    "observed_at": None,
    "inventory": INVENTORY,
    "columns": [
        {
            "column": "EMAIL",
            "type": "VARCHAR(16777216)",
            "classifications": ["Email", "PII"],
            "carries": None,
            "wanted": {"name": _MASK, "rules": [_ID], "readers": READERS},
            "unprotected": None,
        }
    ],
    "rows": {"carries": None, "wanted": None},
    "statements": [f'ALTER TABLE "CRM"."PUBLIC"."CUSTOMERS" MODIFY COLUMN "EMAIL" SET MASKING POLICY "GOV"."LILY"."{_MASK}"'],
}

_PROTECTED = {
    "table": _TABLE,
    "state": "enforced",
    "reasons": [],
    "columns": ["EMAIL"],
    "rows": False,
    "ended_at": "2026-11-24T17:00:00.910Z",
}
PROTECTED = {"done": True, "tables": [_PROTECTED]}
PROTECTING = {"done": False, "tables": [_PROTECTED | {"state": "pending", "columns": [], "ended_at": None}]}

_PLAN_ID = "snowflake-prod.6b86b273ff34fce1"
PLAN = {
    "id": _PLAN_ID,
    "target": "snowflake-prod",
    "state": "pending",
    "fingerprint": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    "weakened": 1,
    "counted": 23,
    "enforced": 40,
    "rules": [_ID],
    "tables": [_TABLE],
    "created_at": "2026-11-24T18:00:00.400Z",
    "decided_at": None,
    "decided_by": None,
    "links": {
        "self": f"{_TARGET_URL}/plans/{_PLAN_ID}",
        "confirm": f"{_TARGET_URL}/plans/{_PLAN_ID}/confirm",
        "reject": f"{_TARGET_URL}/plans/{_PLAN_ID}/reject",
    },
}
PLAN_PAGE = {"items": [PLAN], "next_cursor": None}
PLAN_DETAIL = PLAN | {
    "places": [{"table": _TABLE, "column": "EMAIL", "why": "removed", "reader": []}],
    "statements": ['ALTER TABLE "CRM"."PUBLIC"."CUSTOMERS" MODIFY COLUMN "EMAIL" UNSET MASKING POLICY'],
}
_DECIDED = {"decided_at": "2026-11-24T18:05:00.000Z", "decided_by": "steward"}
CONFIRMED_PLAN = PLAN_DETAIL | _DECIDED | {"state": "confirmed"}
REJECTED_PLAN = PLAN_DETAIL | _DECIDED | {"state": "rejected"}

DRIFT_PAGE = {
    "items": [
        {
            "target": "snowflake-prod",
            "kind": "detached",
            "table": _TABLE,
            "column": "EMAIL",
            "text": f"{_TABLE}.EMAIL carries {_MASK} no longer, and nothing else",
            "found_at": "2026-11-24T19:00:00.000Z",
            "repaired_at": "2026-11-24T19:00:01.300Z",
        }
    ],
    "next_cursor": None,
}

RECONCILING = {"targets": ["snowflake-prod"]}

AUDIT_PAGE = {
    "items": [
        {
            "sequence": 1,
            "at": "2026-11-24T17:00:00.120Z",
            "actor": "steward",
            "action": "rule.created",
            "subject": _ID,
            "details": {"name": "Hide e-mail addresses", "version": 1},
            "before": "0" * 64,
            "hash": "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",
        }
    ],
    "next_cursor": None,
    "chain": {"holds": True, "sequence": None, "reason": None, "looked_at": 10000},
}
