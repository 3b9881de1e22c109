"""Role and ClusterRole: what may be done."""

from typing import Annotated

from tiphys.api.declaration import NULL_IS_EMPTY, At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class PolicyRule(Model, name="io.k8s.api.rbac.v1.PolicyRule"):
    """Verbs allowed on resources or paths."""

    verbs: Annotated[list[str], At(1, required=True)] = []
    apiGroups: Annotated[list[str], At(2)] = []
    resources: Annotated[list[str], At(3)] = []
    resourceNames: Annotated[list[str], At(4)] = []
    nonResourceURLs: Annotated[list[str], At(5)] = []


@kind(plural="roles")
class Role(Object, name="io.k8s.api.rbac.v1.Role"):
    """What may be done in one namespace."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "Role"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    rules: Annotated[list[PolicyRule], At(2, always=True), NULL_IS_EMPTY] = []


class RoleList(Object, name="io.k8s.api.rbac.v1.RoleList"):
    """A list of Role objects."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "RoleList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Role], At(2, required=True, list_type="")] = []


class AggregationRule(Model, name="io.k8s.api.rbac.v1.AggregationRule"):
    """Which cluster roles this one is put together from."""

    clusterRoleSelectors: Annotated[list[LabelSelector], At(1)] = []


@kind(plural="clusterroles", namespaced=False)
class ClusterRole(Object, name="io.k8s.api.rbac.v1.ClusterRole"):
    """What may be done in the whole cluster, or in any namespace it is bound in."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "ClusterRole"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    rules: Annotated[list[PolicyRule], At(2, always=True), NULL_IS_EMPTY] = []
    aggregationRule: Annotated[AggregationRule | None, At(3)] = None


class ClusterRoleList(Object, name="io.k8s.api.rbac.v1.ClusterRoleList"):
    """A list of ClusterRole objects."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "ClusterRoleList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ClusterRole], At(2, required=True, list_type="")] = []
