"""What the author of a rule should know although nothing is refused: exempt readers who are nobody, or everybody."""

from collections.abc import Iterator

from connectors import registry
from lily.domain.rules import EVERYONE, Principal, Rule
from lily.domain.targets import Holders
from lily.records import inventory
from lily.runtime import clock
from lily.runtime.settings import settings

Known = dict[str, tuple[str, dict[Principal, Holders]]]  # by target: the kind of its principals, and those that were looked for


def of_exemptions(rule: Rule) -> list[dict[str, str]]:
    """One warning per exemption that exempts nobody or everybody, as far as the targets' inventories tell. Raises Transient."""
    if not rule.exempt:
        return []
    known: Known = {}
    for name, config in settings().targets.items():
        if rule.aims_at(name):
            known[name] = registry.target(config.kind).capabilities(name).principal, inventory.holders(name)
    now = clock.now()
    return [
        {"field": f"exempt[{place}].{exemption.principal.kind}", "reason": reason}
        for place, exemption in enumerate(rule.exempt)
        if exemption.holds(now)
        for reason in _of(exemption.principal, known)
    ]


def _of(principal: Principal, known: Known) -> Iterator[str]:
    asking = {name: holders for name, (kind, holders) in known.items() if kind == principal.kind}
    if not asking:
        yield f"exempts nobody: no target of the rule knows {principal.kind}s"
    for name, holders in sorted(asking.items()):
        found = holders.get(principal)
        if found is None:
            yield f"{principal.name!r} was not looked for in {name} yet: its next inventory tells whether it exists"
        elif not found.exists:
            yield f"{principal.name!r} does not exist in {name}, so it exempts nobody there (names are exact, case included)"
        elif all_of := next((one.name for one in sorted(found.through) if (one.kind, one.name.casefold()) in EVERYONE), None):
            yield f"{principal.name!r} is held by {all_of!r} in {name}, so it exempts everyone there"
