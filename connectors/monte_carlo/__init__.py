"""Monte Carlo as a source: this module keeps the promises of `connectors.contracts.Source`.

Importing it loads no client: only `fetch_details` talks to anyone, and imports what it needs when it is called.
"""

from collections.abc import Sequence

from connectors.monte_carlo.payload import account, check_shape, incident, normalise
from connectors.monte_carlo.signature import is_shaped as is_signature_shaped
from connectors.monte_carlo.signature import verify
from lily.domain.alerts import AlertDetails

__all__ = [
    "account",
    "check_shape",
    "documentation",
    "fetch_details",
    "incident",
    "is_greeting",
    "is_signature_shaped",
    "normalise",
    "signature_header",
    "verify",
    "warm",
]

signature_header = "x-mcd-signature"

documentation = """\
Point a webhook of a [Monte Carlo](https://docs.getmontecarlo.com/docs/webhooks) audience here, with a secret that Lily knows. \
Monte Carlo sends each alert when it is created and again at every update, and signs with HMAC-SHA512, in hex, over \
`urllib.parse.urlencode(json.loads(body))`, in the header `x-mcd-signature`. The signature fixes what the body says, not its \
bytes: the same delivery with other white space or escapes is the same event. Fields that are not \
documented are kept, and a type of alert that is not known becomes an event of type `unknown`.\
"""


def fetch_details(instance: str, alert_ids: Sequence[str]) -> dict[str, AlertDetails]:
    """Details by alert id, one call for the whole batch; alerts that Monte Carlo does not know are left out."""
    from connectors.monte_carlo import client

    return client.fetch_details(instance, alert_ids)


def is_greeting(raw: bytes) -> bool:  # noqa: ARG001 - as promised
    """Monte Carlo signs its tests, too."""
    return False


def warm(instance: str) -> None:
    """Load the API's client, and its connections' pool with the certificates."""
    from connectors.monte_carlo import client

    client.warm(instance)
