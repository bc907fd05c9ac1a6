"""The page at `/`: what is there and what one can do, for a person with a browser."""

from html import escape
from string import Template

from sandbox.snowflake.account import Account
from sandbox.snowflake.catalog import Table
from sandbox.snowflake.service import Service

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Snowflake stand-in</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { border-bottom: 1px solid; } pre { background: #8882; padding: .8rem; overflow-x: auto; } code { font-size: .9em; }
:root { color-scheme: light dark; }
</style>
<h1>Snowflake stand-in</h1>
<p>This is not Snowflake. It speaks the protocol of Snowflake's own connectors (<code>host</code> and <code>port</code> of
this page, <code>protocol="http"</code>, any <code>account</code>), and enforces masking policies, row access policies, tags and
grants on what is put into it. Queries run in DuckDB. Account <code>$account</code>, edition $edition, $sessions sessions.</p>
<h2>Tables ($count)</h2>
$tables
<h2>Statements</h2>
$queries
<h2>What you can do</h2>
<pre>curl BASE/sandbox/sql -d '{"sql": "create database d; create table d.public.t (email varchar)"}'   # as ACCOUNTADMIN
curl BASE/sandbox/sql -d '{"sql": "select * from d.public.t", "role": "ANALYST", "trusted": false, "warehouse": "WH"}'
curl BASE/sandbox/sql -d '{"sql": "select * from d.public.t", "share": true}'                       # no role is known
curl BASE/sandbox/queries?match=ALTER                            # who ran what, how it ended
curl BASE/sandbox/faults -d '{"kind": "latency", "delay_s": 0.3, "count": null}'
curl BASE/sandbox/faults -d '{"kind": "drop_after", "match": "^ALTER", "skip": 2}'
curl BASE/sandbox/faults -X DELETE
curl BASE/sandbox/settings -X PATCH -d '{"edition": "STANDARD"}'                                    # $settings
curl BASE/sandbox/sessions/expire -d '{"what": "master"}'                                           # session, master or all
curl BASE/sandbox/oauth/clients -d '{"id": "c", "secret": "s", "user": "U"}'                        # token endpoint: /oauth/token
curl BASE/sandbox/reset -X POST</pre>
""")
SHOWN_MAX = 100


def render(account: Account, service: Service) -> str:
    """The whole page."""
    tables = list(account.catalog.tables())
    newest = list(service.log)[-30:][::-1]
    entries = [query.entry() for query in newest]
    shown = [
        [e["at"][11:19], e["user"], e["role"], e["text"][:300], e["tag"][:80], e["code"] or e["state"], str(e["ms"])]
        for e in entries
    ]
    return PAGE.substitute(
        account=escape(account.settings.name),
        edition=escape(account.settings.edition),
        sessions=len(service.tickets()),
        count=len(tables),
        tables=_table(
            ["table", "kind", "columns", "masked", "row access policy", "tags"], [_row(each) for each in tables[:SHOWN_MAX]]
        ),
        queries=_table(["time", "user", "role", "statement", "tag", "result", "ms"], shown),
        settings=", ".join(account.settings.__slots__),
    )


def _row(table: Table) -> list[str]:
    name = f"{table.schema.database.name}.{table.schema.name}.{table.name}"
    masked = [f"{column.name}: {column.mask.policy.name}" for column in table.columns.values() if column.mask]
    tags = [f"{column.name}: {tag.name}={value}" for column in table.columns.values() for tag, value in column.tags.items()]
    row_policy = table.row_policy.policy.name if table.row_policy else ""
    return [name, table.kind.lower(), str(len(table.columns)), ", ".join(masked), row_policy, ", ".join(tags)]


def _table(head: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return "<p>None yet.</p>"
    body = "".join("<tr>" + "".join(f"<td>{escape(cell or '–')}</td>" for cell in line) + "</tr>\n" for line in lines)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>\n{body}</table>"
