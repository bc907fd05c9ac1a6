"""Who there is: users, service principals, account groups, which may hold one another; and the tokens that they act with."""

import itertools
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

EVERYONE = "account users"
TOKEN_VALID_S = 3600


@dataclass(slots=True)
class Principal:
    """A user or service principal. `name` is what grants name: a mail address, or the application id."""

    id: str
    name: str
    kind: str  # User or ServicePrincipal
    display: str
    secret: str = ""
    admin: bool = False  # of the metastore: all privileges, yet masks hold


@dataclass(slots=True)
class Group:
    """`members` are names of principals and ids of groups (as `group:<id>`); `assumers` may act in its role."""

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    assumers: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts: a principal, or a role that it assumed. `groups` are those that count for grants, nested ones too."""

    name: str
    groups: frozenset[str] = frozenset()
    member_of: frozenset[str] = frozenset()  # as is_account_group_member sees it, possibly later
    admin: bool = False
    trusted: bool = False  # the admin door: no privileges asked for

    def names(self) -> frozenset[str]:
        """All that a grant may be made to."""
        return self.groups | {self.name, EVERYONE}


@dataclass(slots=True)
class Token:
    principal: str
    group_id: str | None
    until: float


class Directory:
    """Memberships change for grants at once, for functions `lag_s` later."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}
        self.groups: dict[str, Group] = {}  # by id
        self.tokens: dict[str, Token] = {}
        self._numbers = itertools.count(9001)
        self._past: list[tuple[float, dict[str, frozenset[str]]]] = []

    def restore(self, principals: dict[str, Principal], groups: dict[str, Group]) -> None:
        """As they were kept; new ones get other ids."""
        self.principals, self.groups = principals, groups
        ids = [each.id for each in principals.values()] + list(groups)
        self._numbers = itertools.count(max(map(int, ids), default=9000) + 1)
        self.remember()

    def add_principal(self, name: str, kind: str, display: str = "", secret: str = "", *, admin: bool = False) -> Principal:
        """Made, or changed if it is there."""
        there = self.principals.get(name)
        found = there or Principal(str(next(self._numbers)), name, kind, display or name)
        found.secret, found.admin = secret or found.secret, admin or found.admin
        self.principals[name] = found
        return found

    def add_group(self, name: str) -> Group:
        """Made, unless it is there."""
        found = self.group(name)
        if found is None:
            number = str(next(self._numbers))
            found = self.groups[number] = Group(number, name)
            self.remember()
        return found

    def group(self, name: str) -> Group | None:
        """By name."""
        return next((each for each in self.groups.values() if each.name == name), None)

    def remove_group(self, group_id: str) -> None:
        """With its memberships in others."""
        self.groups.pop(group_id, None)
        for each in self.groups.values():
            each.members.discard(f"group:{group_id}")
        self.remember()

    def remember(self) -> None:
        """To be called after each change of members."""
        self._past.append((time.monotonic(), {group.id: frozenset(group.members) for group in self.groups.values()}))
        del self._past[:-1000]

    def _members_at(self, lag_s: float) -> dict[str, frozenset[str]]:
        if lag_s <= 0:
            return {group.id: frozenset(group.members) for group in self.groups.values()}
        then = time.monotonic() - lag_s
        return next((members for at, members in reversed(self._past) if at <= then), {})

    def groups_of(self, member: str, lag_s: float = 0.0) -> frozenset[str]:
        """Names of all groups that hold `member`, directly or through others."""
        members = self._members_at(lag_s)
        found: set[str] = set()
        todo = [member]
        while todo:
            one = todo.pop()
            holding = [each for each, inside in members.items() if one in inside and each not in found]
            found.update(holding)
            todo += [f"group:{each}" for each in holding]
        return frozenset(self.groups[each].name for each in found if each in self.groups)

    def identity(self, token: Token, lag_s: float) -> Identity:
        """A role stands for its group, of which it is no member itself; grants to the group count for it."""
        if token.group_id is None or token.group_id not in self.groups:
            return self.identity_of(token.principal, lag_s)
        member, name = f"group:{token.group_id}", self.groups[token.group_id].name
        return Identity(name, self.groups_of(member) | {name}, self.groups_of(member, lag_s))

    def identity_of(self, name: str, lag_s: float) -> Identity:
        """As a principal without an assumed role."""
        principal = self.principals.get(name)
        admin = principal is not None and principal.admin
        return Identity(name, self.groups_of(name), self.groups_of(name, lag_s), admin)

    def issue(self, principal: str, group_id: str | None) -> str:
        """A new token."""
        text = f"tok-{secrets.token_urlsafe(24)}"
        self.tokens[text] = Token(principal, group_id, time.monotonic() + TOKEN_VALID_S)
        return text

    def token(self, text: str) -> Token | None:
        """The token, if it is good."""
        found = self.tokens.get(text)
        return found if found is not None and found.until > time.monotonic() else None

    def may_assume(self, principal: str, group_id: str) -> bool:
        """Whether this principal may act in the role of that group."""
        group = self.groups.get(group_id)
        return group is not None and bool({principal, *self.groups_of(principal)} & group.assumers)

    def known(self, names: Iterable[str]) -> bool:
        """Whether each is a principal, a group, or everyone."""
        groups = {group.name for group in self.groups.values()}
        return all(name == EVERYONE or name in self.principals or name in groups for name in names)
