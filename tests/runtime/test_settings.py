import base64
import dataclasses
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lily.runtime.settings import Secret, SettingsError, document, load

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()
LEAST = {
    "LILY_REDIS_URL": "redis://127.0.0.1:6379/0",
    "LILY_SEAL_KEY": KEY,
    "LILY_JWT_SECRETS": "j" * 32,
    "LILY_SOURCE_MONTE_CARLO_SECRETS": "whsec-one",
}


def faults(**changes: str) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        load(LEAST | changes)
    return raised.value.faults


def test_what_is_required_is_enough():
    made = load(LEAST)

    assert (made.table, made.bus, made.web.port, made.lanes.batch_max) == ("lily", "lily", 8000, 100)
    assert made.accept_deadline_s == 2.0
    assert made.aws.endpoint_url is None
    assert list(made.sources) == ["monte-carlo"]
    assert made.sources["monte-carlo"].secrets == (Secret("whsec-one"),)
    assert made.sources["monte-carlo"].api is None
    assert dict(made.clients) == {}


def test_all_faults_are_reported_at_once_by_variable():
    with pytest.raises(SettingsError) as raised:
        load({"LILY_WEB_PORT": "http", "LILY_LOG_LEVEL": "loud", "LILY_TABEL": "x", "LILY_REDIS_URL": "localhost"})

    assert set(raised.value.faults) == {
        "LILY_JWT_SECRETS",
        "LILY_LOG_LEVEL",
        "LILY_REDIS_URL",
        "LILY_SEAL_KEY",
        "LILY_SOURCE_MONTE_CARLO_SECRETS",
        "LILY_TABEL",
        "LILY_WEB_PORT",
    }
    lines = str(raised.value).splitlines()
    assert lines[0] == "7 settings are wrong:"
    assert "  LILY_REDIS_URL: 'localhost' has no scheme; expected redis:// or rediss://" in lines
    assert "  LILY_WEB_PORT: must be a whole number from 1 to 65535" in lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LILY_INSTALLATION", "Lily One"),
        ("LILY_PUBLIC_URL", "https://"),
        ("LILY_PUBLIC_URL", "https://host:port"),
        ("LILY_REDIS_URL", "http://localhost"),
        ("LILY_REDIS_URL", "redis://"),
        ("LILY_AWS_ENDPOINT_URL", "http://localhost:4566/path"),
        ("LILY_AWS_REGION", "Virginia"),
        ("LILY_TABLE", "a b"),
        ("LILY_SEAL_KEY", "not base64!"),
        ("LILY_SEAL_KEY", base64.b64encode(b"short").decode()),
        ("LILY_SEAL_KEY", f"{KEY},{KEY},{KEY}"),
        ("LILY_SEAL_KEY", ","),
        ("LILY_JWT_SECRETS", "j" * 31),
        ("LILY_ACCEPT_DEADLINE_S", "nan"),
        ("LILY_ACCEPT_DEADLINE_S", "-1"),
        ("LILY_ACCEPT_DEADLINE_S", "soon"),
        ("LILY_WEB_THREADS", "0"),
        ("LILY_WEB_THREADS", "1.5"),
        ("LILY_TRUSTED_PROXIES", "10.0.0.0/8,elsewhere"),
        ("LILY_RATE_LIMIT", "many"),
        ("LILY_RATE_LIMIT", "600/minute\n700/minute"),
        ("LILY_LEASE_S", "1"),
        ("LILY_SOURCES", "Monte Carlo"),
        ("LILY_SOURCE_MONTE_CARLO_UNSIGNED", "maybe"),
        ("LILY_CLIENTS", "../etc"),
    ],
)
def test_a_wrong_value_is_a_fault_of_its_variable_alone(name, value):
    assert list(faults(**{name: value})) == [name]


def test_an_empty_value_counts_as_not_set():
    assert load(LEAST | {"LILY_TABLE": " ", "LILY_AWS_ENDPOINT_URL": "", "LILY_CLIENTS": ""}) == load(LEAST)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("LILY_TABEL", "LILY_TABLE"),
        ("LILY_REDIS", "LILY_REDIS_URL"),
        ("LILY_WEB_THREAD", "LILY_WEB_THREADS"),
        ("LILY_SOURCE_MONTE_CARLO_SECRET", "LILY_SOURCE_MONTE_CARLO_SECRETS"),
    ],
)
def test_an_unknown_name_is_a_fault_that_names_the_nearest_known_one(wrong, right):
    assert f"did you mean {right}?" in faults(**{wrong: "1"})[wrong]


def test_variables_of_make_run_and_of_others_are_ignored():
    assert load(LEAST | {"LILY_RUN_FLOWER_PORT": "5555", "PATH": "/bin", "LILYPAD": "green"}) == load(LEAST)


