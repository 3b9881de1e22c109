"""VolumeZone: a volume that is labelled with a zone or region is used on nodes of that zone or region only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.framework import Verdict
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot
from tiphys.api.core.volume_binding import claims_of
from tiphys.client.cache import Key

REASON = "node(s) had no available volume zone"
_TWINS = {
    "topology.kubernetes.io/zone": "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region": "failure-domain.beta.kubernetes.io/region",
}
_OTHER_NAME = {**_TWINS, **{old: new for new, old in _TWINS.items()}}


class VolumeZone:
    name = "VolumeZone"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        wanted = [
            (key, set(text.split("__")))
            for labels in _volume_labels(pod, snapshot)
            for key, text in labels.items()
            if key in _OTHER_NAME
        ]
        if not wanted:
            return None

        def passes(labels: Mapping[str, str]) -> bool:
            if not any(key in labels for key in _OTHER_NAME):
                return True  # a cluster without zones
            return all(labels.get(key, labels.get(_OTHER_NAME[key])) in values for key, values in wanted)

        passed = np.array([passes(labels) for labels in snapshot.labels], np.bool_)
        return Verdict(passed, lambda _: (REASON,), unresolvable=True)


def _volume_labels(pod: PodInfo, snapshot: Snapshot) -> list[Mapping[str, str]]:
    """The labels of the volumes that the pod's claims are bound to."""
    found: list[Mapping[str, str]] = []
    for name in claims_of(pod.pod).values():
        claim = snapshot.storage.claims.get(Key(pod.pod.metadata.namespace, name))
        volume = snapshot.storage.volumes.get(claim.spec.volumeName) if claim is not None else None
        if volume is not None:
            found.append(volume.metadata.labels)
    return found
