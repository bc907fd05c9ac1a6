"""Two grants: one that is missing, one of which it cannot be told."""

from collections.abc import Sequence

from connectors.contracts import Checked, Grant

NEEDED = (Grant("GRANT USAGE ON X", "to see tables"), Grant("GRANT APPLY TAG", "to tag", optional=True))


def statements(instance: str) -> Sequence[Grant]:
    return NEEDED


def check(instance: str) -> Sequence[Checked]:
    return (Checked(NEEDED[0], False), Checked(NEEDED[1], None, "the account does not say"))
