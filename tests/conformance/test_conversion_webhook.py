"""Custom resources of two versions and a real webhook between them."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.apiserver.aggregator.extension import own_address
from tests.conformance.api import Api, Object
from tests.conformance.crds import CustomResource, installed
from tests.conformance.rows import row
from tiphys import pki
from tiphys.clock import SystemClock

SERVICE = "e2e-test-crd-conversion-webhook"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class Converter(BaseHTTPRequestHandler):
    """v1 has hostPort, v2 has host and port."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = review["request"]
        converted = [convert(one, asked["desiredAPIVersion"]) for one in asked["objects"]]
        response = {"uid": asked["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
        body = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def convert(obj: Object, wanted: str) -> Object:
    fields = {key: value for key, value in obj.items() if key in ("kind", "metadata")}
    if wanted.endswith("/v2"):
        host, _, port = obj["hostPort"].partition(":")
        return {**fields, "apiVersion": wanted, "host": host, "port": port}
    return {**fields, "apiVersion": wanted, "hostPort": f"{obj['host']}:{obj['port']}"}


@pytest.fixture
def webhook(api: Api, tmp_path: Path) -> Iterator[Object]:
    """spec.conversion of a definition that uses it."""
    identity = pki.Identity("server", SERVICE, hosts=(f"{SERVICE}.default.svc",), client=False)
    pki.ensure(tmp_path, [identity], SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with own_address() as address:
        server = ThreadingHTTPServer((address, 0), Converter)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with service(api, address, server.server_port):
            reference = {"namespace": "default", "name": SERVICE, "path": "/crdconvert", "port": 9443}
            bundle = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
            hook = {"clientConfig": {"service": reference, "caBundle": bundle}, "conversionReviewVersions": ["v1"]}
            yield {"strategy": "Webhook", "webhook": hook}
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def service(api: Api, address: str, port: int) -> Iterator[None]:
    api.create(
        "/api/v1/namespaces/default/services", {"metadata": {"name": SERVICE}, "spec": {"ports": [{"port": 9443}]}}
    )
    labels = {"kubernetes.io/service-name": SERVICE}
    api.create(
        SLICES,
        {
            "metadata": {"name": SERVICE, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "", "port": port}],
        },
    )
    try:
        yield
    finally:
        api.call("DELETE", f"{SLICES}/{SERVICE}")
        api.call("DELETE", f"/api/v1/namespaces/default/services/{SERVICE}")


@dataclass(frozen=True)
class Converted(CustomResource):
    """A resource whose definition asks the webhook."""

    conversion: Object = field(default_factory=dict)

    def definition(self, labels: dict[str, str] | None = None) -> Object:
        found = super().definition(labels)
        found["spec"]["conversion"] = self.conversion
        return found


@pytest.fixture
def resource(api: Api, webhook: Object) -> Iterator[CustomResource]:
    def schema(*names: str) -> Object:
        return {"type": "object", "properties": {name: {"type": "string"} for name in names}}

    plain = CustomResource.make().with_schemas({"v1": schema("hostPort"), "v2": schema("host", "port")})
    made = Converted(plain.group, plain.plural, plain.kind, plain.schemas, webhook)
    with installed(api, made):
        yield made


@row(32, "Custom Resource Definition Conversion Webhook, conversion custom resource")
def test_an_object_of_one_version_is_read_in_the_other(api: Api, resource: CustomResource, namespace: str) -> None:
    api.create(resource.instances(namespace), resource.instance("one", hostPort="localhost:8080"))
    seen = api.get(f"{resource.instances(namespace, 'v2')}/one")
    assert (seen["host"], seen["port"]) == ("localhost", "8080") and seen["apiVersion"].endswith("/v2")


@row(31, "Custom Resource Definition Conversion Webhook, convert mixed version list")
def test_a_list_of_objects_stored_in_both_versions_is_of_one(
    api: Api, resource: CustomResource, namespace: str
) -> None:
    api.create(resource.instances(namespace), resource.instance("first", hostPort="localhost:8080"))

    def store_v2(definition: Object) -> None:
        for version in definition["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"

    api.update(resource.path, store_v2)
    api.create(resource.instances(namespace, "v2"), resource.instance("second", "v2", host="localhost", port="8081"))
    both = api.items(resource.instances(namespace))
    assert [(one["metadata"]["name"], one["hostPort"]) for one in both] == [
        ("first", "localhost:8080"),
        ("second", "localhost:8081"),
    ]
    other = api.items(resource.instances(namespace, "v2"))
    assert [(one["host"], one["port"]) for one in other] == [("localhost", "8080"), ("localhost", "8081")]
