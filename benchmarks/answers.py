"""What a server sent back on a raw socket, and whether it may: a problem detail or an ordinary answer, or a clean end. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

OPEN, ENDED, RESET, LATE = "open", "ended", "reset", "late"  # how a connection was when nobody listened to it any more
PROBLEM = "application/problem+json"
MEMBERS = {"type": str, "title": str, "status": int}  # of RFC 9457, those that Lily promises


@dataclass(frozen=True)
class Answer:
    """One response. Header names are in lower case; of a repeated one the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Seen:
    """One connection as its client saw it: the bytes that came, and how it was in the end (OPEN, ENDED, RESET, LATE)."""

    received: bytes
    end: str


class Garbled(ValueError):
    """The bytes are no HTTP response."""


def parse(received: bytes) -> tuple[list[Answer], bytes]:
    """The complete answers in `received`, without interim ones (1xx), and the bytes of an incomplete one. Raises Garbled."""
    answers: list[Answer] = []
    rest = received
    while rest:
        head, separator, after = rest.partition(b"\r\n\r\n")
        if not separator:
            break
        status, headers = _head(head)
        length = 0 if status < 200 or status in {204, 304} else _length(headers)
        if len(after) < length:
            break
        if status >= 200:
            answers.append(Answer(status, headers, after[:length]))
        rest = after[length:]
    return answers, rest


def judge(seen: Seen, statuses: Sequence[int] = (), answers_max: int = 1, closes: bool = False) -> str:
    """What is wrong with it; empty if nothing is.

    `statuses`: those that are right for what was sent (of nothing: any below 500). `answers_max`: how many requests were in
    what was sent; one more would be the answer to something smuggled. `closes`: the connection must end after its answer.
    """
    try:
        answers, rest = parse(seen.received)
    except Garbled as error:
        return f"garbled: {error}"
    faults = [fault for answer in answers if (fault := _fault(answer, statuses))]
    if faults:
        return faults[0]
    if rest:
        return f"an answer ends half way, then the connection was {seen.end}"
    if len(answers) > answers_max:
        return f"{len(answers)} answers to {answers_max} requests"
    if seen.end == LATE:
        return f"{len(answers)} answers to {answers_max} requests, and " + ("still open" if closes else "no more in time")
    if seen.end == RESET and not answers:
        return "reset without an answer"
    return ""


def _fault(answer: Answer, statuses: Sequence[int]) -> str:
    if answer.status >= 500 and answer.status not in statuses:
        return f"answered {answer.status}"
    if statuses and answer.status not in statuses:
        return f"answered {answer.status}, not {' or '.join(map(str, statuses))}"
    return problem_fault(answer) if answer.status >= 400 else ""


def problem_fault(answer: Answer) -> str:
    """Why a refusal is no problem detail; empty if it is one."""
    if answer.headers.get("content-type") != PROBLEM:
        return f"{answer.status} as {answer.headers.get('content-type', 'nothing')}"
    try:
        document = json.loads(answer.body)
    except ValueError:
        return f"{answer.status} with a body that is no JSON"
    if not isinstance(document, dict) or any(type(document.get(name)) is not kind for name, kind in MEMBERS.items()):
        return f"{answer.status} without {', '.join(MEMBERS)}"
    if document["status"] != answer.status:
        return f"{answer.status} that says {document['status']}"
    return ""


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version not in {"HTTP/1.0", "HTTP/1.1"} or not rest[:3].isdecimal():
        raise Garbled(f"status line {first[:80]!r}")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or "\r" in line or "\n" in line:
            raise Garbled(f"header {line[:80]!r}")
        headers[name.lower()] = value.strip()
    return int(rest[:3]), headers


def _length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "")
    if not text.isdecimal():
        raise Garbled(f"Content-Length {text!r}")
    return int(text)
