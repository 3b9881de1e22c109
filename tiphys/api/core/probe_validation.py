"""Probes and lifecycle hooks: one handler each, sensible numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.signals import SIGNALS
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_port_name, is_port_number
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
_HEADER_NAME = re.compile(r"^[-A-Za-z0-9]+$", re.ASCII)
_SECONDS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probe_errors(path: str, probe: Object, *, once: bool) -> Errors:
    """`once`: liveness and startup probes count a single success."""
    errors = _handler(path, probe, ("exec", "httpGet", "tcpSocket", "grpc"))
    for field in _SECONDS:
        errors += check.not_negative(f"{path}.{field}", probe.get(field))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if once and probe.get("successThreshold", 1) != 1:
        errors.append(invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def lifecycle_errors(path: str, lifecycle: Object) -> Errors:
    errors: Errors = []
    for field in ("postStart", "preStop"):
        if lifecycle.get(field) is not None:
            errors += _handler(f"{path}.{field}", lifecycle[field], ("exec", "httpGet", "tcpSocket", "sleep"))
    if lifecycle.get("stopSignal") is not None:
        errors += check.one_of(f"{path}.stopSignal", lifecycle["stopSignal"], SIGNALS)
    return errors


def _handler(path: str, handler: Object, kinds: tuple[str, ...]) -> Errors:
    given = [kind for kind in kinds if handler.get(kind) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    errors = [forbidden_field(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in given[1:]]
    return errors + _action(f"{path}.{given[0]}", given[0], handler[given[0]])


def _action(path: str, kind: str, action: Object) -> Errors:
    if kind == "exec":
        return [] if action.get("command") else [required(f"{path}.command")]
    if kind == "sleep":
        return check.not_negative(f"{path}.seconds", action.get("seconds"))
    if kind == "grpc":
        return check.port_number(f"{path}.port", action.get("port", 0))
    errors = _port(f"{path}.port", action.get("port", 0))
    if kind == "httpGet":
        if not action.get("path"):
            errors.append(required(f"{path}.path"))
        if action.get("scheme") not in ("HTTP", "HTTPS"):
            errors.append(not_supported(f"{path}.scheme", action.get("scheme", ""), ("HTTP", "HTTPS")))
        errors += check.each(f"{path}.httpHeaders", action.get("httpHeaders"), _header)
    return errors


def _header(path: str, header: Object) -> Errors:
    name = header.get("name", "")
    if _HEADER_NAME.match(name):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    return [invalid(f"{path}.name", name, text + "validation is '[-A-Za-z0-9]+')")]


def _port(path: str, port: int | str) -> Errors:
    if isinstance(port, str):
        return [invalid(path, port, text) for text in is_port_name(port)]
    return [invalid(path, port, text) for text in is_port_number(port)]
