"""What arrives on a raw socket when someone means ill or knows no better: requests byte for byte, and what may become of them."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from urllib.parse import urlencode

from benchmarks.deliveries import PATH, SIGNATURE_HEADER

REFUSED = (400,)
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Case:
    """One connection's worth of bytes, sent piece by piece.

    `statuses`: what may be answered; of nothing, whatever is below 500. `answers_max`: how many requests there are in it.
    `closes`: the connection must end after the answer, since nobody can tell where the next request begins. `hangs_up`: the
    sender ends its side after the last piece, so that silence followed by a clean end is right, too.
    """

    name: str
    pieces: tuple[bytes, ...]
    statuses: tuple[int, ...] = ()
    answers_max: int = 1
    closes: bool = False
    hangs_up: bool = False


def post(body: bytes, *headers: bytes, length: bytes | None = None) -> bytes:
    """A delivery. `length`: another Content-Length than the right one; empty: none at all."""
    stated = b"%d" % len(body) if length is None else length
    lines = [*headers, *([b"Content-Length: " + stated] if stated else [])]
    head = b"".join(b"%s\r\n" % line for line in (b"POST %s HTTP/1.1" % PATH.encode(), b"Host: lily", *lines))
    return head + b"\r\n" + body


def chunked(*sized: bytes, headers: tuple[bytes, ...] = ()) -> bytes:
    """A delivery in chunks, of which each is given with its size line and its end."""
    return post(b"".join(sized), b"Transfer-Encoding: chunked", *headers, length=b"")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def signature(body: bytes, secret: str) -> bytes:
    """The header that proves `body`, as far as it can be proven: what is no JSON is signed as the bytes that it is."""
    try:
        signed = urlencode(json.loads(body)).encode()
    except (ValueError, TypeError, RecursionError, AttributeError):
        signed = body
    return f"{SIGNATURE_HEADER}: {hmac.digest(secret.encode(), signed, hashlib.sha512).hex()}".encode()


def cases(secret: str) -> Iterator[Case]:
    """All of them, for a server whose source signs with `secret`."""
    parts = (_lines(), _targets(), _lengths(), _codings(), _chunks(), _floods(), _pipelines(), _cut(), _bodies(secret))
    for case in chain(*parts):  # who fails often gets 429 for 401
        yield replace(case, statuses=(*case.statuses, 429)) if 401 in case.statuses else case


LAST = b"0\r\n\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: lily\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: lily\r\n\r\n"


def _refused(name: str, *pieces: bytes, statuses: tuple[int, ...] = REFUSED) -> Case:
    return Case(name, pieces, statuses, closes=True)


def _lines() -> Iterator[Case]:
    """Start lines and headers (RFC 9112, sections 2 to 5)."""
    yield Case("bare LF", (GET.replace(b"\r\n", b"\n"),), (200, 400), hangs_up=True)  # to us, the head has not ended
    yield _refused("LF before CRLF", b"GET /livez HTTP/1.1\nHost: lily\r\n\r\n")
    yield _refused("bare LF in a header", b"GET /livez HTTP/1.1\r\nHost: lily\nA: b\r\n\r\n")
    yield _refused("bare CR in a header", b"GET /livez HTTP/1.1\r\nHost: lily\r\nA: b\rC: d\r\n\r\n")
    yield Case("folded header", (b"GET /livez HTTP/1.1\r\nHost: lily\r\nA: b\r\n c\r\n\r\n",), (200, 400))
    yield _refused("fold before the first header", b"GET /livez HTTP/1.1\r\n Host: lily\r\nHost: x\r\n\r\n")
    yield _refused("space before a colon", b"GET /livez HTTP/1.1\r\nHost : lily\r\n\r\n")
    yield _refused("space before the colon of a length", post(b"{}", b"Content-Length : 2", length=b""))
    yield _refused("header without a name", b"GET /livez HTTP/1.1\r\nHost: lily\r\n: x\r\n\r\n")
    yield _refused("header without a colon", b"GET /livez HTTP/1.1\r\nHost: lily\r\nnonsense\r\n\r\n")
    yield _refused("NUL in a header's name", b"GET /livez HTTP/1.1\r\nHost: lily\r\nA\0: x\r\n\r\n")
    yield Case("NUL in a header's value", (b"GET /livez HTTP/1.1\r\nHost: lily\r\nA: x\0y\r\n\r\n",))
    yield Case("Latin-1 in a header", (b"GET /livez HTTP/1.1\r\nHost: lily\r\nA: \xe9\xff\r\n\r\n",))
    yield _refused("no Host", b"GET /livez HTTP/1.1\r\n\r\n")
    yield _refused("two Hosts", b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    yield Case("absurd Host", (b"GET /livez HTTP/1.1\r\nHost: [::1:]:x@/\\\r\n\r\n",))
    yield _refused("HTTP/0.9", b"GET /livez\r\n\r\n", statuses=(200, 400))
    yield _refused("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield _refused("HTTP/1.1 with more behind it", b"GET /livez HTTP/1.1x\r\nHost: lily\r\n\r\n")
    yield _refused("lower-case method", b"get /livez HTTP/1.1\r\nHost: lily\r\n\r\n")
    yield Case("TLS", (bytes.fromhex("16030100a5010000a10303") + bytes(range(128)) + b"\r\n\r\n",), REFUSED, closes=True)
    yield Case("only line ends", (b"\r\n" * 200,), hangs_up=True)
    yield Case("asks to go on", (post(b"{}", b"Expect: 100-continue"),), (401,))
    yield Case("expects the impossible", (post(b"{}", b"Expect: a miracle"),), (401, 417))
    yield Case("asks for WebSocket", (GET.replace(b"Host: lily", b"Host: lily\r\nConnection: Upgrade\r\nUpgrade: websocket"),))
    yield Case("underscored length", (post(b"", b"Content_Length: 2", length=b"0") + GET,), answers_max=2)


def _targets() -> Iterator[Case]:
    """Methods and targets; whoever routes them must not be surprised."""
    targets = {
        "a space": b"/a b",
        "NUL": b"/livez\0",
        "percent NUL": b"/livez%00",
        "half a percent": b"/livez%",
        "no UTF-8": b"/%ff%fe/events/%c3%28",
        "a line end, quoted": b"/events/%0d%0aSet-Cookie:%20a=b",
        "dots": b"/../../etc/passwd",
        "two slashes": b"//evil.example/livez",
        "a host with a bracket": b"http://[::1/livez",
        "an asterisk": b"*",
        "nothing of its own": b"?a=b",
        "a long query": b"/events?" + b"a=b&" * 5000,
        "bytes above 127": b"/events/\xff\xfe",
    }
    for name, target in targets.items():
        yield Case(f"target with {name}", (b"GET %s HTTP/1.1\r\nHost: lily\r\n\r\n" % target,))
    for method in (b"CONNECT", b"TRACE", b"PATCH", b"BREW", b"A" * 5000):
        yield Case(f"method {method[:10].decode()}", (b"%s /webhooks/monte-carlo HTTP/1.1\r\nHost: lily\r\n\r\n" % method,))


def _lengths() -> Iterator[Case]:
    """Content-Length (RFC 9112, section 6.3): read in two ways, it hides a second request."""
    for text in (b"-1", b"+2", b"0x2", b"2;", b"2 2", b"\xd9\xa2", b"2\0", b"1e1", b"2.0", b"9" * 5000, b"2, 3", b"2,", b"\x0b2"):
        yield _refused(f"length {text[:12]!r}", post(b"{}" + SMUGGLED, length=text))
    yield _refused("two lengths", post(b"{}" + SMUGGLED, b"Content-Length: 2", length=b"36"))
    yield _refused("the same length twice", post(b"{}", b"Content-Length: 2", length=b"2"))
    yield _refused("length and coding", post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding: chunked", length=b"5"))
    yield _refused("coding and length", post(LAST + SMUGGLED, b"Content-Length: 47", b"Transfer-Encoding: chunked", length=b""))
    yield Case("a body on GET", (GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\nGET "),))


def _codings() -> Iterator[Case]:
    """Transfer-Encoding: what a proxy in front might not see, or might see alone."""
    values = [
        b"xchunked",
        b"chunked, identity",
        b"identity",
        b"gzip, chunked",
        b"chunked, chunked",
        b"\x0bchunked",
        b"chunked\x0b",
        b"chun\tked",
        b'"chunked"',
        b"chunked;q=1",
        b"",
        b",",
        b"\xff",
    ]
    for value in values:
        yield _refused(f"coding {value!r}", post(LAST + SMUGGLED, b"Transfer-Encoding: " + value, length=b""))
    yield _refused("coding twice", post(LAST + SMUGGLED, b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", length=b""))
    yield _refused("coding with a space before", post(LAST + SMUGGLED, b"Transfer-Encoding : chunked", length=b"5"))
    yield _refused("coding on a folded line", post(LAST + SMUGGLED, b"Transfer-Encoding:\r\n chunked", length=b"5"))
    yield _refused("coding behind a bare LF", post(LAST + SMUGGLED, b"A: b\nTransfer-Encoding: chunked", length=b"5"))
    old = chunked(LAST, SMUGGLED).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    yield _refused("coding in HTTP/1.0", old)


def _chunks() -> Iterator[Case]:
    sizes = (b"xyz", b"-2", b"+2", b"0x2", b"2_", b" 2", b"2 ", b"2;\x00", b"2;a=\x80b\n", b"\xb2", b"2\n{}")
    for size in sizes:
        yield _refused(f"chunk size {size[:8]!r}", chunked(size + b"\r\n{}\r\n", LAST, SMUGGLED), statuses=(400, 413))
    huge = Case("chunk size of 5,000 digits", (chunked(b"F" * 5000 + b"\r\n{}\r\n", LAST, SMUGGLED),), (400, 413))
    yield replace(huge, closes=True, hangs_up=True)  # the rest may yet come
    yield _refused("chunk longer than it says", chunked(b"1\r\n{}\r\n", LAST))
    yield _refused("chunk without its end", chunked(b"2\r\n{}", LAST))
    yield _refused("chunk of an exabyte", chunked(b"fffffffffffffff\r\n" + b"x" * 2 * MEBIBYTE), statuses=(413,))
    yield _refused("chunks of 10 MB", *_split(chunked(chunk(b" " * 65536) * 160, LAST)), statuses=(413,))
    yield _refused("a size line without an end", *_split(chunked(b"2;" + b"a" * 2 * MEBIBYTE)), statuses=(400, 413))
    yield _refused("trailers without an end", *_split(chunked(b"0\r\n" + b"A: b\r\n" * 400_000)), statuses=(400, 413, 431))
    yield Case("100,000 chunks of one byte", tuple(_split(chunked(chunk(b" ") * 100_000, LAST))), (400, 401))
    yield Case("a trailer that would forge", (chunked(chunk(b"{}"), b"0\r\nContent-Length: 99\r\n\r\n"),), (401,))
    yield Case("chunk extensions", (chunked(b'2;a="b";c=d\r\n{}\r\n', LAST),), (400, 401))


def _floods() -> Iterator[Case]:
    yield _refused("10,000 headers", b"GET / HTTP/1.1\r\nHost: lily\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", statuses=(431,))
    yield _refused("a header of 1 MB", b"GET / HTTP/1.1\r\nHost: lily\r\nA: " + b"x" * MEBIBYTE + b"\r\n\r\n", statuses=(431,))
    yield _refused("headers of 2 MB without an end", *_split(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 350_000), statuses=(431,))
    yield _refused("a start line of 1 MB", b"GET /" + b"x" * MEBIBYTE + b" HTTP/1.1\r\nHost: lily\r\n\r\n", statuses=(431,))
    yield Case("5,000 headers within the limit", (GET[:-2] + b"A:\r\n" * 5000 + b"\r\n",), (200, 431))
    yield _refused("10 MB as announced", *_split(post(b"x" * 10 * MEBIBYTE)), statuses=(413,))
    yield Case("1 MB and one byte", tuple(_split(post(b" " * (MEBIBYTE + 1)))), (413,))


def _pipelines() -> Iterator[Case]:
    yield Case("50 requests at once", (GET * 50,), (200,), answers_max=50)
    yield Case("a delivery for each of 20", (post(b"{}") * 20,), (401,), answers_max=20)
    yield Case("nonsense behind a request", (GET + b"nonsense\r\n\r\n" + SMUGGLED,), (200, 400), answers_max=2, closes=True)
    yield Case("requests that nobody waits for", (GET * 20,), (200,), answers_max=20, hangs_up=True)


def _cut() -> Iterator[Case]:
    whole = post(b'{"type": "anomalies"}')
    for name, sent in {
        "nothing": b"",
        "a start line": whole[:20],
        "a head": whole[: whole.index(b"\r\n\r\n") + 2],
        "a body": whole[:-5],
        "a chunk": chunked(b"8\r\n{}"),
        "chunks": chunked(chunk(b"{}")),
        "a large body": post(b"x" * 900_000)[:500_000],
    }.items():
        yield Case(f"cut after {name}", (sent,), hangs_up=True)


def _bodies(secret: str) -> Iterator[Case]:
    """Bodies behind a genuine signature, wherever one can be made: what is in them is all that can be wrong with them."""
    deep = 100_000
    malformed = {
        "NaN": b'{"a": NaN}',
        "Infinity": b'{"a": [-Infinity, Infinity]}',
        "a float beyond a double": b'{"a": 1e999}',
        "an integer of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
        "a float of 5,000 digits": b'{"a": 0.' + b"1" * 5000 + b"}",
        "an exponent of 5,000 digits": b'{"a": 1e' + b"1" * 5000 + b"}",
        "100,000 arrays": b'{"a": ' + b"[" * deep + b"]" * deep + b"}",
        "100,000 objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "100,000 arrays that stay open": b"[" * deep,
        "101 levels": b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}",
        "a lone surrogate": b'{"payload": {"incident_id": "\\ud800"}}',
        "a lone surrogate as a key": b'{"\\udfff": 1}',
        "surrogates in the wrong order": b'{"a": "\\udc00\\ud800"}',
        "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
        "no UTF-8": b'{"a": "\xff\xfe"}',
        "overlong UTF-8": b'{"a": "\xc0\xaf"}',
        "UTF-16": '{"a": 1}'.encode("utf-16"),
        "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
        "a NUL byte": b'{"a": "\0"}',
        "a NUL behind it": b'{"a": 1}\0',
        "a comment": b'{"a": 1 /* one */}',
        "a comma too many": b'{"a": 1,}',
        "single quotes": b"{'a': 1}",
        "two documents": b'{"a": 1}{"b": 2}',
        "an array": b"[{}]",
        "null": b"null",
        "a number": b"1",
        "a string": b'"{}"',
        "nothing": b"",
        "white space": b" \t\r\n" * 1000,
        "half of it": b'{"type": "anomalies", "payload": {"inci',
        "a control character": b'{"a": "\x01"}',
        "an escape that is none": b'{"a": "\\x41"}',
    }
    for name, body in malformed.items():
        yield Case(f"body: {name}", tuple(_split(post(body, signature(body, secret)))), REFUSED)
    odd = {
        "a NUL, escaped": b'{"type": "a\\u0000b", "payload": {"incident_id": "\\u0000", "group_id": "\\u0000:\\u0000"}}',
        "keys that repeat": b'{"type": "a", "type": "anomalies", "payload": {"incident_id": "r", "incident_id": "s"}}',
        "100 levels": b'{"a": ' + b"[" * 99 + b"]" * 99 + b"}",
        "numbers at the limit": b'{"a": [1.7976931348623157e308, 5e-324, -0.0, ' + b"9" * 100 + b"]}",
        "an empty object": b"{}",
        "an empty key": b'{"": {"": ""}}',
        "50,000 keys": json.dumps({f"key {number}": number for number in range(50_000)}).encode(),
        "emoji of all ages": json.dumps({"a": ["\U0001face\U0001fae9\U0001f600" * 1000]}, ensure_ascii=False).encode(),
        "a payload that is no object": b'{"payload": "{}"}',
        "an account that is no text": b'{"account": {"id": 1}}',
        "names of 100 kB": json.dumps({"type": "t" * 100_000, "payload": {"incident_id": "i" * 100_000}}).encode(),
    }
    for name, body in odd.items():
        yield Case(f"body: {name}", tuple(_split(post(body, signature(body, secret)))), (202, 422))
    kinds = (b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"multipart/form-data")
    for kind in kinds:
        yield Case(f"body as {kind.decode()}", (post(b"{}", b"Content-Type: " + kind),), (415,))
    yield Case("compressed body", (post(b"\x1f\x8b\x08\0", b"Content-Encoding: gzip"),), (415,))
    yield Case("body in UTF-16 as it says", (post(b"{}", b"Content-Type: application/json; charset=utf-16"),), (401,))
    for name, text in {"short": b"00", "not hex": b"z" * 128, "upper case": b"A" * 128, "of 20 kB": b"0" * 20_000}.items():
        yield Case(f"signature {name}", (post(b"{}", SIGNATURE_HEADER.encode() + b": " + text),), (401,))


def _split(sent: bytes, size: int = 65536) -> tuple[bytes, ...]:
    return tuple(sent[start : start + size] for start in range(0, len(sent), size)) or (b"",)
