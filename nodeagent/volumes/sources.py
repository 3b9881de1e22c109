"""The kinds of volumes that this node cannot provide, by the words it says that with."""

from __future__ import annotations

from tiphys.api.core.persistentvolume import PersistentVolumeSource
from tiphys.api.core.volumes import VolumeSource


def source_name(source: VolumeSource | PersistentVolumeSource) -> str:
    """The field that says what the volume is: "nfs", "csi" ...; "" when none is set."""
    of = VolumeSource if isinstance(source, VolumeSource) else PersistentVolumeSource
    return next((name for name in of.model_fields if getattr(source, name) is not None), "")


def unsupported(source: VolumeSource | PersistentVolumeSource) -> str:
    """Why there will be no such volume here."""
    if source.csi is not None:
        return (
            f"kubernetes.io/csi: driver name {source.csi.driver} not found in the list of registered CSI drivers: "
            "this node does not support CSI drivers"
        )
    name = source_name(source)
    return f"volumes of type {name} are not supported on this node" if name else "no volume plugin matched"
