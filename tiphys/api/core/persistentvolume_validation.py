"""PersistentVolume: one source, a capacity, access modes; what a claim was bound to may not change under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.persistentvolume import PersistentVolumeSource
from tiphys.api.core.persistentvolumeclaim_validation import access_mode_errors, volume_mode_errors
from tiphys.api.core.scheduling_validation import node_selector_errors
from tiphys.api.declaration import struct_of
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
# In the order in which upstream looks at them: the first one found is the volume's type, the others are refused.
SOURCES = (
    *("hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte"),
    *("cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk"),
    *("portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi"),
)


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain)
    modes = spec.get("accessModes") or []
    errors += [] if modes else [required("spec.accessModes")]
    errors += access_mode_errors("spec.accessModes", modes)
    errors += _capacity(spec.get("capacity") or {})
    errors += check.one_of(
        "spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy", ""), RECLAIM_POLICIES
    )
    errors += _node_affinity(spec)
    errors += _sources(spec)
    errors += check.optional_name("spec.storageClassName", spec.get("storageClassName"), is_dns1123_subdomain)
    if spec.get("volumeMode") is not None:
        errors += volume_mode_errors("spec.volumeMode", spec["volumeMode"])
    name = spec.get("volumeAttributesClassName")
    errors += check.optional_name("spec.volumeAttributesClassName", name, is_dns1123_subdomain)
    if name is not None and spec.get("csi") is None:
        text = "has to be specified when using volumeAttributesClassName"
        errors.append(required("spec.csi", text))
    return errors


def _capacity(capacity: Mapping[str, str]) -> Errors:
    if not capacity:
        return [required("spec.capacity"), not_supported("spec.capacity", None, ("storage",))]
    errors: Errors = []
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported("spec.capacity", capacity, ("storage",)))
    for name, amount in capacity.items():
        if parse_quantity(amount) <= 0:
            errors.append(invalid(f"spec.capacity[{name}]", amount, "must be greater than zero"))
    return errors


def _node_affinity(spec: Object) -> Errors:
    affinity, path = spec.get("nodeAffinity"), "spec.nodeAffinity"
    if affinity is None:
        return [required(path, "Local volume requires node affinity")] if spec.get("local") is not None else []
    if affinity.get("required") is None:
        return [required(f"{path}.required", "must specify required node constraints")]
    return node_selector_errors(f"{path}.required", affinity["required"])


def _sources(spec: Object) -> Errors:
    given = [source for source in SOURCES if spec.get(source) is not None]
    if not given:
        return [required("spec", "must specify a volume type")]
    errors = [forbidden_field(f"spec.{extra}", "may not specify more than 1 volume type") for extra in given[1:]]
    checker = _CHECKERS.get(given[0])
    errors += checker(f"spec.{given[0]}", spec[given[0]]) if checker else []
    path = (spec.get("hostPath") or {}).get("path", "")
    if path.rstrip("/") == "" and path and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden_field("spec.persistentVolumeReclaimPolicy", text))
    return errors


def _host_path(path: str, source: Object) -> Errors:
    if not source.get("path"):
        return [required(f"{path}.path")]
    return check.no_backsteps(f"{path}.path", source["path"])


def _nfs(path: str, source: Object) -> Errors:
    errors = [required(f"{path}.{field}") for field in ("server", "path") if not source.get(field)]
    if source.get("path") and not source["path"].startswith("/"):
        errors.append(invalid(f"{path}.path", source["path"], "must be an absolute path"))
    return errors


def _local(path: str, source: Object) -> Errors:
    return check.no_backsteps(f"{path}.path", source["path"]) if source.get("path") else [required(f"{path}.path")]


def _csi(path: str, source: Object) -> Errors:
    errors = [required(f"{path}.{field}") for field in ("driver", "volumeHandle") if not source.get(field)]
    for field in ("controllerPublishSecretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"):
        reference = source.get(field)
        if reference is not None:
            errors += [required(f"{path}.{field}.{part}") for part in ("name", "namespace") if not reference.get(part)]
    return errors


_CHECKERS = {"hostPath": _host_path, "nfs": _nfs, "local": _local, "csi": _csi}


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate(new)
    names = struct_of(PersistentVolumeSource).fields
    changed = [f"  spec.{name} changed" for name in names if spec.get(name) != before.get(name)]
    if changed:
        text = "\n".join(["spec.persistentvolumesource is immutable after creation", *changed])
        errors.append(forbidden_field("spec.persistentvolumesource", text))
    errors += check.immutable("spec.volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    if before.get("nodeAffinity") is not None:
        errors += check.immutable("spec.nodeAffinity", spec.get("nodeAffinity"), before["nodeAffinity"])
    return errors
