"""Where a pod may and would rather run: node selectors, affinity, taints, spreading."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model, Time, default
from tiphys.api.meta import LabelSelector


class NodeSelectorRequirement(Model, name="io.k8s.api.core.v1.NodeSelectorRequirement"):
    """One rule about a node's labels or fields."""

    key: Annotated[str, At(1, required=True)] = ""
    operator: Annotated[str, At(2, required=True, enum=("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"))] = ""
    values: Annotated[list[str], At(3)] = []


class NodeSelectorTerm(Model, name="io.k8s.api.core.v1.NodeSelectorTerm", atomic=True):
    """Rules that must all hold; an empty term selects nothing."""

    matchExpressions: Annotated[list[NodeSelectorRequirement], At(1)] = []
    matchFields: Annotated[list[NodeSelectorRequirement], At(2)] = []


class NodeSelector(Model, name="io.k8s.api.core.v1.NodeSelector", atomic=True):
    """Terms of which one must hold."""

    nodeSelectorTerms: Annotated[list[NodeSelectorTerm], At(1, required=True)] = []


class PreferredSchedulingTerm(Model, name="io.k8s.api.core.v1.PreferredSchedulingTerm"):
    """A term with the weight it adds to a node."""

    weight: Annotated[Int32, At(1, required=True)] = 0
    preference: Annotated[NodeSelectorTerm, At(2, required=True)] = default(NodeSelectorTerm)


class NodeAffinity(Model, name="io.k8s.api.core.v1.NodeAffinity"):
    """Which nodes a pod needs and which it prefers."""

    requiredDuringSchedulingIgnoredDuringExecution: Annotated[NodeSelector | None, At(1)] = None
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[PreferredSchedulingTerm], At(2)] = []


class PodAffinityTerm(Model, name="io.k8s.api.core.v1.PodAffinityTerm"):
    """Pods to be near to, or far from, and what near means."""

    labelSelector: Annotated[LabelSelector | None, At(1)] = None
    namespaces: Annotated[list[str], At(2)] = []
    topologyKey: Annotated[str, At(3, required=True)] = ""
    namespaceSelector: Annotated[LabelSelector | None, At(4)] = None
    matchLabelKeys: Annotated[list[str], At(5)] = []
    mismatchLabelKeys: Annotated[list[str], At(6)] = []


class WeightedPodAffinityTerm(Model, name="io.k8s.api.core.v1.WeightedPodAffinityTerm"):
    """A pod term with the weight it adds to a node."""

    weight: Annotated[Int32, At(1, required=True)] = 0
    podAffinityTerm: Annotated[PodAffinityTerm, At(2, required=True)] = default(PodAffinityTerm)


class PodAffinity(Model, name="io.k8s.api.core.v1.PodAffinity"):
    """Which pods a pod needs or prefers near it."""

    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm], At(1)] = []
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[WeightedPodAffinityTerm], At(2)] = []


class PodAntiAffinity(Model, name="io.k8s.api.core.v1.PodAntiAffinity"):
    """Which pods a pod must not or would rather not have near it."""

    requiredDuringSchedulingIgnoredDuringExecution: Annotated[list[PodAffinityTerm], At(1)] = []
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[list[WeightedPodAffinityTerm], At(2)] = []


class Affinity(Model, name="io.k8s.api.core.v1.Affinity"):
    """Where a pod needs or prefers to be."""

    nodeAffinity: Annotated[NodeAffinity | None, At(1)] = None
    podAffinity: Annotated[PodAffinity | None, At(2)] = None
    podAntiAffinity: Annotated[PodAntiAffinity | None, At(3)] = None


class Taint(Model, name="io.k8s.api.core.v1.Taint"):
    """Keeps pods away from a node unless they tolerate it."""

    key: Annotated[str, At(1, required=True)] = ""
    value: Annotated[str, At(2)] = ""
    effect: Annotated[str, At(3, required=True, enum=("NoExecute", "NoSchedule", "PreferNoSchedule"))] = ""
    timeAdded: Annotated[Time | None, At(4)] = None


class Toleration(Model, name="io.k8s.api.core.v1.Toleration"):
    """Lets a pod stand a taint."""

    key: Annotated[str, At(1, "The taint's key; empty means every key.")] = ""
    operator: Annotated[str, At(2, "Exists, or Equal if not given.", enum=("Equal", "Exists", "Gt", "Lt"))] = ""
    value: Annotated[str, At(3, "The taint's value.")] = ""
    effect: Annotated[
        str,
        At(4, "The taint's effect; empty means every effect.", enum=("NoExecute", "NoSchedule", "PreferNoSchedule")),
    ] = ""
    tolerationSeconds: Annotated[
        int | None,
        At(5, "How long a NoExecute taint is tolerated; for ever if not given."),
    ] = None


class TopologySpreadConstraint(Model, name="io.k8s.api.core.v1.TopologySpreadConstraint"):
    """How evenly the pods of a group are spread over zones, nodes or the like."""

    maxSkew: Annotated[Int32, At(1, required=True)] = 0
    topologyKey: Annotated[str, At(2, required=True)] = ""
    whenUnsatisfiable: Annotated[str, At(3, required=True, enum=("DoNotSchedule", "ScheduleAnyway"))] = ""
    labelSelector: Annotated[LabelSelector | None, At(4)] = None
    minDomains: Annotated[Int32 | None, At(5)] = None
    nodeAffinityPolicy: Annotated[str | None, At(6, enum=("Honor", "Ignore"))] = None
    nodeTaintsPolicy: Annotated[str | None, At(7, enum=("Honor", "Ignore"))] = None
    matchLabelKeys: Annotated[list[str], At(8)] = []


class TopologySelectorLabelRequirement(Model, name="io.k8s.api.core.v1.TopologySelectorLabelRequirement"):
    """One rule about a topology label."""

    key: Annotated[str, At(1, required=True)] = ""
    values: Annotated[list[str], At(2, required=True)] = []


class TopologySelectorTerm(Model, name="io.k8s.api.core.v1.TopologySelectorTerm", atomic=True):
    """Rules about topology labels that must all hold."""

    matchLabelExpressions: Annotated[list[TopologySelectorLabelRequirement], At(1)] = []
