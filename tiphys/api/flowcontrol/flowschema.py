"""FlowSchema: which requests share a priority level and a queue."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class PriorityLevelConfigurationReference(Model, name="io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationReference"):
    """Names a priority level."""

    name: Annotated[str, At(1, required=True)] = ""


class FlowDistinguisherMethod(Model, name="io.k8s.api.flowcontrol.v1.FlowDistinguisherMethod"):
    """What tells the flows of a schema apart."""

    type: Annotated[str, At(1, required=True)] = ""


class UserSubject(Model, name="io.k8s.api.flowcontrol.v1.UserSubject"):
    """A user, by name."""

    name: Annotated[str, At(1, required=True)] = ""


class GroupSubject(Model, name="io.k8s.api.flowcontrol.v1.GroupSubject"):
    """A group of users, by name."""

    name: Annotated[str, At(1, required=True)] = ""


class ServiceAccountSubject(Model, name="io.k8s.api.flowcontrol.v1.ServiceAccountSubject"):
    """A service account, or all of a namespace."""

    namespace: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(2, required=True)] = ""


class Subject(Model, name="io.k8s.api.flowcontrol.v1.Subject", atomic=True):
    """Whose requests are meant."""

    kind: Annotated[str, At(1, required=True)] = ""
    user: Annotated[UserSubject | None, At(2)] = None
    group: Annotated[GroupSubject | None, At(3)] = None
    serviceAccount: Annotated[ServiceAccountSubject | None, At(4)] = None


class ResourcePolicyRule(Model, name="io.k8s.api.flowcontrol.v1.ResourcePolicyRule"):
    """Requests for resources."""

    verbs: Annotated[list[str], At(1, required=True, list_type="set")] = []
    apiGroups: Annotated[list[str], At(2, required=True, list_type="set")] = []
    resources: Annotated[list[str], At(3, required=True, list_type="set")] = []
    clusterScope: Annotated[bool, At(4)] = False
    namespaces: Annotated[list[str], At(5, always=True, list_type="set")] = []


class NonResourcePolicyRule(Model, name="io.k8s.api.flowcontrol.v1.NonResourcePolicyRule"):
    """Requests for paths that are no resources."""

    verbs: Annotated[list[str], At(1, required=True, list_type="set")] = []
    nonResourceURLs: Annotated[list[str], At(6, required=True, list_type="set")] = []


class PolicyRulesWithSubjects(Model, name="io.k8s.api.flowcontrol.v1.PolicyRulesWithSubjects"):
    """Which requests of whom."""

    subjects: Annotated[list[Subject], At(1, required=True)] = []
    resourceRules: Annotated[list[ResourcePolicyRule], At(2)] = []
    nonResourceRules: Annotated[list[NonResourcePolicyRule], At(3)] = []


class FlowSchemaSpec(Model, name="io.k8s.api.flowcontrol.v1.FlowSchemaSpec"):
    """Which requests go to which priority level."""

    priorityLevelConfiguration: Annotated[
        PriorityLevelConfigurationReference,
        At(1, required=True),
    ] = default(PriorityLevelConfigurationReference)
    matchingPrecedence: Annotated[Int32, At(2, always=True)] = 0
    distinguisherMethod: Annotated[FlowDistinguisherMethod | None, At(3)] = None
    rules: Annotated[list[PolicyRulesWithSubjects], At(4)] = []


class FlowSchemaCondition(Model, name="io.k8s.api.flowcontrol.v1.FlowSchemaCondition"):
    """One aspect of a flow schema's state."""

    type: Annotated[str, At(1)] = ""
    status: Annotated[str, At(2)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class FlowSchemaStatus(Model, name="io.k8s.api.flowcontrol.v1.FlowSchemaStatus"):
    """What became of a flow schema."""

    conditions: Annotated[list[FlowSchemaCondition], At(1, keys=("type",), merge="type")] = []


@kind(plural="flowschemas", namespaced=False, generation=True, subresources=(SubresourceInfo("status"),))
class FlowSchema(Object, name="io.k8s.api.flowcontrol.v1.FlowSchema"):
    """Puts requests into flows of a priority level."""

    apiVersion: str = "flowcontrol.apiserver.k8s.io/v1"
    kind: str = "FlowSchema"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[FlowSchemaSpec, At(2)] = default(FlowSchemaSpec)
    status: Annotated[FlowSchemaStatus, At(3)] = default(FlowSchemaStatus)


class FlowSchemaList(Object, name="io.k8s.api.flowcontrol.v1.FlowSchemaList"):
    """A list of FlowSchema objects."""

    apiVersion: str = "flowcontrol.apiserver.k8s.io/v1"
    kind: str = "FlowSchemaList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[FlowSchema], At(2, required=True, list_type="")] = []
