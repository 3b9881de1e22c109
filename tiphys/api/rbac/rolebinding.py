"""RoleBinding and ClusterRoleBinding: who may do what a role allows."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class RoleRef(Model, name="io.k8s.api.rbac.v1.RoleRef", atomic=True):
    """Names the role of a binding; cannot be changed."""

    apiGroup: Annotated[str, At(1, always=True)] = ""
    kind: Annotated[str, At(2, required=True)] = ""
    name: Annotated[str, At(3, required=True)] = ""


class Subject(Model, name="io.k8s.api.rbac.v1.Subject", atomic=True):
    """A user, a group or a service account."""

    kind: Annotated[str, At(1, required=True)] = ""
    apiGroup: Annotated[str, At(2)] = ""
    name: Annotated[str, At(3, required=True)] = ""
    namespace: Annotated[str, At(4)] = ""


@kind(plural="rolebindings")
class RoleBinding(Object, name="io.k8s.api.rbac.v1.RoleBinding"):
    """Gives subjects what a role allows in one namespace."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "RoleBinding"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    subjects: Annotated[list[Subject], At(2)] = []
    roleRef: Annotated[RoleRef, At(3, required=True)] = default(RoleRef)


class RoleBindingList(Object, name="io.k8s.api.rbac.v1.RoleBindingList"):
    """A list of RoleBinding objects."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "RoleBindingList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[RoleBinding], At(2, required=True, list_type="")] = []


@kind(plural="clusterrolebindings", namespaced=False)
class ClusterRoleBinding(Object, name="io.k8s.api.rbac.v1.ClusterRoleBinding"):
    """Gives subjects what a cluster role allows everywhere."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "ClusterRoleBinding"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    subjects: Annotated[list[Subject], At(2)] = []
    roleRef: Annotated[RoleRef, At(3, required=True)] = default(RoleRef)


class ClusterRoleBindingList(Object, name="io.k8s.api.rbac.v1.ClusterRoleBindingList"):
    """A list of ClusterRoleBinding objects."""

    apiVersion: str = "rbac.authorization.k8s.io/v1"
    kind: str = "ClusterRoleBindingList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ClusterRoleBinding], At(2, required=True, list_type="")] = []
