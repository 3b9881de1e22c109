"""kubelet_volume_stats_* and volume_manager_total_volumes, written at the moment of a scrape.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nodeagent.metrics.text import Page, labels
from nodeagent.stats.disk import VolumeUsage
from tiphys.api.core.pod import Pod

_FAMILIES = (
    ("kubelet_volume_stats_available_bytes", "Number of available bytes in the volume", "available_bytes"),
    ("kubelet_volume_stats_capacity_bytes", "Capacity in bytes of the volume", "capacity_bytes"),
    ("kubelet_volume_stats_inodes", "Maximum number of inodes in the volume", "inodes"),
    ("kubelet_volume_stats_inodes_free", "Number of free inodes in the volume", "inodes_free"),
    ("kubelet_volume_stats_inodes_used", "Number of used inodes in the volume", "inodes_used"),
    ("kubelet_volume_stats_used_bytes", "Number of used bytes in the volume", "used_bytes"),
)
_PLUGINS = {
    "emptyDir": "empty-dir",
    "hostPath": "host-path",
    "configMap": "configmap",
    "secret": "secret",
    "downwardAPI": "downward-api",
    "projected": "projected",
    "image": "image",
    "persistentVolumeClaim": "local-volume",
    "ephemeral": "local-volume",
}


def volume_page(claims: Iterable[tuple[str, VolumeUsage]], pods: Iterable[Pod]) -> bytes:
    """`claims` are (namespace, volume of a claim); a claim of several pods counts once."""
    page = Page()
    found = {(namespace, volume.claim): volume.own for namespace, volume in claims}
    for name, help, attribute in _FAMILIES:
        page.family(name, "gauge", f"[ALPHA] {help}")
        for (namespace, claim), own in sorted(found.items()):
            if own is not None:
                page.sample(labels(namespace=namespace, persistentvolumeclaim=claim), getattr(own, attribute))
    totals: Counter[str] = Counter()
    for pod in pods:
        for volume in pod.spec.volumes:
            plugin = next((name for source, name in _PLUGINS.items() if getattr(volume, source, None) is not None), "")
            totals[f"kubernetes.io/{plugin}"] += bool(plugin)
    page.family("volume_manager_total_volumes", "gauge", "[ALPHA] Number of volumes in Volume Manager")
    for plugin, count in sorted(totals.items()):
        for state in ("actual_state_of_world", "desired_state_of_world"):
            page.sample(labels(plugin_name=plugin, state=state), count)
    return page.body()
