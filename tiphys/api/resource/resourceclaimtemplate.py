"""ResourceClaimTemplate: a claim for every pod."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta
from tiphys.api.resource.resourceclaim import ResourceClaimSpec


class ResourceClaimTemplateSpec(Model, name="io.k8s.api.resource.v1.ResourceClaimTemplateSpec"):
    """What the claims made from a template are like."""

    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ResourceClaimSpec, At(2, required=True)] = default(ResourceClaimSpec)


@kind(plural="resourceclaimtemplates")
class ResourceClaimTemplate(Object, name="io.k8s.api.resource.v1.ResourceClaimTemplate"):
    """Makes a claim for every pod that names it."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "ResourceClaimTemplate"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ResourceClaimTemplateSpec, At(2, required=True)] = default(ResourceClaimTemplateSpec)


class ResourceClaimTemplateList(Object, name="io.k8s.api.resource.v1.ResourceClaimTemplateList"):
    """A list of ResourceClaimTemplate objects."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "ResourceClaimTemplateList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ResourceClaimTemplate], At(2, required=True, list_type="")] = []
