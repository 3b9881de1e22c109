"""postStart and preStop: a command in the container, or a request to a handler pod that writes down who called."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import SLEEP, container, pod, shell
from tests.conformance.rows import row


def handler_pod(case: Case) -> str:
    """A server that logs its calls; its address."""
    ports = [{"containerPort": 8080}]
    name = case.create(pod("handler", container(case.images.agnhost, "netexec", ports=ports)))
    address: str = case.running(name)["status"]["podIP"]
    return address


def call(kind: str, address: str, message: str) -> Object:
    path = f"/echo?msg={message}"
    if kind == "httpGet":
        return {"httpGet": {"path": path, "host": address, "port": 8080}}
    return {"exec": {"command": ["sh", "-c", f"wget -qO- 'http://{address}:8080{path}'"]}}


def hook(number: int, testname: str, name: str, kind: str) -> Any:
    return pytest.param(name, kind, marks=row(number, testname), id=str(number))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        hook(212, "Pod Lifecycle, post start exec hook", "postStart", "exec"),
        hook(213, "Pod Lifecycle, post start http hook", "postStart", "httpGet"),
        hook(214, "Pod Lifecycle, prestop exec hook", "preStop", "exec"),
        hook(215, "Pod Lifecycle, prestop http hook", "preStop", "httpGet"),
    ],
)
def test_a_hook_calls_the_handler(case: Case, name: str, kind: str) -> None:
    address = handler_pod(case)
    main = shell(case.images.busybox, SLEEP, lifecycle={name: call(kind, address, name.lower())})
    made = case.create(pod("hooked", main, terminationGracePeriodSeconds=15))
    case.running(made)
    pattern = rf"GET /echo\?msg={name.lower()}"
    if name == "preStop":
        assert "GET /echo" not in case.log("handler")
        case.delete(made)
    case.logged("handler", pattern)
    if name == "postStart":
        case.delete(made)
    case.gone(made)
