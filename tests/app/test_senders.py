"""Senders: which address counts, and how many failures it has."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.senders import WINDOW_S, Failures, address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "sender"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.7", "203.0.113.5"),  # not a proxy of ours: its header is a claim
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),  # what stands before it, the sender wrote
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "10.1.1.1", "10.1.1.1"),
        ("10.1.2.3", "unknown", "unknown"),
        ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("fd00::1", "[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", "2001:db8:1:2::/64"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_sender_is_the_nearest_hop_that_is_no_trusted_proxy(peer: str, forwarded_for: str, sender: str) -> None:
    assert address(peer, forwarded_for, PROXIES) == sender


@given(st.text(), st.text())
def test_no_header_breaks_it(peer: str, forwarded_for: str) -> None:
    assert len(address(peer, forwarded_for, PROXIES)) <= 64


def test_an_address_waits_from_its_last_allowed_failure_to_the_end_of_its_minute() -> None:
    at = [1000.0]
    failures = Failures(now=lambda: at[0])
    for _ in range(2):
        failures.count("a")
        at[0] += 10

    assert failures.wait_s("a", 3) == 0.0
    failures.count("a")
    assert failures.wait_s("a", 3) == WINDOW_S - 20
    assert failures.wait_s("b", 3) == 0.0
    at[0] += WINDOW_S
    assert failures.wait_s("a", 3) == 0.0
    failures.count("a")
    assert failures.wait_s("a", 3) == 0.0


@given(st.lists(st.integers(0, 500), max_size=300))
def test_it_never_remembers_more_than_its_share_of_addresses(senders: list[int]) -> None:
    failures = Failures(addresses_max=10)
    for sender in senders:
        failures.count(str(sender))

    assert len(failures) <= 10
