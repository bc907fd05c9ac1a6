"""The protocol of Snowflake's stand-in, as the vendor's connector meets it: login, results, retries, sessions."""

import base64
import datetime
import decimal
import hashlib
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector import errors

from tests.sandbox.conftest import Snowflake, refusal
from tests.waiting import eventually

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: rsa.RSAPrivateKey) -> str:
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "".join(pem.decode().splitlines()[1:-1])


def by_key(snowflake: Snowflake, key: rsa.RSAPrivateKey = KEY, **how: Any) -> Any:
    return snowflake.connect(authenticator="SNOWFLAKE_JWT", private_key=key, **how)


def test_a_key_pair_logs_in_and_selects(snowflake: Snowflake) -> None:
    snowflake.sql(f"ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{public(KEY)}'")

    with by_key(snowflake) as connection:
        cursor = connection.cursor().execute("SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE()")

        assert cursor.fetchall() == [("LILY_SVC", "LILY", "WH")]
        assert uuid.UUID(cursor.sfqid)


def test_the_second_key_serves_while_keys_are_rotated(snowflake: Snowflake) -> None:
    snowflake.sql(f"ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{public(KEY)}' RSA_PUBLIC_KEY_2 = '{public(OTHER_KEY)}'")

    assert by_key(snowflake).cursor().execute("SELECT 1").fetchall() == [(1,)]
    assert by_key(snowflake, OTHER_KEY).cursor().execute("SELECT 1").fetchall() == [(1,)]

    snowflake.sql("ALTER USER LILY_SVC UNSET RSA_PUBLIC_KEY")
    with pytest.raises(errors.DatabaseError) as caught:
        by_key(snowflake)
    assert (caught.value.errno, caught.value.sqlstate) == (394304, "28000")


