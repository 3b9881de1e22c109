"""Leases nobody renews any more go: of API servers that are gone, and of nodes that were deleted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from controllers.nodelifecycle import LEASE_NAMESPACE
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.node import Node
from tiphys.api.times import parse_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes

IDENTITY_LABEL = "apiserver.kubernetes.io/identity"
NODE_GRACE = timedelta(hours=1)


def expires_in_seconds(lease: Lease, now: datetime) -> float:
    """Seconds until the lease's holder has let it run out; one that was never renewed counts from its creation."""
    renewed = lease.spec.renewTime or lease.metadata.creationTimestamp
    if not renewed:
        return 0.0
    return (parse_time(renewed) - now).total_seconds() + (lease.spec.leaseDurationSeconds or 0)


class LeaseGarbageController(Controller):
    name: ClassVar = "lease-garbage-collector-controller"
    kind = Lease
    reads = (Node,)
    writes = (Writes(Lease, ("delete",)),)

    async def reconcile(self, key: Key) -> float | None:
        lease = self.cache(Lease).get(*key)
        if lease is None:
            return None
        left_seconds = expires_in_seconds(lease, self.clock.now())
        if key.namespace == LEASE_NAMESPACE:
            left_seconds += NODE_GRACE.total_seconds()
            if left_seconds <= 0 and self.cache(Node).get("", key.name) is not None:
                return NODE_GRACE.total_seconds()
        elif IDENTITY_LABEL not in lease.metadata.labels:
            return None
        if left_seconds > 0:
            return left_seconds + 0.01
        version = lease.metadata.resourceVersion
        await self.client.delete(Lease, key.name, key.namespace, uid=lease.metadata.uid, resource_version=version)
        return None
