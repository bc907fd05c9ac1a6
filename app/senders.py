"""Who sends, and who sends too many wrong credentials: kept in this process' memory, for a bounded number of addresses."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

ADDRESSES_MAX = 10_000
WINDOW_S = 60.0


def address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address that counts as the sender: the peer, or the nearest hop in X-Forwarded-For that is no trusted proxy.

    An IPv6 sender counts as its /64, of which one machine has all addresses. What cannot be read counts as it is written.
    """
    hop = _parsed(peer)
    hops = [part.strip() for part in forwarded_for.split(",") if part.strip()]
    while hop is not None and hops and any(hop in network for network in trusted):
        peer = hops.pop()
        hop = _parsed(peer)
    if isinstance(hop, IPv6Address):
        return str(IPv6Network((hop, 64), strict=False))
    return peer[:64]


class Failures:
    """Failures per address in a window that begins with the first one. Full, it forgets the oldest window.

    Shared by all threads of the process; each process counts for itself.
    """

    def __init__(self, addresses_max: int = ADDRESSES_MAX, now: Callable[[], float] = time.monotonic) -> None:
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()  # by beginning: address -> (ends at, failures)
        self._addresses_max = addresses_max
        self._now = now
        self._lock = threading.Lock()

    def count(self, sender: str) -> None:
        with self._lock:
            now = self._now()
            self._drop(now)
            ends_at, failures = self._windows.get(sender, (now + WINDOW_S, 0))
            self._windows[sender] = (ends_at, failures + 1)

    def wait_s(self, sender: str, failures_max: int) -> float:
        """Seconds until `sender` may fail again; 0.0 while it is within `failures_max`."""
        ends_at, failures = self._windows.get(sender, (0.0, 0))
        return max(0.0, ends_at - self._now()) if failures >= failures_max else 0.0

    def __len__(self) -> int:
        return len(self._windows)

    def forget(self) -> None:
        with self._lock:
            self._windows.clear()

    def _drop(self, now: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest][0] > now and len(self._windows) < self._addresses_max:
                return
            del self._windows[oldest]


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
