"""The page at `/`: every asset with its banner, tags and neighbours, for a person with a browser. It renews itself."""

from collections.abc import Iterable
from html import escape
from string import Template

from sandbox.atlan.assets import Asset
from sandbox.atlan.catalog import Catalog
from sandbox.atlan.deliveries import Delivery

SHOWN_MAX = 200
COLUMNS_MAX = 60
COLORS = {"Red": "#d92d20", "Yellow": "#b54708", "Green": "#067647", "Gray": "#667085"}
TABLES = ("Table", "View", "MaterialisedView", "SnowflakeDynamicTable")
PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Atlan stand-in</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #667085; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1rem; margin: 2rem 0 .6rem; color: var(--quiet); font-weight: 600 }
a { color: inherit } code { font-size: .88em } .quiet { color: var(--quiet) }
.assets { display: grid; grid-template-columns: repeat(auto-fill, minmax(23rem, 1fr)); gap: .9rem }
.asset { border: 1px solid var(--line); border-radius: .7rem; padding: .8rem 1rem; overflow-wrap: anywhere }
.asset h3 { font-size: 1rem; margin: 0 } .asset.gone { opacity: .55 }
.kind { float: right; font-size: .75rem; color: var(--quiet); border: 1px solid var(--line); border-radius: 1rem;
padding: 0 .6rem }
.banner { border-left: .3rem solid; border-radius: .3rem; padding: .4rem .7rem; margin: .5rem 0; font-size: .9rem }
.banner b { display: block } .issue { border-color: #d92d20; background: #d92d2018 }
.warning { border-color: #dc8b06; background: #dc8b0618 } .information { border-color: #1570ef; background: #1570ef18 }
.tag { display: inline-block; font-size: .75rem; font-weight: 600; border: 1px solid; border-radius: 1rem; padding: 0 .55rem }
.tag.far { border-style: dashed; font-weight: 400 }
ul { list-style: none; margin: .5rem 0 0; padding: 0 } li { border-top: 1px solid var(--soft); padding: .12rem 0 }
table { border-collapse: collapse; width: 100%; font-size: .85rem } td, th { text-align: left; padding: .15rem .8rem .15rem 0 }
pre { background: var(--soft); border-radius: .5rem; padding: .8rem; overflow-x: auto; font-size: .82rem }
</style>
<main id="main"><h1>Atlan stand-in</h1>
<p class="quiet">This is not Atlan. It speaks the API of its metastore under <code>/api/meta/</code> and sends its webhooks.
$counts. Webhooks go to $hooks. Nothing is kept when it ends.</p>
$assets
<h2>Latest webhooks</h2>
$deliveries
</main>
<h2>What you can do</h2>
<pre>BASE=$base

curl $$BASE/sandbox/tags -d '{"asset": "$example", "add": ["PII"], "propagate": true}'
curl $$BASE/sandbox/tags -d '{"asset": "$example", "remove": ["PII"]}'
curl $$BASE/sandbox/edit -d '{"asset": "$example", "attributes": {"announcementType": "warning", "announcementTitle": "Moving"}}'
curl $$BASE/sandbox/webhooks -d '{"url": "http://127.0.0.1:8000/webhooks/atlan", "secret": "..."}'
curl $$BASE/sandbox/settings -X PATCH -d '{"index_lag_s": 2, "propagation_delay_s": 1, "webhook_reorder_s": 0.5}'
curl $$BASE/sandbox/faults -d '{"kind": "status", "status": 429, "share": 0.05, "retry_after_s": 1}'
curl $$BASE/sandbox/faults -X DELETE
curl $$BASE/sandbox/reset -X POST</pre>
<p class="quiet">Look at <a href="/sandbox/state">state</a>, <a href="/sandbox/requests">requests</a>,
<a href="/sandbox/deliveries">deliveries</a>, <a href="/sandbox/settings">settings</a>, <a href="/sandbox/faults">faults</a>.</p>
<script>
setInterval(async () => {
  try {
    const text = await (await fetch(location.href)).text();
    const next = new DOMParser().parseFromString(text, "text/html").getElementById("main");
    const main = document.getElementById("main");
    if (next && next.innerHTML !== main.innerHTML) main.replaceWith(document.adoptNode(next));
  } catch { /* it was stopped, or starts again */ }
}, 1500);
</script>
""")


def render(catalog: Catalog, base: str, chosen: str | None) -> str:
    """The whole page, or that of the tables of one connection; `base` is the address it is read at, for the commands to copy."""
    tables = [asset for asset in catalog.store.by_guid.values() if asset.type_name in TABLES]
    shown = [asset for asset in tables if chosen in (None, asset.guid, asset.attributes.get("connectionQualifiedName"))]
    # what carries a banner or a tag first: that is what one looks for
    shown.sort(key=lambda each: (not each.attributes.get("announcementType"), not _tagged(catalog, each), each.qualified_name))
    example = next(
        (f"{each.qualified_name}/{_first(catalog, each)}" for each in shown if _first(catalog, each)), "QUALIFIED NAME"
    )
    hooks = ", ".join(f"<code>{escape(each.url)}</code>" for each in catalog.webhooks.hooks) or "nowhere yet"
    return PAGE.substitute(
        base=escape(base),
        counts=f"{len(catalog.store.by_guid)} assets, {len(tables)} of them tables and views",
        hooks=hooks,
        assets=_assets(catalog, shown),
        deliveries=_deliveries(list(catalog.webhooks.kept)[-12:][::-1]),
        example=escape(example),
    )


def _assets(catalog: Catalog, shown: list[Asset]) -> str:
    if not shown:
        return "<p>No tables yet: <code>python -m sandbox.atlan_world</code> makes some.</p>"
    parts = []
    for connection in dict.fromkeys(str(each.attributes.get("connectionQualifiedName")) for each in shown):
        mine = [each for each in shown if each.attributes.get("connectionQualifiedName") == connection]
        cards = "".join(_card(catalog, each) for each in mine[:SHOWN_MAX])
        more = f' <span class="quiet">({len(mine) - SHOWN_MAX} more not shown)</span>' if len(mine) > SHOWN_MAX else ""
        link = f'<a href="/?asset={escape(connection)}">{escape(connection)}</a>'
        parts.append(f'<h2>{link}{more}</h2><div class="assets">{cards}</div>')
    return "".join(parts)


def _card(catalog: Catalog, asset: Asset) -> str:
    path = " / ".join(str(asset.attributes.get(name, "")) for name in ("databaseName", "schemaName"))
    columns = [part for part in catalog.store.parts(asset) if part.type_name == "Column"]
    columns.sort(key=lambda each: int(each.attributes.get("order") or 0))
    lines = "".join(f"<li>{escape(each.name)} {_tags(catalog, each)}</li>" for each in columns[:COLUMNS_MAX])
    gone = "" if asset.status == "ACTIVE" else " gone"
    return (
        f'<div class="asset{gone}"><span class="kind">{escape(asset.type_name)}{" archived" if gone else ""}</span>'
        f'<h3><a href="/?asset={asset.guid}">{escape(asset.name)}</a> {_tags(catalog, asset)}</h3>'
        f'<span class="quiet">{escape(path)}</span>{_banner(asset)}{_custom(catalog, asset)}{_incidents(catalog, asset)}'
        f"{_neighbours(catalog, asset)}<ul>{lines}</ul></div>"
    )


def _banner(asset: Asset) -> str:
    kind = asset.attributes.get("announcementType")
    if not kind:
        return ""
    title, text = (escape(str(asset.attributes.get(f"announcement{name}") or "")) for name in ("Title", "Message"))
    by = escape(str(asset.attributes.get("announcementUpdatedBy") or ""))
    return (
        f'<div class="banner {escape(str(kind))}"><b>{title}</b>{text}<div class="quiet">{escape(str(kind))}, by {by}</div></div>'
    )


def _tags(catalog: Catalog, asset: Asset) -> str:
    near = dict.fromkeys(asset.direct, "tag")
    far = {name: "tag far" for name, _ in asset.propagated if name not in near}
    return " ".join(_tag(catalog, name, css) for name, css in {**near, **far}.items())


def _tag(catalog: Catalog, name: str, css: str) -> str:
    spec = catalog.typedefs.tags.get(name, {})
    color = COLORS.get(str((spec.get("options") or {}).get("color")), COLORS["Gray"])
    title = "propagated" if "far" in css else "put on this asset"
    return f'<span class="{css}" style="color:{color}" title="{title}">{escape(str(spec.get("displayName", name)))}</span>'


def _custom(catalog: Catalog, asset: Asset) -> str:
    lines = []
    for name, values in asset.custom.items():
        spec = catalog.typedefs.sets.get(name, {"displayName": name, "attributeDefs": []})
        words = {each["name"]: each["displayName"] for each in spec["attributeDefs"]}
        told = ", ".join(f"{escape(str(words.get(key, key)))}: {escape(str(value))}" for key, value in values.items())
        lines.append(f'<div class="quiet">{escape(str(spec["displayName"]))} — {told}</div>')
    return "".join(lines)


def _incidents(catalog: Catalog, asset: Asset) -> str:
    found = [catalog.store.by_guid[guid] for guid in asset.relations.get("mcIncidents", ())]
    return "".join(
        f'<div class="quiet">Incident {escape(each.name)}: {escape(str(each.attributes.get("mcIncidentState")))}</div>'
        for each in found
    )


def _neighbours(catalog: Catalog, asset: Asset) -> str:
    parts = []
    for sign, process_side, end in (("←", "outputFromProcesses", "inputs"), ("→", "inputToProcesses", "outputs")):
        processes = [catalog.store.by_guid[guid] for guid in asset.relations.get(process_side, ())]
        ends = {guid: catalog.store.by_guid[guid].name for process in processes for guid in process.relations.get(end, ())}
        parts += [f'{sign} <a href="/?asset={guid}">{escape(name)}</a>' for guid, name in ends.items()]
    return f'<div class="quiet">{" &nbsp; ".join(parts)}</div>' if parts else ""


def _deliveries(shown: Iterable[Delivery]) -> str:
    rows = "".join(
        f"<tr><td>{each.number}<td>{escape(each.operation)}<td>{escape(each.asset)}"
        f"<td>{escape(each.error or str(each.status or each.state))}<td>{'' if each.ms is None else f'{each.ms} ms'}</tr>"
        for each in shown
    )
    return f"<table><tr><th>number<th>what<th>asset<th>answer<th></tr>{rows}</table>" if rows else "<p>None yet.</p>"


def _tagged(catalog: Catalog, asset: Asset) -> bool:
    return bool(asset.tags) or any(part.tags for part in catalog.store.parts(asset))


def _first(catalog: Catalog, asset: Asset) -> str:
    return next((part.name for part in catalog.store.parts(asset) if part.name.lower() == "email"), "")
