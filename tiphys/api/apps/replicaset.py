"""ReplicaSet: a number of equal pods."""

from typing import Annotated

from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class ReplicaSetSpec(Model, name="io.k8s.api.apps.v1.ReplicaSetSpec"):
    """What a replica set is to be."""

    replicas: Annotated[Int32 | None, At(1, "How many pods are wanted. 1 if not given.")] = None
    minReadySeconds: Annotated[Int32, At(4, "How long a pod must be ready to count as available.")] = 0
    selector: Annotated[
        LabelSelector | None,
        At(2, "Which pods are its own; cannot be changed.", required=True),
    ] = None
    template: Annotated[PodTemplateSpec, At(3, "What its pods are like.")] = default(PodTemplateSpec)


class ReplicaSetCondition(Model, name="io.k8s.api.apps.v1.ReplicaSetCondition"):
    """One aspect of a replica set's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class ReplicaSetStatus(Model, name="io.k8s.api.apps.v1.ReplicaSetStatus"):
    """How many pods a replica set has."""

    replicas: Annotated[Int32, At(1, required=True)] = 0
    fullyLabeledReplicas: Annotated[Int32, At(2)] = 0
    readyReplicas: Annotated[Int32, At(4)] = 0
    availableReplicas: Annotated[Int32, At(5)] = 0
    terminatingReplicas: Annotated[Int32 | None, At(7)] = None
    observedGeneration: Annotated[int, At(3)] = 0
    conditions: Annotated[list[ReplicaSetCondition], At(6, keys=("type",), merge="type")] = []


@kind(
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    generation=True,
    subresources=(
        SubresourceInfo("scale", "Scale", group="autoscaling"),
        SubresourceInfo("status"),
    ),
)
class ReplicaSet(Object, name="io.k8s.api.apps.v1.ReplicaSet"):
    """Keeps a number of equal pods running."""

    apiVersion: str = "apps/v1"
    kind: str = "ReplicaSet"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ReplicaSetSpec, At(2)] = default(ReplicaSetSpec)
    status: Annotated[ReplicaSetStatus, At(3)] = default(ReplicaSetStatus)


class ReplicaSetList(Object, name="io.k8s.api.apps.v1.ReplicaSetList"):
    """A list of ReplicaSet objects."""

    apiVersion: str = "apps/v1"
    kind: str = "ReplicaSetList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ReplicaSet], At(2, required=True, list_type="")] = []
