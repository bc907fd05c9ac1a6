"""The page at `/`: what is there and what one can do, for a person with a browser."""

from html import escape
from string import Template

from sandbox.databricks.catalog import Table, dotted
from sandbox.databricks.context import World
from sandbox.databricks.service import Service

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Databricks stand-in</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { border-bottom: 1px solid; } pre { background: #8882; padding: .8rem; overflow-x: auto; } code { font-size: .9em; }
:root { color-scheme: light dark; }
</style>
<h1>Databricks stand-in</h1>
<p>This is not Databricks. It speaks the statement API and Unity Catalog's REST API as databricks-sdk uses them (<code>host</code>
is this page's address), and enforces column masks, row filters, policies, tags and privileges on what is put into it. Queries
run in DuckDB.</p>
<h2>Tables ($count)</h2>
$tables
<h2>Groups</h2>
$groups
<h2>Statements</h2>
$statements
<h2>What you can do</h2>
<pre>curl BASE/sandbox/sql -d '{"sql": ["create catalog c", "create schema c.s", "create table c.s.t (email string)"]}'
curl BASE/sandbox/sql -d '{"sql": "select * from c.s.t", "user": "ann@example.com"}'     # or "group": in the role of a group
curl BASE/sandbox/principals -d '{"name": "lily-svc", "kind": "ServicePrincipal", "secret": "s"}'
curl BASE/sandbox/groups -d '{"name": "support", "add": ["ann@example.com"], "add_groups": ["leads"], "assumers": ["lily-svc"]}'
curl BASE/sandbox/governed -d '{"key": "pii", "assigners": ["lily-svc"]}'               # ASSIGN on a governed tag
curl BASE/sandbox/warehouses -d '{"id": "abcdef0123456789", "users": ["lily-svc"]}'
curl BASE/sandbox/statements?match=ALTER                         # who ran what, how it ended
curl BASE/sandbox/requests                                       # how many requests, by path
curl BASE/sandbox/dump                                           # everything, to be compared
curl BASE/sandbox/faults -d '{"kind": "latency", "delay_s": 0.3, "count": null}'
curl BASE/sandbox/faults -d '{"kind": "drop_after", "match": "^ALTER", "skip": 2}'
curl BASE/sandbox/faults -X DELETE
curl BASE/sandbox/settings -X PATCH -d '{"membership_lag_s": 3}'     # $settings
curl BASE/sandbox/tokens/expire -X POST
curl BASE/sandbox/reset -X POST</pre>
""")
SHOWN_MAX = 100


def render(world: World, service: Service) -> str:
    """The whole page."""
    tables = list(world.metastore.tables())
    entries = [each.entry() for each in list(service.journal)[-30:][::-1]]
    shown = [[e["at"][11:19], e["user"], e["text"][:300], e["error_class"] or e["state"], str(e["ms"])] for e in entries]
    directory = world.directory
    groups = [
        [group.name, ", ".join(sorted(_member(world, name) for name in group.members)), ", ".join(sorted(group.assumers))]
        for group in directory.groups.values()
    ]
    return PAGE.substitute(
        count=len(tables),
        tables=_table(["table", "kind", "columns", "masked", "row filter", "tags"], [_row(each) for each in tables[:SHOWN_MAX]]),
        groups=_table(["group", "members", "may be assumed by"], groups),
        statements=_table(["time", "user", "statement", "result", "ms"], shown),
        settings=", ".join(world.settings.__slots__),
    )


def _member(world: World, name: str) -> str:
    group = world.directory.groups.get(name.removeprefix("group:")) if name.startswith("group:") else None
    return group.name if group else name


def _row(table: Table) -> list[str]:
    columns = table.columns.values()
    masked = [f"{column.name}: {dotted(column.mask.function)}" for column in columns if column.mask]
    tags = [f"{column.name}: {key}={value}" for column in columns for key, value in column.tags.items()]
    row_filter = dotted(table.row_filter.function) if table.row_filter else ""
    return [dotted(table.path), table.kind.lower(), str(len(table.columns)), ", ".join(masked), row_filter, ", ".join(tags)]


def _table(head: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return "<p>None yet.</p>"
    body = "".join("<tr>" + "".join(f"<td>{escape(cell or '–')}</td>" for cell in line) + "</tr>\n" for line in lines)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>\n{body}</table>"
