"""The page at `/`."""

from sandbox.atlan.catalog import Catalog


def render(catalog: Catalog, base: str, asset: str | None) -> str:
    return f"<h1>Atlan stand-in</h1><p>{len(catalog.store.by_guid)} assets at {base} {asset}</p>"
