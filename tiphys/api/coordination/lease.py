"""Lease: a lock with a holder and a term."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, MicroTime, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class LeaseSpec(Model, name="io.k8s.api.coordination.v1.LeaseSpec"):
    """Who holds a lease, since when and for how long."""

    holderIdentity: Annotated[str | None, At(1, "Who holds the lease.")] = None
    leaseDurationSeconds: Annotated[Int32 | None, At(2, "How long the lease lasts after it was renewed.")] = None
    acquireTime: Annotated[MicroTime | None, At(3, "When its holder got it.")] = None
    renewTime: Annotated[MicroTime | None, At(4, "When it was last renewed.")] = None
    leaseTransitions: Annotated[Int32 | None, At(5, "How often its holder changed.")] = None
    strategy: Annotated[str | None, At(6)] = None
    preferredHolder: Annotated[str | None, At(7)] = None


@kind(plural="leases")
class Lease(Object, name="io.k8s.api.coordination.v1.Lease"):
    """A lock with a holder that must renew it."""

    apiVersion: str = "coordination.k8s.io/v1"
    kind: str = "Lease"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[LeaseSpec, At(2)] = default(LeaseSpec)


class LeaseList(Object, name="io.k8s.api.coordination.v1.LeaseList"):
    """A list of Lease objects."""

    apiVersion: str = "coordination.k8s.io/v1"
    kind: str = "LeaseList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Lease], At(2, required=True, list_type="")] = []
