"""ServiceAccount: a pod runs as an account of its namespace and gets a token for it, unless one of them says no.

What must stay true: a mirror pod never gets a token; the account must exist before the pod does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.registry.objectmeta import random_suffix
from apiserver.resources import Resources

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3600 + 7  # one hour and a recognisable rest: only this plugin asks for it
DEFAULT_ATTEMPTS = 10
RETRY_SECONDS = 0.1
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class ServiceAccount(Plugin):
    kinds = frozenset({("", "pods")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or not attributes.is_for("", "pods") or attributes.subresource:
            return
        pod = attributes.obj
        assert pod is not None
        if MIRROR_ANNOTATION in pod["metadata"].get("annotations", {}):
            return
        spec = pod.setdefault("spec", {})
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._resources.peek("", "serviceaccounts", attributes.namespace, name)
        account = account or await self._account(attributes.namespace, name)
        if account is None:
            text = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
            raise attributes.refuse(text)
        if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        if _wants_token(spec, account):
            _mount_token(spec)

    async def _account(self, namespace: str, name: str) -> Obj | None:
        """The account as of now; for that of a new namespace, which a controller is about to make, wait a little."""
        for attempt in range(DEFAULT_ATTEMPTS if name == "default" else 1):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS)
            if account := await self._resources.lookup("", "serviceaccounts", namespace, name):
                return account
        return None

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or not attributes.is_for("", "pods") or attributes.subresource:
            return
        pod = attributes.obj
        assert pod is not None
        if MIRROR_ANNOTATION in pod["metadata"].get("annotations", {}):
            if pod["spec"].get("serviceAccountName"):
                raise attributes.refuse("a mirror pod may not reference service accounts")
            if any(_projects_token(volume) for volume in pod["spec"].get("volumes", [])):
                raise attributes.refuse("a mirror pod may not use ServiceAccountToken volume projections")


def _projects_token(volume: Obj) -> bool:
    return any("serviceAccountToken" in source for source in volume.get("projected", {}).get("sources", []))


def _wants_token(spec: Obj, account: Obj) -> bool:
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken")
    return True if wanted is None else bool(wanted)


def _mount_token(spec: Obj) -> None:
    """Add the volume and mount it wherever nothing is mounted at its place yet."""
    volume = next((one["name"] for one in spec.get("volumes", []) if one["name"].startswith(VOLUME_PREFIX)), "")
    name = volume or VOLUME_PREFIX + random_suffix()
    needed = False
    for container in [*spec.get("initContainers", []), *spec.get("containers", [])]:
        mounts = container.setdefault("volumeMounts", [])
        if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            continue
        mounts.append({"name": name, "readOnly": True, "mountPath": MOUNT_PATH})
        needed = True
    if needed and not volume:
        spec.setdefault("volumes", []).append(_token_volume(name))


def _token_volume(name: str) -> dict[str, Any]:
    namespace_field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace_field}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}
