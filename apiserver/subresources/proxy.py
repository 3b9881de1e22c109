"""nodes/proxy, pods/proxy, services/proxy: HTTP and WebSocket requests passed on to what a name means.

What must stay true: the target comes from stored objects; loopback and link-local addresses are refused; an upgrade
through a node's proxy needs `create`, because there it can start something in any pod of the node.
"""

from __future__ import annotations

import random
import ssl
from typing import Any
from urllib.parse import quote

from apiserver.authorization import Attributes, Authorizer, Decision, forbidden
from apiserver.request import AnyResponse, Request, Response
from apiserver.requestinfo import RequestInfo
from apiserver.resources import Resources
from apiserver.streaming import locations
from apiserver.streaming.addresses import Target
from apiserver.streaming.dial import DialError, dial
from apiserver.streaming.forward import Forwarder, Route, insecure_tls
from apiserver.streaming.headers import is_websocket, request_headers, websocket_headers
from apiserver.streaming.locations import Address, Named
from apiserver.subresources.kubelets import Agents
from apiserver.verbs import Scope
from tiphys.api.status import bad_request, not_found

Obj = dict[str, Any]
_PATH_SAFE = "!$&'()*+,;=:@-._~"
_SERVICE_NAME = "kubernetes.io/service-name"


class Proxy:
    """`node`, `pod` and `service` serve the subresource for every verb; `close` at the end."""

    def __init__(self, agents: Agents, authorizer: Authorizer) -> None:
        self._agents, self._authorizer = agents, authorizer
        self._forwarder = Forwarder()
        self._insecure: ssl.SSLContext | None = None

    async def node(self, request: Request, scope: Scope) -> AnyResponse:
        named = locations.parse_id(request.info.name, "node")
        address = self._agents.address(named.name)
        if named.port in ("", str(address.port)):
            if is_websocket(request.headers):
                await self._must_create(request)
            return await self._pass(request, Target(address.host, address.port, self._agents.tls(), trusted=True))
        if not named.port.isascii() or not named.port.isdigit() or not 0 < int(named.port[:6]) <= 0xFFFF:
            raise bad_request(f'invalid node request "{request.info.name}"')
        return await self._pass(request, self._target(Address(address.host, int(named.port)), named.scheme))

    async def pod(self, request: Request, scope: Scope) -> AnyResponse:
        named = locations.parse_id(request.info.name, "pod")
        pod = await scope.resources.lookup("", "pods", request.info.namespace, named.name)
        if pod is None:
            raise not_found("", "pods", named.name)
        return await self._pass(request, self._target(locations.pod_address(pod, named), named.scheme))

    async def service(self, request: Request, scope: Scope) -> AnyResponse:
        named = locations.parse_id(request.info.name, "service")
        service = await scope.resources.lookup("", "services", request.info.namespace, named.name)
        if service is None:
            raise not_found("", "services", named.name)
        found = _service_addresses(scope.resources, request.info.namespace, service, named)
        if not found:
            raise locations.unavailable(f'no endpoints available for service "{request.info.name}"')
        return await self._pass(request, self._target(random.choice(found), named.scheme))

    async def close(self) -> None:
        await self._forwarder.close()

    def _target(self, address: Address, scheme: str) -> Target:
        if scheme == "https" and self._insecure is None:
            self._insecure = insecure_tls()
        return Target(address.ip, address.port, self._insecure if scheme == "https" else None)

    async def _must_create(self, request: Request) -> None:
        info = request.info
        wanted = RequestInfo(
            info.path,
            "create",
            is_resource=True,
            group=info.group,
            version=info.version,
            resource=info.resource,
            subresource=info.subresource,
            name=info.name,
        )
        attributes = Attributes(request.user, wanted)
        decision, reason = await self._authorizer.authorize(attributes)
        if decision is not Decision.ALLOW:
            raise forbidden(attributes, reason)

    async def _pass(self, request: Request, target: Target) -> AnyResponse:
        info = request.info
        path = "/" + "/".join(quote(segment, safe=_PATH_SAFE) for segment in info.segments)
        if info.segments and info.trailing_slash:
            path += "/"
        tail = "".join("/" + segment for segment in info.segments)
        route = Route(target, path, request.raw_query, info.path.removesuffix(tail) if tail else info.path)
        if is_websocket(request.headers):
            headers = [*request_headers(request.headers), *websocket_headers(request.headers, extensions=True)]
            try:
                return await dial(target, route.path_and_query, headers)
            except DialError as error:
                raise locations.unavailable(f"error trying to reach service: {error}") from None
        if not info.segments and not info.trailing_slash and request.method in ("GET", "HEAD"):
            # Relative links of the page must lead back here.
            where = quote(info.path, safe="/" + _PATH_SAFE) + "/"
            where += f"?{request.raw_query}" if request.raw_query else ""
            return Response(301, b"", "text/plain; charset=utf-8", {"Location": where})
        return await self._forwarder.forward(request, route)


def _service_addresses(resources: Resources, namespace: str, service: Obj, named: Named) -> list[Address]:
    """Where a service's proxy may go, from EndpointSlices, else Endpoints, else the pods it selects."""
    port_name = locations.service_port(service, named.port)

    def find_pod(name: str) -> Obj | None:
        return resources.peek("", "pods", namespace, name)

    slices = [
        one
        for one in _all(resources, "discovery.k8s.io", "endpointslices", namespace)
        if one["metadata"].get("labels", {}).get(_SERVICE_NAME) == named.name
    ]
    if slices:
        return locations.slice_addresses(slices, port_name, find_pod)
    endpoints = resources.peek("", "endpoints", namespace, named.name)
    if endpoints is not None:
        return locations.endpoints_addresses(endpoints, port_name, find_pod)
    return locations.selected_addresses(service, port_name, _all(resources, "", "pods", namespace))


def _all(resources: Resources, group: str, plural: str, namespace: str) -> list[Obj]:
    store = resources.named(group, plural)
    return list(store.peek_all(namespace)) if store is not None else []
