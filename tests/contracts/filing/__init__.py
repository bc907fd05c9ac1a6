"""Filing as a target, written as docs/adding-a-connector.md says: it shows what that page and the contract are worth."""

from connectors.contracts import Done
from lily.domain.steps import DropMask, DropRowPolicy, Step
from lily.domain.targets import Capabilities
from lily.runtime.settings import settings
from tests.contracts.filing import bodies, dialect, proof
from tests.contracts.filing.client import ask
from tests.contracts.filing.proof import check, prove
from tests.contracts.filing.state import closer, holders, observe, read, tables, tags

__all__ = [
    "capabilities",
    "check",
    "close",
    "closer",
    "execute",
    "holders",
    "observe",
    "prove",
    "read",
    "render",
    "tables",
    "tags",
]


def capabilities(instance: str) -> Capabilities:
    several = settings().targets[instance].several_columns
    return Capabilities(bodies.REVISION, "role", columns_per_statement=20 if several else 1, comment_with_body=True)


def render(instance: str, step: Step) -> str:
    return dialect.render(step, settings().targets[instance].home, proof.salt())


def execute(instance: str, step: Step) -> Done:
    if isinstance(step, DropMask | DropRowPolicy):
        proof.clear_away(instance, step.name)
    statement = render(instance, step)
    return Done(statement, ask(instance, statement).id)


def close(instance: str) -> None:
    """Nothing stays open between two orders."""
