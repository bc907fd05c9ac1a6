"""The connectors by kind. Each is imported on its first use, so that a process loads only what it needs."""

from importlib import import_module
from typing import TYPE_CHECKING, cast

from connectors.contracts import Catalog, Grants, Source, Target
from lily.domain import targets
from lily.domain.assets import Connection, ConnectionMap
from lily.runtime.settings import TargetSettings, settings

if TYPE_CHECKING:
    from connectors import atlan, databricks, monte_carlo, snowflake

    _promises: tuple[Source, ...] = (monte_carlo, atlan)  # the type checker holds each module to the protocol
    _promised: tuple[Target, ...] = (snowflake, databricks)
    _catalogs: tuple[Catalog, ...] = (atlan,)

SOURCES = {
    "monte-carlo": "connectors.monte_carlo",
    "atlan": "connectors.atlan",
}


TARGETS = {
    "snowflake": "connectors.snowflake",
    "databricks": "connectors.databricks",
}

CATALOGS = {
    "atlan": "connectors.atlan",
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


def grants(kind: str) -> Grants:
    """What a target of that kind needs to be granted. Raises LookupError for a kind whose connector cannot say."""
    name = f"{TARGETS.get(kind, kind)}.grants"
    try:
        return cast(Grants, import_module(name))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and what it imports is not
        raise LookupError(f"no connector says which grants a target of kind {kind!r} needs") from None


def catalog(kind: str) -> Catalog:
    """The catalog of that kind. Raises LookupError for a kind that no connector serves."""
    if kind not in CATALOGS:
        raise LookupError(f"no catalog of kind {kind!r}; known kinds: {', '.join(sorted(CATALOGS))}")
    return cast(Catalog, import_module(CATALOGS[kind]))


def connection_map(instance: str) -> ConnectionMap:
    """The configured connections of a catalog instance."""
    own = [config for config in settings().connections.values() if config.catalog == instance]
    return ConnectionMap(
        tuple(Connection(config.qualified_name, config.kind, frozenset(config.warehouses or ())) for config in own)
    )


def described(config: TargetSettings) -> targets.Target:
    """A target instance as the domain sees it. The salt has the name of the installation's only one."""
    can = target(config.kind).capabilities(config.name)
    return targets.Target(config.name, settings().installation, "deployment", can)
