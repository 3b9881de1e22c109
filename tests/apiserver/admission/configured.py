"""Webhook configurations and policies for one test: made, waited for, taken away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.apiserver.cluster import WAIT_SECONDS, Cluster

Object = dict[str, Any]
GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIGMAPS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}


def hook(client_config: Object, *rules: Object, name: str = "hook.example.com", **more: Any) -> Object:
    return {
        "name": name,
        "clientConfig": client_config,
        "rules": list(rules) or [CONFIGMAPS],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }


@asynccontextmanager
async def configured(cluster: Cluster, kind: str, namespace: str, *hooks: Object, name: str = "") -> AsyncIterator[str]:
    """`kind`: mutating or validating.  The webhooks are about that namespace only."""
    plural = f"{kind}webhookconfigurations"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    webhooks = [{"namespaceSelector": selector, **one} for one in hooks]
    made = await cluster.must(
        "POST", f"{GROUP}/{plural}", {"metadata": {"name": name or uuid.uuid4().hex}, "webhooks": webhooks}
    )
    found = made["metadata"]["name"]
    await until_cached(cluster, made)
    try:
        yield found
    finally:
        gone = await cluster.must("DELETE", f"{GROUP}/{plural}/{found}")
        assert gone["status"] == "Success"


async def until_cached(cluster: Cluster, obj: Object) -> None:
    cache = cluster.server.resources.cache
    await cache.wait_until(int(obj["metadata"]["resourceVersion"]), WAIT_SECONDS)


async def new_namespace(cluster: Cluster, **labels: str) -> str:
    name = f"ns-{uuid.uuid4().hex[:8]}"
    made = await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    await until_cached(cluster, made)
    return name


def config_map(name: str = "x", **data: str) -> Object:
    return {"metadata": {"name": name}, "data": data}


async def create(cluster: Cluster, namespace: str, obj: Object, plural: str = "configmaps", **more: Any) -> Any:
    return await cluster.request("POST", f"/api/v1/namespaces/{namespace}/{plural}", obj, **more)


async def until(probe: Any, what: str) -> Any:
    """The first true answer of an async `probe`."""
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        found = await probe()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.02)