def token(**claims: Any) -> str:
    """A JWT as the connector makes it, but for `claims`."""
    der = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = base64.b64encode(hashlib.sha256(der).digest()).decode()
    now = int(time.time())
    right = {"iss": f"ORG-ACCT.LILY_SVC.SHA256:{fingerprint}", "sub": "ORG-ACCT.LILY_SVC", "iat": now, "exp": now + 120}
    return jwt.encode({**right, **claims}, KEY, algorithm="RS256")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, None),
        ({"exp": int(time.time()) - 10, "iat": int(time.time()) - 100}, "394302"),
        ({"exp": int(time.time()) + 90_000}, "394304"),
        ({"sub": "ORG-ACCT.OTHER"}, "394304"),
        ({"iss": "ORG-ACCT.LILY_SVC.SHA256:AAAA"}, "394304"),
    ],
)
def test_a_jwt_is_verified(snowflake: Snowflake, claims: dict[str, Any], code: str | None) -> None:
    snowflake.sql(f"ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{public(KEY)}'")
    data = {"ACCOUNT_NAME": "org-acct", "LOGIN_NAME": "LILY_SVC", "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token(**claims)}

    answer = snowflake.http.post("/session/v1/login-request", json={"data": data}).json()

    assert (answer["success"], answer["code"]) == (code is None, code)


def test_a_jwt_signed_by_another_key_is_refused(snowflake: Snowflake) -> None:
    snowflake.sql(f"ALTER USER LILY_SVC SET RSA_PUBLIC_KEY = '{public(KEY)}'")
    head, body, _ = token().split(".")
    forged = jwt.encode(jwt.decode(token(), options={"verify_signature": False}), OTHER_KEY, algorithm="RS256")
    for bad in (f"{head}.{body}.{forged.split('.')[2]}", forged, f"{head}.{body}.", "x", ""):
        data = {"ACCOUNT_NAME": "org-acct", "LOGIN_NAME": "LILY_SVC", "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": bad}
        assert snowflake.http.post("/session/v1/login-request", json={"data": data}).json()["code"] == "394304"


def test_oauth_client_credentials_log_in(snowflake: Snowflake) -> None:
    snowflake.http.post("/sandbox/oauth/clients", json={"id": "client", "secret": "geheim", "user": "LILY_SVC"})
    how = {
        "authenticator": "OAUTH_CLIENT_CREDENTIALS",
        "oauth_client_id": "client",
        "oauth_token_request_url": f"http://127.0.0.1:{snowflake.port}/oauth/token",
        "oauth_scope": "session:role:LILY",
    }

    connection = snowflake.connect(**how, oauth_client_secret="geheim")

    assert connection.cursor().execute("SELECT CURRENT_USER(), CURRENT_ROLE()").fetchall() == [("LILY_SVC", "LILY")]
    with pytest.raises(errors.Error):
        snowflake.connect(**how, oauth_client_secret="wrong")


def test_a_made_up_access_token_is_refused(snowflake: Snowflake) -> None:
    data = {"LOGIN_NAME": "LILY_SVC", "AUTHENTICATOR": "OAUTH", "TOKEN": "AT"}

    assert snowflake.http.post("/session/v1/login-request", json={"data": data}).json()["code"] == "390303"


def test_a_wrong_password_is_refused(snowflake: Snowflake) -> None:
    for how in ({"password": "x"}, {"user": "NOBODY"}):
        with pytest.raises(errors.DatabaseError) as caught:
            snowflake.connect(**how)
        assert (caught.value.errno, caught.value.sqlstate) == (390100, "28000")


def test_a_role_that_the_user_does_not_hold_is_refused(snowflake: Snowflake) -> None:
    for role in ("PII", "NO_SUCH_ROLE", '"lily"'):
        with pytest.raises(errors.DatabaseError):
            snowflake.connect(role=role)


def test_every_type_arrives_as_its_python_value(snowflake: Snowflake) -> None:
    snowflake.sql(
        """CREATE TABLE DB.S.ALL_TYPES (I INT, D NUMBER(10,2), F FLOAT, S VARCHAR(9), B BOOLEAN, DT DATE, TS TIMESTAMP_NTZ,
           TZ TIMESTAMP_TZ, TL TIMESTAMP_LTZ, TM TIME, V VARIANT, BIN BINARY);
           INSERT INTO DB.S.ALL_TYPES SELECT 1, 1.5, 1.25, 'x', TRUE, '2022-01-08', '2023-11-14 22:13:20.5',
           '2023-11-14 22:13:20', '2023-11-14 22:13:20', '01:00:00', PARSE_JSON('{"a":1}'), TO_BINARY('DEADBEEF', 'HEX');
           INSERT INTO DB.S.ALL_TYPES (I) VALUES (2); GRANT SELECT ON TABLE DB.S.ALL_TYPES TO ROLE PUBLIC"""
    )
    cursor = snowflake.connect().cursor().execute("SELECT * FROM DB.S.ALL_TYPES ORDER BY I")

    first, second = cursor.fetchall()

    moment = datetime.datetime(2023, 11, 14, 22, 13, 20)  # noqa: DTZ001 - as a type without a zone gives it
    assert first[:7] == (
        1,
        decimal.Decimal("1.50"),
        1.25,
        "x",
        True,
        datetime.date(2022, 1, 8),
        moment.replace(microsecond=500000),
    )
    assert [value.timestamp() for value in first[7:9]] == [moment.replace(tzinfo=datetime.UTC).timestamp()] * 2
    assert (first[9], json.loads(first[10]), bytes(first[11])) == (datetime.time(1), {"a": 1}, b"\xde\xad\xbe\xef")
    assert second == (2, *[None] * 11)
    assert [column.name for column in cursor.description] == ["I", "D", "F", "S", "B", "DT", "TS", "TZ", "TL", "TM", "V", "BIN"]


def test_values_are_bound_on_the_server(snowflake: Snowflake) -> None:
    cursor = snowflake.connect(paramstyle="qmark").cursor()
    hostile = "it's \\ \n $$ -- ? \"; DROP TABLE T; é😀"

    rows = cursor.execute("SELECT ?, ?, ?, ?, ? || '?'", (hostile, 5, None, 1.5, "a")).fetchall()

    assert rows == [(hostile, 5, None, 1.5, "a?")]
    assert refusal(cursor, "SELECT ?")[0] == 2049


def test_the_clients_own_escaping_is_understood(snowflake: Snowflake) -> None:
    hostile = "it's \\ a $$ \n%"

    assert snowflake.connect().cursor().execute("SELECT %s", (hostile,)).fetchall() == [(hostile,)]


def test_a_statement_that_fails_carries_number_state_and_query_id(snowflake: Snowflake, lily: Any) -> None:
    with pytest.raises(errors.ProgrammingError) as caught:
        lily.execute("SELECT * FROM DB.S.NOPE")

    error = caught.value
    assert (error.errno, error.sqlstate) == (2003, "42S02")
    assert "Object 'DB.S.NOPE' does not exist or not authorized." in str(error.msg)
    assert snowflake.queries("NOPE")[-1]["id"] == error.sfqid


def test_two_statements_in_one_text_are_refused_unless_announced(lily: Any) -> None:
    assert refusal(lily, "SELECT 1; SELECT 2") == (8, "0A000")
    assert lily.execute("SELECT 1;").fetchall() == [(1,)]

    lily.execute("SELECT 1; SELECT 2", num_statements=2)
    first = lily.fetchall()
    assert lily.nextset()
    assert (first, lily.fetchall()) == ([(1,)], [(2,)])


def test_an_empty_statement_is_an_error(snowflake: Snowflake) -> None:
    for text in ("", "  ", "-- nothing", "/* x */ ;"):
        answer = snowflake.http.post("/sandbox/sql", json={"sql": text})
        assert (answer.status_code, answer.json()["code"]) == (422, "000900")


def test_a_repeated_request_runs_once(snowflake: Snowflake, lily: Any) -> None:
    """503 before: it runs at the second attempt. Dropped after: the second attempt gets the first one's result."""
    connection = snowflake.connect(retry_max_attempts=4)
    snowflake.sql("GRANT INSERT ON TABLE DB.S.T TO ROLE LILY")
    for fault in ({"kind": "status", "status": 503}, {"kind": "drop_before"}, {"kind": "drop_after"}):
        before = snowflake.sql("SELECT COUNT(*) FROM DB.S.T")
        snowflake.fault(**fault, match="^INSERT")
        connection.cursor().execute("INSERT INTO DB.S.T (ID) VALUES (9)")
        assert snowflake.sql("SELECT COUNT(*) FROM DB.S.T")[0][0] == before[0][0] + 1, fault
    assert [entry["retries"] for entry in snowflake.queries("^INSERT INTO DB.S.T .ID")] == [0, 0, 1]


def test_an_expired_session_token_is_renewed_in_silence(snowflake: Snowflake, lily: Any) -> None:
    snowflake.http.post("/sandbox/sessions/expire", json={"what": "session"})

    assert lily.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(("what", "number"), [("master", 390114), ("all", 390111)])
def test_a_lost_session_asks_for_a_new_login(snowflake: Snowflake, lily: Any, what: str, number: int) -> None:
    snowflake.http.post("/sandbox/sessions/expire", json={"what": what})

    with pytest.raises(errors.ProgrammingError) as caught:
        lily.execute("SELECT 1")
    assert caught.value.errno == number


def test_a_long_statement_is_polled_for(snowflake: Snowflake, lily: Any) -> None:
    snowflake.settings(detach_after_s=0.05)
    snowflake.fault(kind="latency", delay_s=0.3)

    assert lily.execute("SELECT 7").fetchall() == [(7,)]


def test_a_statement_can_run_beside_its_client(snowflake: Snowflake) -> None:
    connection = snowflake.connect()
    cursor = connection.cursor()
    snowflake.fault(kind="latency", delay_s=0.2)
    cursor.execute_async("SELECT 8")

    assert connection.is_still_running(connection.get_query_status(cursor.sfqid))
    eventually(lambda: not connection.is_still_running(connection.get_query_status(cursor.sfqid)))
    cursor.get_results_from_sfqid(cursor.sfqid)
    assert cursor.fetchall() == [(8,)]


def test_a_statement_over_its_time_is_ended(snowflake: Snowflake) -> None:
    cursor = snowflake.connect(session_parameters={"STATEMENT_TIMEOUT_IN_SECONDS": 1}).cursor()
    snowflake.fault(kind="latency", delay_s=30)

    assert refusal(cursor, "SELECT 1") == (630, "57014")


def test_a_query_over_its_time_is_interrupted(snowflake: Snowflake) -> None:
    cursor = snowflake.connect(session_parameters={"STATEMENT_TIMEOUT_IN_SECONDS": 1}).cursor()
    numbers = "(SELECT 1 AS A UNION ALL SELECT 2)"
    text = "SELECT SUM(LENGTH(REPEAT('x', " + " * ".join(f"T{at}.A" for at in range(34)) + "))) FROM "
    text += ", ".join(f"{numbers} T{at}" for at in range(34))

    assert refusal(cursor, text) == (630, "57014")
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]


