"""The page at `/`: what is there and what one can do, for a person with a browser."""

from collections.abc import Iterable
from html import escape
from string import Template

from sandbox.monte_carlo import alerts, webhooks
from sandbox.monte_carlo.alerts import Alert, Store
from sandbox.monte_carlo.deliveries import MODES, Delivery, Webhooks

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Monte Carlo stand-in</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { border-bottom: 1px solid; } pre { background: #8882; padding: .8rem; overflow-x: auto; } code { font-size: .9em; }
:root { color-scheme: light dark; }
</style>
<h1>Monte Carlo stand-in</h1>
<p>This is not Monte Carlo. It speaks Monte Carlo's GraphQL API at <code>POST /graphql</code> (headers
<code>x-mcd-id: $api_id</code> and <code>x-mcd-token</code>) and sends its signed
webhooks, for alerts that you make up. Nothing is kept when it ends.</p>
<p>Account <code>$account</code>. Webhooks go to <code>$url</code>, $signed, mode <b>$mode</b> ($meaning); $held held back.</p>
<h2>Alerts ($count)</h2>
$alerts
<h2>Webhooks sent</h2>
$deliveries
<h2>What you can do</h2>
<pre>BASE=$base

curl $$BASE/sandbox/alerts -d '{"title": "Row count dropped", "tables": ["analytics:orders.customers"], "priority": "P1"}'
curl $$BASE/sandbox/alerts -d '{"rule": {"metric": "null_rate", "operator": "GT", "threshold": 0.05, "value": 0.4}}'
curl $$BASE/sandbox/alerts -d '[{"deliver": "none"}, {"type": "SCHEMA_CHANGES", "deliver": "forged"}]'
curl $$BASE/sandbox/alerts/ID -X PATCH -d '{"status": "ACKNOWLEDGED", "severity": "SEV_2", "owner": "data-oncall@example.com"}'
curl $$BASE/sandbox/alerts/ID -X PATCH -d '{"status": "FIXED", "deliver": "twice"}'
curl $$BASE/sandbox/webhooks -X PATCH -d '{"mode": "hold"}'
curl $$BASE/sandbox/webhooks/release -d '{"order": "reversed"}'
curl $$BASE/sandbox/deliveries -d '{"payload": {"any": "JSON"}}'       # signed; or {"body": "any text", "deliver": "unsigned"}
curl $$BASE/sandbox/deliveries/1/again -d '{"form": "indented"}'      # $forms
curl $$BASE/sandbox/tables -d '{"full_table_id": "analytics:orders.daily", "upstream": ["analytics:orders.customers"]}'
curl $$BASE/sandbox/faults -d '{"kind": "status", "status": 429, "retry_after_s": 2, "count": 3}'
curl $$BASE/sandbox/faults -X DELETE
curl $$BASE/sandbox/requests                                         # what was asked of the API
curl $$BASE/sandbox/reset -X POST</pre>
<p>An alert can be made with: $create. It can be changed in: $change. Look at
<a href="/sandbox/alerts">alerts</a>, <a href="/sandbox/tables">tables</a>, <a href="/sandbox/webhooks">webhooks</a>,
<a href="/sandbox/deliveries">deliveries</a>, <a href="/sandbox/faults">faults</a>, <a href="/sandbox/requests">requests</a>.</p>
<h2>How a webhook can be sent</h2>
<p>Set for all with <code>PATCH /sandbox/webhooks</code>, or for one with <code>deliver</code>.</p>
$modes
""")
SHOWN_MAX = 100


def render(store: Store, hooks: Webhooks, api_id: str, base: str) -> str:
    """The whole page; `base` is the address it is read at, for the commands to copy."""
    options = hooks.options
    newest = sorted(store.alerts.values(), key=lambda alert: alert.updated_time, reverse=True)[:SHOWN_MAX]
    return PAGE.substitute(
        base=escape(base),
        api_id=escape(api_id),
        account=escape(store.account),
        url=escape(options.url or "nowhere yet"),
        signed="signed" if options.secret else "unsigned",
        mode=options.mode,
        meaning=MODES[options.mode],
        held=len(hooks.held),
        count=len(store.alerts),
        alerts=_table(["changed", "id", "title", "status", "severity", "owner", "tables"], [_alert(each) for each in newest]),
        deliveries=_table(
            ["number", "alert", "what", "form", "signed", "answer", "ms"],
            [_delivery(each) for each in list(hooks.kept)[-20:][::-1]],
        ),
        forms=", ".join(webhooks.FORMS),
        create=_codes(alerts.CREATE),
        change=_codes(alerts.CHANGE),
        modes=_table(["mode", "meaning"], [list(pair) for pair in MODES.items()]),
    )


def _alert(alert: Alert) -> list[str | None]:
    changed = f"{alert.updated_time:%Y-%m-%d %H:%M:%S}"
    return [changed, alert.id, alert.title, alert.status, alert.severity, alert.owner, ", ".join(alert.tables)]


def _delivery(each: Delivery) -> list[str | None]:
    answer = each.error or (each.state if each.status is None else str(each.status))
    ms = None if each.ms is None else str(each.ms)
    return [str(each.number), each.alert_id, each.variant, each.form, each.signed, answer, ms]


def _table(head: list[str], rows: list[list[str | None]]) -> str:
    if not rows:
        return "<p>None yet.</p>"
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell or '–')}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>\n{lines}</table>"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"<code>{name}</code>" for name in names)
