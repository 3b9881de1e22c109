"""Protobuf answers: the same objects as in JSON, in the frames Go clients read."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from apiserver.negotiation import JSON, PROTOBUF, YAML, negotiate
from apiserver.protobuf import Encodings, is_complete
from apiserver.storage.cacheitem import CacheItem
from tests.apiserver.cluster import WAIT_SECONDS, Cluster
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.kinds import Registry, builtin_registry
from tiphys.api.meta import Status
from tiphys.api.protobuf import MAGIC, decode_protobuf
from tiphys.api.protobuf_values import read_fields

pytestmark = pytest.mark.asyncio(loop_scope="module")

REGISTRY = builtin_registry()
FIRST = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}
CORE = "/api/v1/namespaces/default"
PODS = f"{CORE}/pods"

ACCEPT_CASES = [
    ("application/vnd.kubernetes.protobuf,application/json", PROTOBUF),
    ("application/json,application/vnd.kubernetes.protobuf", JSON),
    ("application/vnd.kubernetes.protobuf;q=0.5,application/json", JSON),
    ("application/vnd.kubernetes.protobuf", PROTOBUF),
    ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json", JSON),
    ("application/cbor,application/vnd.kubernetes.protobuf", PROTOBUF),
    ("application/yaml", YAML),
    ("*/*", JSON),
    ("", JSON),
]


@pytest.mark.parametrize(("header", "media_type"), ACCEPT_CASES)
async def test_protobuf_is_for_those_who_ask_for_it_first(header: str, media_type: str) -> None:
    assert negotiate(header).media_type == media_type


def decoded(body: bytes, kind: str) -> dict[str, Any]:
    """The object of a body in wire form, as the server's own decoder reads it."""
    assert body.startswith(MAGIC)
    raw = decode_protobuf(body, REGISTRY)
    info = next(info for info in REGISTRY.all() if info.kind == kind)
    value: dict[str, Any] = decode(raw, info.schema, kind_label=kind, version=info.api_version).value
    return value


