"""The environment, command line and hostname of a container.

Pure: the ConfigMaps, Secrets and Services it refers to are handed in (`References` says which).  Later sources win
over earlier ones: image, service links, envFrom, env.  A missing source that is not optional raises ConfigError with
upstream's text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nodeagent.pods.downward import FieldUnavailable, NodeFacts, container_resource, pod_field
from nodeagent.pods.expansion import expand
from tiphys.api.core.container import Container
from tiphys.api.core.env import EnvVar, EnvVarSource
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service

MAX_HOSTNAME = 64  # of the kernel


class ConfigError(Exception):
    """CreateContainerConfigError: the text is the message in the container's status."""


@dataclass(frozen=True)
class Sources:
    """The objects a container's environment may name, as far as they exist."""

    config_maps: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)  # name -> data and binaryData
    secrets: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    services: Sequence[Service] = ()  # of the pod's namespace, and `kubernetes` of default
    api_server: tuple[str, int] = ("", 0)  # stands in for the Service `kubernetes` while there is none


def referenced(container: Container) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that the container's env and envFrom name."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for source in container.envFrom:
        if source.configMapRef is not None:
            config_maps.add(source.configMapRef.name)
        if source.secretRef is not None:
            secrets.add(source.secretRef.name)
    for variable in container.env:
        value = variable.valueFrom
        if value is not None and value.configMapKeyRef is not None:
            config_maps.add(value.configMapKeyRef.name)
        if value is not None and value.secretKeyRef is not None:
            secrets.add(value.secretKeyRef.name)
    return config_maps, secrets


def environment(
    pod: Pod, container: Container, sources: Sources, node: NodeFacts, pod_ips: tuple[str, ...]
) -> dict[str, str]:
    """The variables of `container` (without the image's), in order.  Raises ConfigError."""
    services = service_environment(pod, sources)
    result: dict[str, str] = {}
    for source in container.envFrom:
        result.update(_env_from(pod, source, sources))
    known = dict(services)
    known.update(result)
    for variable in container.env:
        value = _value(pod, container, variable, known, sources, node, pod_ips)
        if value is not None:
            result[variable.name] = known[variable.name] = value
    return {**{k: v for k, v in services.items() if k not in result}, **result}


def _env_from(pod: Pod, source: object, sources: Sources) -> dict[str, str]:
    config_map = getattr(source, "configMapRef", None)
    reference = config_map or getattr(source, "secretRef", None)
    if reference is None:
        return {}
    data = (sources.config_maps if config_map is not None else sources.secrets).get(reference.name)
    if data is None:
        if reference.optional:
            return {}
        kind = "configmap" if config_map is not None else "secret"
        raise ConfigError(f'{kind} "{reference.name}" not found')
    prefix = getattr(source, "prefix", "")
    return {prefix + key: _text(value) for key, value in data.items() if key and "=" not in key}


def _value(
    pod: Pod,
    container: Container,
    variable: EnvVar,
    known: Mapping[str, str],
    sources: Sources,
    node: NodeFacts,
    pod_ips: tuple[str, ...],
) -> str | None:
    """The variable's value; None when an optional source lacks it."""
    source = variable.valueFrom
    if source is None:
        return expand(variable.value, known)
    try:
        if source.fieldRef is not None:
            return pod_field(pod, source.fieldRef.fieldPath, node, pod_ips)
        if source.resourceFieldRef is not None:
            ref = source.resourceFieldRef
            target = _container_named(pod, ref.containerName) or container
            return container_resource(target, ref.resource, ref.divisor or "", node)
    except FieldUnavailable as error:
        raise ConfigError(str(error)) from error
    return _key_value(pod, source, sources)


def _key_value(pod: Pod, source: EnvVarSource, sources: Sources) -> str | None:
    if source.configMapKeyRef is not None:
        key, optional, name = source.configMapKeyRef.key, source.configMapKeyRef.optional, source.configMapKeyRef.name
        data, kind, word = sources.config_maps.get(name), "configmap", "ConfigMap"
    elif source.secretKeyRef is not None:
        key, optional, name = source.secretKeyRef.key, source.secretKeyRef.optional, source.secretKeyRef.name
        data, kind, word = sources.secrets.get(name), "secret", "Secret"
    else:
        raise ConfigError("env from a file (fileKeyRef) is not supported on this node")
    if data is not None and key in data:
        return _text(data[key])
    if optional:
        return None
    if data is None:
        raise ConfigError(f'{kind} "{name}" not found')
    raise ConfigError(f"couldn't find key {key} in {word} {pod.metadata.namespace}/{name}")


