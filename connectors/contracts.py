"""What Lily expects of an outside system: the promises that every source keeps, whatever its vendor."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lily.domain.alerts import AlertDetails
from lily.domain.incidents import Change


class SignatureRejected(Exception):
    """The delivery does not prove that it is from its source. The reason is for the log, not for the sender."""


class BodyRejected(Exception):
    """The body is not what this source documents. `field` is a path such as `payload` or `account.id`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Source(Protocol):
    """A system that sends deliveries. No method but `fetch_details` talks to anyone."""

    signature_header: str  # lower case; its shape can be judged before the body is read
    documentation: str  # one Markdown paragraph for the API's page: how this source signs, what it sends

    def check_shape(self, body: Mapping[str, Any]) -> None:
        """The documented types of known fields. Unknown fields are fine. Raises BodyRejected."""

    def is_signature_shaped(self, signature: str | None) -> bool:
        """Whether the header could be a signature at all: cheap, before any hashing."""

    def verify(self, body: Mapping[str, Any], signature: str | None, secrets: Sequence[str]) -> None:
        """Prove the sender, in constant time for each secret. Raises SignatureRejected."""

    def account(self, body: Mapping[str, Any]) -> str:
        """The vendor's account that the delivery speaks for; empty if it names none."""

    def incident(self, body: Mapping[str, Any]) -> str | None:
        """The incident that the delivery is about, as far as it can be told at a glance; decides the lane."""

    def normalise(self, body: Mapping[str, Any]) -> Change:
        """The delivery in Lily's words. An unknown variant becomes type `unknown`, never an error."""

    def warm(self, instance: str) -> None:
        """Load what `fetch_details` needs, so that the first batch of a worker does not wait for it. Connects to nothing."""

    def fetch_details(self, instance: str, alert_ids: Sequence[str]) -> dict[str, AlertDetails]:
        """Details by alert id, one call for the whole batch; alerts unknown to the source are left out.

        `instance` names the settings (LILY_SOURCE_<NAME>_*). Raises Transient (slow, away, over budget) and Permanent (refused).
        """
