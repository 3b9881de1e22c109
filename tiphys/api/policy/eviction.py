"""Eviction: the request to delete a pod if its disruption budget allows."""

from typing import Annotated

from tiphys.api.declaration import At, Object, default
from tiphys.api.meta import DeleteOptions, ObjectMeta


class Eviction(Object, name="io.k8s.api.policy.v1.Eviction"):
    """Asks to delete a pod if its disruption budget allows it."""

    apiVersion: str = "policy/v1"
    kind: str = "Eviction"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    deleteOptions: Annotated[DeleteOptions | None, At(2)] = None