def _container_named(pod: Pod, name: str) -> Container | None:
    return next((c for c in [*pod.spec.containers, *pod.spec.initContainers] if name and c.name == name), None)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def service_environment(pod: Pod, sources: Sources) -> dict[str, str]:
    """{NAME}_SERVICE_HOST and friends; without service links only those of the Service `kubernetes`."""
    links = pod.spec.enableServiceLinks is not False
    result: dict[str, str] = {}
    found = False
    for service in sorted(sources.services, key=lambda s: s.metadata.name):
        master = service.metadata.name == "kubernetes" and service.metadata.namespace == "default"
        mine = service.metadata.namespace == pod.metadata.namespace
        if service.spec.clusterIP in ("", "None") or not (master or (links and mine)):
            continue
        found = found or master
        result.update(_service_variables(service))
    if not found and sources.api_server[0]:
        host, port = sources.api_server
        result.update(_link_variables("KUBERNETES", host, [("https", port, "TCP")]))
    return result


def _service_variables(service: Service) -> dict[str, str]:
    prefix = service.metadata.name.upper().replace("-", "_")
    ports = [(port.name, port.port, port.protocol or "TCP") for port in service.spec.ports]
    return _link_variables(prefix, service.spec.clusterIP, ports)


def _link_variables(prefix: str, host: str, ports: Iterable[tuple[str, int, str]]) -> dict[str, str]:
    result = {f"{prefix}_SERVICE_HOST": host}
    shown = f"[{host}]" if ":" in host else host
    for index, (name, port, protocol) in enumerate(ports):
        url = f"{protocol.lower()}://{shown}:{port}"
        if index == 0:
            result[f"{prefix}_SERVICE_PORT"] = str(port)
            result[f"{prefix}_PORT"] = url
        if name:
            result[f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}"] = str(port)
        link = f"{prefix}_PORT_{port}_{protocol}"
        result[link] = url
        result[f"{link}_PROTO"] = protocol.lower()
        result[f"{link}_PORT"] = str(port)
        result[f"{link}_ADDR"] = host
    return result


def command_line(
    container: Container, env: Mapping[str, str], entrypoint: Sequence[str], cmd: Sequence[str]
) -> tuple[str, ...]:
    """argv: command replaces the image's entrypoint and drops its cmd; args replace its cmd.

    Raises ConfigError if empty.
    """
    command = [expand(part, env) for part in container.command]
    args = [expand(part, env) for part in container.args]
    argv = command + args if command else [*entrypoint, *(args or cmd)]
    if not argv:
        raise ConfigError("no command specified")
    return tuple(argv)


def hostname(pod: Pod, node_name: str) -> str:
    """The pod's short name: hostnameOverride as it is, else hostname or the pod's name, at most 63 characters."""
    if pod.spec.hostNetwork:
        return node_name
    if pod.spec.hostnameOverride is not None:
        return pod.spec.hostnameOverride
    return (pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def domain(pod: Pod, cluster_domain: str) -> str:
    """The pod's own domain; "" without a subdomain."""
    if not pod.spec.subdomain or pod.spec.hostnameOverride is not None:
        return ""
    return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"


def kernel_hostname(pod: Pod, node_name: str, cluster_domain: str) -> str:
    """The name in the pod's UTS namespace: with setHostnameAsFQDN the whole one.  ConfigError if that is too long."""
    short, own_domain = hostname(pod, node_name), domain(pod, cluster_domain)
    if not pod.spec.setHostnameAsFQDN or not own_domain or pod.spec.hostNetwork:
        return short
    full = f"{short}.{own_domain}"
    if len(full) > MAX_HOSTNAME:
        raise ConfigError(
            f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
            f"({MAX_HOSTNAME} characters is the max, {len(full)} characters requested)"
        )
    return full


def object_bytes(data: Mapping[str, object], *, base64_encoded: bool) -> dict[str, bytes]:
    """The data of a ConfigMap (text) or a Secret or binaryData (base64) as bytes."""
    result = {}
    for key, value in data.items():
        if isinstance(value, bytes):
            result[key] = value
        elif base64_encoded:
            result[key] = base64.b64decode(str(value))
        else:
            result[key] = str(value).encode()
    return result