def test_a_statement_can_be_cancelled(snowflake: Snowflake) -> None:
    connection = snowflake.connect()
    cursor = connection.cursor()
    snowflake.fault(kind="latency", delay_s=30)
    cursor.execute_async("SELECT 'long'")
    query_id = cursor.sfqid

    assert cursor.abort_query(query_id)

    eventually(lambda: snowflake.queries("long")[-1]["state"] == "failed")
    assert (snowflake.queries("long")[-1]["code"], snowflake.queries("long")[-1]["sqlstate"]) == ("000604", "57014")


def test_query_tags_are_in_the_log(snowflake: Snowflake) -> None:
    cursor = snowflake.connect(session_parameters={"QUERY_TAG": "session"}).cursor()
    cursor.execute("SELECT 'first'")
    cursor.execute("SELECT 'second'", _statement_params={"QUERY_TAG": "statement"})
    cursor.execute("ALTER SESSION SET QUERY_TAG = 'altered'")
    cursor.execute("SELECT 'third'")

    found = {entry["text"]: entry["tag"] for entry in snowflake.queries("SELECT '")}
    assert found == {"SELECT 'first'": "session", "SELECT 'second'": "statement", "SELECT 'third'": "altered"}
    assert {entry["role"] for entry in snowflake.queries()} == {"LILY"}
    assert refusal(cursor, f"ALTER SESSION SET QUERY_TAG = '{'x' * 2001}'")[0] == 1008


