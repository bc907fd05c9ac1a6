"""What Lily's objects in a warehouse are called, and the comment by which it knows its own again.

Names are lower-case ASCII letters, digits and `_`, far below 255 characters, and say the installation and what the object
serves: the set of rules, the type, the length class. So they stay the same over the versions of a rule. A second object for
the same purpose, needed while some columns must not follow a change (see plan), has `_2`, `_3` ... after its name.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lily.domain.branches import MaskSpec
from lily.domain.rows import RowSpec

Spec = MaskSpec | RowSpec
FOREWORD = "Made and kept by Lily; changes by hand are undone. lily:"


class Owner(StrEnum):
    """Whose an object is, by its comment. Only OURS is ever changed or dropped."""

    OURS = "ours"
    OTHER_INSTALLATION = "other_installation"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Comment:
    """What Lily writes on its objects. `versions`: of the rules, when the body was last written; `body`: see body_hash."""

    installation: str
    versions: tuple[tuple[str, int], ...]
    body: str = ""

    @property
    def text(self) -> str:
        """The comment in ASCII, without line breaks; `read` is its inverse."""
        told = {"installation": self.installation, "rules": dict(self.versions), "body": self.body}
        return FOREWORD + json.dumps(told, sort_keys=True, separators=(",", ":"))


def read(text: str | None) -> Comment | None:
    """The comment that Lily wrote, or None for any other text, an edited one included."""
    if not text or not text.startswith(FOREWORD):
        return None
    try:
        told = json.loads(text[len(FOREWORD) :])
        versions = tuple(sorted((str(rule), int(version)) for rule, version in told["rules"].items()))
        comment = Comment(told["installation"], versions, told["body"])
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return comment if comment.text == text else None


def owner(comment: Comment | None, installation: str) -> Owner:
    if comment is None:
        return Owner.FOREIGN
    return Owner.OURS if comment.installation == installation else Owner.OTHER_INSTALLATION


def body_hash(spec: Spec, revision: str) -> str:
    """32 hex digits that change with what a body means, and with `revision`, the dialect's way of writing it."""
    return _digest([spec.fingerprint, revision], 32)


def prefix(installation: str) -> str:
    """How every name of an installation begins; no installation's prefix begins another's."""
    slug = re.sub(r"[^a-z0-9]+", "_", installation.lower()).strip("_")[:40].rstrip("_")
    words = ["lily", slug] if slug == installation else ["lily", *filter(None, [slug]), _digest([installation], 8)]
    return "_".join(words) + "__"


def object_name(installation: str, spec: Spec) -> str:
    """The first name of the object that carries `spec`: the same whatever its branches and conditions are."""
    if isinstance(spec, MaskSpec):
        of = spec.type
        told: Sequence[object] = ["mask", spec.rules, of.family, of.signature, of.fit, of.zone]
        label = f"mask_{of.family}{of.fit or ''}"
    else:
        told = ["rows", spec.rules, [[a.family, a.signature, a.zone] for a in spec.arguments]]
        label = "rows"
    return f"{prefix(installation)}{label}_{_digest([installation, told], 20)}"


def generation(first_name: str, number: int) -> str:
    return first_name if number == 1 else f"{first_name}_{number}"


def tag_key(installation: str, name: str) -> str:
    """The key of one of Lily's tags; `name` is lower-case letters, digits and single `_` (a regulation's, or a rule's own)."""
    return prefix(installation) + name


def is_own_tag(installation: str, key: str) -> bool:
    return key.startswith(prefix(installation))


def versions_of(spec: Spec, versions: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((rule, versions[rule]) for rule in sorted(spec.rules))


def _digest(told: object, digits: int) -> str:
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()[:digits]
