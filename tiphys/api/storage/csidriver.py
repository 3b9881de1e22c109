"""CSIDriver: what a storage driver can do and asks for."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class TokenRequest(Model, name="io.k8s.api.storage.v1.TokenRequest"):
    """A token the driver wants for the pods it serves."""

    audience: Annotated[str, At(1, required=True)] = ""
    expirationSeconds: Annotated[int | None, At(2)] = None


class CSIDriverSpec(Model, name="io.k8s.api.storage.v1.CSIDriverSpec"):
    """What a storage driver can do and asks for."""

    attachRequired: Annotated[bool | None, At(1)] = None
    podInfoOnMount: Annotated[bool | None, At(2)] = None
    volumeLifecycleModes: Annotated[list[str], At(3, list_type="set")] = []
    storageCapacity: Annotated[bool | None, At(4)] = None
    fsGroupPolicy: Annotated[str | None, At(5)] = None
    tokenRequests: Annotated[list[TokenRequest], At(6)] = []
    requiresRepublish: Annotated[bool | None, At(7)] = None
    seLinuxMount: Annotated[bool | None, At(8)] = None
    nodeAllocatableUpdatePeriodSeconds: Annotated[int | None, At(9)] = None
    serviceAccountTokenInSecrets: Annotated[bool | None, At(10)] = None
    preventPodSchedulingIfMissing: Annotated[bool | None, At(11)] = None


@kind(plural="csidrivers", namespaced=False)
class CSIDriver(Object, name="io.k8s.api.storage.v1.CSIDriver"):
    """A storage driver that is installed in the cluster."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "CSIDriver"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[CSIDriverSpec, At(2, required=True)] = default(CSIDriverSpec)


class CSIDriverList(Object, name="io.k8s.api.storage.v1.CSIDriverList"):
    """A list of CSIDriver objects."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "CSIDriverList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[CSIDriver], At(2, required=True, list_type="")] = []
