"""Who a pod of a StatefulSet is: its ordinal, name, labels, host name and claims.  Pure."""

from __future__ import annotations

import re

from controllers.podtemplate import pod_from_template
from controllers.statefulset_claims import claim_name
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.pod import Pod, PodTemplateSpec

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
REVISION = "controller-revision-hash"
_NAME = re.compile(r"(.*)-([0-9]{1,9})", re.ASCII | re.DOTALL)


def parent_of(pod_name: str) -> str:
    """The name of the set a pod of this name would belong to; "" for none."""
    match = _NAME.fullmatch(pod_name)
    return match[1] if match else ""


def ordinal_of(pod: Pod) -> int:
    """-1 for a pod without an ordinal."""
    match = _NAME.fullmatch(pod.metadata.name)
    return int(match[2]) if match else -1


def revision_of(pod: Pod) -> str:
    """The name of the ControllerRevision the pod was made of."""
    return pod.metadata.labels.get(REVISION, "")


def ordinals(stateful_set: StatefulSet) -> range:
    """The ordinals that should have a pod."""
    start = stateful_set.spec.ordinals.start if stateful_set.spec.ordinals else 0
    return range(start, start + replicas_of(stateful_set))


def replicas_of(stateful_set: StatefulSet) -> int:
    return 1 if stateful_set.spec.replicas is None else stateful_set.spec.replicas


def identity_labels(stateful_set: StatefulSet, ordinal: int) -> dict[str, str]:
    return {POD_NAME: f"{stateful_set.metadata.name}-{ordinal}", POD_INDEX: str(ordinal)}


def lacks_identity(stateful_set: StatefulSet, pod: Pod) -> bool:
    """An adopted pod may not say yet who it is."""
    return not identity_labels(stateful_set, ordinal_of(pod)).items() <= pod.metadata.labels.items()


def pod_for(stateful_set: StatefulSet, template: PodTemplateSpec, revision: str, ordinal: int) -> Pod:
    """The pod to create for `ordinal`, of a template that has the revision of that name."""
    pod = pod_from_template(stateful_set, template)
    name = f"{stateful_set.metadata.name}-{ordinal}"
    labels = {**pod.metadata.labels, **identity_labels(stateful_set, ordinal), REVISION: revision}
    spec = pod.spec.to_dict()
    spec["hostname"], spec["subdomain"] = name, stateful_set.spec.serviceName
    claims = {
        one.metadata.name: {
            "name": one.metadata.name,
            "persistentVolumeClaim": {"claimName": claim_name(stateful_set, one, ordinal)},
        }
        for one in stateful_set.spec.volumeClaimTemplates
    }
    others = [volume for volume in spec.get("volumes", []) if volume["name"] not in claims]
    spec["volumes"] = [*claims.values(), *others]
    metadata = {**pod.metadata.to_dict(), "name": name, "labels": labels}
    metadata.pop("generateName", None)
    return Pod.model_validate({"metadata": metadata, "spec": spec})
