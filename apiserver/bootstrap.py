"""What a new cluster starts with: the system namespaces and priority classes, and the `kubernetes` Service.

What must stay true: running it again changes nothing that is right; it goes through the same create as everybody's.
"""

from __future__ import annotations

import asyncio
import copy
import ipaddress
from collections.abc import Callable
from typing import Any

from apiserver.admission import AdmissionChain
from apiserver.registry.options import WriteOptions
from apiserver.request import Request, User
from apiserver.requestinfo import parse_request_info
from apiserver.resources import Resources
from apiserver.verbs import Scope
from apiserver.verbs.create import create_object
from apiserver.verbs.ownership import own_fields
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError
from tiphys.api.times import format_time
from tiphys.clock import Clock

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SELF = User("system:apiserver", ("system:masters",))
_MANAGER = "kube-apiserver"
Edit = Callable[[dict[str, Any]], dict[str, Any]]
_PRIORITY_CLASSES = {
    "system-cluster-critical": (2_000_000_000, "The cluster needs these pods; any node may run them."),
    "system-node-critical": (2_000_001_000, "A node needs these pods; they may not go to another."),
}
_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds
_LABELS = {"component": "apiserver", "provider": "kubernetes"}


async def _no_body() -> bytes:
    return b""


class Bootstrap:
    def __init__(self, resources: Resources, admission: AdmissionChain, clock: Clock) -> None:
        self._resources = resources
        self._admission = admission
        self._clock = clock

    async def namespaces(self) -> None:
        for name in NAMESPACES:
            await self.ensure("", "v1", "namespaces", "", {"metadata": {"name": name}})

    async def priority_classes(self) -> None:
        """The two classes of the system's own pods."""
        for name, (value, description) in _PRIORITY_CLASSES.items():
            obj = {"metadata": {"name": name}, "value": value, "description": description}
            await self.ensure("scheduling.k8s.io", "v1", "priorityclasses", "", obj)

    async def service_range(self, cidr: str) -> None:
        """ServiceCIDR `kubernetes`: the range of this server, ready from the start."""
        group, plural = "networking.k8s.io", "servicecidrs"
        made = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [cidr]}}
        info = self._resources.registry.get(group, "v1", plural)
        if not await self.ensure(group, "v1", plural, "", made) or info is None:
            return
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "",
            "message": "Kubernetes Service CIDR is ready",
            "lastTransitionTime": format_time(self._clock.now()),
        }
        await self.change(info, "", "kubernetes", lambda old: {**old, "status": {"conditions": [ready]}})

    async def kubernetes_service(self, cluster_ip: str, address: str, port: int) -> None:
        """`default/kubernetes`: where pods find this server."""
        ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
        spec = {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ports": ports, "type": "ClusterIP"}
        service = {"metadata": {"name": "kubernetes", "namespace": "default", "labels": dict(_LABELS)}, "spec": spec}
        await self._ensure_service(service)
        if ipaddress.ip_address(address).is_loopback:
            return  # no pod could reach it there, and an endpoint may not say so
        endpoint_ports = [{"name": "https", "port": port, "protocol": "TCP"}]
        subsets = [{"addresses": [{"ip": address}], "ports": endpoint_ports}]
        mirror = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        endpoints = {"metadata": {"name": "kubernetes", "namespace": "default", "labels": mirror}, "subsets": subsets}
        await self.ensure("", "v1", "endpoints", "default", endpoints)
        family = "IPv6" if ipaddress.ip_address(address).version == 6 else "IPv4"
        endpoint_slice = {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": family,
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": endpoint_ports,
        }
        await self.ensure("discovery.k8s.io", "v1", "endpointslices", "default", endpoint_slice)

    async def _ensure_service(self, service: dict[str, Any]) -> None:
        """Another server that starts at this moment may have taken the address and not yet stored its Service."""
        for wait_seconds in _WAITS:
            try:
                await self.ensure("", "v1", "services", "default", copy.deepcopy(service))
                return
            except StatusError as error:
                if error.reason != "Invalid":
                    raise
            await asyncio.sleep(wait_seconds)
        await self.ensure("", "v1", "services", "default", service)

    async def ensure(self, group: str, version: str, plural: str, namespace: str, obj: dict[str, Any]) -> bool:
        """Create the object unless it exists or its kind is not served; True: it was created."""
        info = self._resources.registry.get(group, version, plural)
        if info is None:
            return False
        store = self._resources.of(info)
        if store.peek(namespace, obj["metadata"]["name"]) is not None:
            return False
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        path = f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}"
        request = Request("POST", parse_request_info("POST", path, {}), {}, {}, _no_body, user=_SELF)
        scope = Scope(info, store, self._resources, self._admission, self._clock)
        new = {"kind": info.kind, "apiVersion": info.api_version, **obj}
        apply_defaults(new, info.schema)
        options = WriteOptions("CreateOptions", manager=_MANAGER)
        own_fields(None, new, scope, options)
        try:
            await create_object(request, scope, new, options)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        return True

    async def change(
        self, info: KindInfo, namespace: str, name: str, edit: Edit, *, manager: str = _MANAGER
    ) -> dict[str, Any]:
        """Let `edit` change the stored object (it returns the new one); no admission.  Raises StatusError 404."""
        store = self._resources.of(info)
        scope = Scope(info, store, self._resources, self._admission, self._clock)
        options = WriteOptions("UpdateOptions", manager=manager)

        async def change(current: dict[str, Any]) -> dict[str, Any]:
            new = edit(copy.deepcopy(current))
            own_fields(current, new, scope, options)
            return new

        return (await store.change(namespace, name, change)).obj

    async def remove(self, info: KindInfo, namespace: str, name: str) -> None:
        async def nothing(current: dict[str, Any]) -> None:
            return None

        await self._resources.of(info).change(namespace, name, nothing)