def test_closing_logs_out(snowflake: Snowflake) -> None:
    connection = snowflake.connect()
    assert len(snowflake.http.get("/sandbox/sessions").json()) == 1

    connection.close()

    assert snowflake.http.get("/sandbox/sessions").json() == []


def test_eight_connections_work_at_once(snowflake: Snowflake) -> None:
    snowflake.sql("GRANT INSERT, SELECT ON TABLE DB.S.T TO ROLE LILY; CREATE TABLE DB.S.COUNTED (ID INT)")
    snowflake.sql("GRANT INSERT, SELECT ON TABLE DB.S.COUNTED TO ROLE LILY")

    def work(number: int) -> int:
        cursor = snowflake.connect().cursor()
        policy = f"GOV.LILY.P{number}"
        for turn in range(10):
            cursor.execute(f"CREATE OR REPLACE MASKING POLICY {policy} AS (V VARCHAR) RETURNS VARCHAR -> '{turn}'")
            cursor.execute(f"INSERT INTO DB.S.COUNTED VALUES ({turn})")
            cursor.execute("SELECT COUNT(*), MAX(EMAIL) FROM DB.S.T")
        return int(cursor.execute(f"DESCRIBE MASKING POLICY {policy}").fetchone()[3].strip("'"))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [9] * 8
    assert snowflake.sql("SELECT COUNT(*) FROM DB.S.COUNTED") == [[80]]
