"""A wish of ten years: a workload rolls when a ConfigMap or Secret that its pods use changes.

For Deployments, StatefulSets and DaemonSets with the annotation `tiphys.dev/rollout-on-change: "true"`.  A hash over
what the pod template refers to stands in an annotation of the template, so the workload's own controller does the
rolling, with all its care, and an undo is an undo.

What must stay true: the hash is of content alone, so touching an object rolls nothing; a first hash on a workload
that was just made costs one early rollout at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import orjson

from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.pod import PodSpec
from tiphys.api.core.secret import Secret
from tiphys.client.cache import Key, key_of
from tiphys.client.controller import Controller, Model, Writes

ASKED = "tiphys.dev/rollout-on-change"
HASH = "tiphys.dev/config-hash"

Reference = tuple[str, str]
"""("ConfigMap" or "Secret", name)"""


def references(spec: PodSpec) -> set[Reference]:
    """Everything the pods of a template read: volumes, projected ones too, env and envFrom."""
    found: set[Reference] = set()
    for volume in spec.volumes:
        if volume.configMap is not None:
            found.add(("ConfigMap", volume.configMap.name))
        if volume.secret is not None:
            found.add(("Secret", volume.secret.secretName))
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.configMap is not None:
                found.add(("ConfigMap", source.configMap.name))
            if source.secret is not None:
                found.add(("Secret", source.secret.name))
    for container in [*spec.initContainers, *spec.containers]:
        for whole in container.envFrom:
            if whole.configMapRef is not None:
                found.add(("ConfigMap", whole.configMapRef.name))
            if whole.secretRef is not None:
                found.add(("Secret", whole.secretRef.name))
        for variable in container.env:
            chosen = variable.valueFrom
            if chosen is not None and chosen.configMapKeyRef is not None:
                found.add(("ConfigMap", chosen.configMapKeyRef.name))
            if chosen is not None and chosen.secretKeyRef is not None:
                found.add(("Secret", chosen.secretKeyRef.name))
    return {(kind, name) for kind, name in found if name}


def content_hash(contents: Mapping[Reference, Any]) -> str:
    """Of what the references hold; None stands for an object that is not there."""
    ordered = [[kind, name, contents[kind, name]] for kind, name in sorted(contents)]
    return hashlib.sha256(orjson.dumps(ordered, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def asks(workload: Any) -> bool:
    return bool(workload.metadata.annotations.get(ASKED) == "true")


class RolloutOnChange(Controller):
    """The form of the three controllers below: one per kind of workload."""

    reads = (ConfigMap, Secret)

    def setup(self) -> None:
        self.on(ConfigMap, lambda held: self._users(("ConfigMap", held.metadata.name), held.metadata.namespace))
        self.on(Secret, lambda held: self._users(("Secret", held.metadata.name), held.metadata.namespace))

    def _users(self, reference: Reference, namespace: str) -> Iterable[Key]:
        for workload in self.cache(self.kind).list(namespace):
            if asks(workload) and reference in references(workload.spec.template.spec):
                yield key_of(workload)

    def _content(self, namespace: str, reference: Reference) -> Any:
        kind, name = reference
        if kind == "ConfigMap":
            held = self.cache(ConfigMap).get(namespace, name)
            return None if held is None else [held.data, held.binaryData]
        secret = self.cache(Secret).get(namespace, name)
        return None if secret is None else secret.data

    async def reconcile(self, key: Key) -> float | None:
        workload = self.cache(self.kind).get(*key)
        if workload is None or not asks(workload) or workload.metadata.deletionTimestamp:
            return None
        contents = {one: self._content(key.namespace, one) for one in references(workload.spec.template.spec)}
        if any(content is None for content in contents.values()):
            return None  # something is being replaced; its return brings us back
        wanted, held = content_hash(contents), workload.spec.template.metadata.annotations.get(HASH)
        if wanted == held or (held is None and not contents):
            return None
        template = {"metadata": {"annotations": {HASH: wanted}}}
        patch = {"metadata": {"resourceVersion": workload.metadata.resourceVersion}, "spec": {"template": template}}
        await self.client.patch(self.kind, key.name, key.namespace, patch)
        if held is not None:
            message = "Rolling out: a ConfigMap or Secret the pod template uses has changed"
            self.events.event(workload, "Normal", "ConfigurationChanged", message, source=self.name)
        return None


def _writes(model: Model) -> tuple[Writes, ...]:
    return (Writes(model, ("patch",)),)


class DeploymentRolloutOnChange(RolloutOnChange):
    name: ClassVar = "deployment-rollout-on-change-controller"
    kind = Deployment
    writes = _writes(Deployment)


class StatefulSetRolloutOnChange(RolloutOnChange):
    name: ClassVar = "statefulset-rollout-on-change-controller"
    kind = StatefulSet
    writes = _writes(StatefulSet)


class DaemonSetRolloutOnChange(RolloutOnChange):
    name: ClassVar = "daemonset-rollout-on-change-controller"
    kind = DaemonSet
    writes = _writes(DaemonSet)
