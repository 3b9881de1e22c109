"""Containers and tolerations, as pods and pod templates show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.cli.describers.environment import environment_lines
from tiphys.cli.describers.parts import annotation_lines, mapping, time_text
from tiphys.cli.describers.volumes import volume_lines

Items = list[dict[str, Any]]


def template_lines(template: dict[str, Any]) -> list[str]:
    """`Pod Template:` with labels, containers and volumes."""
    spec = template["spec"]
    metadata = template.get("metadata") or {}
    lines = ["Pod Template:", *(f"  {line}" for line in mapping("Labels", metadata.get("labels")))]
    if metadata.get("annotations"):
        lines += [f"  {line}" for line in annotation_lines(metadata)]
    if spec.get("serviceAccountName"):
        lines.append(f"  Service Account:\t{spec['serviceAccountName']}")
    if spec.get("initContainers"):
        lines += ["  Init Containers:", *_containers(spec["initContainers"], {}, None, indent="   ")]
    lines += ["  Containers:", *_containers(spec["containers"], {}, None, indent="   ")]
    lines += volume_lines(spec.get("volumes"), indent="  ")
    lines += [f"  {line}" for line in mapping("Node-Selectors", spec.get("nodeSelector"))]
    return lines + [f"  {line}" for line in toleration_lines(spec)]


def container_lines(title: str, containers: Items, statuses: Items, pod: dict[str, Any]) -> list[str]:
    """`Containers:` of a pod with what the node says of each."""
    by_name = {status["name"]: status for status in statuses}
    return [f"{title}:", *_containers(containers, by_name, pod, indent="  ")] if containers else []


def _containers(
    containers: Items, statuses: dict[str, dict[str, Any]], pod: dict[str, Any] | None, *, indent: str
) -> Iterator[str]:
    for container in containers:
        yield f"{indent}{container['name']}:"
        for line in _container(container, statuses.get(container["name"]), pod):
            yield f"    {line}"


def _container(container: dict[str, Any], status: dict[str, Any] | None, pod: dict[str, Any] | None) -> Iterator[str]:
    if status:
        yield f"Container ID:\t{status.get('containerID', '')}"
    yield f"Image:\t{container.get('image', '')}"
    if status:
        yield f"Image ID:\t{status.get('imageID', '')}"
    plural = "s" if len(container.get("ports") or []) > 1 else ""
    yield f"Port{plural}:\t{_ports(container, 'containerPort')}"
    yield f"Host Port{plural}:\t{_ports(container, 'hostPort')}"
    seccomp = (container.get("securityContext") or {}).get("seccompProfile")
    if seccomp:
        yield f"SeccompProfile:\t{seccomp.get('type', '')}"
        if seccomp.get("type") == "Localhost":
            yield f"LocalhostProfile:\t{seccomp.get('localhostProfile', '')}"
    for title, field in (("Command", "command"), ("Args", "args")):
        if container.get(field):
            yield f"{title}:"
            yield from (f"  {word}" for text in container[field] for word in text.split("\n"))
    if status:
        yield from _state("State", status.get("state") or {})
        if "terminated" in (status.get("lastState") or {}):
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
    yield from environment_lines(container, pod)
    mounts = container.get("volumeMounts") or []
    yield "Mounts:" if mounts else "Mounts:\t<none>"
    for mount in sorted(mounts, key=lambda item: item["mountPath"]):
        path = f',path="{mount["subPath"]}"' if mount.get("subPath") else ""
        yield f"  {mount['mountPath']} from {mount['name']} ({'ro' if mount.get('readOnly') else 'rw'}{path})"


def _ports(container: dict[str, Any], field: str) -> str:
    """80/TCP, 443/TCP (tls)"""
    texts = []
    for port in container.get("ports") or []:
        name = f" ({port['name']})" if port.get("name") else ""
        texts.append(f"{port.get(field, 0)}/{port.get('protocol', 'TCP')}{name}")
    return ", ".join(texts) or "<none>"


def _seconds(count: int) -> str:
    """Go's way of writing whole seconds: 0s, 1m30s, 2h0m0s."""
    hours, minutes, seconds = count // 3600, count // 60 % 60, count % 60
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"


def probe_text(probe: dict[str, Any]) -> str:
    """http-get http://:80/ delay=0s timeout=1s period=10s successThreshold=1 failureThreshold=3."""
    if "exec" in probe:
        action = f"exec [{' '.join(probe['exec'].get('command') or [])}]"
    elif "httpGet" in probe:
        http = probe["httpGet"]
        scheme = http.get("scheme", "HTTP").lower()
        host = f"[{http['host']}]" if ":" in http.get("host", "") else http.get("host", "")
        action = f"http-get {scheme}://{host}:{http['port']}{http.get('path', '')}"
    elif "tcpSocket" in probe:
        action = f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket']['port']}"
    else:
        grpc = probe.get("grpc") or {}
        action = f"grpc <pod>:{grpc.get('port', '')} {grpc.get('service') or ''}"
    delay, timeout, period = (
        _seconds(probe.get(field, default))
        for field, default in (("initialDelaySeconds", 0), ("timeoutSeconds", 1), ("periodSeconds", 10))
    )
    numbers = (
        f"delay={delay} timeout={timeout} period={period} "
        f"successThreshold={probe.get('successThreshold', 1)} failureThreshold={probe.get('failureThreshold', 3)}"
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
        if ended.get("signal"):
            yield f"  Signal:\t{ended['signal']}"
        yield f"  Started:\t{time_text(ended.get('startedAt'))}"
        yield f"  Finished:\t{time_text(ended.get('finishedAt'))}"
    else:
        yield f"{title}:\tWaiting"
        reason = (state.get("waiting") or {}).get("reason")
        if reason:
            yield f"  Reason:\t{reason}"


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
