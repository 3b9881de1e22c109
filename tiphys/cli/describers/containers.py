"""Containers and volumes, as pods and pod templates show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.cli.describers.parts import mapping, time_text


def template_lines(template: dict[str, Any]) -> list[str]:
    """`Pod Template:` with labels, containers and volumes."""
    spec = template["spec"]
    metadata = template.get("metadata") or {}
    lines = ["Pod Template:", *(f"  {line}" for line in mapping("Labels", metadata.get("labels")))]
    if metadata.get("annotations"):
        lines += [f"  {line}" for line in mapping("Annotations", metadata["annotations"], ": ")]
    if spec.get("serviceAccountName"):
        lines.append(f"  Service Account:\t{spec['serviceAccountName']}")
    if spec.get("initContainers"):
        lines += ["  Init Containers:", *_containers(spec["initContainers"], {}, indent="   ")]
    lines += ["  Containers:", *_containers(spec["containers"], {}, indent="   ")]
    lines += [f"  {line}" for line in volume_lines(spec)]
    lines += [f"  {line}" for line in mapping("Node-Selectors", spec.get("nodeSelector"))]
    return lines + [f"  {line}" for line in toleration_lines(spec)]


def container_lines(title: str, containers: list[dict[str, Any]], statuses: list[dict[str, Any]]) -> list[str]:
    """`Containers:` of a pod with what the node says of each."""
    by_name = {status["name"]: status for status in statuses}
    return [f"{title}:", *_containers(containers, by_name, indent="  ")] if containers else []


def _containers(containers: list[dict[str, Any]], statuses: dict[str, dict[str, Any]], *, indent: str) -> Iterator[str]:
    for container in containers:
        yield f"{indent}{container['name']}:"
        for line in _container(container, statuses.get(container["name"])):
            yield f"    {line}"


def _container(container: dict[str, Any], status: dict[str, Any] | None) -> Iterator[str]:
    if status:
        yield f"Container ID:\t{status.get('containerID', '')}"
    yield f"Image:\t{container.get('image', '')}"
    if status:
        yield f"Image ID:\t{status.get('imageID', '')}"
    ports = [f"{port['containerPort']}/{port.get('protocol', 'TCP')}" for port in container.get("ports") or []]
    hosts = [f"{port.get('hostPort', 0)}/{port.get('protocol', 'TCP')}" for port in container.get("ports") or []]
    plural = "s" if len(ports) > 1 else ""
    yield f"Port{plural}:\t{', '.join(ports) or '<none>'}"
    yield f"Host Port{plural}:\t{', '.join(hosts) or '<none>'}"
    for title, field in (("Command", "command"), ("Args", "args")):
        if container.get(field):
            yield f"{title}:"
            yield from (f"  {word}" for text in container[field] for word in text.splitlines() or [""])
    if status:
        yield from _state("State", status.get("state") or {})
        if status.get("lastState"):
            yield from _state("Last State", status["lastState"])
        yield f"Ready:\t{status.get('ready', False)}"
        yield f"Restart Count:\t{status.get('restartCount', 0)}"
    resources = container.get("resources") or {}
    for title, field in (("Limits", "limits"), ("Requests", "requests")):
        if resources.get(field):
            yield f"{title}:"
            yield from (f"  {name}:\t{amount}" for name, amount in sorted(resources[field].items()))
    for title, field in (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        if container.get(field):
            yield f"{title}:\t{probe_text(container[field])}"
    yield from _environment(container)
    mounts = container.get("volumeMounts") or []
    yield "Mounts:" if mounts else "Mounts:\t<none>"
    for mount in sorted(mounts, key=lambda item: item["mountPath"]):
        path = f',path="{mount["subPath"]}"' if mount.get("subPath") else ""
        yield f"  {mount['mountPath']} from {mount['name']} ({'ro' if mount.get('readOnly') else 'rw'}{path})"


def probe_text(probe: dict[str, Any]) -> str:
    """http-get http://:80/ delay=0s timeout=1s period=10s #success=1 #failure=3."""
    if "exec" in probe:
        action = f"exec [{' '.join(probe['exec'].get('command') or [])}]"
    elif "httpGet" in probe:
        http = probe["httpGet"]
        scheme = http.get("scheme", "HTTP").lower()
        action = f"http-get {scheme}://{http.get('host', '')}:{http['port']}{http.get('path', '')}"
    elif "tcpSocket" in probe:
        action = f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket']['port']}"
    else:
        action = f"grpc <pod>:{(probe.get('grpc') or {}).get('port', '')}"
    numbers = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    return f"{action} {numbers}"


