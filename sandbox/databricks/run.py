"""One statement after the other, by whoever sent it. Changes of the catalog happen one at a time; queries run beside them."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.databricks import errors, grammar, nodes, rows, run_access, run_protection, run_tables
from sandbox.databricks.context import Context
from sandbox.databricks.results import Result

_DO: Mapping[type[Any], Callable[[Context, Any], Result]] = {
    nodes.CreateTable: run_tables.create_table,
    nodes.CreateView: run_tables.create_view,
    nodes.CreateSpace: run_tables.create_space,
    nodes.CreateFunction: run_tables.create_function,
    nodes.Drop: run_tables.drop,
    nodes.SetMask: run_protection.set_mask,
    nodes.SetRowFilter: run_protection.set_row_filter,
    nodes.SetTags: run_access.set_tags,
    nodes.AddCheck: run_tables.add_check,
    nodes.DropCheck: run_tables.drop_check,
    nodes.AddColumns: run_tables.add_columns,
    nodes.DropColumn: run_tables.drop_column,
    nodes.RenameColumn: run_tables.rename_column,
    nodes.RenameTable: run_tables.rename_table,
    nodes.SetProperties: run_tables.set_properties,
    nodes.SetOwner: run_access.set_owner,
    nodes.CommentOn: run_access.comment_on,
    nodes.Grant: run_access.grant,
    nodes.CreatePolicy: run_protection.create_policy,
    nodes.DropPolicy: run_protection.drop_policy,
    nodes.ShowPolicies: run_protection.show_policies,
    nodes.SetGovernedTag: run_access.set_governed_tag,
    nodes.Describe: run_tables.describe,
    nodes.Change: lambda context, node: rows.change(context, node.text),
}
AGAIN_MAX = 5  # for a query whose tables went away between its planning and its run
lock = threading.RLock()  # of the catalog; this process has one


def run(context: Context, text: str) -> Result:
    """What the text asks for, all at once. Raises Refused."""
    result = Result()
    for _, node in statements(context, text):
        result = run_one(context, node)
    return result


def statements(context: Context, text: str) -> list[tuple[str, nodes.Statement]]:
    """The statement of a request, or those of its script, each with its text. Raises Refused."""
    node = grammar.parse(text)
    if not isinstance(node, nodes.Script):
        return [(text, node)]
    if not context.world.settings.scripts:
        raise errors.syntax("'BEGIN'")
    return list(zip(node.texts, node.statements, strict=True))


def run_one(context: Context, node: nodes.Statement) -> Result:
    """Raises Refused."""
    if isinstance(node, nodes.Query):
        return _query(context, node.text)
    if isinstance(node, nodes.Script):
        raise errors.unsupported("a script in a script")
    with lock:
        context.world.changes += 1
        return _DO[type(node)](context, node)


def _query(context: Context, text: str) -> Result:
    for _ in range(AGAIN_MAX):
        with lock:
            pending = rows.select(context, text)
        try:
            return pending.finish(rows.ask(context, pending))
        except errors.Refused as refused:
            if refused.error_class != "INTERNAL_ERROR" or "does not exist" not in refused.words:
                raise
    with lock:
        pending = rows.select(context, text)
        return pending.finish(rows.ask(context, pending))
