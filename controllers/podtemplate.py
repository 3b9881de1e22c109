"""Making pods from a pod template: what every workload controller does the same way."""

from __future__ import annotations

from tiphys.api.core.pod import Pod, PodTemplateSpec
from tiphys.client.ownership import owner_reference
from tiphys.client.resources import ApiObject


def pod_from_template(owner: ApiObject, template: PodTemplateSpec) -> Pod:
    """A pod to create: the template's labels, annotations, finalizers and spec, a generated name, one controller."""
    return Pod.model_validate(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{owner.metadata.name}-",
                "namespace": owner.metadata.namespace,
                "labels": dict(template.metadata.labels),
                "annotations": dict(template.metadata.annotations),
                "finalizers": list(template.metadata.finalizers),
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": template.spec.to_dict(),
        }
    )
