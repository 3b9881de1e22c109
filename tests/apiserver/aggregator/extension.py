"""A real extension API server for tests: HTTPS with a certificate of its own CA, objects in memory, a log of requests.

It believes X-Remote-User only from whom shows the front proxy's certificate, as extension servers do.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tiphys import pki
from tiphys.clock import SystemClock

Obj = dict[str, Any]
GROUP, VERSION = "wardle.example.com", "v1alpha1"
BASE = f"/apis/{GROUP}/{VERSION}"
NAME = f"{VERSION}.{GROUP}"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


@dataclass
class Seen:
    """One request as the extension server got it."""

    method: str
    path: str
    headers: dict[str, list[str]]
    certified: bool  # a certificate of the front proxy's CA was shown
    body: bytes = b""


@dataclass
class Extension:
    address: str
    ca: bytes
    context: ssl.SSLContext
    group: str = GROUP
    version: str = VERSION
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    objects: dict[tuple[str, str], Obj] = field(default_factory=dict)
    healthy: bool = True
    redirect_to: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    revision: int = 0

    @property
    def base(self) -> str:
        return f"/apis/{self.group}/{self.version}"

    def clients(self, path: str) -> list[Seen]:
        """The requests of clients, not of the aggregator itself."""
        return [one for one in self.seen if one.path.startswith(path)
                and one.headers.get("x-remote-user") != ["system:kube-aggregator"]]  # fmt: skip

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._log])
        flunders = f"{self.base}/namespaces/{{namespace}}/flunders"
        app.router.add_get(self.base, self._resources)
        app.router.add_get("/openapi/v3", self._index)
        app.router.add_get(f"/openapi/v3{self.base}", self._openapi)
        app.router.add_get(f"{self.base}/flunders", self._list)
        app.router.add_get(flunders, self._list)
        app.router.add_post(flunders, self._create)
        for method, handler in (("GET", self._get), ("PUT", self._replace), ("PATCH", self._patch),
                                ("DELETE", self._delete)):  # fmt: skip
            app.router.add_route(method, flunders + "/{name}", handler)
        app.router.add_delete(flunders, self._delete_all)
        app.router.add_get(flunders + "/{name}/echo", self._echo)
        app.router.add_route("*", "/{tail:.*}", self._missing)
        return app

    @web.middleware
    async def _log(self, request: web.Request, handler: Any) -> web.StreamResponse:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        body = b"" if "Upgrade" in request.headers else await request.read()
        self.seen.append(Seen(request.method, request.raw_path, headers, bool(certificate), body))
        if not certificate:
            return _status(401, "Unauthorized", "no front proxy")
        if not self.healthy:
            return _status(500, "InternalError", "ill")
        if self.redirect_to and headers.get("x-remote-user") != ["system:kube-aggregator"]:
            raise web.HTTPFound(self.redirect_to)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _resources(self, request: web.Request) -> web.Response:
        verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        flunder = {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": verbs,
                   "shortNames": ["fl"]}  # fmt: skip
        status = {
            "name": "flunders/status",
            "singularName": "",
            "namespaced": True,
            "kind": "Flunder",
            "verbs": ["get"],
        }
        return web.json_response({"kind": "APIResourceList", "apiVersion": "v1", "resources": [flunder, status],
                                  "groupVersion": f"{self.group}/{self.version}"})  # fmt: skip

    async def _index(self, request: web.Request) -> web.Response:
        return web.json_response({"paths": {self.base[1:]: {"serverRelativeURL": f"/openapi/v3{self.base}?hash=1"}}})

    async def _openapi(self, request: web.Request) -> web.Response:
        name = "com.example.wardle.v1alpha1.Flunder"
        kind = {"group": self.group, "version": self.version, "kind": "Flunder"}
        schema = {
            "type": "object",
            "description": "A flunder of the extension.",
            "x-kubernetes-group-version-kind": [kind],
            "properties": {"spec": {"type": "object"}},
        }
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        get = {"responses": {"200": {"description": "OK", "content": content}}, "x-kubernetes-group-version-kind": kind,
               "x-kubernetes-action": "get"}  # fmt: skip
        path = f"{self.base}/namespaces/{{namespace}}/flunders/{{name}}"
        return web.json_response({"openapi": "3.0.0", "info": {"title": "wardle", "version": "1"},
                                  "paths": {path: {"get": get}, "/api/v1/pods": {"get": get}},
                                  "components": {"schemas": {name: schema}}})  # fmt: skip

    def _kept(self, request: web.Request, obj: Obj) -> Obj:
        self.revision += 1
        metadata = {**obj.get("metadata", {}), "namespace": request.match_info["namespace"]}
        metadata |= {"resourceVersion": str(self.revision)}
        kept = {"apiVersion": f"{self.group}/{self.version}", "kind": "Flunder", **obj, "metadata": metadata}
        self.objects[metadata["namespace"], metadata["name"]] = kept
        self.changed.set()
        return kept

    async def _list(self, request: web.Request) -> web.StreamResponse:
        namespace = request.match_info.get("namespace", "")
        if request.query.get("watch"):
            return await self._watch(request)
        items = [one for (where, _), one in sorted(self.objects.items()) if namespace in ("", where)]
        return web.json_response({"apiVersion": f"{self.group}/{self.version}", "kind": "FlunderList",
                                  "metadata": {"resourceVersion": str(self.revision)}, "items": items})  # fmt: skip

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        sent = 0
        while True:
            for one in list(self.objects.values()):
                if int(one["metadata"]["resourceVersion"]) > sent:
                    await response.write(json.dumps({"type": "ADDED", "object": one}).encode() + b"\n")
            sent = self.revision
            self.changed.clear()
            await self.changed.wait()

    async def _create(self, request: web.Request) -> web.Response:
        return web.json_response(self._kept(request, await request.json()), status=201)

    def _find(self, request: web.Request) -> Obj | None:
        return self.objects.get((request.match_info["namespace"], request.match_info["name"]))

    async def _get(self, request: web.Request) -> web.Response:
        found = self._find(request)
        return web.json_response(found) if found is not None else await self._missing(request)

    async def _replace(self, request: web.Request) -> web.Response:
        return web.json_response(self._kept(request, await request.json()))

    async def _patch(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return await self._missing(request)
        return web.json_response(self._kept(request, {**found, **await request.json(), "metadata": found["metadata"]}))

    async def _delete(self, request: web.Request) -> web.Response:
        found = self.objects.pop((request.match_info["namespace"], request.match_info["name"]), None)
        return web.json_response(found) if found is not None else await self._missing(request)

    async def _delete_all(self, request: web.Request) -> web.Response:
        for key in [key for key in self.objects if key[0] == request.match_info["namespace"]]:
            del self.objects[key]
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(f"{message.data} for {request.headers.get('X-Remote-User')}")
        return response

    async def _missing(self, request: web.Request) -> web.Response:
        return _status(404, "NotFound", "not here")


def _status(code: int, reason: str, message: str) -> web.Response:
    found = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
             "reason": reason, "code": code}  # fmt: skip
    return web.json_response(found, status=code)


def extension(
    directory: Path, address: str, front_proxy_ca: Path, *, service: str = "wardle", **more: Any
) -> Extension:
    """An extension server for `SERVICE.default.svc`, not yet listening."""
    hosts = (f"{service}.default.svc", address)
    pki.ensure(directory, [pki.Identity("server", service, hosts=hosts, client=False)], SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    context.load_verify_locations(front_proxy_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return Extension(address, (directory / "ca.crt").read_bytes(), context, **more)


@contextlib.asynccontextmanager
async def serving(server: Extension) -> AsyncIterator[Extension]:
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, server.address, server.port, ssl_context=server.context).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def serving_in_a_thread(server: Extension) -> Iterator[Extension]:
    """The same for tests that do not run on an event loop."""
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with serving(server):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), name="extension", daemon=True)
    thread.start()
    assert started.wait(10), "the extension server listens"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def own_address() -> Iterator[str]:
    """An address that is this machine's and yet not loopback's, as a pod's is."""
    address = f"198.19.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield address
    finally:
        subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)


def apiservice(server: Extension, *, service: str = "wardle", **spec: Any) -> Obj:
    reference = {"namespace": "default", "name": service}
    trust = {"caBundle": base64.b64encode(server.ca).decode()}
    given = {"group": server.group, "version": server.version, "service": reference, "groupPriorityMinimum": 2000,
             "versionPriority": 200, **trust, **spec}  # fmt: skip
    metadata = {"name": f"{server.version}.{server.group}"}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata,
            "spec": {key: value for key, value in given.items() if value is not None}}  # fmt: skip


def service_and_slice(server: Extension, *, name: str = "wardle") -> list[tuple[str, Obj]]:
    """(collection, object) of a Service without selector and the EndpointSlice that leads to the server."""
    service = {"metadata": {"name": name}, "spec": {"ports": [{"port": 443, "targetPort": server.port}]}}
    slice_ = {
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [server.address], "conditions": {"ready": True}}],
        "ports": [{"name": "", "port": server.port, "protocol": "TCP"}],
    }
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    return [("/api/v1/namespaces/default/services", service), (slices, slice_)]
