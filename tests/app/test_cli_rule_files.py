"""Rule files: what is written comes back, what is wrong has a line, and nothing in a file can make its reader work for long."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app.cli import rule_diff, rule_schema
from app.cli.rule_changes import Kind, changes, from_live, marked, set_of, unmarked
from app.cli.rule_files import DEPTH_MAX, InvalidFile, parse, scalar, written
from lily.domain.rules import ActionKind, Regulation
from tests.app.security import a_document

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = ROOT / "docs" / "schemas" / "lily.rule.v1.json"

# No surrogates, and none of the characters that YAML has no way to hold or turns into line ends.
characters = st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufeff\u2028\u2029")
texts = st.text(characters, max_size=12) | st.sampled_from(
    [
        "NO",
        "on",
        "true",
        "null",
        "~",
        "1",
        "-1",
        "1.5",
        ".5",
        "1e3",
        "0x1F",
        "2026-01-01",
        "<<",
        "=",
        "*",
        "&a",
        "!x",
        "- a",
        "a: b",
        "#",
        "%",
    ]
)
names = texts.filter(bool)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: x + 0.0)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.fixed_dictionaries(
    {
        "name": names,
        "regulation": st.sampled_from([one.value for one in Regulation]),
        "match": st.fixed_dictionaries(
            {"columns": st.lists(names, max_size=3)}, optional={"databases": st.lists(names, max_size=2)}
        ),
        "action": st.fixed_dictionaries(
            {"kind": st.sampled_from([one.value for one in ActionKind])},
            optional={"parameters": st.dictionaries(names, values, max_size=2)},
        ),
        "targets": st.lists(names, min_size=1, max_size=2),
    },
    optional={
        "description": texts.filter(lambda text: set_of({"description": text}) is None),
        "exempt": st.lists(st.fixed_dictionaries({"role": names}), max_size=2),
        "enabled": st.booleans(),
    },
)
sets = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,39}\Z")


def live(document: dict[str, Any], own: str, number: int = 1) -> dict[str, Any]:
    """As the API shows what it was sent."""
    stored = {"exempt": [], "enabled": True, **marked(document, own)}
    return json.loads(json.dumps({"id": f"r{number}", "version": 1, "links": {}, **stored}))  # type: ignore[no-any-return]


@given(st.lists(values, min_size=1, max_size=3))
def test_whatever_is_written_is_read_again(given: list[Any]) -> None:
    rules = [{"name": f"n{number}", "value": value} for number, value in enumerate(given)]

    assert [rule.document for rule in parse(written(rules), "f")] == rules


@given(documents, sets)
def test_what_was_applied_is_not_changed_again(document: dict[str, Any], own: str) -> None:
    (file,) = parse(written([document]), "f")

    (first,) = changes([file], [], own, prune=True)
    assert (first.kind, first.document) == (Kind.CREATE, marked(document, own))
    (second,) = changes([file], [live(document, own)], own, prune=True)
    assert (second.kind, second.fields) == (Kind.NONE, ())


@given(documents, documents, sets)
def test_a_difference_is_told_exactly_where_there_is_one(before: dict[str, Any], after: dict[str, Any], own: str) -> None:
    after = after | {"name": before["name"]}
    (file,) = parse(written([after]), "f")

    (change,) = changes([file], [live(before, own)], own, prune=False)

    whole = ({"description": "", "exempt": [], "enabled": True, **one} for one in (before, after))
    same = len({json.dumps(json.loads(json.dumps(one), parse_int=float), sort_keys=True) for one in whole}) == 1  # 1 is 1.0
    assert (change.kind is Kind.NONE) == same == (not change.fields)
    assert all(field.before != field.after or isinstance(field.before, bool) for field in change.fields)
    assert (change.live or {})["id"] == "r1"


@given(documents, sets)
def test_a_rule_as_a_file_is_the_rule(document: dict[str, Any], own: str) -> None:
    (file,) = parse(written([from_live(live(document, own))]), "f")

    assert changes([file], [live(document, own)], own, prune=True)[0].kind is Kind.NONE


@given(texts, sets)
def test_the_mark_is_all_that_is_added_to_a_description(text: str, own: str) -> None:
    described = marked({"description": text}, own)

    assert set_of(described) == own
    assert unmarked(described["description"]) == unmarked(text)


@given(st.lists(documents, max_size=4, unique_by=lambda one: one["name"]), st.data())
def test_only_rules_of_the_set_that_no_file_names_are_deleted(found: list[dict[str, Any]], data: st.DataObject) -> None:
    owners = [data.draw(st.sampled_from(["ours", "theirs"])) for _ in found]
    rules = [live(one, own, number) for number, (one, own) in enumerate(zip(found, owners, strict=True))]
    kept = [one for one, own in zip(found, owners, strict=True) if own == "ours" and data.draw(st.booleans())]
    files = parse(written(kept), "f") if kept else []

    deleted = {one.name for one in changes(files, rules, "ours", prune=True) if one.kind is Kind.DELETE}

    ours = {one["name"] for one, own in zip(found, owners, strict=True) if own == "ours"}
    assert deleted == ours - {one["name"] for one in kept}
    assert not any(one.kind is Kind.DELETE for one in changes(files, rules, "ours", prune=False))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\nname: b\n", "f:2: name: is given twice"),
        ("name: a\nmatch:\n  columns: [a]\n  columns: [b]\n", "f:4: match.columns: is given twice"),
        ("name: a\n---\n- b\n", "f:3: a rule is a mapping"),
        ("regulation: PII\n", "f:1: name: is required"),
        ("a: 1\nname: 7\n", "f:2: name: is required, and must be a text"),
        ("name: a\nmatch: [\n", "f:3: no YAML"),
        ("name: !!python/object/apply:os.system [ls]\n", "f:1: name: tags such as"),
        ("name: !x a\n", "f:1: name: tags such as !x"),
        ("name: a\n? [b]\n: c\n", "f:2: : a key must be a word"),
        ("name: a\nb: *nowhere\n", "f:2: no YAML: found undefined alias"),
        ("name: a\nb: &b [*b]\n", f"{DEPTH_MAX} levels"),
        ("name: a\nb: " + "[" * 5000, "nested too deeply"),
        ("name: \x00\n", "f:1: no YAML"),
    ],
)
def test_what_is_wrong_has_its_line(text: str, told: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        parse(text, "f")

    assert told in str(refused.value)


def test_a_long_key_is_not_written_down_once_for_each_value_below_it() -> None:
    with pytest.raises(InvalidFile, match=r"f.yaml:2: : a key has 400000 characters; at most 100 are allowed"):
        parse(f'name: a\n? "{"k" * 400_000}"\n: [{",".join("1" * 4000)}]\n', "f.yaml")


def test_aliases_that_multiply_are_stopped_before_they_do_harm() -> None:
    lines = ["name: a", "l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]

    with pytest.raises(InvalidFile, match="more than 50000 values"):
        parse("\n".join(lines), "f")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("007", 7),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_words_are_read_as_the_core_schema_says(word: str, value: Any) -> None:
    assert scalar(word) == value
    (rule,) = parse(f"name: a\nb: {word}\nc: '{word}'\n", "f")
    assert (rule.document["b"], rule.document["c"]) == (value, word)


def test_the_line_of_what_is_not_in_the_file_is_that_of_what_is_around_it() -> None:
    (rule,) = parse("name: a\nmatch:\n  columns:\n    - a\n    - b\n", "f")

    places = ["match.columns[1]", "match.columns[7]", "match.colums", "action.kind", ""]
    assert [rule.where(place) for place in places] == ["f:5", "f:3", "f:2", "f:1", "f:1"]


def test_the_published_schema_is_the_present_one_and_takes_what_the_api_takes() -> None:
    published = json.loads(DOCUMENTED.read_text())

    assert published == rule_schema.schema(), f"python -m app.cli rules schema > {DOCUMENTED.relative_to(ROOT)}"
    Draft202012Validator.check_schema(published)
    valid = Draft202012Validator(published)
    assert list(valid.iter_errors(a_document(exempt=[{"role": "A"}]))) == []
    wrong: dict[str, Any]
    for wrong in ({"owner": "me"}, {"regulation": "GDRP"}, {"match": {"colums": []}}, {"exempt": [{}]}, {"targets": []}):
        assert list(valid.iter_errors(a_document(**wrong)))


@given(names, names)
def test_nothing_in_a_rule_ends_a_cell_of_the_table(before: str, after: str) -> None:
    old, new = a_document(name="n", description=before), a_document(name="n", description=after)
    if set_of(old) or set_of(new):
        return
    (file,) = parse(written([new]), "f")
    shown = rule_diff.markdown(rule_diff.document(changes([file], [live(old, "s")], "s", prune=False), "s"))

    for row in [line for line in shown.splitlines() if line.startswith("| replace")]:
        assert row.replace("\\|", "").count("|") == 6
