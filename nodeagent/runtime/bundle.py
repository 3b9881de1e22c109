"""The bundle of a container: its root directory mounted and checked, its mounts resolved, its OCI configuration.

What must stay true: with a user namespace, layers and volumes are only ever shown through its mapping, and what we make
in the root directory belongs to the pod's root.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nodeagent.runtime import doors, idmap, rootfs
from nodeagent.runtime.facts import NodeFacts
from nodeagent.runtime.interface import ContainerSpec
from nodeagent.runtime.records import Record
from nodeagent.runtime.spec import oci_config


def make(spec: ContainerSpec, record: Record, facts: NodeFacts, cgroups_path: str) -> dict[str, Any]:
    """Mount the root directory; the config.json for it.  Raises RuntimeFailure, with mounts left to be cleaned."""
    directory = record.directory
    for path in (record.rootfs, directory / "upper", directory / "work"):
        path.mkdir(mode=0o755)
    if spec.namespaces.user:
        return _mapped(spec, record, facts, cgroups_path)
    rootfs.mount_overlay(spec.layers, directory / "upper", directory / "work", record.rootfs)
    mounts = rootfs.prepare(record.rootfs, spec.mounts, spec.cwd)
    return oci_config(spec, facts, rootfs=str(record.rootfs), cgroups_path=cgroups_path, mounts=mounts)


def _mapped(spec: ContainerSpec, record: Record, facts: NodeFacts, cgroups_path: str) -> dict[str, Any]:
    directory, user, base = record.directory, spec.namespaces.user, spec.namespaces.id_base
    upper = directory / "upper"
    idmap.give_to_pod(upper, base)
    with idmap.mapped_layers(spec.layers, directory / "lower", user) as layers:
        rootfs.mount_overlay(layers, upper, directory / "work", record.rootfs)
    mounts = rootfs.prepare(record.rootfs, spec.mounts, spec.cwd)
    idmap.give_to_pod(upper, base)
    door = doors.open_door(spec.id, base)
    doors.bind(str(record.rootfs), door / "rootfs")
    mounts = idmap.mapped_mounts(mounts, door, user)
    if spec.namespaces.shm:
        doors.bind(spec.namespaces.shm, door / "shm")
        spec = replace(spec, namespaces=replace(spec.namespaces, shm=str(door / "shm")))
    return oci_config(spec, facts, rootfs=str(door / "rootfs"), cgroups_path=cgroups_path, mounts=mounts)