def test_values_are_typed():
    made = load(
        LEAST
        | {
            "LILY_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128",
            "LILY_PUBLIC_URL": "https://lily.example/",
            "LILY_ACCEPT_DEADLINE_S": "0.5",
            "LILY_JWT_SECRETS": f"{'a' * 32} , {'b' * 32}",
        }
    )

    assert made.web.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert made.public_url == "https://lily.example"
    assert made.accept_deadline_s == 0.5
    assert [secret.reveal() for secret in made.jwt.secrets] == ["a" * 32, "b" * 32]


class TestSources:
    def test_several_instances_are_read_by_their_names(self):
        made = load(
            {
                **LEAST,
                "LILY_SOURCES": "mc-eu, monte-carlo",
                "LILY_SOURCE_MC_EU_KIND": "monte-carlo",
                "LILY_SOURCE_MC_EU_ACCOUNT": "acc-1",
                "LILY_SOURCE_MC_EU_SECRETS": "old,new",
                "LILY_SOURCE_MC_EU_API_URL": "https://api.example/graphql",
                "LILY_SOURCE_MC_EU_API_ID": "id",
                "LILY_SOURCE_MC_EU_API_TOKEN": "token",
            }
        )

        assert list(made.sources) == ["mc-eu", "monte-carlo"]
        source = made.sources["mc-eu"]
        assert (source.name, source.kind, source.account) == ("mc-eu", "monte-carlo", "acc-1")
        assert len(source.secrets) == 2
        assert source.api is not None
        assert (source.api.url, source.api.token.reveal(), source.api.timeout_s) == ("https://api.example/graphql", "token", 0.8)

    def test_the_kind_is_the_name_unless_it_is_given(self):
        assert "name of a connector" in faults(LILY_SOURCE_MONTE_CARLO_KIND="No Name")["LILY_SOURCE_MONTE_CARLO_KIND"]

    def test_an_instance_that_is_not_listed_is_a_fault_that_says_where_to_list_it(self):
        assert "add that to LILY_SOURCES" in faults(LILY_SOURCE_SODA_SECRETS="s")["LILY_SOURCE_SODA_SECRETS"]

    def test_without_signatures_only_when_that_is_said(self):
        environ = {**LEAST, "LILY_SOURCE_MONTE_CARLO_SECRETS": ""}
        with pytest.raises(SettingsError, match="LILY_SOURCE_MONTE_CARLO_SECRETS"):
            load(environ)

        source = load(environ | {"LILY_SOURCE_MONTE_CARLO_UNSIGNED": "true"}).sources["monte-carlo"]

        assert (source.unsigned, source.secrets) == (True, ())

    def test_unsigned_beside_secrets_is_a_fault(self):
        assert list(faults(LILY_SOURCE_MONTE_CARLO_UNSIGNED="true")) == ["LILY_SOURCE_MONTE_CARLO_UNSIGNED"]

    def test_an_api_needs_its_key(self):
        assert set(faults(LILY_SOURCE_MONTE_CARLO_API_URL="https://api.example")) == {
            "LILY_SOURCE_MONTE_CARLO_API_ID",
            "LILY_SOURCE_MONTE_CARLO_API_TOKEN",
        }

    def test_a_key_without_an_api_has_no_effect_and_says_so(self):
        name = "LILY_SOURCE_MONTE_CARLO_API_TOKEN"

        assert "has no effect without LILY_SOURCE_MONTE_CARLO_API_URL" in faults(**{name: "t"})[name]

    def test_names_that_cannot_be_read_do_not_make_their_variables_unknown(self):
        assert list(faults(LILY_SOURCES="Monte Carlo", LILY_SOURCE_X_SECRETS="s")) == ["LILY_SOURCES"]


class TestClients:
    def test_a_client_has_a_secret_and_scopes(self):
        made = load(
            {
                **LEAST,
                "LILY_CLIENTS": "ops",
                "LILY_CLIENT_OPS_SECRET": "s" * 16,
                "LILY_CLIENT_OPS_SCOPES": "events:read, admin",
            }
        )

        assert made.clients["ops"].scopes == {"events:read", "admin"}
        assert made.clients["ops"].name == "ops"

    def test_a_scope_that_nobody_knows_is_a_fault(self):
        environ = {"LILY_CLIENTS": "ops", "LILY_CLIENT_OPS_SECRET": "s" * 16, "LILY_CLIENT_OPS_SCOPES": "events:raed"}

        assert faults(**environ)["LILY_CLIENT_OPS_SCOPES"].startswith("events:raed: unknown; known are events:read,")

    def test_two_names_with_one_prefix_are_a_fault(self):
        environ = {"LILY_CLIENTS": "a-b,a_b", "LILY_CLIENT_A_B_SECRET": "s" * 16, "LILY_CLIENT_A_B_SCOPES": "admin"}

        assert faults(**environ) == {
            "LILY_CLIENTS": "'a-b' and 'a_b' would both be read from LILY_CLIENT_A_B_*; rename one of them"
        }


