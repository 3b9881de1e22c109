"""The volumes of a pod or a pod template, each with the sentence that says what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Source = Mapping[str, Any]


def volume_lines(volumes: Sequence[Source] | None, *, indent: str = "") -> Iterator[str]:
    """`Volumes:` and one block each; a template's blocks stand one further in, their fields do not."""
    yield f"{indent}Volumes:" if volumes else f"{indent}Volumes:\t<none>"
    for volume in volumes or ():
        yield f"  {indent[:1]}{volume['name']}:"
        kind = next((key for key in volume if key != "name"), "emptyDir")
        describe = _SOURCES.get(kind)
        found = describe(volume.get(kind) or {}) if describe else iter([f"Type:\t{kind[:1].upper()}{kind[1:]}"])
        for line in found:
            yield f"    {line}"


def _flag(source: Source, field: str) -> str:
    return "true" if source.get(field) else "false"


def _host_path(source: Source) -> Iterator[str]:
    yield "Type:\tHostPath (bare host directory volume)"
    yield f"Path:\t{source.get('path', '')}"
    yield f"HostPathType:\t{source.get('type') or ''}"


def _empty_dir(source: Source) -> Iterator[str]:
    yield "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)"
    yield f"Medium:\t{source.get('medium') or ''}"
    yield f"SizeLimit:\t{source.get('sizeLimit') or '<unset>'}"


def _secret(source: Source) -> Iterator[str]:
    yield "Type:\tSecret (a volume populated by a Secret)"
    yield f"SecretName:\t{source.get('secretName', '')}"
    yield f"Optional:\t{_flag(source, 'optional')}"


def _config_map(source: Source) -> Iterator[str]:
    yield "Type:\tConfigMap (a volume populated by a ConfigMap)"
    yield f"Name:\t{source.get('name', '')}"
    yield f"Optional:\t{_flag(source, 'optional')}"


def _projected(source: Source) -> Iterator[str]:
    yield "Type:\tProjected (a volume that contains injected data from multiple sources)"
    for item in source.get("sources") or ():
        if "secret" in item:
            yield f"SecretName:\t{item['secret'].get('name', '')}"
            yield f"Optional:\t{_flag(item['secret'], 'optional')}"
        elif "downwardAPI" in item:
            yield "DownwardAPI:\ttrue"
        elif "configMap" in item:
            yield f"ConfigMapName:\t{item['configMap'].get('name', '')}"
            yield f"Optional:\t{_flag(item['configMap'], 'optional')}"
        elif "serviceAccountToken" in item:
            yield f"TokenExpirationSeconds:\t{item['serviceAccountToken'].get('expirationSeconds', '')}"


def _downward(source: Source) -> Iterator[str]:
    yield "Type:\tDownwardAPI (a volume populated by information about the pod)"
    yield "Items:"
    for item in source.get("items") or ():
        if "fieldRef" in item:
            yield f"  {item['fieldRef'].get('fieldPath', '')} -> {item.get('path', '')}"
        if "resourceFieldRef" in item:
            yield f"  {item['resourceFieldRef'].get('resource', '')} -> {item.get('path', '')}"


def _claim(source: Source) -> Iterator[str]:
    yield "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)"
    yield f"ClaimName:\t{source.get('claimName', '')}"
    yield f"ReadOnly:\t{_flag(source, 'readOnly')}"


def _nfs(source: Source) -> Iterator[str]:
    yield "Type:\tNFS (an NFS mount that lasts the lifetime of a pod)"
    yield f"Server:\t{source.get('server', '')}"
    yield f"Path:\t{source.get('path', '')}"
    yield f"ReadOnly:\t{_flag(source, 'readOnly')}"


def _image(source: Source) -> Iterator[str]:
    yield "Type:\tImage (a container image or OCI artifact)"
    yield f"Reference:\t{source.get('reference', '')}"
    yield f"PullPolicy:\t{source.get('pullPolicy', '')}"


_SOURCES: Mapping[str, Callable[[Source], Iterator[str]]] = {
    "hostPath": _host_path,
    "emptyDir": _empty_dir,
    "secret": _secret,
    "configMap": _config_map,
    "projected": _projected,
    "downwardAPI": _downward,
    "persistentVolumeClaim": _claim,
    "nfs": _nfs,
    "image": _image,
}
