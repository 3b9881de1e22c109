"""Short ways to write claims, volumes and classes."""

from __future__ import annotations

from typing import Any

from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import BIND_COMPLETED
from tiphys.api.storage.storageclass import StorageClass

ONCE = ("ReadWriteOnce",)


def claim(
    name: str = "data",
    size: str = "1Gi",
    *,
    storage_class: str | None = "",
    modes: tuple[str, ...] = ONCE,
    bound_to: str = "",
    annotations: dict[str, str] | None = None,
    phase: str = "",
    **spec: Any,
) -> PersistentVolumeClaim:
    notes = {**(annotations or {}), **({BIND_COMPLETED: "yes"} if bound_to else {})}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    if bound_to:
        spec["volumeName"] = bound_to
    return PersistentVolumeClaim.model_validate(
        {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": notes},
            "spec": {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, **spec},
            "status": {"phase": phase or ("Bound" if bound_to else "Pending")},
        }
    )


def reference(of: PersistentVolumeClaim, *, uid: str | None = None) -> dict[str, Any]:
    own = of.metadata.uid if uid is None else uid
    return {"kind": "PersistentVolumeClaim", "namespace": "default", "name": of.metadata.name, "uid": own}


def volume(
    name: str = "v",
    size: str = "1Gi",
    *,
    storage_class: str = "",
    modes: tuple[str, ...] = ONCE,
    phase: str = "Available",
    node: str = "",
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> PersistentVolume:
    if node:
        on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}}
    return PersistentVolume.model_validate(
        {
            "metadata": {"name": name, "uid": f"uid-{name}", **(metadata or {})},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": list(modes),
                "storageClassName": storage_class,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": f"/srv/{name}"},
                **spec,
            },
            "status": {"phase": phase},
        }
    )


def storage_class(name: str = "fast", *, waits: bool = False, default: bool = False, **fields: Any) -> StorageClass:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return StorageClass.model_validate(
        {
            "metadata": {"name": name, "annotations": notes},
            "provisioner": "example.com/disk",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer" if waits else "Immediate",
            **fields,
        }
    )
