"""Pod ranges of nodes: chosen by table, and kept apart while the cache is behind."""

from __future__ import annotations

import ipaddress

import pytest

from controllers.nodeipam import RangesExhausted, node_prefix, parse_ranges, plan, ranges_of
from tiphys.api.core.node import Node


def networks(*texts: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("clusters", "taken", "expected"),
    [
        (("10.244.0.0/16",), (), ["10.244.0.0/24"]),
        (("10.244.0.0/16",), ("10.244.0.0/24", "10.244.2.0/24"), ["10.244.1.0/24"]),
        (("10.244.0.0/16",), ("10.244.0.0/23",), ["10.244.2.0/24"]),  # somebody's larger range counts whole
        (("10.244.0.0/16",), ("10.244.0.128/25",), ["10.244.1.0/24"]),  # and so does a smaller one
        (("10.244.0.0/16",), ("10.0.0.0/24", "fd00::/64"), ["10.244.0.0/24"]),  # others' ranges do not count
        (("10.244.0.0/16", "fd00:10::/56"), ("10.244.0.0/24",), ["10.244.1.0/24", "fd00:10::/64"]),
        (("fd00:10::/56",), ("fd00:10::/64",), ["fd00:10:0:1::/64"]),
        (("10.1.0.0/24",), (), ["10.1.0.0/28"]),  # a small cluster range is divided all the same
    ],
)
def test_a_node_gets_the_first_free_part_of_each_cluster_range(
    clusters: tuple[str, ...], taken: tuple[str, ...], expected: list[str]
) -> None:
    assert plan(parse_ranges(clusters), networks(*taken)) == expected


def test_a_range_without_a_free_part_is_said_so() -> None:
    with pytest.raises(RangesExhausted, match=r"10\.1\.0\.0/24"):
        plan(parse_ranges(["10.1.0.0/24"]), networks("10.1.0.0/24"))
    many = [f"10.244.{number}.0/24" for number in range(256)]
    with pytest.raises(RangesExhausted):
        plan(parse_ranges(["10.244.0.0/16"]), networks(*many))


def test_a_cluster_has_at_most_one_range_of_each_family() -> None:
    with pytest.raises(ValueError, match="one family"):
        parse_ranges(["10.0.0.0/16", "10.1.0.0/16"])
    assert node_prefix(ipaddress.ip_network("10.0.0.0/8")) == 24


def test_a_nodes_ranges_are_read_whichever_field_has_them_and_nonsense_is_none() -> None:
    node = Node.model_validate({"spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64", "x"]}})
    assert [str(one) for one in ranges_of(node)] == ["10.1.0.0/24", "fd00::/64"]
    assert ranges_of(Node.model_validate({})) == []
