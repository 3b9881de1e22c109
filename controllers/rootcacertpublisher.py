"""Every active namespace has a ConfigMap kube-root-ca.crt with the CA that signs the API server's certificate.

Pods mount it to know whom they talk to; so it is put back when somebody changes or deletes it.
"""

from __future__ import annotations

from typing import ClassVar

from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.namespace import Namespace
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.errors import ApiError

NAME = "kube-root-ca.crt"
FIELD = "ca.crt"
DESCRIPTION = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed "
    "across distributions of Kubernetes clusters."
}


class RootCACertPublisher(Controller):
    name: ClassVar = "root-ca-certificate-publisher-controller"
    kind = Namespace
    reads = (ConfigMap,)
    writes = (Writes(ConfigMap, ("create", "patch")),)

    def __init__(self, environment: Environment, ca: str = "") -> None:
        super().__init__(environment)
        self.ca = ca or environment.client.config.ca_data.decode("ascii")

    def setup(self) -> None:
        self.on(ConfigMap, lambda held: [Key("", held.metadata.namespace)] if held.metadata.name == NAME else [])

    async def reconcile(self, key: Key) -> float | None:
        namespace = self.cache(Namespace).get(*key)
        if namespace is None or namespace.metadata.deletionTimestamp or namespace.status.phase == "Terminating":
            return None
        held = self.cache(ConfigMap).get(key.name, NAME)
        try:
            if held is None:
                metadata = {"name": NAME, "namespace": key.name, "annotations": DESCRIPTION}
                await self.client.create(ConfigMap.model_validate({"metadata": metadata, "data": {FIELD: self.ca}}))
            elif held.data != {FIELD: self.ca}:
                surplus = dict.fromkeys((name for name in held.data if name != FIELD), None)
                patch = {"metadata": {"annotations": DESCRIPTION}, "data": {**surplus, FIELD: self.ca}}
                await self.client.patch(ConfigMap, NAME, key.name, patch)
        except ApiError as error:
            if not error.already_exists and not error.namespace_terminating:
                raise
        return None
