"""From a container of a pod to the ContainerSpec the runtime takes.  Pure, given what the worker has gathered in
`Ingredients`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.pods import observed
from nodeagent.pods.environment import command_line
from nodeagent.pods.qos import oom_score_adj
from nodeagent.pods.resources import container_resources
from nodeagent.pods.restart import grace_seconds, spec_hash
from nodeagent.pods.security import security
from nodeagent.runtime.interface import ContainerSpec, Mount, PodNamespaces, User
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod


@dataclass(frozen=True)
class ImageFacts:
    """What of an image matters to a container."""

    id: str  # as status.imageID shows it
    layers: tuple[Path, ...]
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Sequence[str] = ()  # NAME=value
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""


@dataclass(frozen=True)
class Ingredients:
    """Everything beside the pod that goes into a container."""

    container_id: str
    attempt: int
    image: ImageFacts
    env: Mapping[str, str]  # without the image's
    mounts: Sequence[Mount]
    user: User
    namespaces: PodNamespaces
    cgroup_parent: str
    log_path: Path
    message_file: str
    hostname: str  # the one of the pod's UTS namespace
    seccomp_root: Path
    memory_capacity_bytes: int
    runtime_handler: str = ""


def container_spec(pod: Pod, container: Container, given: Ingredients) -> ContainerSpec:
    """Raises ConfigError for a command line that is empty."""
    env = merged_env(given.image.env, given.env, given.hostname)
    return ContainerSpec(
        id=given.container_id,
        pod_uid=pod.metadata.uid,
        pod_name=pod.metadata.name,
        pod_namespace=pod.metadata.namespace,
        name=container.name,
        attempt=given.attempt,
        argv=command_line(container, given.env, given.image.entrypoint, given.image.cmd),
        layers=given.image.layers,
        log_path=given.log_path,
        image=container.image,
        image_id=given.image.id,
        env=tuple(env.items()),
        cwd=container.workingDir or given.image.working_dir or "/",
        user=given.user,
        mounts=tuple(given.mounts),
        namespaces=given.namespaces,
        runtime_handler=given.runtime_handler,
        hostname=given.hostname,
        cgroup_parent=given.cgroup_parent,
        resources=container_resources(container),
        oom_score_adj=oom_score_adj(pod, container, given.memory_capacity_bytes),
        security=security(pod, container, given.seccomp_root),
        stop_signal=_stop_signal(container, given.image),
        stdin=container.stdin,
        stdin_once=container.stdinOnce,
        terminal=container.tty,
        labels=_labels(pod, container, given),
    )


def merged_env(image_env: Sequence[str], own: Mapping[str, str], hostname: str) -> dict[str, str]:
    """PATH and HOSTNAME first, then the image's variables, then the container's; each later one wins."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": hostname}
    for item in image_env:
        name, separator, text = item.partition("=")
        if name and separator:
            env[name] = text
    env.update(own)
    return env


def _stop_signal(container: Container, image: ImageFacts) -> str:
    own = container.lifecycle.stopSignal if container.lifecycle is not None else ""
    return own or image.stop_signal or "SIGTERM"


def _labels(pod: Pod, container: Container, given: Ingredients) -> dict[str, str]:
    return {
        observed.LABEL_POD_NAME: pod.metadata.name,
        observed.LABEL_POD_NAMESPACE: pod.metadata.namespace,
        observed.LABEL_POD_UID: pod.metadata.uid,
        observed.LABEL_CONTAINER_NAME: container.name,
        observed.LABEL_GRACE_SECONDS: str(grace_seconds(pod)),
        observed.LABEL_SPEC_HASH: spec_hash(container),
        observed.LABEL_MESSAGE_FILE: given.message_file,
        observed.LABEL_MESSAGE_POLICY: container.terminationMessagePolicy or "File",
        observed.LABEL_LOG_PATH: str(given.log_path),
    }
