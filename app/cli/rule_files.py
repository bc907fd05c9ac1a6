"""Rules in files: YAML read strictly, each value with its line, so that whatever is wrong with it can be pointed at.

A file holds one or several documents, each one rule as POST /security/rules takes it. Scalars follow YAML 1.2's core schema, not
PyYAML's YAML 1.1, to which a country `NO` is false and `2026-01-01` no text. Files are bounded in bytes, depth and values, with
every alias counted as often as it is used.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE_BYTES_MAX = 2**20
VALUES_MAX = 50_000
DEPTH_MAX = 20
KEY_MAX = 100  # characters: every value's path holds all keys above it
NAMES = ("*.yaml", "*.yml")

_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
SCALARS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
_TEXT, _MAP, _LIST = "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"


class InvalidFile(Exception):
    """Something in rule files is wrong. `faults` are lines such as `rules/pii.yaml:3: match.colums: ...`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True)
class FileRule:
    """A rule as its file has it. `lines` has the line of each field by its path, such as `match.columns[0]`."""

    file: str
    line: int
    document: Mapping[str, Any]
    lines: Mapping[str, int]

    @property
    def name(self) -> str:
        return str(self.document["name"])

    def where(self, field: str) -> str:
        """File and line of a field; of what is around it, where it is not in the file."""
        while field and field not in self.lines:
            field = re.sub(r"(^|\.)[^.\[]*$|\[[^\]]*\]$", "", field)
        return f"{self.file}:{self.lines.get(field, self.line)}"


def read(paths: Iterable[Path]) -> list[FileRule]:
    """The rules of all files, and of all files in folders, in the order of their names. Raises InvalidFile with every fault."""
    found, faults = list[FileRule](), list[str]()
    for path in _files(paths, faults):
        try:
            found += parse(_text(path), str(path))
        except InvalidFile as error:
            faults += error.faults
    faults += _repeated(found)
    if faults:
        raise InvalidFile(faults)
    return found


def parse(text: str, file: str) -> list[FileRule]:
    """The rules of one file. Raises InvalidFile."""
    try:
        nodes = [node for node in yaml.compose_all(text, yaml.SafeLoader) if not _is_empty(node)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidFile([f"{file}:{line}: no YAML: {error.problem or error.context}"]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise InvalidFile([f"{file}:1: no YAML: {what}"]) from None
    reading = _Reading(file)
    return [reading.rule(node) for node in nodes]


class _Reading:
    """One file on its way from nodes to values; counts what it has made."""

    def __init__(self, file: str) -> None:
        self.file, self.values, self.faults = file, 0, list[str]()

    def rule(self, node: yaml.Node) -> FileRule:
        lines: dict[str, int] = {}
        document = self._value(node, "", lines, 0)
        line = node.start_mark.line + 1
        if self.faults:
            raise InvalidFile(self.faults)
        if not isinstance(document, dict):
            raise InvalidFile([f"{self.file}:{line}: a rule is a mapping: name, regulation, match, action, targets"])
        name = document.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidFile([f"{self.file}:{lines.get('name', line)}: name: is required, and must be a text"])
        return FileRule(self.file, line, document, lines)

    def _value(self, node: yaml.Node, path: str, lines: dict[str, int], depth: int) -> Any:
        self.values += 1
        line = lines[path] = node.start_mark.line + 1
        if self.values > VALUES_MAX or depth > DEPTH_MAX:
            raise InvalidFile([f"{self.file}:{line}: {path}: more than {VALUES_MAX} values, or {DEPTH_MAX} levels, in one file"])
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return self._mapping(node, path, lines, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return [self._value(one, f"{path}[{place}]", lines, depth + 1) for place, one in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in SCALARS:
            return node.value if node.style or node.tag == _TEXT else scalar(node.value)
        self.faults.append(f"{self.file}:{line}: {path}: tags such as {node.tag} are not allowed")
        return None

    def _mapping(self, node: yaml.MappingNode, path: str, lines: dict[str, int], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in node.value:
            at = f"{self.file}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(f"{at}: {path}: a key must be a word")
                continue
            if len(key.value) > KEY_MAX:
                self.faults.append(f"{at}: {path}: a key has {len(key.value)} characters; at most {KEY_MAX} are allowed")
                continue
            inner = f"{path}.{key.value}" if path else key.value
            if key.value in made:
                self.faults.append(f"{at}: {inner}: is given twice")
            made[key.value] = self._value(value, inner, lines, depth + 1)
            lines[inner] = key.start_mark.line + 1
        return made


def scalar(text: str) -> Any:
    """An unquoted word as YAML 1.2's core schema reads it, decimal numbers only."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def written(documents: Iterable[Mapping[str, Any]]) -> str:
    """Documents as a file: texts that an unquoted word would not stand for are quoted."""
    return yaml.dump_all(documents, Dumper=_Writer, sort_keys=False, allow_unicode=True, explicit_start=True, width=120)


class _Writer(yaml.SafeDumper):
    """Quotes each text that `scalar`, or a reader of YAML 1.1, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _write_text(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(scalar(text), str) else '"'
    return writer.represent_scalar(_TEXT, text, style=style)


_Writer.add_representer(str, _write_text)


def _files(paths: Iterable[Path], faults: list[str]) -> Iterator[Path]:
    seen = set[Path]()
    for path in paths:
        inside = sorted(one for name in NAMES for one in path.rglob(name) if one.is_file()) if path.is_dir() else [path]
        if not inside:
            faults.append(f"{path}: no files {' or '.join(NAMES)} in it")
        for one in inside:
            if (real := one.resolve()) not in seen:
                seen.add(real)
                yield one


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidFile([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise InvalidFile([f"{path}: is no UTF-8 text"]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise InvalidFile([f"{path}: is larger than {FILE_BYTES_MAX} bytes; divide it"])
    return text


def _is_empty(node: yaml.Node) -> bool:
    """What `---` leaves before or after a document of comments only."""
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value == ""


def _repeated(found: Sequence[FileRule]) -> Iterator[str]:
    first: dict[str, FileRule] = {}
    for rule in found:
        other = first.setdefault(rule.name, rule)
        if other is not rule:
            yield f"{rule.where('name')}: name: {rule.name!r} is also at {other.where('name')}; names tell rules apart"
