"""Add and drop lists against the default set."""

from __future__ import annotations

import pytest

from nodeagent.runtime.capabilities import DEFAULT_CAPABILITIES, NAMES, effective_capabilities, from_mask

ALL = frozenset(NAMES)


@pytest.mark.parametrize(
    ("add", "drop", "privileged", "expected"),
    [
        ((), (), False, DEFAULT_CAPABILITIES),
        (("NET_ADMIN",), (), False, DEFAULT_CAPABILITIES | {"CAP_NET_ADMIN"}),
        (("cap_net_admin",), (), False, DEFAULT_CAPABILITIES | {"CAP_NET_ADMIN"}),
        ((), ("CHOWN",), False, DEFAULT_CAPABILITIES - {"CAP_CHOWN"}),
        ((), ("ALL",), False, frozenset()),
        (("NET_BIND_SERVICE",), ("ALL",), False, {"CAP_NET_BIND_SERVICE"}),
        (("ALL",), (), False, ALL),
        (("ALL",), ("SYS_ADMIN",), False, ALL - {"CAP_SYS_ADMIN"}),
        (("NO_SUCH",), (), False, DEFAULT_CAPABILITIES),
        ((), ("ALL",), True, ALL),
    ],
)
def test_add_and_drop(add: tuple[str, ...], drop: tuple[str, ...], privileged: bool, expected: set[str]) -> None:
    assert effective_capabilities(add, drop, privileged=privileged, held_by_node=ALL) == expected


def test_a_container_never_asks_for_more_than_the_node_holds() -> None:
    held = ALL - {"CAP_SYS_RESOURCE"}
    assert effective_capabilities(("ALL",), (), privileged=False, held_by_node=held) == held
    assert effective_capabilities((), (), privileged=True, held_by_node=held) == held


def test_there_are_fourteen_defaults_and_bits_are_named_in_order() -> None:
    assert len(DEFAULT_CAPABILITIES) == 14
    assert from_mask(0x00000000A80425FB) == DEFAULT_CAPABILITIES
    assert from_mask(1 << 63) == frozenset()
