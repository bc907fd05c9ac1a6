"""A connector of a warehouse that nobody talks to: what previews need of one. Its statements say which step they are of."""

from lily.domain.steps import Step
from lily.domain.targets import Capabilities
from tests.domain.security import BRICKS, SNOW


def capabilities(instance: str) -> Capabilities:
    return BRICKS.can if instance == "bricks" else SNOW.can


def render(instance: str, step: Step) -> str:
    return f"{instance}: {type(step).__name__}"
