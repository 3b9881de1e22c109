"""What a new cluster starts with: the system namespaces and the `kubernetes` Service.

What must stay true: running it again changes nothing that is right; it goes through the same create as everybody's.
"""

from __future__ import annotations

import ipaddress
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
from tiphys.api.status import StatusError
from tiphys.clock import Clock

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SELF = User("system:apiserver", ("system:masters",))
_MANAGER = "kube-apiserver"
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
            await self._ensure("", "v1", "namespaces", "", {"metadata": {"name": name}})

    async def kubernetes_service(self, cluster_ip: str, address: str, port: int) -> None:
        """`default/kubernetes`: where pods find this server."""
        ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
        spec = {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ports": ports, "type": "ClusterIP"}
        service = {"metadata": {"name": "kubernetes", "namespace": "default", "labels": dict(_LABELS)}, "spec": spec}
        await self._ensure("", "v1", "services", "default", service)
        if ipaddress.ip_address(address).is_loopback:
            return  # no pod could reach it there, and an endpoint may not say so
        endpoint_ports = [{"name": "https", "port": port, "protocol": "TCP"}]
        subsets = [{"addresses": [{"ip": address}], "ports": endpoint_ports}]
        mirror = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        endpoints = {"metadata": {"name": "kubernetes", "namespace": "default", "labels": mirror}, "subsets": subsets}
        await self._ensure("", "v1", "endpoints", "default", endpoints)
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
        await self._ensure("discovery.k8s.io", "v1", "endpointslices", "default", endpoint_slice)

    async def _ensure(self, group: str, version: str, plural: str, namespace: str, obj: dict[str, Any]) -> None:
        """Create the object unless it exists or its kind is not served."""
        info = self._resources.registry.get(group, version, plural)
        if info is None:
            return
        store = self._resources.of(info)
        if store.peek(namespace, obj["metadata"]["name"]) is not None:
            return
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
