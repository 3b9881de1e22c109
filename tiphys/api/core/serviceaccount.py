"""ServiceAccount: the identity of processes in pods."""

from typing import Annotated

from tiphys.api.core.references import LocalObjectReference, ObjectReference
from tiphys.api.declaration import At, Object, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(
    plural="serviceaccounts",
    short_names=("sa",),
    subresources=(SubresourceInfo("token", "TokenRequest", group="authentication.k8s.io", verbs=("create",)),),
)
class ServiceAccount(Object, name="io.k8s.api.core.v1.ServiceAccount"):
    """The identity of the processes in pods."""

    apiVersion: str = "v1"
    kind: str = "ServiceAccount"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    secrets: Annotated[list[ObjectReference], At(2, keys=("name",), merge="name")] = []
    imagePullSecrets: Annotated[list[LocalObjectReference], At(3)] = []
    automountServiceAccountToken: Annotated[bool | None, At(4)] = None


class ServiceAccountList(Object, name="io.k8s.api.core.v1.ServiceAccountList"):
    """A list of ServiceAccount objects."""

    apiVersion: str = "v1"
    kind: str = "ServiceAccountList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ServiceAccount], At(2, required=True, list_type="")] = []
