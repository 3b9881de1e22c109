"""IngressClass: who serves an Ingress."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class IngressClassParametersReference(Model, name="io.k8s.api.networking.v1.IngressClassParametersReference"):
    """Names the parameters of an ingress class."""

    apiGroup: Annotated[str | None, At(1)] = None
    kind: Annotated[str, At(2, required=True)] = ""
    name: Annotated[str, At(3, required=True)] = ""
    scope: Annotated[str | None, At(4, always=True)] = None
    namespace: Annotated[str | None, At(5)] = None


class IngressClassSpec(Model, name="io.k8s.api.networking.v1.IngressClassSpec"):
    """Who serves the ingresses of a class."""

    controller: Annotated[str, At(1)] = ""
    parameters: Annotated[IngressClassParametersReference | None, At(2)] = None


@kind(plural="ingressclasses", namespaced=False, generation=True)
class IngressClass(Object, name="io.k8s.api.networking.v1.IngressClass"):
    """A class of ingresses, served by one controller."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "IngressClass"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[IngressClassSpec, At(2)] = default(IngressClassSpec)


class IngressClassList(Object, name="io.k8s.api.networking.v1.IngressClassList"):
    """A list of IngressClass objects."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "IngressClassList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[IngressClass], At(2, required=True, list_type="")] = []
