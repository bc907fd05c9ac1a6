"""What one mask shows to whom: actions in the order in which a reader earns them, and how two such orders compare.

A mask's branches are read from the first on. The first whose every set holds one of the reader's principals decides; the last
asks for nothing and is the strictest. Written so, a condition that turns out NULL (a shared account knows no roles) leads on
to a stricter branch, never to the clear value.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lily.domain.masking import MaskType, covers, strictness
from lily.domain.rules import Action, Principal

Condition = frozenset[Principal]  # met by a reader who holds one of them
Reader = frozenset[Principal]


@dataclass(frozen=True)
class Branch:
    """Readers who meet all `conditions`, and no earlier branch's, see `action`; None: the value itself."""

    conditions: tuple[Condition, ...]
    action: Action | None

    def admits(self, reader: Reader) -> bool:
        return all(condition & reader for condition in self.conditions)


@dataclass(frozen=True)
class MaskSpec:
    """One mask, free of any vendor's language: what it is for (`rules`, sorted ids), its type, and who sees what.

    `salt` names the salt of its hashes and is empty where nothing is hashed. Two columns with the same rules and type have
    equal specs, so they share one object.
    """

    rules: tuple[str, ...]
    type: MaskType
    branches: tuple[Branch, ...]
    salt: str = ""

    @property
    def principals(self) -> frozenset[Principal]:
        """Everyone whom the mask asks about."""
        return frozenset(principal for branch in self.branches for condition in branch.conditions for principal in condition)

    @property
    def fingerprint(self) -> str:
        """64 hex digits over all that decides what readers see; equal specs of other rules have equal ones."""
        branches = [[[sorted(map(_words, c)) for c in branch.conditions], _told(branch.action)] for branch in self.branches]
        kind = self.type
        told = [kind.family, kind.signature, kind.fit, kind.zone, branches, self.salt]
        return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


def chain(rules: Iterable[tuple[Condition, Action]]) -> tuple[Branch, ...]:
    """The branches for rules, each given as its exempt principals and its action as it fits the type. At least one rule.

    The order of the rules does not matter. Branches that no reader can reach, or that change nothing, are left out.
    """
    ordered = sorted(rules, key=lambda rule: strictness(rule[1]), reverse=True)
    passed: list[Condition] = []  # exempt from every rule so far
    branches: list[Branch] = []
    for exempt, action in ordered:
        _stack(branches, Branch(_minimal(passed), action))
        passed.append(exempt)
        if not exempt:
            break  # nobody gets past this rule
    else:
        _stack(branches, Branch(_minimal(passed), None))
    return tuple(reversed(branches))


def sees(branches: Sequence[Branch], reader: Reader) -> Action | None:
    """The action that `reader` meets; None: the value itself."""
    return next(branch.action for branch in branches if branch.admits(reader))


def readers(branches: Sequence[Branch]) -> tuple[tuple[Reader, Action | None], ...]:
    """One reader per branch with what that reader must see: who holds nothing at all comes last.

    A reader holds as few principals as will do. Small enough to try each of them against the real object.
    """
    chosen = []
    for place, branch in enumerate(branches):
        earlier = branches[place - 1].conditions if place else ()
        reader = next((r for avoided in earlier or (frozenset(),) if (r := _least(branch, avoided)) is not None), None)
        if reader is not None:
            chosen.append((reader, branch.action))
    return tuple(chosen)


def weaker_for(before: Sequence[Branch], after: Sequence[Branch]) -> Reader | None:
    """A reader from whom `after` hides less than `before`, or not comparably; None if there is none.

    Conditions only ever ask for principals, so of all readers who avoid one condition of the branch before, the one who holds
    everything else is the most likely to get in: trying those decides it for all.
    """
    everyone = frozenset(p for branches in (before, after) for branch in branches for c in branch.conditions for p in c)
    for new, avoided_now in _with_barriers(after):
        for old, avoided_then in _with_barriers(before):
            if covers(new.action, old.action):
                continue
            reader = everyone - avoided_now - avoided_then
            if new.admits(reader) and old.admits(reader):
                return reader
    return None


def _with_barriers(branches: Sequence[Branch]) -> Iterable[tuple[Branch, Condition]]:
    """Each branch with each condition of the one before that its readers may fail: earlier ones ask for all of it and more."""
    for place, branch in enumerate(branches):
        for barrier in branches[place - 1].conditions if place else (frozenset(),):
            yield branch, barrier


def _least(branch: Branch, avoided: Condition) -> Reader | None:
    picked: set[Principal] = set()
    for condition in branch.conditions:
        allowed = condition - avoided
        if not allowed:
            return None
        if not picked & condition:
            picked.add(min(allowed))
    return frozenset(picked)


def _stack(branches: list[Branch], branch: Branch) -> None:
    """Put a weaker branch on top, unless readers would see the same without it. It hides one that asks for the same."""
    if branches and branches[-1].conditions == branch.conditions:
        branches.pop()
    if not branches or branches[-1].action != branch.action:
        branches.append(branch)


def _minimal(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions without those that another one implies, in one order."""
    distinct = set(conditions)
    kept = [c for c in distinct if not any(other < c for other in distinct)]
    return tuple(sorted(kept, key=sorted))


def _words(principal: Principal) -> list[str]:
    return [principal.kind, principal.name]


def _told(action: Action | None) -> list[object] | None:
    return None if action is None else [action.kind, action.text, action.keep_first, action.keep_last, action.unit]
