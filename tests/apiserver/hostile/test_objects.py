"""Objects that are valid and odd, or just too much of something: limits with upstream's words, reads that stay up."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from tests.apiserver.hostile.target import CONFIGMAPS, MIB, Target
from tests.fuzz.generating import KINDS, an_object

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


async def test_annotations_have_a_total_limit(target: Target) -> None:
    within = {f"a{number}": "x" * 25_000 for number in range(10)}
    assert (await target.request("POST", CONFIGMAPS, config_map("notes", annotations=within))).status == 201, "control"
    beyond = {f"a{number}": "x" * 25_000 for number in range(11)}
    answer, seconds = await target.timed("POST", CONFIGMAPS, config_map("more-notes", annotations=beyond))
    assert answer.status == 422 and "Too long: may not be more than 262144 bytes" in answer.json["message"]
    assert seconds <= 0.15
    for media_type in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        patch = {"metadata": {"annotations": beyond}}
        assert (await target.request("PATCH", f"{CONFIGMAPS}/notes", patch, content_type=media_type)).status == 422


@pytest.mark.parametrize(
    "metadata",
    [
        {"finalizers": [f"example.com/{number}" for number in range(100_000)]},
        {"finalizers": ["x" for _ in range(100_000)]},
        {"labels": {f"k{number}": "v" for number in range(100_000)}},
        {"labels": {"k" * 1_000_000: "v"}},
        {"labels": {"k": "v" * 1_000_000}},
        {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": f"n{n}", "uid": f"{n}"} for n in range(30_000)
            ]
        },
        {"ownerReferences": [{} for _ in range(90_000)]},
        {"managedFields": [{"manager": f"m{n}", "operation": "Update", "apiVersion": "v1"} for n in range(20_000)]},
        {"managedFields": [{"fieldsType": "FieldsV1", "fieldsV1": {"f:" + "x" * 50: {}}}] * 20_000},
        {"generateName": "x" * 100_000},
    ],
    ids=lambda metadata: next(iter(metadata)),
)
async def test_metadata_of_the_greatest_size_costs_little(target: Target, metadata: dict[str, Any]) -> None:
    before = target.memory_bytes()
    answer, seconds = await target.timed("POST", f"{CONFIGMAPS}?dryRun=All", config_map("wide", **metadata))
    assert answer.status < 500, answer.body[:300]
    assert seconds <= 2 and target.memory_bytes() - before < 160 * MIB
    assert (await target.request("POST", f"{CONFIGMAPS}?dryRun=All", config_map("narrow"))).status == 201, "control"


async def test_a_refusal_of_many_errors_names_only_so_many(target: Target) -> None:
    body = {"metadata": {"name": "many"}, "spec": {"containers": [{}] * 90_000}}
    before = target.memory_bytes()
    answer, seconds = await target.timed("POST", PODS, body)
    assert answer.status == 422 and len(answer.body) < MIB, len(answer.body)
    assert seconds <= 2.5 and target.memory_bytes() - before < 512 * MIB
    few = await target.request("POST", PODS, {**body, "spec": {"containers": [{}] * 3}})
    assert len(few.json["details"]["causes"]) >= 6, "control: a few are all named"


async def test_a_million_values_are_refused_before_they_are_walked(target: Target) -> None:
    for body in (
        b'{"metadata":{"name":"many"},"spec":{"containers":[' + b",".join([b"{}"] * 1_000_000) + b"]}}",
        b'{"metadata":{"name":"many"},"spec":{"containers":[' + b",".join([b"[]"] * 1_000_000) + b"]}}",
        b'{"metadata":{"name":"many"},"x":' + b"[0," * 150 + b",".join([b"0"] * 1_400_000) + b"]" * 150 + b"}",
    ):
        answer, seconds = await target.timed("POST", PODS, body)
        assert answer.status == 413 and seconds <= 0.5, (answer.status, seconds)
    commas = {**config_map("commas"), "data": {"a": "," * 900_000}}
    assert (await target.request("POST", CONFIGMAPS, commas)).status == 201, "control: commas in a text are none"


async def test_a_million_values_in_protobuf_are_refused_as_well(target: Target) -> None:
    envelope = b"k8s\x00" + b"\x0a\x09" + b"\x0a\x02v1" + b"\x12\x03Pod"
    for count, code in ((1_000_000, 400), (3, 422)):
        spec = b"\x12\x00" * count
        raw = b"\x0a\x03\x0a\x01a" + b"\x12" + varint(len(spec)) + spec
        body = envelope + b"\x12" + varint(len(raw)) + raw
        kind = "application/vnd.kubernetes.protobuf"
        answer, seconds = await target.timed("POST", PODS, body, content_type=kind)
        assert answer.status == code and seconds <= 1, (answer.status, seconds, answer.body[:300])


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


async def test_owners_in_a_circle_are_stored_and_deleted_one_by_one(target: Target) -> None:
    made = {name: await target.must("POST", CONFIGMAPS, config_map(name)) for name in ("ring-a", "ring-b")}
    for name, other in (("ring-a", "ring-b"), ("ring-b", "ring-a")):
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": other, "uid": made[other]["metadata"]["uid"]}
        patch = {"metadata": {"ownerReferences": [{**owner, "blockOwnerDeletion": True}]}}
        await target.must("PATCH", f"{CONFIGMAPS}/{name}", patch, content_type="application/merge-patch+json")
    await target.must("DELETE", f"{CONFIGMAPS}/ring-a?propagationPolicy=Background")
    assert (await target.request("GET", f"{CONFIGMAPS}/ring-a")).status == 404
    assert (await target.request("GET", f"{CONFIGMAPS}/ring-b")).status == 200


async def test_two_thousand_odd_objects_do_not_break_reading_them(target: Target) -> None:
    """Whatever the server stores it can list, print, select, patch and delete."""
    source = random.Random(11)
    await target.must("POST", "/api/v1/namespaces", {"metadata": {"name": "odd"}})
    stored: dict[str, int] = {}
    kinds = [info for info in KINDS if "create" in info.verbs and "list" in info.verbs]

    async def one(number: int) -> None:
        info = source.choice(kinds)
        base = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
        path = f"{base}/namespaces/odd/{info.plural}" if info.namespaced else f"{base}/{info.plural}"
        body = {**an_object(info, source), "metadata": {"name": f"odd-{number}"}}
        answer = await target.request("POST", path, json.dumps(body).encode())
        assert answer.status < 500, (info.kind, answer.body[:500], body)
        if answer.status == 201:
            stored[path] = stored.get(path, 0) + 1

    for start in range(0, 2000, 20):
        await asyncio.gather(*(one(start + number) for number in range(20)))
    assert sum(stored.values()) > 50, f"control: some are valid ({stored})"
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    for path in stored:
        for headers in ({}, table, {"Accept": "application/yaml"}, {"Accept": "application/vnd.kubernetes.protobuf"}):
            answer = await target.request("GET", path, headers=headers)
            assert answer.status == 200, (path, headers, answer.body[:300])
        name = (await target.must("GET", f"{path}?limit=1"))["items"][0]["metadata"]["name"]
        merge = "application/merge-patch+json"
        labelled = {"metadata": {"labels": {"a": "b"}}}
        assert (await target.request("PATCH", f"{path}/{name}", labelled, content_type=merge)).status < 500
        assert (await target.request("DELETE", f"{path}/{name}?gracePeriodSeconds=0")).status < 500


async def test_a_flood_of_events_leaves_the_server_answering(target: Target) -> None:
    """Two thousand events through fifty connections: all answered, others still served."""
    before = target.memory_bytes()
    connections = asyncio.Semaphore(50)

    async def event(number: int) -> int:
        involved = {"kind": "Pod", "namespace": "default", "name": f"p{number}"}
        body = {
            "metadata": {"name": f"flood-{number}"},
            "involvedObject": involved,
            "reason": "R",
            "message": "m" * 1000,
        }
        async with connections:
            return (await target.request("POST", EVENTS, body)).status

    flood = asyncio.gather(*(event(number) for number in range(2000)))
    slowest = 0.0
    while not flood.done():
        started = asyncio.get_running_loop().time()
        assert (await target.request("GET", "/readyz", identity="")).status in (200, 401)
        slowest = max(slowest, asyncio.get_running_loop().time() - started)
        await asyncio.sleep(0.02)
    assert set(flood.result()) <= {201, 429}
    assert slowest < 3 and target.memory_bytes() - before < 64 * MIB