def _state(title: str, state: dict[str, Any]) -> Iterator[str]:
    if "running" in state:
        yield f"{title}:\tRunning"
        yield f"  Started:\t{time_text(state['running'].get('startedAt'))}"
    elif "terminated" in state:
        ended = state["terminated"]
        yield f"{title}:\tTerminated"
        if ended.get("reason"):
            yield f"  Reason:\t{ended['reason']}"
        if ended.get("message"):
            yield f"  Message:\t{ended['message']}"
        yield f"  Exit Code:\t{ended.get('exitCode', 0)}"
        yield f"  Started:\t{time_text(ended.get('startedAt'))}"
        yield f"  Finished:\t{time_text(ended.get('finishedAt'))}"
    else:
        yield f"{title}:\tWaiting"
        reason = (state.get("waiting") or {}).get("reason")
        if reason:
            yield f"  Reason:\t{reason}"


def _environment(container: dict[str, Any]) -> Iterator[str]:
    for source in container.get("envFrom") or []:
        kind, field = ("ConfigMap", "configMapRef") if "configMapRef" in source else ("Secret", "secretRef")
        optional = str(bool((source.get(field) or {}).get("optional"))).lower()
        yield "Environment Variables from:"
        yield f"  {(source.get(field) or {}).get('name', '')}\t{kind}\tOptional: {optional}"
    variables = container.get("env") or []
    yield "Environment:" if variables else "Environment:\t<none>"
    for item in variables:
        yield f"  {item['name']}:\t{_variable(item)}"


def _variable(item: dict[str, Any]) -> str:
    source = item.get("valueFrom")
    if not source:
        return str(item.get("value", ""))
    if "fieldRef" in source:
        return f"({source['fieldRef'].get('apiVersion', 'v1')}:{source['fieldRef']['fieldPath']})"
    if "resourceFieldRef" in source:
        return f"({source['resourceFieldRef']['resource']})"
    kind, field = ("config map", "configMapKeyRef") if "configMapKeyRef" in source else ("secret", "secretKeyRef")
    reference = source.get(field) or {}
    optional = str(bool(reference.get("optional"))).lower()
    return (
        f"<set to the key '{reference.get('key', '')}' of {kind} '{reference.get('name', '')}'>\tOptional: {optional}"
    )


def volume_lines(spec: dict[str, Any]) -> Iterator[str]:
    volumes = spec.get("volumes") or []
    yield "Volumes:" if volumes else "Volumes:\t<none>"
    for volume in volumes:
        yield f"  {volume['name']}:"
        source = next((key for key in volume if key != "name"), "emptyDir")
        yield f"    Type:\t{source[:1].upper()}{source[1:]}"
        for key, value in sorted((volume.get(source) or {}).items()):
            if not isinstance(value, (dict, list)):
                yield f"    {key[:1].upper()}{key[1:]}:\t{value}"


def toleration_lines(spec: dict[str, Any]) -> list[str]:
    """`Tolerations:` with one line each."""
    texts = [_toleration(item) for item in spec.get("tolerations") or []] or ["<none>"]
    return [f"Tolerations:\t{texts[0]}", *(f"\t{text}" for text in texts[1:])]


def _toleration(item: dict[str, Any]) -> str:
    text: str = item.get("key", "")
    if item.get("value"):
        text += f"={item['value']}"
    if item.get("effect"):
        text += f":{item['effect']}"
    if item.get("operator") == "Exists":
        text += " op=Exists" if text else "op=Exists"
    if item.get("tolerationSeconds") is not None:
        text += f" for {item['tolerationSeconds']}s"
    return text
