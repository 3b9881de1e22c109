"""Recorded answers of a real v1.36.2 server, replayed against ours: defaults, errors, patch and apply transcripts.

tests/data/golden holds the records of the kinds that are served.  The recording was made on a distribution that adds a
source of its own (openshift-service-ca.crt) to every pod's token volume; it is taken out of the expectations, because
no upstream server has it.  What is random or a time on both sides is replaced by a placeholder before comparing.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Cluster, running_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

DATA = Path(__file__).parent.parent / "data" / "golden"
RANDOM = [
    (re.compile(r"kube-api-access-\w{5}"), "kube-api-access-X"),
    (re.compile(r"gen-\w{5}"), "gen-X"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uid>"),
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SERVICE_RANGE = re.compile(r"The range of valid IPs is [0-9./]+")
CLEAN = (
    "/apis/apps/v1/namespaces/gold/deployments/d",
    "/api/v1/namespaces/gold/configmaps/m",
    "/api/v1/namespaces/gold/services/s",
)


def records(name: str) -> list[Any]:
    found = [json.loads(line) for line in (DATA / f"{name}.jsonl").open()]
    return [pytest.param(record, id=record["name"]) for record in found]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path_factory.mktemp("golden")) as running:
        await running.must("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        yield running


@pytest.mark.parametrize("record", [*records("defaults"), *records("errors")])
async def test_a_created_object_looks_as_upstream_makes_it(cluster: Cluster, record: dict[str, Any]) -> None:
    separator = "&" if "?" in record["path"] else "?"
    answer = await cluster.request("POST", f"{record['path']}{separator}dryRun=All", record["input"])
    assert comparable(answer.json) == comparable(record["output"])
    assert answer.status == record["code"]


def comparable(obj: Any) -> Any:
    text = json.dumps(obj, sort_keys=True)
    for pattern, placeholder in RANDOM:
        text = pattern.sub(placeholder, text)
    obj = json.loads(SERVICE_RANGE.sub("The range of valid IPs is <range>", TIME.sub("<time>", text)))
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    for key in ("uid", "creationTimestamp", "managedFields", "selfLink"):
        metadata.pop(key, None)
    if obj.get("kind") == "Service":
        for key in ("clusterIP", "clusterIPs"):
            if spec.get(key) not in (None, "None", ["None"]):
                spec[key] = "<ip>"
        for port in spec.get("ports", []):
            if "nodePort" in port:
                port["nodePort"] = 1
    return obj


@pytest.mark.parametrize("record", records("transcripts"))
async def test_a_transcript_of_writes_replays(cluster: Cluster, record: dict[str, Any]) -> None:
    await clean(cluster)
    versions: dict[str, int] = {}
    for step in record["steps"]:
        body = step["body"]
        if step["method"] == "PUT" and "/scale" in step["path"]:  # recorded as the one change made to the Scale
            body = await cluster.must("GET", step["path"].split("?")[0])
            body.setdefault("spec", {})["replicas"] = step["body"]["spec.replicas"]
        answer = await cluster.request(
            step["method"], step["path"], body, content_type=step.get("contentType") or "application/json"
        )
        got = transcript_form(answer.json, versions)
        assert got == transcript_form(step["response"], None)
        assert answer.status == step["code"]


async def clean(cluster: Cluster) -> None:
    await cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": "gold"}})
    for path in CLEAN:
        no_finalizers = {"metadata": {"finalizers": None}}
        await cluster.request("PATCH", path, no_finalizers, content_type="application/merge-patch+json")
        await cluster.request("DELETE", path)
        assert (await cluster.request("GET", path)).status == 404


def transcript_form(obj: Any, versions: dict[str, int] | None) -> Any:
    """`versions` numbers the resourceVersions of our answers; the recording has them numbered already."""
    obj = copy.deepcopy(obj)
    metadata = obj.get("metadata") or {}
    if versions is not None:
        for key in ("uid", "creationTimestamp", "deletionTimestamp"):
            if key in metadata:
                metadata[key] = f"<{key}>"
        if "resourceVersion" in metadata:
            number = versions.setdefault(metadata["resourceVersion"], len(versions) + 1)
            metadata["resourceVersion"] = f"rv{number}"
        for entry in metadata.get("managedFields", []):
            entry["time"] = "<time>"
        if "uid" in (obj.get("details") or {}):
            obj["details"]["uid"] = "<uid>"
    if metadata.get("managedFields"):
        metadata["managedFields"].sort(
            key=lambda entry: (entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", ""))
        )
    if obj.get("message"):
        obj["message"] = RANDOM[2][0].sub("<uid>", obj["message"])
    if obj.get("kind") == "Service":
        for key in ("clusterIP", "clusterIPs"):
            obj.get("spec", {}).pop(key, None)
    if obj.get("kind") == "Deployment":
        drop_controller_traces(obj, metadata)
    return obj


def drop_controller_traces(deployment: Any, metadata: Any) -> None:
    """The recorded server had controllers, which acted between the steps."""
    deployment.pop("status", None)
    (metadata.get("annotations") or {}).pop("deployment.kubernetes.io/revision", None)
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    if "managedFields" in metadata:
        kept = [entry for entry in metadata["managedFields"] if entry.get("manager") != "kube-controller-manager"]
        metadata["managedFields"] = kept
    metadata.pop("resourceVersion", None)
