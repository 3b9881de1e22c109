"""Which address `pods/ID/proxy` and `services/ID/proxy` mean; ID is NAME, NAME:PORT or SCHEME:NAME:PORT.

Pure: objects in, addresses out.  What must stay true: an address comes from the status of a pod that exists; what an
endpoint says is believed only if such a pod has that address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.api.status import StatusError, bad_request

Obj = dict[str, Any]
FindPod = Callable[[str], Obj | None]


@dataclass(frozen=True, slots=True)
class Named:
    """An ID taken apart; scheme and port may be ""."""

    scheme: str
    name: str
    port: str


@dataclass(frozen=True, slots=True)
class Address:
    ip: str
    port: int


def parse_id(text: str, what: str) -> Named:
    """Raises 400."""
    parts = text.split(":")
    scheme, name, port = {1: ("", *parts, ""), 2: ("", *parts), 3: tuple(parts)}.get(len(parts), ("", "", ""))
    if not name or scheme not in ("", "http", "https"):
        raise bad_request(f'invalid {what} request "{text}"')
    return Named(scheme, name, port)


def pod_address(pod: Obj, named: Named) -> Address:
    """Raises 400: no address yet, or a port that is no number."""
    ip = pod.get("status", {}).get("podIP", "")
    if not ip:
        raise bad_request("address not allowed")
    if not named.port:
        return Address(ip, _first_port(pod) or (443 if named.scheme == "https" else 80))
    port = _number(named.port)
    if port is None:
        raise bad_request(f'invalid pod request "{named.name}:{named.port}": the port must be a number')
    return Address(ip, port)


def _first_port(pod: Obj) -> int:
    for container in pod["spec"].get("containers", []):
        for port in container.get("ports", []):
            return int(port["containerPort"])
    return 0


def service_port(service: Obj, text: str) -> str:
    """The name of the service's port that TEXT (a number or a name) means.  Raises 503 as upstream."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if number is None:
        return text
    for port in service["spec"].get("ports", []):
        if port.get("port") == number:
            return str(port.get("name", ""))
    raise unavailable(f'no service port {number} found for service "{service["metadata"]["name"]}"')


def slice_addresses(slices: Iterable[Obj], port_name: str, find_pod: FindPod) -> list[Address]:
    """Ready addresses of EndpointSlices."""
    return [
        Address(ip, port["port"])
        for one in slices
        for port in one.get("ports") or []
        if port.get("name", "") == port_name and port.get("port")
        for endpoint in one.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready", True)
        for ip in endpoint.get("addresses", [])[:1]
        if _is_of_pod(ip, endpoint.get("targetRef"), find_pod)
    ]


def endpoints_addresses(endpoints: Obj, port_name: str, find_pod: FindPod) -> list[Address]:
    """Addresses of an Endpoints object."""
    return [
        Address(address["ip"], port["port"])
        for subset in endpoints.get("subsets") or []
        for port in subset.get("ports") or []
        if port.get("name", "") == port_name
        for address in subset.get("addresses") or []
        if _is_of_pod(address["ip"], address.get("targetRef"), find_pod)
    ]


def selected_addresses(service: Obj, port_name: str, pods: Sequence[Obj]) -> list[Address]:
    """Where nobody keeps endpoints: the ready pods that the service's selector matches."""
    selector = service["spec"].get("selector") or {}
    if not selector:
        return []
    return [address for pod in pods if _selects(selector, pod) for address in _ports_of(service, port_name, pod)]


def unavailable(text: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", text, details={})


def _is_of_pod(ip: str, reference: Obj | None, find_pod: FindPod) -> bool:
    if not reference or reference.get("kind") != "Pod":
        return False
    pod = find_pod(reference.get("name", ""))
    return pod is not None and ip in pod_ips(pod)


def pod_ips(pod: Obj) -> set[str]:
    status = pod.get("status", {})
    return {status.get("podIP", ""), *(one.get("ip", "") for one in status.get("podIPs", []))} - {""}


def _selects(selector: Obj, pod: Obj) -> bool:
    labels = pod["metadata"].get("labels", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
    return ready and all(labels.get(key) == value for key, value in selector.items())


def _ports_of(service: Obj, port_name: str, pod: Obj) -> Iterator[Address]:
    ip = pod.get("status", {}).get("podIP", "")
    for port in service["spec"].get("ports", []):
        target = port.get("targetPort", port.get("port"))
        if port.get("name", "") != port_name or not ip:
            continue
        if isinstance(target, str):
            target = _container_port(pod, target)
        if target:
            yield Address(ip, target)


def _container_port(pod: Obj, name: str) -> int | None:
    for container in pod["spec"].get("containers", []):
        for port in container.get("ports", []):
            if port.get("name") == name:
                return int(port["containerPort"])
    return _number(name)


def _number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return number if 0 < number <= 0xFFFF else None
