"""AWS having a bad day: a proxy in front of the stand-in that delays, refuses and loses calls, wholly or in part.

`POST /sandbox/faults` with one fault or a list. Each applies to calls of its `operation` (`PutItem`, or a pattern for the whole
target such as `DynamoDB_*`; `*`: all calls) with the probability `share`, `count` times (`null`: until cleared with DELETE).
Delays add up; of the others, the first that applies does:

    {"kind": "latency", "delay_s": 0.3}                 as usual, later
    {"kind": "error", "status": 400, "code": "ThrottlingException"}    nothing is done
    {"kind": "parts", "share": 0.3, "code": "ThrottlingError"}         of a batch, this share of the parts is not done
    {"kind": "drop_before"}                             the connection is closed, nothing was done
    {"kind": "drop_after"}                              it was done, then the connection is closed without an answer

`GET /sandbox/calls`: by operation, how many calls and parts of calls came and how many faults they met; DELETE begins anew.
Signatures are passed on as they came, so what stands behind must not verify them.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

import uvloop

from sandbox import aws_parts
from sandbox.aws_messages import HEAD_BYTES_MAX, Message, answered, read, refused

KINDS = ("latency", "error", "parts", "drop_before", "drop_after")
STATUSES = frozenset(status.value for status in HTTPStatus if status >= 400)
WHOLE_BATCH = "ProvisionedThroughputExceededException"  # what DynamoDB says if it can do no part of a batch


class Dropped(Exception):
    """This connection ends without an answer."""


@dataclass(frozen=True)
class Fault:
    kind: str
    operation: str = "*"
    share: float = 1.0
    count: int | None = None
    delay_s: float = 0.0
    status: int = 400
    code: str = "ThrottlingException"


def parse(spec: object) -> Fault:
    """The fault that a JSON value describes. ValueError says which part is wrong."""
    if type(spec) is not dict:
        raise ValueError(f'fault: expected an object such as {{"kind": "latency", "delay_s": 0.3}}, got {json.dumps(spec)}')
    if spec.get("kind") not in KINDS:
        raise ValueError(f"fault.kind: {spec.get('kind')!r} is not one of {', '.join(KINDS)}")
    if unknown := sorted(set(spec) - set(Fault.__dataclass_fields__)):
        raise ValueError(f"fault: unknown {', '.join(unknown)}; known are {', '.join(Fault.__dataclass_fields__)}")
    fault = Fault(**spec)
    if {type(fault.operation), type(fault.code)} != {str}:
        raise ValueError("fault.operation and fault.code: expected names")
    if fault.count is not None and not (type(fault.count) is int and fault.count >= 1):
        raise ValueError(f"fault.count: {fault.count!r}; expected a whole number from 1, or null for until cleared")
    if fault.status not in STATUSES:
        raise ValueError(f"fault.status: {fault.status!r}; expected an HTTP status from 400 to 599")
    for name, most in (("share", 1), ("delay_s", 600)):
        value = getattr(fault, name)
        if not (type(value) in (int, float) and 0 <= value <= most):
            raise ValueError(f"fault.{name}: {value!r}; expected 0 to {most}")
    return fault


class Proxy:
    """Faults that wait for calls, and what was counted."""

    def __init__(self, host: str, port: int, seed: int) -> None:
        self.host = host
        self.port = port
        self.faults: list[Fault] = []
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self._dice = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, with one of its own to AWS behind it."""
        behind = _Behind(self.host, self.port)
        try:
            while (request := await read(reader)) is not None:
                answer = self._control(request) or await self._call(request, behind)
                writer.write(answer.raw)
                await writer.drain()
        except (Dropped, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except ValueError as error:
            writer.write(answered(501, {"message": f"The fault proxy: {error}"}).raw)
        finally:
            behind.close()
            with contextlib.suppress(RuntimeError):  # the loop is gone
                writer.close()

    async def _call(self, request: Message, behind: "_Behind") -> Message:
        target = request.header("x-amz-target")
        operation = target.rpartition(".")[2]
        call = json.loads(request.body) if operation and request.body else {}
        counted = self.calls[operation]
        counted.update(calls=1, parts=aws_parts.count(operation, call))
        for fault in self._taken(target, "latency"):
            counted["latency"] += 1
            await asyncio.sleep(fault.delay_s)
        fault = next(self._taken(target, "error", "parts", "drop_before", "drop_after"), Fault("none"))
        if fault.kind == "parts":
            return await self._in_part(operation, request, call, fault, behind)
        if fault.kind != "none":
            counted[fault.kind] += 1
        if fault.kind == "drop_before":
            raise Dropped
        if fault.kind == "error":
            return refused(request, fault.status, fault.code)
        answer = await behind.ask(request)
        if fault.kind == "drop_after":
            raise Dropped
        return answer

    async def _in_part(self, operation: str, request: Message, call: dict[str, Any], fault: Fault, behind: "_Behind") -> Message:
        split = aws_parts.split(operation, call, lambda: self._dice.random() < fault.share, fault.code)
        if split is None:
            return await behind.ask(request)
        self.calls[operation]["refused_parts"] += split.taken
        if split.forward is None:
            merged = split.merge({})
            return refused(request, 400, WHOLE_BATCH) if merged is None else answered(200, merged, request.header("content-type"))
        answer = await behind.ask(request.with_body(json.dumps(split.forward).encode()))
        if answer.first[1] != "200":
            return answer
        return answer.with_body(json.dumps(split.merge(json.loads(answer.body))).encode())

    def _taken(self, target: str, *kinds: str) -> Iterator[Fault]:
        """The faults of these kinds that apply to a call, each used up by one. `parts` throws its dice for each part."""
        for fault in list(self.faults):
            if fault.kind not in kinds or not _concerns(fault, target):
                continue
            if fault.kind != "parts" and self._dice.random() >= fault.share:
                continue
            if fault.count is not None:
                at = self.faults.index(fault)
                self.faults[at : at + 1] = [replace(fault, count=fault.count - 1)] if fault.count > 1 else []
            yield fault

    def _control(self, request: Message) -> Message | None:
        method, path = request.first[0], request.first[1]
        if path == "/sandbox/calls":
            if method == "DELETE":
                self.calls.clear()
            return answered(200, {operation: dict(counted) for operation, counted in self.calls.items()})
        if path != "/sandbox/faults":
            return None
        if method == "DELETE":
            self.faults.clear()
        elif method == "POST":
            try:
                spec = json.loads(request.body)
                self.faults += [parse(one) for one in (spec if isinstance(spec, list) else [spec])]
            except ValueError as error:
                return answered(400, {"error": str(error)})
        return answered(200, [asdict(fault) for fault in self.faults])


def _concerns(fault: Fault, target: str) -> bool:
    return fault.operation == target.rpartition(".")[2] or fnmatchcase(target, fault.operation)


class _Behind:
    """A connection to what stands behind, made when it is needed, and made anew if it was closed while it lay idle."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Message) -> Message:
        """Raises OSError or IncompleteReadError if nobody answers: the client then learns as much as from AWS itself."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(*self._address, limit=HEAD_BYTES_MAX)
        reader, writer = self._streams
        writer.write(request.raw)
        await writer.drain()
        answer = await read(reader, of_request=False)
        if answer is None:
            raise OSError("closed without an answer")
        return answer

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def _serve(proxy: Proxy, port: int) -> int:
    try:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", port, limit=HEAD_BYTES_MAX, backlog=1024)
    except OSError as error:
        print(f"AWS faults: cannot listen on 127.0.0.1:{port}: {error.strerror}", file=sys.stderr)
        return 1
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    at = server.sockets[0].getsockname()[1]
    print(f"AWS faults listens on http://127.0.0.1:{at}, before {proxy.host}:{proxy.port}", flush=True)
    await ended.wait()
    server.close()
    return 0


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws_faults", description="A proxy that makes AWS fail on demand.")
    parser.add_argument("--port", type=int, required=True, help="0: any")
    parser.add_argument("--behind", type=int, required=True, metavar="PORT", help="of the AWS stand-in on this machine")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (%(default)s)")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(Proxy("127.0.0.1", arguments.behind, arguments.seed), arguments.port))


if __name__ == "__main__":
    sys.exit(main())