def without_server_times(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


OBJECTS = [
    ("Pod", "/api/v1/namespaces/default/pods", {
        "metadata": {"name": "wire", "labels": {"a": "b"}, "annotations": {"long": "x" * 300}},
        "spec": {
            "containers": [{
                "name": "c", "image": "i:1", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
                "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 3},
                "env": [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            }],
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 256}}],
        },
    }),
    ("Secret", f"{CORE}/secrets", {"metadata": {"name": "wire"}, "data": {"k": "AAEC/w=="}, "type": "x/y"}),
    ("Service", f"{CORE}/services", {
        "metadata": {"name": "wire"}, "spec": {"ports": [{"port": 80, "targetPort": "http"}]},
    }),
    ("Deployment", "/apis/apps/v1/namespaces/default/deployments", {
        "metadata": {"name": "wire"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    }),
    ("Lease", "/apis/coordination.k8s.io/v1/namespaces/default/leases", {
        "metadata": {"name": "wire"}, "spec": {"renewTime": "2026-01-02T03:04:05.123456Z", "leaseDurationSeconds": 15},
    }),
    ("ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {
        "metadata": {"name": "wire"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "path", "body"), OBJECTS, ids=[case[0] for case in OBJECTS])
async def test_an_object_says_the_same_in_protobuf_as_in_json(
    cluster: Cluster, kind: str, path: str, body: dict[str, Any]
) -> None:
    made = await cluster.request("POST", path, body, headers=FIRST)
    assert made.status == 201 and made.headers["Content-Type"] == PROTOBUF
    in_json = await cluster.must("GET", f"{path}/wire")
    answer = await cluster.request("GET", f"{path}/wire", headers=FIRST)
    assert answer.headers["Content-Type"] == PROTOBUF
    assert without_server_times(decoded(answer.body, kind)) == without_server_times(in_json)
    assert decoded(answer.body, kind)["metadata"]["managedFields"] == in_json["metadata"]["managedFields"]
    assert decoded(made.body, kind)["metadata"]["uid"] == in_json["metadata"]["uid"]


def list_of(body: bytes, kind: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    info = next(info for info in REGISTRY.all() if info.kind == kind)
    raw = decode_protobuf(body, Registry(), schema=info.list_schema)
    return raw["metadata"], raw.get("items", [])


async def test_a_list_comes_in_pages_and_its_items_are_the_objects(cluster: Cluster) -> None:
    for number in range(5):
        body = {"metadata": {"name": f"page-{number}", "labels": {"paged": "yes"}}, "data": {"n": str(number)}}
        await cluster.must("POST", f"{CORE}/configmaps", body)
    path = f"{CORE}/configmaps?labelSelector=paged&limit=3"
    metadata, items = list_of((await cluster.request("GET", path, headers=FIRST)).body, "ConfigMap")
    assert [item["metadata"]["name"] for item in items] == ["page-0", "page-1", "page-2"]
    rest = await cluster.request("GET", f"{path}&continue={metadata['continue']}", headers=FIRST)
    last, items = list_of(rest.body, "ConfigMap")
    assert [item["data"] for item in items] == [{"n": "3"}, {"n": "4"}]
    assert last["resourceVersion"] == metadata["resourceVersion"]
    nothing = await cluster.request("GET", f"{CORE}/configmaps?labelSelector=no=such", headers=FIRST)
    assert list_of(nothing.body, "ConfigMap")[1] == []


class Frames:
    """Length-delimited frames of a watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._content = answer.content

    async def next(self) -> tuple[str, bytes]:
        size = int.from_bytes(await asyncio.wait_for(self._content.readexactly(4), WAIT_SECONDS))
        raw = await asyncio.wait_for(self._content.readexactly(size), WAIT_SECONDS)
        parts = {tag: value for tag, _, value in read_fields(raw, 0, len(raw))}
        extension = {tag: value for tag, _, value in read_fields(parts[2], 0, len(parts[2]))}
        return parts[1].decode(), extension[1]


async def test_a_watch_is_frames_with_their_length_and_ends_its_start_with_a_bookmark(cluster: Cluster) -> None:
    await cluster.must("POST", f"{CORE}/configmaps", {"metadata": {"name": "seen", "labels": {"watched": "yes"}}})
    path = f"{CORE}/configmaps?watch=1&labelSelector=watched&allowWatchBookmarks=true"
    initial = f"{path}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    async with cluster.session().get(cluster.url + initial, headers=FIRST) as answer:
        assert answer.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
        frames = Frames(answer)
        kind, body = await frames.next()
        assert kind == "ADDED" and decoded(body, "ConfigMap")["metadata"]["name"] == "seen"
        kind, body = await frames.next()
        bookmark = decode_protobuf(body, REGISTRY)
        assert kind == "BOOKMARK" and bookmark["kind"] == "ConfigMap"
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        patch = {"data": {"a": "b"}}
        await cluster.must("PATCH", f"{CORE}/configmaps/seen", patch, content_type="application/merge-patch+json")
        kind, body = await frames.next()
        assert kind == "MODIFIED" and decoded(body, "ConfigMap")["data"] == {"a": "b"}
        await cluster.must("DELETE", f"{CORE}/configmaps/seen")
        kind, body = await frames.next()
        assert kind == "DELETED" and decoded(body, "ConfigMap")["data"] == {"a": "b"}


async def test_history_that_is_gone_is_an_error_frame(cluster: Cluster) -> None:
    await cluster.must("POST", f"{CORE}/configmaps", {"metadata": {"name": "newer"}})
    assert cluster.server._cache is not None
    await cluster.server._cache.reload()  # as after a lost store watch: there are no events before it
    path = f"{CORE}/configmaps?watch=1&resourceVersion=1"
    async with cluster.session().get(cluster.url + path, headers=FIRST) as answer:
        assert answer.status == 200
        kind, body = await Frames(answer).next()
        status = decode_protobuf(body, Registry(), schema=struct_of(Status))
        assert kind == "ERROR" and status["code"] == 410 and status["reason"] == "Expired"


async def test_what_has_no_protobuf_form_is_json(cluster: Cluster) -> None:
    table = {"Accept": "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json"}
    assert (await cluster.must("GET", PODS, headers=table))["kind"] == "Table"
    refused = await cluster.request("GET", f"{PODS}/nowhere", headers=FIRST)
    assert refused.json["reason"] == "NotFound"
    for path in ("/version", "/apis", "/openapi/v3"):
        assert (await cluster.request("GET", path, headers=FIRST)).json


async def test_clients_that_prefer_protobuf_go_on_working(cluster: Cluster) -> None:
    for words in (("events",), ("create", "namespace", "wired"), ("auth", "can-i", "get", "pods"), ("get", "pods")):
        code, _, error = await cluster.kubectl(*words)
        assert code == 0, (words, error)


async def test_the_newest_encodings_are_kept_within_their_limit() -> None:
    info = REGISTRY.get("", "v1", "configmaps")
    assert info is not None
    encodings = Encodings(limit_bytes=1000)
    for number in range(50):
        data = b'{"metadata":{"name":"n%d"},"data":{"k":"%b"}}' % (number, b"x" * 90)
        item = CacheItem(f"/n{number}", "", f"n{number}", number, data, {}, {})
        first = encodings.message(info, item)
        assert encodings.message(info, item) is first
    assert 0 < encodings._size <= 1000


async def test_every_field_of_every_kind_has_a_place_in_protobuf() -> None:
    assert [info.kind for info in REGISTRY.all() if not is_complete(info.schema)] == []