class TestSecrets:
    MARK = "tell-nobody-tell-nobody-tell-nobody"

    def environ(self) -> dict[str, str]:
        return {
            "LILY_REDIS_URL": f"redis://:{self.MARK}@127.0.0.1:6379",
            "LILY_SEAL_KEY": base64.b64encode(self.MARK[:32].encode()).decode(),
            "LILY_JWT_SECRETS": self.MARK,
            "LILY_SOURCE_MONTE_CARLO_SECRETS": self.MARK,
            "LILY_SOURCE_MONTE_CARLO_API_URL": "https://api.example",
            "LILY_SOURCE_MONTE_CARLO_API_ID": "id",
            "LILY_SOURCE_MONTE_CARLO_API_TOKEN": self.MARK,
            "LILY_CLIENTS": "ops",
            "LILY_CLIENT_OPS_SECRET": self.MARK,
            "LILY_CLIENT_OPS_SCOPES": "admin",
        }

    def test_print_as_stars(self):
        made = load(self.environ())

        assert made.clients["ops"].secret.reveal() == self.MARK
        for shown in (repr(made), str(made), f"{made.clients['ops'].secret}", f"{made.clients['ops']}", repr(made.jwt)):
            assert self.MARK not in shown
            assert self.environ()["LILY_SEAL_KEY"] not in shown
        assert "***" in repr(dataclasses.asdict(made.jwt))

    @pytest.mark.parametrize(
        "url",
        [
            "http://user:{}@host:1/0",
            ":{}@host",
            "user:{}@host",
            "redis://:{}@host:port",
            "host?password={}",
            "redis://:{}@",
            "http://host/0?password={}",
            "redis://:{}@a@b:x",
        ],
    )
    def test_in_a_url_are_not_repeated_by_its_fault(self, url):
        fault = faults(LILY_REDIS_URL=url.format(self.MARK))["LILY_REDIS_URL"]

        assert self.MARK not in fault

    def test_that_are_wrong_are_not_repeated_by_their_faults(self):
        environ = {
            **self.environ(),
            "LILY_SEAL_KEY": self.MARK,
            "LILY_JWT_SECRETS": ",".join([self.MARK] * 3),
            "LILY_CLIENT_OPS_SECRET": self.MARK[:15],
            "LILY_SECRET": self.MARK,
        }

        with pytest.raises(SettingsError) as raised:
            load(environ)

        assert len(raised.value.faults) == 4
        assert self.MARK[:15] not in str(raised.value)
        assert self.MARK[:15] not in repr(raised.value)

    def test_are_equal_by_what_they_hold(self):
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("ü"), Secret("ü")}) == 1


@given(
    st.dictionaries(st.sampled_from([*LEAST, "LILY_SOURCES", "LILY_CLIENTS", "LILY_WEB_PORT", "LILY_TRUSTED_PROXIES"]), st.text())
)
def test_whatever_is_in_the_environment_the_answer_is_settings_or_faults(environ):
    try:
        load(LEAST | environ)
    except SettingsError as error:
        assert error.faults


def test_the_documentation_is_fresh():
    written = (ROOT / "docs/configuration.md").read_text()

    assert written == document(), "run: python -m lily.runtime.settings > docs/configuration.md"


def test_importing_the_settings_loads_no_client_of_anything():
    script = "import sys, lily.runtime.settings; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not {"redis", "httpx", "structlog", "boto3", "celery", "flask"} & set(answer.stdout.split())


def test_a_connection_names_a_catalog_that_is_configured():
    given = {
        "LILY_CATALOGS": "atlan",
        "LILY_CATALOG_ATLAN_URL": "https://acme.atlan.com",
        "LILY_CATALOG_ATLAN_TOKEN": "t",
        "LILY_CONNECTIONS": "prod",
        "LILY_CONNECTION_PROD_QUALIFIED_NAME": "default/snowflake/1700000000",
        "LILY_CONNECTION_PROD_KIND": "snowflake",
        "LILY_CONNECTION_PROD_WAREHOUSES": "w-1, w-2",
    }
    settings = load(LEAST | given)
    assert settings.connections["prod"].warehouses == ("w-1", "w-2")
    assert settings.catalogs["atlan"].source == "atlan"

    wrong = faults(**given, LILY_CONNECTION_PROD_CATALOG="other")
    assert "LILY_CATALOGS" in wrong["LILY_CONNECTION_PROD_CATALOG"]
