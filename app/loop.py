"""The web process' one loop over its connections, and the threads that answer what arrived.

waitress' own loop asks every connection before each turn whether it has something to do, which under load took a third of the
process' interpreter time. This one keeps them registered with the kernel, and looks only at those where something happened.
"""

import selectors
import threading
import time
from collections import deque
from collections.abc import Mapping
from queue import SimpleQueue
from select import POLLIN, POLLOUT
from typing import Any

from waitress.wasyncore import readwrite

from lily.runtime import logs

log = logs.get(__name__)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Loop:
    """Which connections are watched, and for what. Only `attend` and `wake` may be called by other threads."""

    def __init__(self, connections: Mapping[int, Any]) -> None:
        """`connections`: by descriptor; each with waitress' methods (`readable`, `handle_read_event` ...)."""
        self._connections = connections
        self._selector = selectors.DefaultSelector()
        self._attended: deque[Any] = deque()
        self._all = False
        self._awake = False  # someone has written to the trigger since the last turn
        self._trigger: Any = None

    def begin(self, server: Any) -> None:
        """Watch what is there already: the listening socket and the trigger, which ends a turn early."""
        self._trigger = server.trigger
        for connection in self._connections.values():
            self.look(connection)

    def attend(self, connection: Any) -> None:
        """Look at a connection again in the next turn, and do so soon: its state was changed by another thread."""
        self._attended.append(connection)
        self._wake()

    def wake(self) -> None:
        """Look at all connections in the next turn, and do so soon."""
        self._all = True
        self._wake()

    def forget(self, descriptor: int | None) -> None:
        """To be called before a connection is closed."""
        if descriptor is not None and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def is_deaf(self, descriptor: int | None) -> bool:
        """Nothing that arrives there would be noticed."""
        key = self._selector.get_map().get(descriptor) if descriptor is not None else None
        return key is None or not key.events & READ

    def turn(self, timeout_s: float) -> None:
        """Wait for something to happen, and deal with it."""
        happened = self._selector.select(timeout_s)
        self._awake = False  # before looking: whoever comes later wakes the next turn
        for key, events in happened:
            self._deal(key.data, events)
        if self._all:
            self._all = False
            for connection in list(self._connections.values()):
                self.look(connection)
        while self._attended:
            self.look(self._attended.popleft())

    def look(self, connection: Any, unwanted: int = 0) -> None:
        """Watch a connection for what it wants now.

        One that is busy stays watched for reading, since its client will hardly send before it has its answer; if it does
        (`unwanted`), it has to wait until the connection is attended to again. So most requests change no registration.
        """
        descriptor = connection._fileno
        if not self._holds(connection):
            return  # closed meanwhile
        key = self._selector.get_map().get(descriptor)
        watched = key.events if key else 0
        wanted = READ if connection.readable() else watched & READ & ~unwanted
        if not connection.accepting and connection.writable():
            wanted |= WRITE
        if wanted == watched:
            return
        if not wanted:
            self._selector.unregister(descriptor)
        elif watched:
            self._selector.modify(descriptor, wanted, connection)
        else:
            self._selector.register(descriptor, wanted, connection)
        if unwanted and not wanted & READ and connection.readable():  # its answer went out between the two
            self.look(connection)

    def _deal(self, connection: Any, events: int) -> None:
        if not self._holds(connection):
            return  # closed by an event before
        unwanted = READ if events & READ and not connection.readable() else 0
        flags = (POLLIN if events & READ & ~unwanted else 0) | (POLLOUT if events & WRITE and connection.writable() else 0)
        if flags:
            readwrite(connection, flags)
        self.look(connection, unwanted)

    def _holds(self, connection: Any) -> bool:
        return self._connections.get(connection._fileno) is connection

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._trigger.pull_trigger()


class Threads:
    """Answers requests, first come, first served. In the place of waitress' dispatcher, with fewer changes of thread."""

    def __init__(self, count: int, name: str) -> None:
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._came_at: deque[float] = deque()
        self._count = count
        for number in range(count):
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True).start()

    def add_task(self, task: Any) -> None:
        self._came_at.append(time.monotonic())
        self._tasks.put(task)

    def waited_s(self) -> float:
        """How long the one that comes next has waited for a thread by now."""
        try:
            return time.monotonic() - self._came_at[0]
        except IndexError:
            return 0.0

    def shutdown(self) -> None:
        for _ in range(self._count):
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._came_at.popleft()
            try:
                task.service()
            except BaseException as error:  # a thread that ends is missing for good
                log.error("web.unanswered", exc_info=error)
