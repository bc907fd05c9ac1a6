"""What the documentation names exists: files, links with their headings, settings, make targets, diagrams that say something."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lily.runtime.settings import OF_THE_COMMAND, Settings
from lily.runtime.variables import describe

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("app", "connectors", "docs", "lily", "sandbox", "tasks", "tests")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SUFFIXES = "graphql|lua|md|py|toml|yaml"

_PATH = re.compile(rf"(?<![\w./#-])(?:{'|'.join(FOLDERS)})/[\w./-]*")
_BARE_NAME = re.compile(rf"`(\w+\.(?:{SUFFIXES}))`")
_MODULE = re.compile(r"python -m ((?:app|sandbox|lily|tasks)[\w.]*)")
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_SETTING = re.compile(r"LILY_[A-Z0-9_]*(?:<NAME>[A-Z0-9_]*)?")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
_MERMAID = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_file_that_is_named_exists(document: Path) -> None:
    assert list(missing_files(document.read_text())) == []


def test_every_link_leads_to_a_file_and_to_a_heading_in_it(document: Path) -> None:
    assert list(broken_links(document.read_text(), document)) == []


def test_every_setting_that_is_named_is_known(document: Path) -> None:
    assert list(unknown_settings(document.read_text())) == []


def test_every_make_target_that_is_named_exists(document: Path) -> None:
    assert list(unknown_targets(document.read_text())) == []


def test_no_diagram_is_empty(document: Path) -> None:
    for diagram in _MERMAID.findall(document.read_text()):
        kind, *lines = [line for line in diagram.splitlines() if line.strip()]

        assert kind.split()[0] in {"flowchart", "sequenceDiagram", "stateDiagram-v2"}
        assert len(lines) > 1


def test_what_does_not_exist_is_noticed() -> None:
    text = """See `lily/domain/nothing.py`, `nothing.py` and `python -m app.nothing`, [here](nothing.md) and
    [there](glossary.md#nothing). Set `LILY_NOTHING`, `LILY_SOURCE_<NAME>_NOTHING`, `LILY_RUN_NOTHING`; run `make nothing`."""

    assert list(missing_files(text)) == ["lily/domain/nothing.py", "nothing.py", "app.nothing"]
    assert list(broken_links(text, ROOT / "docs" / "runbook.md")) == ["nothing.md", "glossary.md#nothing"]
    assert list(unknown_settings(text)) == ["LILY_NOTHING", "LILY_SOURCE_<NAME>_NOTHING", "LILY_RUN_NOTHING"]
    assert list(unknown_targets(text)) == ["nothing"]


def missing_files(text: str) -> Iterator[str]:
    for path in (match.rstrip(".") for match in _PATH.findall(text)):
        if not (ROOT / path).exists():
            yield path
    known = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*")} | {path.name for path in ROOT.iterdir()}
    yield from (name for name in _BARE_NAME.findall(text) if name not in known)
    for module in (match.rstrip(".") for match in _MODULE.findall(text)):
        path = ROOT / module.replace(".", "/")
        if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists()):
            yield module


def broken_links(text: str, document: Path) -> Iterator[str]:
    for target, heading in _LINK.findall(text):
        path = document.parent / target if target else document
        if not path.exists():
            yield target
        elif heading and heading not in headings(path):
            yield f"{target}#{heading}"


def headings(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def unknown_settings(text: str) -> Iterator[str]:
    known = {name for _, _, rows in describe(Settings) for name, *_ in rows} | set(OF_THE_COMMAND)
    of_make_run = set(re.findall(r"LILY_RUN_[A-Z_]+", "".join(path.read_text() for path in (ROOT / "sandbox").glob("*.py"))))
    for name in _SETTING.findall(text):
        if name.endswith("_"):  # as in LILY_SOURCE_MONTE_CARLO_*
            pattern = re.compile(re.escape(name.replace("<NAME>", "MONTE_CARLO")))
            fits = any(pattern.match(other.replace("<NAME>", "MONTE_CARLO")) for other in known | of_make_run)
        else:
            fits = name in known | of_make_run or any(_is_instance(name, other) for other in known if "<NAME>" in other)
        if not fits:
            yield name


def _is_instance(name: str, general: str) -> bool:
    """Whether `name` is `general` with an instance in place of <NAME>."""
    before, after = general.split("<NAME>")
    return re.fullmatch(f"{before}[A-Z0-9_]+{after}", name) is not None


def unknown_targets(text: str) -> Iterator[str]:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in _CODE.findall(text):
        yield from (target for target in _MAKE.findall(code) if target not in targets)
