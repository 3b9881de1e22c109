"""Addresses of endpoints and services: valid, and none that only has a meaning on one machine."""

from __future__ import annotations

import ipaddress

from tiphys.api.field_checks import Errors
from tiphys.api.names import is_valid_ip
from tiphys.api.status import invalid


def ip_errors(path: str, address: str) -> Errors:
    return [invalid(path, address, text) for text in is_valid_ip(address)]


def non_special_ip_errors(path: str, address: str) -> Errors:
    """No unspecified, loopback, link-local or link-local multicast address: they would lead back to the reader."""
    if is_valid_ip(address):
        return [invalid(path, address, "must be a valid IP address")]
    parsed = ipaddress.ip_address(address)
    local_multicast = ipaddress.ip_network("224.0.0.0/24" if parsed.version == 4 else "ff02::/16")
    errors: Errors = []
    for bad, text in (
        (parsed.is_unspecified, f"may not be unspecified ({address})"),
        (parsed.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (parsed.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (parsed in local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ):
        if bad:
            errors.append(invalid(path, address, text))
    return errors
