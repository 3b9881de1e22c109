"""PodTemplate: a pod template kept as an object of its own."""

from typing import Annotated

from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="podtemplates")
class PodTemplate(Object, name="io.k8s.api.core.v1.PodTemplate"):
    """A pod template kept as an object."""

    apiVersion: str = "v1"
    kind: str = "PodTemplate"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    template: Annotated[PodTemplateSpec, At(2)] = default(PodTemplateSpec)


class PodTemplateList(Object, name="io.k8s.api.core.v1.PodTemplateList"):
    """A list of PodTemplate objects."""

    apiVersion: str = "v1"
    kind: str = "PodTemplateList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PodTemplate], At(2, required=True, list_type="")] = []
