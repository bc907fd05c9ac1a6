"""How the command line calls: what is asked again, what is not, and what a person is told of a refusal."""

from collections.abc import Iterator

import pytest
from flask import Flask, request

from app.cli.api import Api, Credentials, Refused
from tests.app.cli import served

Answer = tuple[dict[str, object] | str, int, dict[str, str]]


@pytest.fixture
def answers() -> list[Answer]:
    """What the server answers, one after the other; the last again and again."""
    return []


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def url(answers: list[Answer], asked: list[str]) -> Iterator[str]:
    app = Flask(__name__)

    @app.route("/auth/token", methods=["POST"])
    def token() -> dict[str, str]:
        asked.append("token")
        return {"access_token": f"t{asked.count('token')}"}

    @app.route("/<path:path>", methods=["GET", "POST", "PUT"])
    def answer(path: str) -> Answer:
        asked.append(f"{request.method} {request.authorization.token if request.authorization else ''}")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with served(app) as found:
        yield found


def busy(status: int) -> Answer:
    return {"title": "Busy", "status": status}, status, {"Retry-After": "0"}


FINE: Answer = ({"ok": True}, 200, {})


@pytest.mark.parametrize(("method", "status"), [("GET", 429), ("POST", 429), ("GET", 503)])
def test_what_was_surely_not_done_is_asked_again(
    url: str, answers: list[Answer], asked: list[str], method: str, status: int
) -> None:
    answers[:] = [busy(status), FINE]

    assert Api(url, Credentials("t")).call(method, "/x") == {"ok": True}
    assert asked == [f"{method} t"] * 2


def test_what_may_have_been_done_is_not_asked_again(url: str, answers: list[Answer], asked: list[str]) -> None:
    answers[:] = [busy(503), FINE]

    with pytest.raises(Refused, match="lily doctor"):
        Api(url, Credentials("t")).call("POST", "/x", {})
    assert asked == ["POST t"]


def test_a_token_that_ends_on_the_way_is_replaced_once(url: str, answers: list[Answer], asked: list[str]) -> None:
    ended: Answer = ({"title": "A valid token is needed", "status": 401}, 401, {})
    answers[:] = [FINE, ended, FINE, ended]
    api = Api(url, Credentials(client="c", secret="s"))

    assert api.get("/x") == api.get("/x") == {"ok": True}
    assert asked == ["token", "GET t1", "GET t1", "token", "GET t2"]
    with pytest.raises(Refused, match="LILY_TOKEN"):
        api.get("/x")


def test_a_refusal_names_the_fields_and_an_answer_of_somebody_else_is_no_refusal_of_lily(url: str, answers: list[Answer]) -> None:
    fault = {"field": "match.columns[0]", "reason": "is empty"}
    answers[:] = [({"title": "Wrong", "detail": "Look.", "errors": [fault]}, 422, {})]
    with pytest.raises(Refused) as refused:
        Api(url, Credentials("t")).get("/x")
    assert refused.value.message == "Wrong (422)\n  Look.\n  match.columns[0]: is empty"

    answers[:] = [("<html>", 200, {})]
    with pytest.raises(Refused, match="LILY_URL"):
        Api(url, Credentials("t")).get("/x")


def test_secrets_are_not_shown(url: str, answers: list[Answer]) -> None:
    api = Api(url, Credentials("secret-token", "c", "secret-secret"))

    assert "secret-" not in repr(api)
    with pytest.raises(Refused) as refused:
        Api(url, Credentials("secret\n-token")).get("/x")
    assert "-token" not in refused.value.message
