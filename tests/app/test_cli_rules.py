"""`lily rules` against a running Lily: files become rules, twice is once, and what is wrong is pointed at by file and line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.app.cli import Shell, served
from tests.app.security import Api, annotation, listed, states

HIDE = """\
# who may see what
name: Hide addresses
regulation: PII
match:
  classifications: [Email]
action: {kind: redact}
targets: [snow]
"""
TAG = """\
---
name: Tag phones
description: For the audit.
regulation: GDPR
match: {columns: [phone]}
action: {kind: nullify}
exempt:
  - role: STEWARD
    until: 2099-01-01T00:00:00Z
targets: ["*"]
"""


@pytest.fixture
def shell(secured: FlaskClient) -> Iterator[Shell]:
    with served(secured.application) as url:
        yield Shell(url)


@pytest.fixture
def api(secured: FlaskClient) -> Api:
    return Api(secured)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(HIDE + TAG)
    return tmp_path / "rules"


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "a.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_files_become_rules_and_a_second_time_changes_nothing(shell: Shell, api: Api, folder: Path) -> None:
    dry = shell.json("rules", "apply", "-f", folder, "--dry-run", code=2)
    assert [(one["change"], one["name"], one["line"]) for one in dry["changes"]] == [
        ("create", "Hide addresses", 2),
        ("create", "Tag phones", 9),
    ]
    Shell(shell.url, "rules:read")("rules", "plan", "-f", folder, code=2)
    assert api.all("/rules") == []

    shell("rules", "apply", "-f", folder, "--wait", "0")

    rules = {rule["name"]: rule for rule in api.all("/rules")}
    assert rules["Tag phones"]["exempt"] == [{"role": "STEWARD", "until": "2099-01-01T00:00:00Z"}]
    again = shell.json("rules", "apply", "-f", folder)
    assert again["summary"] == {"create": 0, "replace": 0, "delete": 0, "none": 2}
    assert {rule["name"]: rule["version"] for rule in api.all("/rules")} == {"Hide addresses": 1, "Tag phones": 1}
    assert shell("rules", "plan", "-f", folder).stdout == "2 as they should be\n"


def test_a_changed_file_replaces_its_rule_and_shows_field_by_field_what_becomes_of_it(
    shell: Shell, api: Api, folder: Path
) -> None:
    listed()
    api("PUT", "/annotations", states(annotation("Email")))
    shell("rules", "apply", "-f", folder, "--wait", "0")
    change(folder, "{kind: redact}", "{kind: partial, parameters: {keep_last: 4}}")

    shown = shell("rules", "plan", "-f", folder, code=2).stdout
    assert "~ Hide addresses" in shown
    assert '    action.kind: "redact" -> "partial"\n    action.parameters: (none) -> {"keep_last": 4}' in shown
    assert "-> snow: 1 columns in 1 tables" in shown
    marked_down = shell("rules", "plan", "-f", folder, "-o", "markdown", code=2).stdout
    assert '| replace | `Hide addresses` | `action.kind` | `"redact"` | `"partial"` |' in marked_down

    shell("rules", "apply", "-f", folder, "--wait", "0")
    (rule,) = [rule for rule in api.all("/rules") if rule["name"] == "Hide addresses"]
    assert (rule["version"], rule["action"]) == (2, {"kind": "partial", "parameters": {"keep_last": 4}})


def test_only_rules_of_these_files_are_ever_deleted_and_only_if_it_is_asked_for(shell: Shell, api: Api, folder: Path) -> None:
    api.create(name="Made by hand")
    other = folder.parent / "other.yaml"
    other.write_text(HIDE.replace("Hide addresses", "Of others"))
    shell("rules", "apply", "-f", folder, "--wait", "0")
    shell("rules", "apply", "-f", other, "--set", "others", "--wait", "0")
    (folder / "a.yaml").write_text(HIDE)

    shell("rules", "apply", "-f", folder)
    assert len(api.all("/rules")) == 4
    assert "- Tag phones" in shell("rules", "plan", "-f", folder, "--prune", code=2).stdout
    shell("rules", "apply", "-f", folder, "--prune", "--wait", "0")

    assert {rule["name"] for rule in api.all("/rules")} == {"Made by hand", "Of others", "Hide addresses"}
    other.write_text(HIDE)
    assert "kept in the files of the set 'default'" in shell("rules", "plan", "-f", other, "--set", "others", code=1).stderr


def test_a_rule_that_was_made_by_hand_is_taken_over_where_a_file_names_it(shell: Shell, api: Api, folder: Path) -> None:
    made = api.create(name="Hide addresses")
    (folder / "a.yaml").write_text(HIDE)

    (planned,) = shell.json("rules", "plan", "-f", folder, code=2)["changes"]
    assert (planned["change"], planned["adopts"], planned["rule_id"], planned["fields"]) == ("replace", True, made["id"], [])
    shell("rules", "apply", "-f", folder, "--wait", "0")
    shell("rules", "plan", "-f", folder)

    api.create(name="Hide addresses")
    assert "2 rules in Lily have it" in shell("rules", "plan", "-f", folder, code=1).stderr


def test_what_lily_does_not_take_is_told_by_file_line_and_field_and_nothing_is_written(
    shell: Shell, api: Api, folder: Path
) -> None:
    change(folder, "targets: [snow]", "targets: [snow, snwo]")
    change(folder, "role: STEWARD", "role: PUBLIC")

    told = shell("rules", "apply", "-f", folder, code=1).stderr

    assert f"{folder}/a.yaml:7: targets[1]: 'snwo' is no target here" in told
    assert f"{folder}/a.yaml:15: exempt[0].role:" in told
    assert api.all("/rules") == []


def test_weakening_needs_the_scope_and_the_refusal_says_which_line(shell: Shell, folder: Path) -> None:
    shell("rules", "apply", "-f", folder, "--wait", "0")
    change(folder, "{kind: redact}", "{kind: tag_only, parameters: {tag: mail, value: email}}")

    refused = Shell(shell.url, "rules:read rules:write")("rules", "apply", "-f", folder, code=1).stderr

    assert "rules:weaken" in refused
    assert f"{folder}/a.yaml:6" in refused


def test_rules_that_are_listed_as_yaml_are_files_that_change_nothing(shell: Shell, api: Api, tmp_path: Path) -> None:
    api.create(
        name="no", description="1.0", match={"columns": ["on", "NO", "1", "null", "2026-01-01"]}, exempt=[{"role": "true"}]
    )
    chosen = {"column": "C", "operator": "in", "values": ["NO", "1", "yes"]}
    api.create(name="Filter", action={"kind": "row_filter", "parameters": chosen}, match={"columns": ["customers.email"]})
    file = tmp_path / "all.yaml"

    file.write_text(shell("rules", "list", "-o", "yaml").stdout)

    planned = shell.json("rules", "plan", "-f", file, code=2)["changes"]
    assert [(one["adopts"], one["fields"]) for one in planned] == [(True, []), (True, [])]


def test_tables_are_for_people_and_have_no_colour_when_piped(shell: Shell, api: Api) -> None:
    rule = api.create(name="Hide\x1b[31m")

    shown = shell("rules", "list").stdout

    assert rule["id"] in shown and "\x1b" not in shown
    assert shell.json("rules", "list")["items"][0]["name"] == "Hide\x1b[31m"


def test_a_refused_token_and_a_server_that_is_away_say_the_way_out(shell: Shell) -> None:
    assert "LILY_TOKEN" in Shell(shell.url, environ={"LILY_TOKEN": "nonsense"})("rules", "list", code=1).stderr
    assert "LILY_TOKEN" in Shell(shell.url, environ={"LILY_TOKEN": ""})("rules", "list", code=1).stderr
    assert "LILY_URL" in Shell("http://127.0.0.1:9")("rules", "list", code=1).stderr
    assert "expected http" in Shell("nowhere")("rules", "list", code=2).stderr


def test_a_client_and_its_secret_do_for_a_token(shell: Shell) -> None:
    as_client = {"LILY_TOKEN": "", "LILY_TOKEN_CLIENT": "reader", "LILY_TOKEN_SECRET": "reader-secret-0123456789"}

    assert "rules:read" in Shell(shell.url, environ=as_client)("rules", "list", code=1).stderr  # this client may read events only
    assert Shell(shell.url, environ=as_client | {"LILY_TOKEN_SECRET": "wrong"})("rules", "list", code=1).stderr
