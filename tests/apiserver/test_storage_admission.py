"""What the server fills into new claims, and which claims may grow."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
MERGE = "application/merge-patch+json"


def claim(name: str, **spec: Any) -> dict[str, Any]:
    size = {"requests": {"storage": "1Gi"}}
    return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": size, **spec}}


def storage_class(name: str, *, default: bool = False, **fields: Any) -> dict[str, Any]:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": notes}, "provisioner": "example.com/disk", **fields}


async def test_a_claim_that_names_no_class_gets_the_default_one(cluster: Cluster) -> None:
    before = await cluster.must("POST", CLAIMS, claim("before"))
    assert "storageClassName" not in before["spec"]
    await cluster.must("POST", CLASSES, storage_class("plain"))
    await cluster.must("POST", CLASSES, storage_class("standard", default=True))
    after = await cluster.must("POST", CLAIMS, claim("after"))
    assert after["spec"]["storageClassName"] == "standard"
    for chosen in ("", "plain"):
        kept = await cluster.must("POST", CLAIMS, claim(f"kept-{chosen or 'none'}", storageClassName=chosen))
        assert kept["spec"]["storageClassName"] == chosen


async def test_only_bound_claims_of_a_class_that_allows_it_grow(cluster: Cluster) -> None:
    await cluster.must("POST", CLASSES, storage_class("growing", allowVolumeExpansion=True))
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    for name, chosen in (("rigid", ""), ("elastic", "growing")):
        await cluster.must("POST", CLAIMS, claim(name, storageClassName=chosen))
        status = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        await cluster.must("PATCH", f"{CLAIMS}/{name}/status", status, content_type=MERGE)
    refused = await cluster.request("PATCH", f"{CLAIMS}/rigid", more, content_type=MERGE)
    assert refused.status == 403
    assert "the storageclass that provisions the pvc must support resize" in refused.json["message"]
    grown = await cluster.must("PATCH", f"{CLAIMS}/elastic", more, content_type=MERGE)
    assert grown["spec"]["resources"]["requests"]["storage"] == "2Gi"
