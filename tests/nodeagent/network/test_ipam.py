"""Addresses as files."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from nodeagent.network.ipam import AddressesExhausted, AddressPool

SMALL = ipaddress.IPv4Network("10.1.2.0/29")  # gateway .1, pods .2 to .6


def test_a_pod_has_one_address_and_nobody_elses(tmp_path: Path) -> None:
    pool = AddressPool(tmp_path, SMALL)
    addresses = [pool.allocate(f"pod{number}") for number in range(5)]
    assert addresses == [f"10.1.2.{number}" for number in range(2, 7)]
    assert pool.allocate("pod3") == "10.1.2.5"
    assert str(pool.gateway) == "10.1.2.1"


def test_a_full_range_is_an_error_until_an_address_is_released(tmp_path: Path) -> None:
    pool = AddressPool(tmp_path, SMALL)
    for number in range(5):
        pool.allocate(f"pod{number}")
    with pytest.raises(AddressesExhausted, match=r"10\.1\.2\.0/29"):
        pool.allocate("late")
    pool.release("pod2")
    pool.release("pod2")
    assert pool.allocate("late") == "10.1.2.4"


def test_a_released_address_is_used_again_as_late_as_possible_also_after_a_restart(tmp_path: Path) -> None:
    pool = AddressPool(tmp_path, SMALL)
    for number in range(2):
        pool.allocate(f"pod{number}")
    pool.release("pod0")
    assert pool.allocate("a") == "10.1.2.4"
    again = AddressPool(tmp_path, SMALL)
    assert again.owners() == {"pod1": "10.1.2.3", "a": "10.1.2.4"}
    assert [again.allocate(name) for name in ("b", "c", "d")] == ["10.1.2.5", "10.1.2.6", "10.1.2.2"]


def test_two_pools_on_one_directory_never_give_the_same_address(tmp_path: Path) -> None:
    one, two = AddressPool(tmp_path, SMALL), AddressPool(tmp_path, SMALL)
    assert {one.allocate("a"), two.allocate("b"), one.allocate("c"), two.allocate("d")} == {
        f"10.1.2.{number}" for number in range(2, 6)
    }


def test_what_a_crash_left_behind_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / ".123.abc").write_text("pod")
    pool = AddressPool(tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == [] and pool.owners() == {}
