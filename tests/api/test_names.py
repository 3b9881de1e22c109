"""Names pass and fail as upstream's checks do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tiphys.api import names

Check = Callable[[str], list[str]]

GOOD: list[tuple[Check, str]] = [
    (names.is_dns1123_label, "a"),
    (names.is_dns1123_label, "123-abc"),
    (names.is_dns1123_subdomain, "a.b-c.d"),
    (names.is_dns1035_label, "web-1"),
    (names.is_qualified_name, "app.kubernetes.io/name"),
    (names.is_label_value, ""),
    (names.is_label_value, "v1.2_x"),
    (names.is_config_map_key, "app.yaml"),
    (names.is_env_var_name, "MY-VAR.1"),
    (names.is_valid_ip, "10.9.8.7"),
    (names.is_valid_ip, "fd00::1"),
    (names.is_port_name, "http-2"),
]
BAD: list[tuple[Check, str]] = [
    (names.is_dns1123_label, "A"),
    (names.is_dns1123_label, "a.b"),
    (names.is_dns1123_label, "a\n"),
    (names.is_dns1123_label, "x" * 64),
    (names.is_dns1123_subdomain, "-a"),
    (names.is_dns1035_label, "1web"),
    (names.is_qualified_name, "a/b/c"),
    (names.is_qualified_name, "/b"),
    (names.is_label_value, "a b"),
    (names.is_config_map_key, "../x"),
    (names.is_config_map_key, "..data"),
    (names.is_config_map_key, "x" * 254),
    (names.is_env_var_name, "a=b"),
    (names.is_env_var_name, "a\x00"),
    (names.is_valid_ip, "010.0.0.1"),
    (names.is_valid_ip, "::ffff:1.2.3.4"),
    (names.is_port_name, "123"),
    (names.is_port_name, "a--b"),
]


@pytest.mark.parametrize(("check", "text"), GOOD)
def test_a_good_name_passes(check: Check, text: str) -> None:
    assert check(text) == []


@pytest.mark.parametrize(("check", "text"), BAD, ids=lambda item: item[:12] if isinstance(item, str) else "")
def test_a_bad_name_says_why(check: Check, text: str) -> None:
    assert check(text)
