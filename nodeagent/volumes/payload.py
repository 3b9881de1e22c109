"""What the files of configMap, secret, downwardAPI and projected volumes contain.

Pure: objects and tokens are handed in.  A missing source or key that is not optional raises VolumeError with
upstream's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nodeagent.pods.downward import FieldUnavailable, NodeFacts, container_resource, pod_field
from nodeagent.volumes.atomic import File
from tiphys.api.core.pod import Pod
from tiphys.api.core.references import KeyToPath
from tiphys.api.core.volumes import DownwardAPIVolumeFile, Volume

Data = Mapping[str, bytes]


class VolumeError(Exception):
    """Why a volume cannot be set up; the text follows `MountVolume.SetUp failed for volume "x" : `."""


@dataclass(frozen=True)
class TokenRequest:
    """One service account token that a projected volume wants."""

    audience: str
    expiration_seconds: int


@dataclass(frozen=True)
class VolumeSources:
    """The objects the volumes of a pod name, as far as they exist, and the tokens made for it."""

    config_maps: Mapping[str, Data] = field(default_factory=dict)
    secrets: Mapping[str, Data] = field(default_factory=dict)
    tokens: Mapping[TokenRequest, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PodFacts:
    """What the downward API needs beside the pod."""

    node: NodeFacts
    pod_ips: tuple[str, ...] = ()


def references(pod: Pod) -> tuple[set[str], set[str], set[TokenRequest]]:
    """Names of ConfigMaps, names of Secrets, and tokens that the pod's volumes need."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    tokens: set[TokenRequest] = set()
    for volume in pod.spec.volumes:
        if volume.configMap is not None:
            config_maps.add(volume.configMap.name)
        if volume.secret is not None:
            secrets.add(volume.secret.secretName)
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.configMap is not None:
                config_maps.add(source.configMap.name)
            if source.secret is not None:
                secrets.add(source.secret.name)
            if source.serviceAccountToken is not None:
                token = source.serviceAccountToken
                tokens.add(TokenRequest(token.audience, token.expirationSeconds or 3600))
    return config_maps, secrets, tokens


def payload(pod: Pod, volume: Volume, sources: VolumeSources, facts: PodFacts) -> dict[str, File]:
    """Relative path -> File for one volume of the four kinds.  Raises VolumeError."""
    if volume.configMap is not None:
        config = volume.configMap
        data = sources.config_maps.get(config.name)
        return _keys("configmap", pod, config.name, data, config.items, config.optional, _mode(config.defaultMode))
    if volume.secret is not None:
        secret = volume.secret
        data = sources.secrets.get(secret.secretName)
        return _keys("secret", pod, secret.secretName, data, secret.items, secret.optional, _mode(secret.defaultMode))
    if volume.downwardAPI is not None:
        return _downward(pod, volume.downwardAPI.items, facts, _mode(volume.downwardAPI.defaultMode))
    return _projected(pod, volume, sources, facts)


def _projected(pod: Pod, volume: Volume, sources: VolumeSources, facts: PodFacts) -> dict[str, File]:
    assert volume.projected is not None
    mode = _mode(volume.projected.defaultMode)
    files: dict[str, File] = {}
    for source in volume.projected.sources:
        if source.configMap is not None:
            ref = source.configMap
            data = sources.config_maps.get(ref.name)
            files.update(_keys("configmap", pod, ref.name, data, ref.items, ref.optional, mode))
        elif source.secret is not None:
            secret = source.secret
            data = sources.secrets.get(secret.name)
            files.update(_keys("secret", pod, secret.name, data, secret.items, secret.optional, mode))
        elif source.downwardAPI is not None:
            files.update(_downward(pod, source.downwardAPI.items, facts, mode))
        elif source.serviceAccountToken is not None:
            token = source.serviceAccountToken
            text = sources.tokens.get(TokenRequest(token.audience, token.expirationSeconds or 3600))
            if text is None:
                raise VolumeError("failed to fetch token: the API server gave none")
            files[token.path] = File(text.encode(), *_token_owner(pod, mode))
        elif source.clusterTrustBundle is not None and source.clusterTrustBundle.optional:
            files[source.clusterTrustBundle.path] = File(b"", mode)
        else:
            kind = "clusterTrustBundle" if source.clusterTrustBundle is not None else "podCertificate"
            raise VolumeError(f"projected sources of type {kind} are not supported on this node")
    return files


def _token_owner(pod: Pod, mode: int) -> tuple[int, int]:
    """Tokens are 0600 to the one user of all containers, else readable as the volume says (group with fsGroup)."""
    context = pod.spec.securityContext
    if context is not None and context.fsGroup is not None:
        return 0o600, -1
    users = set()
    for container in [*pod.spec.containers, *pod.spec.initContainers]:
        own = container.securityContext
        user = own.runAsUser if own is not None and own.runAsUser is not None else None
        if user is None and context is not None:
            user = context.runAsUser
        users.add(user)
    if len(users) == 1 and None not in users:
        user = users.pop()
        return 0o600, -1 if user is None else user
    return mode, -1


def _mode(value: int | None) -> int:
    return 0o644 if value is None else value


def _keys(
    kind: str, pod: Pod, name: str, data: Data | None, items: Sequence[KeyToPath], optional: bool | None, mode: int
) -> dict[str, File]:
    if data is None:
        if optional:
            return {}
        raise VolumeError(f'{kind} "{name}" not found')
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    files = {}
    for item in items:
        if item.key in data:
            files[item.path] = File(data[item.key], mode if item.mode is None else item.mode)
        elif not optional:
            word = "config" if kind == "configmap" else "secret"
            raise VolumeError(f"{kind} references non-existent {word} key: {item.key}")
    return files


def _downward(pod: Pod, items: Sequence[DownwardAPIVolumeFile], facts: PodFacts, mode: int) -> dict[str, File]:
    files = {}
    for item in items:
        try:
            if item.fieldRef is not None:
                text = pod_field(pod, item.fieldRef.fieldPath, facts.node, facts.pod_ips)
            else:
                text = _resource(pod, item, facts)
        except FieldUnavailable as error:
            raise VolumeError(str(error)) from error
        files[item.path] = File(text.encode(), mode if item.mode is None else item.mode)
    return files


def _resource(pod: Pod, item: DownwardAPIVolumeFile, facts: PodFacts) -> str:
    ref = item.resourceFieldRef
    for container in [*pod.spec.containers, *pod.spec.initContainers]:
        if ref is not None and container.name == ref.containerName:
            return container_resource(container, ref.resource, ref.divisor or "", facts.node)
    raise FieldUnavailable(f"container {ref.containerName if ref else ''} not found")
