"""How environment variables become frozen dataclasses: kinds of values, named instances, every fault kept by name.

A dataclass declares its fields with `variable`, `group` and `instances`; `Reader` fills them, `describe` lists them for
the documentation. Values are parsed by environs. Nothing here knows a single variable of Lily's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from hmac import compare_digest
from types import MappingProxyType
from typing import Any

from environs import Env, EnvValidationError, ValidationError

REQUIRED = object()
OWN_NAME = object()


class Secret:
    """A text that prints as `***` wherever it ends up. Only `reveal()` tells it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True)
class Kind:
    """A kind of value: `label` for the documentation; `read` raises environs' errors, whose texts never hold a secret."""

    label: str
    read: Callable[[Env, str], Any]


@dataclass(frozen=True)
class Variable:
    name: str
    kind: Kind
    meaning: str
    default: object  # as one would write it into the environment; None, REQUIRED, or OWN_NAME: the instance's name


@dataclass(frozen=True)
class Group:
    of: type
    only_with: str | None


@dataclass(frozen=True)
class Instances:
    of: type
    names: Variable
    prefix: str

    def prefix_of(self, instance: str) -> str:
        return f"{self.prefix}{instance.upper().replace('-', '_')}_"


def variable(name: str, kind: Kind, meaning: str, *, default: object = REQUIRED, shown: bool = True) -> Any:
    """A field read from `name`. Inside a named instance `name` is the ending only. `shown=False` keeps it out of `repr`."""
    return field(repr=shown, metadata={"source": Variable(name, kind, meaning, default)})


def group(of: type, *, only_with: str | None = None) -> Any:
    """A field that is a dataclass of variables; None unless the variable `only_with` is set, if that is given."""
    return field(metadata={"source": Group(of, only_with)})


def instances(of: type, names: str, prefix: str, kind: Kind, meaning: str, *, default: str) -> Any:
    """A field that maps each name listed in the variable `names` to an `of`, read from `<prefix><NAME>_...`."""
    return field(metadata={"source": Instances(of, Variable(names, kind, meaning, default), prefix)})


