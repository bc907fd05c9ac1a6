"""Conditions on tags, as ABAC policies have them: has_tag('k'), has_tag_value('k', 'v'), AND, OR, NOT."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from sandbox.databricks import errors
from sandbox.databricks.lexer import canonical, tokenise

HAS_TAG = ("has_tag", "hastag")
HAS_VALUE = ("has_tag_value", "hastagvalue")


@lru_cache(maxsize=512)
def parsed(condition: str) -> exp.Expr:
    """Raises Refused if it is no such condition."""
    try:
        select = sqlglot.parse_one(f"SELECT ({canonical(tokenise(condition))})", read="databricks")
    except (ParseError, TokenError) as error:
        raise errors.syntax(f"'{condition[:30]}'") from error
    found: exp.Expr = select.expressions[0]
    if len(select.expressions) != 1 or any(value for name, value in select.args.items() if name != "expressions"):
        raise errors.syntax(f"'{condition[:30]}'")
    _holds(found, {})
    return found


def holds(condition: str, tags: Mapping[str, str]) -> bool:
    """Whether it is true of an object with these tags. An empty one is true."""
    return not condition or _holds(parsed(condition), tags)


def keys(condition: str) -> set[str]:
    """The tags that it names."""
    return {call.expressions[0].name for call in parsed(condition).find_all(exp.Anonymous)} if condition else set()


def _holds(node: Any, tags: Mapping[str, str]) -> bool:
    if isinstance(node, exp.Paren):
        return _holds(node.this, tags)
    if isinstance(node, exp.Not):
        return not _holds(node.this, tags)
    if isinstance(node, exp.And | exp.Or):
        both = [_holds(node.this, tags), _holds(node.expression, tags)]
        return all(both) if isinstance(node, exp.And) else any(both)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Anonymous) and all(isinstance(each, exp.Literal) and each.is_string for each in node.expressions):
        name, given = str(node.name).lower(), [each.name for each in node.expressions]
        if name in HAS_TAG and len(given) == 1:
            return given[0] in tags
        if name in HAS_VALUE and len(given) == 2:
            return bool(tags.get(given[0]) == given[1])
    raise errors.syntax(f"'{node.sql(dialect='databricks')[:30]}'")
