"""VolumeRestrictions: a claim with the access mode ReadWriteOncePod serves one pod in the whole cluster."""

from __future__ import annotations

import numpy as np

from scheduler.framework import Verdict
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot
from tiphys.api.core.volume_binding import READ_WRITE_ONCE_POD, claims_of
from tiphys.client.cache import Key

REASON = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class VolumeRestrictions:
    name = "VolumeRestrictions"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        namespace = pod.pod.metadata.namespace
        wanted = {name for name in claims_of(pod.pod).values() if _is_exclusive(snapshot, Key(namespace, name))}
        if not wanted:
            return None
        for other in snapshot.placed_pods():
            same = other.pod.metadata.namespace == namespace and other.uid != pod.uid
            if same and wanted & set(claims_of(other.pod).values()):
                return Verdict(np.zeros(len(snapshot), np.bool_), lambda _: (REASON,))
        return None


def _is_exclusive(snapshot: Snapshot, key: Key) -> bool:
    claim = snapshot.storage.claims.get(key)
    return claim is not None and READ_WRITE_ONCE_POD in claim.spec.accessModes
