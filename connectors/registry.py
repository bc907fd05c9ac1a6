"""The connectors by kind. Each is imported on its first use, so that a process loads only what it needs."""

from importlib import import_module
from typing import TYPE_CHECKING, cast

from connectors.contracts import Source, Target
from lily.domain import targets
from lily.runtime.settings import TargetSettings, settings

if TYPE_CHECKING:
    from connectors import monte_carlo, snowflake

    _promises: tuple[Source, ...] = (monte_carlo,)  # the type checker holds each module to the protocol
    _promised: tuple[Target, ...] = (snowflake,)

SOURCES = {
    "monte-carlo": "connectors.monte_carlo",
}


TARGETS = {
    "snowflake": "connectors.snowflake",
}


def source(kind: str) -> Source:
    """The source of that kind. Raises LookupError for a kind that no connector serves."""
    if kind not in SOURCES:
        raise LookupError(f"no source of kind {kind!r}; known kinds: {', '.join(sorted(SOURCES))}")
    return cast(Source, import_module(SOURCES[kind]))


def target(kind: str) -> Target:
    """The target of that kind. Importing it loads no vendor's client. Raises LookupError for a kind that no connector serves."""
    if kind not in TARGETS:
        raise LookupError(f"no target of kind {kind!r}; known kinds: {', '.join(sorted(TARGETS))}")
    return cast(Target, import_module(TARGETS[kind]))


def described(config: TargetSettings) -> targets.Target:
    """A target instance as the domain sees it. The salt has the name of the installation's only one."""
    can = target(config.kind).capabilities(config.name)
    return targets.Target(config.name, settings().installation, "deployment", can)
