"""The gatekeeper says of a large body what would be said here; whatever becomes of it, there is an answer, and then another."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.gatekeeper import NICE, Gatekeeper
from app.proving import Proven, Unfit, Unproven, prove
from lily.runtime.errors import Transient
from lily.runtime.settings import SourceSettings, settings
from tests.app.conftest import body_of, signature
from tests.servers import alive
from tests.waiting import eventually

LARGE = json.dumps(body_of(filler="x" * 500_000)).encode()
SMALL = json.dumps(body_of()).encode()


@pytest.fixture
def config(web: Callable[..., None]) -> SourceSettings:
    web()
    return settings().sources["monte-carlo"]


@pytest.fixture
def keeper() -> Iterator[Gatekeeper]:
    one = Gatekeeper(wait_s=0.3, waiting_max=2, within_s=5.0)
    yield one
    one.stop()


def pid(keeper: Gatekeeper) -> int:
    assert keeper._process is not None
    return keeper._process.pid


def test_it_says_what_would_be_said_here(config: SourceSettings, keeper: Gatekeeper) -> None:
    cases = [
        (LARGE, signature(LARGE)),
        (LARGE, signature(SMALL)),
        (LARGE, None),
        (LARGE[:-1], signature(LARGE)),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "0" * 128),
        (json.dumps(body_of(payload=[0] * 50_000)).encode(), "0" * 128),
    ]

    said = [keeper.judge(config, raw, signed) for raw, signed in cases]

    assert said == [prove(config, raw, signed) for raw, signed in cases]
    assert [type(one) for one in said] == [Proven, Unproven, Unproven, Unfit, Unfit, Unfit]


def test_it_lets_others_have_the_cpu_first(config: SourceSettings, keeper: Gatekeeper) -> None:
    keeper.judge(config, SMALL, signature(SMALL))

    assert os.getpriority(os.PRIO_PROCESS, pid(keeper)) == NICE
    assert os.getsid(pid(keeper)) == pid(keeper)


def test_while_one_is_looked_at_others_wait_and_only_so_many_and_so_long(config: SourceSettings, keeper: Gatekeeper) -> None:
    keeper.judge(config, SMALL, signature(SMALL))
    os.kill(pid(keeper), signal.SIGSTOP)
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(keeper.judge, config, LARGE, signature(LARGE))
        eventually(keeper._turn.locked)
        second = pool.submit(keeper.judge, config, LARGE, signature(LARGE))
        with pytest.raises(Transient, match="too many") as caught:
            second.result()
        assert 0.25 < time.monotonic() - begun < 4
        assert caught.value.retry_after_s
        waiting = [pool.submit(keeper.judge, config, LARGE, signature(LARGE))]
        eventually(lambda: keeper._places._value == 0)
        at = time.monotonic()
        with pytest.raises(Transient, match="too many"):
            keeper.judge(config, LARGE, signature(LARGE))
        assert time.monotonic() - at < 0.25
        with pytest.raises(Transient):
            waiting[0].result()
        os.kill(pid(keeper), signal.SIGCONT)
        assert isinstance(first.result(), Proven)


def test_one_that_hangs_is_replaced(config: SourceSettings, keeper: Gatekeeper) -> None:
    keeper._within_s = 0.2
    with pytest.raises(Transient):  # it has not even started by then
        for _ in range(1000):
            keeper.judge(config, LARGE, signature(LARGE))
            os.kill(pid(keeper), signal.SIGSTOP)
    keeper._within_s = 5.0

    assert isinstance(keeper.judge(config, LARGE, signature(LARGE)), Proven)


def test_one_that_was_killed_is_replaced(config: SourceSettings, keeper: Gatekeeper) -> None:
    assert isinstance(keeper.judge(config, LARGE, signature(LARGE)), Proven)
    former = pid(keeper)
    os.kill(former, signal.SIGKILL)
    eventually(lambda: not alive(former))

    assert isinstance(keeper.judge(config, LARGE, signature(LARGE)), Proven)
    assert pid(keeper) != former


def test_one_that_dies_over_a_body_costs_that_body_a_retry_only(config: SourceSettings, keeper: Gatekeeper) -> None:
    keeper.judge(config, SMALL, signature(SMALL))
    victim = pid(keeper)
    os.kill(victim, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (victim, signal.SIGKILL)).start()

    with pytest.raises(Transient, match="lost"):
        keeper.judge(config, LARGE, signature(LARGE))
    assert isinstance(keeper.judge(config, LARGE, signature(LARGE)), Proven)


def test_it_ends_with_the_process_that_it_serves(config: SourceSettings, keeper: Gatekeeper) -> None:
    keeper.judge(config, SMALL, signature(SMALL))
    process, connection = keeper._process, keeper._connection
    assert process is not None
    assert connection is not None
    process.send_signal(signal.SIGTERM)  # to be overheard: the other side ends first
    assert isinstance(keeper.judge(config, SMALL, signature(SMALL)), Proven)

    connection.close()

    assert process.wait(10) == 0
    keeper._connection = None


def test_a_bug_in_it_is_a_bug_here(config: SourceSettings, keeper: Gatekeeper) -> None:
    with pytest.raises(RuntimeError, match=r"in the gatekeeper(.|\n)*TypeError"):
        keeper.judge(config, "no bytes", signature(SMALL))  # type: ignore[arg-type]


def test_its_memory_is_bounded(config: SourceSettings, keeper: Gatekeeper) -> None:
    keeper.judge(config, SMALL, signature(SMALL))

    limits = Path(f"/proc/{pid(keeper)}/limits")
    if not limits.exists():
        pytest.skip("only Linux tells")
    line = next(line for line in limits.read_text().splitlines() if line.startswith("Max address space"))
    assert line.split()[3] == str(2**30)
