"""Binding: the decision that a pod runs on a node."""

from typing import Annotated

from tiphys.api.core.references import ObjectReference
from tiphys.api.declaration import At, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ObjectMeta


@kind(plural="bindings", verbs=("create",))
class Binding(Object, name="io.k8s.api.core.v1.Binding"):
    """Binds a pod to a node."""

    apiVersion: str = "v1"
    kind: str = "Binding"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    target: Annotated[ObjectReference, At(2, required=True)] = default(ObjectReference)
