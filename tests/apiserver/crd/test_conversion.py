"""Conversion webhooks: a real HTTPS server behind a Service turns one version into the other, or fails to."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from apiserver.crd.conversion import BadConversion, checked
from tests.apiserver.aggregator.extension import own_address
from tests.apiserver.cluster import Cluster
from tests.apiserver.crd.definitions import CRDS, crd, establish
from tiphys import pki
from tiphys.clock import SystemClock

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]
Obj = dict[str, Any]
V1 = "/apis/stable.example.com/v1/namespaces/default/hosts"
V2 = "/apis/stable.example.com/v2/namespaces/default/hosts"
MERGE = "application/merge-patch+json"


class Webhook:
    """v1 has spec.hostPort, v2 has spec.host and spec.port."""

    def __init__(self) -> None:
        self.reviews: list[Obj] = []
        self.fault: Callable[[Obj], Obj] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        review = json.loads(await request.read())
        self.reviews.append(review)
        asked = review["request"]
        converted = [self.convert(one, asked["desiredAPIVersion"]) for one in asked["objects"]]
        response = {"uid": asked["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
        answer = {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}
        return web.json_response(self.fault(answer) if self.fault else answer)

    @staticmethod
    def convert(obj: Obj, wanted: str) -> Obj:
        spec = dict(obj.get("spec", {}))
        if wanted.endswith("/v2"):
            host, _, port = spec.pop("hostPort", ":").partition(":")
            spec |= {"host": host, "port": port}
        else:
            spec["hostPort"] = f"{spec.pop('host', '')}:{spec.pop('port', '')}"
        metadata = {**obj["metadata"], "labels": {**obj["metadata"].get("labels", {}), "seen": "true"}}
        return {**obj, "apiVersion": wanted, "spec": spec, "metadata": metadata}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with own_address() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def webhook(cluster: Cluster, address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Webhook]:
    directory, made = tmp_path_factory.mktemp("webhook"), Webhook()
    identity = pki.Identity("server", "converter", hosts=("converter.default.svc",), client=False)
    pki.ensure(directory, [identity], SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/crdconvert", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    service = {"metadata": {"name": "converter"}, "spec": {"ports": [{"port": 9443}]}}
    await cluster.must("POST", "/api/v1/namespaces/default/services", service)
    slice_ = {
        "metadata": {"name": "converter-1", "labels": {"kubernetes.io/service-name": "converter"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "", "port": port}],
    }
    await cluster.must("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
    await establish(cluster, hosts(base64.b64encode((directory / "ca.crt").read_bytes()).decode()))
    yield made
    await runner.cleanup()


def hosts(bundle: str) -> Obj:
    definition = crd("hosts", "Host")

    def version(name: str, *fields: str, storage: bool) -> Obj:
        spec = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        return {"name": name, "served": True, "storage": storage, "schema": schema}

    definition["spec"]["versions"] = [
        version("v1", "hostPort", storage=True),
        version("v2", "host", "port", storage=False) | {"selectableFields": [{"jsonPath": ".spec.host"}]},
    ]
    service = {"namespace": "default", "name": "converter", "path": "/crdconvert", "port": 9443}
    client = {"service": service, "caBundle": bundle}
    hook = {"clientConfig": client, "conversionReviewVersions": ["v9", "v1", "v1beta1"]}
    definition["spec"]["conversion"] = {"strategy": "Webhook", "webhook": hook}
    return definition


def host(name: str, version: str = "v1", **spec: str) -> Obj:
    return {"apiVersion": f"stable.example.com/{version}", "kind": "Host", "metadata": {"name": name}, "spec": spec}


async def test_an_object_is_read_changed_and_watched_in_both_versions(cluster: Cluster, webhook: Webhook) -> None:
    made = await cluster.must("POST", V1, host("one", hostPort="a.example.com:80"))
    seen = await cluster.must("GET", f"{V2}/one")
    assert seen["spec"] == {"host": "a.example.com", "port": "80"} and seen["apiVersion"] == "stable.example.com/v2"
    assert seen["metadata"]["uid"] == made["metadata"]["uid"] and seen["metadata"]["labels"] == {"seen": "true"}
    async with cluster.watch(f"{V2}?watch=1&resourceVersion={made['metadata']['resourceVersion']}") as events:
        await cluster.must("PATCH", f"{V2}/one", {"spec": {"port": "81"}}, content_type=MERGE)
        event = await events.next()
        assert (event["type"], event["object"]["spec"]) == ("MODIFIED", {"host": "a.example.com", "port": "81"})
        assert (await cluster.must("GET", f"{V1}/one"))["spec"] == {"hostPort": "a.example.com:81"}
        entry, _ = await cluster.server.resources.store.get("/registry/stable.example.com/hosts/default/one")
        assert entry is not None and b'"apiVersion":"stable.example.com/v1"' in entry.value[:80]
        await cluster.must("DELETE", f"{V1}/one")
        event = await events.next()
        assert (event["type"], event["object"]["spec"]["port"]) == ("DELETED", "81")


async def test_a_list_is_one_call_and_what_is_known_is_not_asked_again(cluster: Cluster, webhook: Webhook) -> None:
    for number in range(20):
        version, path = ("v1", V1) if number % 2 else ("v2", V2)
        spec = {"hostPort": f"h{number}:1"} if number % 2 else {"host": f"h{number}", "port": "1"}
        await cluster.must("POST", path, host(f"many-{number}", version, **spec))
    before = len(webhook.reviews)
    listed = await cluster.must("GET", V2)
    assert {item["apiVersion"] for item in listed["items"]} == {"stable.example.com/v2"}
    assert {item["spec"]["host"] for item in listed["items"]} >= {f"h{number}" for number in range(20)}
    assert len(webhook.reviews) <= before + 1
    assert (await cluster.must("GET", V2))["items"] == listed["items"]
    assert len(webhook.reviews) <= before + 1, "remembered"
    applied = {**host("many-1", "v2", port="2")}
    path = f"{V2}/many-1?fieldManager=me&force=true"
    got = await cluster.must("PATCH", path, applied, content_type="application/apply-patch+yaml")
    assert got["spec"] == {"host": "h1", "port": "2"}
    page = await cluster.must("GET", f"{V2}?limit=3")
    assert len(page["items"]) == 3 and page["items"][0]["apiVersion"] == "stable.example.com/v2"


def spoil(answer: Obj, **changes: Any) -> Obj:
    return {**answer, "response": {**answer["response"], **changes}}


FAULTS: list[tuple[str, Callable[[Obj], Obj], str]] = [
    ("a failure", lambda one: spoil(one, result={"status": "Failed", "message": "no way"}), "no way"),
    ("another uid", lambda one: spoil(one, uid="x"), "expected response.uid="),
    ("too few", lambda one: spoil(one, convertedObjects=[]), "returned 0 objects, expected 1"),
    ("no response", lambda one: {**one, "response": None}, "no response provided"),
    ("another kind", lambda one: {**one, "kind": "AdmissionReview"}, "expected webhook response of"),
]


@pytest.mark.answers_500
@pytest.mark.parametrize(("case", "fault", "text"), FAULTS, ids=[one[0] for one in FAULTS])
async def test_a_conversion_that_fails_fails_the_request_and_nothing_else(
    cluster: Cluster, webhook: Webhook, case: str, fault: Callable[[Obj], Obj], text: str
) -> None:
    name = case.replace(" ", "-")
    await cluster.must("POST", V1, host(name, hostPort="a:1"))
    webhook.fault = fault
    try:
        answer = await cluster.request("GET", f"{V2}/{name}")
        assert answer.status == 500
        start = "conversion webhook for stable.example.com/v1, Kind=Host failed: "
        assert answer.json["message"].startswith(start) and text in answer.json["message"]
        refused = await cluster.request("PUT", f"{V2}/{name}", host(name, "v2", host="b"))
        assert refused.status == 500
        assert (await cluster.must("GET", f"{V1}/{name}"))["spec"] == {"hostPort": "a:1"}, (
            "the stored version needs none"
        )
    finally:
        webhook.fault = None
    assert (await cluster.must("GET", f"{V2}/{name}"))["spec"]["host"] == "a", "control"


OLD = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a", "uid": "u", "labels": {"a": "b"}, "generation": 2}}
CHANGED: list[tuple[Obj, str]] = [
    ({"apiVersion": "g/v3"}, "invalid groupVersion (expected g/v2, received g/v3)"),
    ({"kind": "L"}, "invalid kind (expected K, received L)"),
    ({"metadata": {"name": "b", "uid": "u"}}, "metadata.name must not be changed"),
    ({"metadata": {"name": "a", "uid": "v"}}, "metadata.uid must not be changed"),
    ({"metadata": {"name": "a", "uid": "u", "labels": {"a": 1}}}, "metadata.labels must be a map of strings"),
    ({"metadata": None}, "it has no metadata"),
]


def answered(new: Obj) -> bytes:
    response = {"uid": "1", "result": {"status": "Success"}, "convertedObjects": [new]}
    return json.dumps({"kind": "ConversionReview", "apiVersion": "x/v1", "response": response}).encode()


@pytest.mark.parametrize(("change", "text"), CHANGED)
async def test_a_webhook_may_not_make_another_object_of_it(change: Obj, text: str) -> None:
    with pytest.raises(BadConversion) as refused:
        checked(answered({**OLD, "apiVersion": "g/v2", **change}), [OLD], "g/v2", "1", "x/v1")
    assert text in str(refused.value)


async def test_of_the_metadata_only_labels_and_annotations_are_the_webhooks() -> None:
    new = {**OLD, "apiVersion": "g/v2", "spec": {"x": 1}}
    new["metadata"] = {"name": "a", "uid": "u", "generation": 9, "finalizers": ["x"], "annotations": {"c": "d"}}
    (taken,) = checked(answered(new), [OLD], "g/v2", "1", "x/v1")
    assert taken["metadata"] == {"name": "a", "uid": "u", "generation": 2, "annotations": {"c": "d"}}
    assert taken["spec"] == {"x": 1}


@pytest.mark.answers_500
async def test_a_definition_whose_webhook_is_gone_can_still_be_deleted_with_its_objects(cluster: Cluster) -> None:
    definition = crd("orphans", "Orphan")
    schema = definition["spec"]["versions"][0]["schema"]
    definition["spec"]["versions"].append({"name": "v2", "served": True, "storage": False, "schema": schema})
    client = {"url": "https://127.0.0.1:1/convert"}
    hook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    definition["spec"]["conversion"] = {"strategy": "Webhook", "webhook": hook}
    await establish(cluster, definition)
    path = "/apis/stable.example.com/v1/namespaces/default/orphans"
    await cluster.must("POST", path, {**host("one"), "kind": "Orphan", "spec": {"cronSpec": "* * * * *"}})
    answer = await cluster.request("GET", "/apis/stable.example.com/v2/namespaces/default/orphans/one")
    assert answer.status == 500 and "address not allowed" in answer.json["message"], "no call to the loopback address"
    await cluster.must("DELETE", f"{CRDS}/orphans.stable.example.com")
    while (await cluster.request("GET", f"{CRDS}/orphans.stable.example.com")).status != 404:
        await asyncio.sleep(0.02)
