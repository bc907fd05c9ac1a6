"""What a source's API says about an alert beyond its webhook: the exact tables, the owner, and the state itself."""

from dataclasses import dataclass
from datetime import datetime

from lily.domain.assets import TableRef


@dataclass(frozen=True)
class AlertDetails:
    """One reading of an alert. `updated_at` is the source's time and orders readings; `read_at` is ours, taken before asking."""

    alert_id: str
    status: str  # one of incidents.STATUSES
    severity: str | None  # "SEV-1" ... "SEV-4"
    owner: str | None
    type: str | None
    sub_types: tuple[str, ...]
    priority: str | None
    title: str | None
    url: str | None
    tables: tuple[TableRef, ...]
    created_at: datetime | None
    updated_at: datetime
    read_at: datetime
