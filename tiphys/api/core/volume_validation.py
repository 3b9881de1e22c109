"""Volumes: a name, exactly one source, paths that stay inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.container_validation import FIELD_PATHS, field_ref_errors, resource_field_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import duplicate, forbidden_field, invalid, required

Object = Mapping[str, Any]

# In the order in which upstream looks at them: the first one found is the volume's type, the others are refused.
SOURCES = (
    *("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi"),
    *("glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc"),
    *("flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk"),
    *("storageos", "projected", "scaleIO", "csi", "ephemeral", "image"),
)
HOST_PATH_TYPES = (
    *("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"),
)
DOWNWARD_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_MIN_TOKEN_SECONDS, _MAX_TOKEN_SECONDS = 600, 2**32


def volumes_errors(path: str, volumes: Sequence[Object]) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        here, name = f"{path}[{index}]", volume.get("name", "")
        problems = check.name(f"{here}.name", name, is_dns1123_label)
        if not problems and name in names:
            problems = [duplicate(f"{here}.name", name)]
        names.add(name)
        errors += problems + _source(here, volume)
    return errors


def _source(path: str, volume: Object) -> Errors:
    given = [source for source in SOURCES if volume.get(source) is not None]
    if not given:
        return [required(path, "must specify a volume type")]
    errors = [forbidden_field(f"{path}.{extra}", "may not specify more than 1 volume type") for extra in given[1:]]
    checker = _CHECKERS.get(given[0])
    return errors + (checker(f"{path}.{given[0]}", volume[given[0]]) if checker else [])


def mode_errors(path: str, mode: int | None) -> Errors:
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(path, mode, _MODE_TEXT)]


def _empty_dir(path: str, source: Object) -> Errors:
    errors: Errors = []
    limit = source.get("sizeLimit")
    if limit is not None and parse_quantity(limit) < 0:
        errors.append(forbidden_field(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))
    medium = source.get("medium", "")
    if medium not in ("", "Memory") and not medium.startswith("HugePages"):
        errors += check.one_of(f"{path}.medium", medium, ("", "Memory", "HugePages"))
    return errors


def _host_path(path: str, source: Object) -> Errors:
    if not source.get("path"):
        return [required(f"{path}.path")]
    errors = check.no_backsteps(f"{path}.path", source["path"])
    return errors + check.one_of(f"{path}.type", source.get("type") or "", HOST_PATH_TYPES)


def _git_repo(path: str, source: Object) -> Errors:
    return [forbidden_field(path, "gitRepo volumes are not supported; clone in an init container into an emptyDir")]


def _secret(path: str, source: Object) -> Errors:
    errors = [] if source.get("secretName") else [required(f"{path}.secretName")]
    return errors + mode_errors(f"{path}.defaultMode", source.get("defaultMode")) + _items(path, source)


def _config_map(path: str, source: Object) -> Errors:
    errors = [] if source.get("name") else [required(f"{path}.name")]
    return errors + mode_errors(f"{path}.defaultMode", source.get("defaultMode")) + _items(path, source)


def _items(path: str, source: Object) -> Errors:
    return check.each(f"{path}.items", source.get("items"), _key_to_path)


def _key_to_path(path: str, item: Object) -> Errors:
    errors = [required(f"{path}.key")] if not item.get("key") else []
    return (
        errors + file_path_errors(f"{path}.path", item.get("path", "")) + mode_errors(f"{path}.mode", item.get("mode"))
    )


def file_path_errors(path: str, value: str) -> Errors:
    """The path of a file that a volume makes: relative, no steps up, and not ours (`..data`)."""
    if not value:
        return [required(path)]
    errors = check.relative_path(path, value) + check.no_null_byte(path, value)
    if value.startswith("..") and not errors:
        errors.append(invalid(path, value, "must not start with '..'"))
    return errors


def _downward_api(path: str, source: Object) -> Errors:
    errors = mode_errors(f"{path}.defaultMode", source.get("defaultMode"))
    return errors + check.each(f"{path}.items", source.get("items"), _downward_file)


def _downward_file(path: str, item: Object) -> Errors:
    errors = file_path_errors(f"{path}.path", item.get("path", "")) + mode_errors(f"{path}.mode", item.get("mode"))
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None and resource is not None:
        errors.append(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif field is not None:
        supported = tuple(sorted({*DOWNWARD_FIELDS, *FIELD_PATHS[:3]}))
        errors += field_ref_errors(f"{path}.fieldRef", field, supported, ("metadata.labels", "metadata.annotations"))
    elif resource is not None:
        errors += resource_field_errors(f"{path}.resourceFieldRef", resource, needs_container=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors


def _projected(path: str, source: Object) -> Errors:
    errors = mode_errors(f"{path}.defaultMode", source.get("defaultMode"))
    errors += check.each(f"{path}.sources", source.get("sources"), _projection)
    return errors + _clashes(path, source.get("sources") or [])


def _projection(path: str, source: Object) -> Errors:
    given = [kind for kind in _PROJECTIONS if source.get(kind) is not None]
    errors = [forbidden_field(f"{path}.{kind}", "may not specify more than 1 volume type") for kind in given[1:]]
    if not given:
        return [required(path, "must specify a volume type")]
    return errors + _PROJECTIONS[given[0]](f"{path}.{given[0]}", source[given[0]])


def _named_projection(path: str, source: Object) -> Errors:
    errors = [] if source.get("name") else [required(f"{path}.name")]
    return errors + _items(path, source)


def _token(path: str, source: Object) -> Errors:
    errors: Errors = []
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < _MIN_TOKEN_SECONDS:
        errors.append(invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    elif seconds is not None and seconds > _MAX_TOKEN_SECONDS:
        errors.append(
            invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        )
    return errors + file_path_errors(f"{path}.path", source.get("path", ""))


def _trust_bundle(path: str, source: Object) -> Errors:
    return file_path_errors(f"{path}.path", source.get("path", ""))


def _certificate(path: str, source: Object) -> Errors:
    return [] if source.get("signerName") else [required(f"{path}.signerName")]


def _clashes(path: str, sources: Sequence[Object]) -> Errors:
    """Two files at one path."""
    seen: set[str] = set()
    errors: Errors = []
    for index, source in enumerate(sources):
        for kind, body in source.items():
            files = [item.get("path", "") for item in body.get("items") or []] or [body.get("path", "")]
            for file in files:
                if file and file in seen:
                    text = f"conflicting duplicate paths: {file}"
                    errors.append(invalid(f"{path}.sources[{index}].{kind}.path", file, text))
                seen.add(file)
    return errors


def _claim(path: str, source: Object) -> Errors:
    return check.name(f"{path}.claimName", source.get("claimName", ""), is_dns1123_subdomain)


def _image(path: str, source: Object) -> Errors:
    errors = [] if source.get("reference") else [required(f"{path}.reference")]
    return errors + check.one_of(
        f"{path}.pullPolicy", source.get("pullPolicy", ""), ("Always", "IfNotPresent", "Never")
    )


_PROJECTIONS = {
    "secret": _named_projection,
    "configMap": _named_projection,
    "downwardAPI": _downward_api,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _trust_bundle,
    "podCertificate": _certificate,
}
_CHECKERS = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": _git_repo,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward_api,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "image": _image,
}
