"""ControllerRevision: a template a StatefulSet or DaemonSet once had."""

from typing import Annotated

from tiphys.api.declaration import At, Object, RawExtension, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="controllerrevisions")
class ControllerRevision(Object, name="io.k8s.api.apps.v1.ControllerRevision"):
    """A state a controller can go back to; never changed after it was made."""

    apiVersion: str = "apps/v1"
    kind: str = "ControllerRevision"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    data: Annotated[RawExtension, At(2, always=True)] = None
    revision: Annotated[int, At(3, required=True)] = 0


class ControllerRevisionList(Object, name="io.k8s.api.apps.v1.ControllerRevisionList"):
    """A list of ControllerRevision objects."""

    apiVersion: str = "apps/v1"
    kind: str = "ControllerRevisionList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ControllerRevision], At(2, required=True, list_type="")] = []
