"""DaemonSet: one pod on every node that fits."""

from typing import Annotated

from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Int32, IntOrString, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class RollingUpdateDaemonSet(Model, name="io.k8s.api.apps.v1.RollingUpdateDaemonSet"):
    """How many pods of a daemon set may be missing or doubled during an update."""

    maxUnavailable: Annotated[IntOrString | None, At(1)] = None
    maxSurge: Annotated[IntOrString | None, At(2)] = None


class DaemonSetUpdateStrategy(Model, name="io.k8s.api.apps.v1.DaemonSetUpdateStrategy"):
    """How the pods of a daemon set are replaced."""

    type: Annotated[str, At(1, enum=("OnDelete", "RollingUpdate"))] = ""
    rollingUpdate: Annotated[RollingUpdateDaemonSet | None, At(2)] = None


class DaemonSetSpec(Model, name="io.k8s.api.apps.v1.DaemonSetSpec"):
    """What a daemon set is to be."""

    selector: Annotated[LabelSelector | None, At(1, required=True)] = None
    template: Annotated[PodTemplateSpec, At(2, required=True)] = default(PodTemplateSpec)
    updateStrategy: Annotated[DaemonSetUpdateStrategy, At(3)] = default(DaemonSetUpdateStrategy)
    minReadySeconds: Annotated[Int32, At(4)] = 0
    revisionHistoryLimit: Annotated[Int32 | None, At(6)] = None


class DaemonSetCondition(Model, name="io.k8s.api.apps.v1.DaemonSetCondition"):
    """One aspect of a daemon set's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class DaemonSetStatus(Model, name="io.k8s.api.apps.v1.DaemonSetStatus"):
    """On how many nodes a daemon set runs."""

    currentNumberScheduled: Annotated[Int32, At(1, required=True)] = 0
    numberMisscheduled: Annotated[Int32, At(2, required=True)] = 0
    desiredNumberScheduled: Annotated[Int32, At(3, required=True)] = 0
    numberReady: Annotated[Int32, At(4, required=True)] = 0
    observedGeneration: Annotated[int, At(5)] = 0
    updatedNumberScheduled: Annotated[Int32, At(6)] = 0
    numberAvailable: Annotated[Int32, At(7)] = 0
    numberUnavailable: Annotated[Int32, At(8)] = 0
    collisionCount: Annotated[Int32 | None, At(9)] = None
    conditions: Annotated[list[DaemonSetCondition], At(10, keys=("type",), merge="type")] = []


@kind(
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    generation=True,
    subresources=(SubresourceInfo("status"),),
)
class DaemonSet(Object, name="io.k8s.api.apps.v1.DaemonSet"):
    """Keeps one pod running on every node that fits."""

    apiVersion: str = "apps/v1"
    kind: str = "DaemonSet"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[DaemonSetSpec, At(2)] = default(DaemonSetSpec)
    status: Annotated[DaemonSetStatus, At(3)] = default(DaemonSetStatus)


class DaemonSetList(Object, name="io.k8s.api.apps.v1.DaemonSetList"):
    """A list of DaemonSet objects."""

    apiVersion: str = "apps/v1"
    kind: str = "DaemonSetList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[DaemonSet], At(2, required=True, list_type="")] = []
