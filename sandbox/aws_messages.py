"""HTTP messages as AWS clients and stand-ins send them: read from a stream, changed, written again."""

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus

from sandbox.aws_parts import MESSAGE

HEAD_BYTES_MAX = 64 * 1024


@dataclass(frozen=True)
class Message:
    """A request or an answer: its start line and headers as bytes, its body."""

    head: bytes
    body: bytes

    @property
    def first(self) -> list[str]:
        return self.head.partition(b"\r\n")[0].decode("latin-1").split(" ")

    def header(self, name: str) -> str:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return ""

    def with_body(self, body: bytes) -> "Message":
        """With another body, its length said anew, and no checksum of the old one."""
        gone = (b"content-length:", b"transfer-encoding:", b"x-amz-crc32:")
        lines = [line for line in self.head.split(b"\r\n") if not line.lower().startswith(gone)]
        return Message(b"\r\n".join([*lines, b"content-length: %d" % len(body)]), body)

    @property
    def raw(self) -> bytes:
        return self.head + b"\r\n\r\n" + self.body


async def read(reader: asyncio.StreamReader, of_request: bool = True) -> Message | None:
    """The next message, or None at the end. ValueError for what AWS clients do not send."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    message = Message(head, b"")
    if "chunked" in message.header("transfer-encoding").lower():
        if of_request:
            raise ValueError("requests in chunks are not passed on")
        return message.with_body(await _chunks(reader))
    return Message(head, await reader.readexactly(int(message.header("content-length") or 0)))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


def refused(request: Message, status: int, code: str) -> Message:
    """As DynamoDB and EventBridge say it (AWS JSON 1.0 and 1.1)."""
    return answered(status, {"__type": f"com.amazonaws#{code}", "message": MESSAGE}, request.header("content-type"))


def answered(status: int, content: object, kind: str = "application/json") -> Message:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {kind}\r\nx-amzn-requestid: of-the-fault-proxy"
    return Message(head.encode(), b"").with_body(json.dumps(content).encode())