class Reader:
    """Reads dataclasses from a mapping of texts and keeps every fault by variable instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.faults: dict[str, str] = {}
        self.owners: dict[str, str] = {}  # every variable that has a meaning -> the instance it belongs to, or ""
        self._unread: set[str] = set()  # prefixes of instances whose names could not be read
        self._given = {name: text.strip() for name, text in environ.items() if text.strip()}

    def read(self, of: type, prefix: str = "", instance: str = "") -> Any:
        """An `of`. Where a fault was found the field is None: use the result only if `faults` is empty at the end."""
        values = {f.name: self._field(f.metadata.get("source"), prefix, instance) for f in fields(of)}
        if "name" in values and instance:
            values["name"] = instance
        made = of(**values)
        rules: Callable[[], Iterator[tuple[str, str]]] = getattr(made, "faults", lambda: iter(()))
        for ending, message in rules():
            self.faults.setdefault(prefix + ending, message)
        return made

    def unknown(self, family: str, ignored: tuple[str, ...], lists: Mapping[str, str]) -> None:
        """Add a fault for each variable that begins with `family` but has no meaning, with the nearest name that has.

        `lists` maps prefixes of instances to the variable that names them.
        """
        for name in sorted(self._given.keys() - self.owners.keys()):
            if not name.startswith(family) or name.startswith((*ignored, *self._unread)):
                continue
            near = get_close_matches(name, self.owners, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else "; docs/configuration.md lists the known ones"
            listed = next((names for prefix, names in lists.items() if name.startswith(prefix)), None)
            also = f" If it belongs to a new instance, add that to {listed}." if listed else ""
            self.faults[name] = f"no such setting{hint}{also}"

    def _field(self, source: Variable | Group | Instances | None, prefix: str, instance: str) -> Any:
        match source:
            case Variable():
                return self._variable(source, prefix, instance)
            case Group():
                return self._group(source, prefix, instance)
            case Instances():
                return self._instances(source)
        return None

    def _variable(self, source: Variable, prefix: str, instance: str) -> Any:
        name = prefix + source.name
        if self.owners.setdefault(name, instance) != instance:
            self.faults[name] = f"belongs to both {self.owners[name]!r} and {instance!r}; rename one of them"
            return None
        default = instance if source.default is OWN_NAME else source.default
        text = self._given.get(name, default)
        if text is REQUIRED:
            self.faults[name] = f"is required but not set. {source.meaning}"
            return None
        try:
            return None if text is None else source.kind.read(_One(name, str(text)), name)
        except (EnvValidationError, ValidationError) as error:
            messages = error.error_messages if isinstance(error, EnvValidationError) else error.messages
            self.faults[name] = "; ".join(str(message).rstrip(".") for message in messages)
            return None

    def _group(self, source: Group, prefix: str, instance: str) -> Any:
        if source.only_with is None or prefix + source.only_with in self._given:
            return self.read(source.of, prefix, instance)
        for member, _ in _variables(source.of):
            name = prefix + member.name
            self.owners.setdefault(name, instance)
            if name in self._given:
                self.faults[name] = f"has no effect without {prefix}{source.only_with}; set that too, or remove this"
        return None

    def _instances(self, source: Instances) -> Mapping[str, Any] | None:
        names = self._variable(source.names, "", "")
        if names is None:
            self._unread.add(source.prefix)
            return None
        by_prefix: dict[str, str] = {}
        for name in names:
            taken = by_prefix.setdefault(source.prefix_of(name), name)
            if taken != name:
                self.faults[source.names.name] = (
                    f"{taken!r} and {name!r} would both be read from {source.prefix_of(name)}*; rename one of them"
                )
        return MappingProxyType({name: self.read(source.of, at, name) for at, name in by_prefix.items()})


class _One(Env):
    """environs for a single variable whose text is known. It would read os.environ; faults, defaults and tests need not."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self._known = {name: text}

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._known.get(env_key, default)


def _variables(of: type, needs: str = "") -> Iterator[tuple[Variable, str]]:
    """The variables of a dataclass and its groups, each with the variable without which its group does not exist."""
    for f in fields(of):
        source = f.metadata.get("source")
        if isinstance(source, Variable):
            yield source, needs
        elif isinstance(source, Group):
            yield from _variables(source.of, source.only_with or needs)


def describe(of: type) -> Iterator[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Sections for the documentation: (title, text, rows), a row being (variable, kind, default, meaning)."""
    own = [f.metadata["source"] for f in fields(of) if isinstance(f.metadata.get("source"), Variable)]
    yield _title(of), _text(of), [_row(source, "") for source in own]
    for f in fields(of):
        source = f.metadata.get("source")
        if isinstance(source, Group):
            yield from describe(source.of)
        elif isinstance(source, Instances):
            rows = [_row(member, source.prefix + "<NAME>_", needs) for member, needs in _variables(source.of)]
            yield _title(source.of), _text(source.of), [_row(source.names, ""), *rows]


def _title(of: type) -> str:
    return (of.__doc__ or of.__name__).partition(": ")[0].partition(".")[0]


def _text(of: type) -> str:
    rest = re.sub(r"\s+", " ", (of.__doc__ or "")[len(_title(of)) :].lstrip(".: \n")).strip()
    return rest[:1].upper() + rest[1:]


def _row(source: Variable, prefix: str, needs: str = "") -> tuple[str, str, str, str]:
    if source.default is REQUIRED and source.name == needs:
        default = "none"
    elif source.default is REQUIRED:
        default = f"required with `..._{needs}`" if needs else "required"
    elif source.default is OWN_NAME:
        default = "the name"
    else:
        default = f"`{source.default}`" if source.default else "none"
    return prefix + source.name, source.kind.label, default, source.meaning
