"""Making one container: image, environment, files, mounts, then create and start.

Each step that cannot be done raises `CannotStart` with the waiting reason and message that the container's status
shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from nodeagent.pods.containerspec import ImageFacts, Ingredients, container_spec
from nodeagent.pods.environment import ConfigError, Sources, domain, environment, hostname, referenced
from nodeagent.pods.netfiles import hosts_file, resolv_conf
from nodeagent.pods.node import Node, find_container
from nodeagent.pods.objects import NotSynced
from nodeagent.pods.observed import Observed, ObservedContainer, Waiting
from nodeagent.pods.plan import Start
from nodeagent.pods.restart import spec_hash
from nodeagent.pods.security import run_as
from nodeagent.runtime.interface import Mount, NotExecutable, PodNamespaces, RuntimeFailure, Sandbox
from nodeagent.runtime.users import read_from_layers
from nodeagent.volumes.manager import MountedVolume
from nodeagent.volumes.payload import VolumeError
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod

_KIND_LABEL = {"init": "init_container", "ephemeral": "ephemeral_container"}


class CannotStart(Exception):
    """`waiting` is what the container's status says; `event` is the text of the Failed event,
    "" when one is out already.
    """

    def __init__(self, waiting: Waiting, event: str = "", attempt: ObservedContainer | None = None) -> None:
        super().__init__(waiting.message)
        self.waiting = waiting
        self.event = event
        self.attempt = attempt  # set when this counts as an attempt that ended at once (no such program)


async def start_container(
    node: Node,
    pod: Pod,
    start: Start,
    observed: Observed,
    sandbox: Sandbox,
    volumes: Mapping[str, MountedVolume],
    cgroup_parent: str,
    wake: Callable[[], None],
) -> str:
    """Create and start the container; its id.  Raises CannotStart."""
    container, field = find_container(pod, start.name)
    made = observed.latest(start.name)
    if made is not None and made.state == "created" and made.attempt == start.attempt:
        container_id = made.id
    else:
        await _fill_image_volumes(node, pod, container, volumes, wake)
        image = node.images.ensure(pod, container, wake)
        if isinstance(image, Waiting):
            raise CannotStart(image)
        container_id = await _create(node, pod, container, start, image, observed, sandbox, volumes, cgroup_parent)
        node.event(pod, "Normal", "Created", "Container created", container.name, field)
    try:
        with node.metrics.operation("start_container"):
            await node.runtime.start(container_id)
    except RuntimeFailure as error:
        await node.runtime.remove(container_id)
        raise _stillborn(node, container, start, container_id, error) from error
    node.event(pod, "Normal", "Started", "Container started", container.name, field)
    node.metrics.started_containers.labels(_KIND_LABEL.get(start.kind, "container")).inc()
    return container_id


async def _fill_image_volumes(
    node: Node, pod: Pod, container: Container, volumes: Mapping[str, MountedVolume], wake: Callable[[], None]
) -> None:
    """The volumes of images that the container mounts: pulled like its own image.  Raises CannotStart."""
    mounted = {mount.name for mount in container.volumeMounts}
    for volume in pod.spec.volumes:
        if volume.image is None or volume.name not in mounted or volume.name not in volumes:
            continue
        if node.volumes.has_image(volumes[volume.name]):
            continue
        wanted = {"image": volume.image.reference, "imagePullPolicy": volume.image.pullPolicy}
        image = node.images.ensure(pod, Container.model_validate({"name": "", **wanted}), wake)
        if isinstance(image, Waiting):
            raise CannotStart(image)
        try:
            await node.volumes.mount_image(volumes[volume.name], image.id, image.layers)
        except (VolumeError, OSError) as error:
            raise CannotStart(Waiting("CreateContainerError", str(error)), f"Error: {error}") from error


async def _create(
    node: Node,
    pod: Pod,
    container: Container,
    start: Start,
    image: ImageFacts,
    observed: Observed,
    sandbox: Sandbox,
    volumes: Mapping[str, MountedVolume],
    cgroup_parent: str,
) -> str:
    container_id = node.new_container_id()
    try:
        env = await _environment(node, pod, container, sandbox)
        user = run_as(pod, container, image.user, read_from_layers(image.layers))
        mounts = node.volumes.mounts(pod, container, volumes, env)
        message_file, more = _own_files(node, pod, container, container_id, sandbox)
        spec = container_spec(
            pod,
            container,
            Ingredients(
                container_id=container_id,
                attempt=start.attempt,
                image=image,
                env=env,
                mounts=[*mounts, *more],
                user=user,
                namespaces=_namespaces(container, observed, sandbox),
                cgroup_parent=cgroup_parent,
                log_path=_log_path(node, pod, container, start.attempt),
                message_file=str(message_file),
                hostname=sandbox.hostname,
                runtime_handler=sandbox.runtime_handler,
                seccomp_root=node.seccomp_root,
                memory_capacity_bytes=node.memory_capacity_bytes,
            ),
        )
    except (ConfigError, VolumeError, NotSynced, OSError) as error:
        raise CannotStart(Waiting("CreateContainerConfigError", str(error)), f"Error: {error}") from error
    try:
        with node.metrics.operation("create_container"):
            await node.runtime.create(spec)
    except NotExecutable as error:
        raise _stillborn(node, container, start, container_id, error) from error
    except RuntimeFailure as error:
        raise CannotStart(Waiting("CreateContainerError", str(error)), f"Error: {error}") from error
    return container_id


def _namespaces(container: Container, observed: Observed, sandbox: Sandbox) -> PodNamespaces:
    """The pod's; an ephemeral container sees the processes of its target, where that has some of its own."""
    target = getattr(container, "targetContainerName", "")
    if not target or sandbox.namespaces.pid:
        return sandbox.namespaces
    latest = observed.latest(target)
    if latest is None or not latest.running:
        raise ConfigError(f'the target container "{target}" does not run')
    return replace(sandbox.namespaces, pid=f"container:{latest.id}")


def _stillborn(node: Node, container: Container, start: Start, container_id: str, error: RuntimeFailure) -> CannotStart:
    """A container whose program could not be run: upstream counts it as an attempt with exit code 128."""
    now = node.clock.now()
    attempt = ObservedContainer(
        id=container_id,
        name=container.name,
        attempt=start.attempt,
        state="exited",
        started_at=now,
        finished_at=now,
        exit_code=128,
        reason="StartError",
        message=str(error),
        image=container.image,
        spec_hash=spec_hash(container),
    )
    return CannotStart(Waiting("RunContainerError", str(error)), f"Error: {error}", attempt)


async def _environment(node: Node, pod: Pod, container: Container, sandbox: Sandbox) -> dict[str, str]:
    config_maps, secrets = referenced(container)
    found = await node.objects.data(pod.metadata.uid, pod.metadata.namespace, config_maps, secrets)
    sources = Sources(found[0], found[1], node.services(), node.api_server)
    return environment(pod, container, sources, node.facts(), pod_ips(node, pod, sandbox))


def pod_ips(node: Node, pod: Pod, sandbox: Sandbox | None) -> tuple[str, ...]:
    """The pod's addresses: the node's on its network."""
    if pod.spec.hostNetwork:
        return node.facts().ips
    return (sandbox.ip,) if sandbox is not None and sandbox.ip else ()


def _log_path(node: Node, pod: Pod, container: Container, attempt: int) -> Path:
    directory = node.log_dir(pod) / container.name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory / f"{attempt}.log"


def _own_files(
    node: Node, pod: Pod, container: Container, container_id: str, sandbox: Sandbox
) -> tuple[Path, list[Mount]]:
    """The termination message file, and the mounts of it and of the managed network files."""
    pod_dir = node.volumes.pod_dir(pod.metadata.uid)
    directory = pod_dir / "containers" / container.name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    pod_dir.chmod(0o700)
    message = directory / container_id[:16]
    message.touch(mode=0o666)
    message.chmod(0o666)
    taken = {m.mountPath for m in container.volumeMounts}
    mounts = []
    if container.terminationMessagePath and container.terminationMessagePath not in taken:
        mounts.append(Mount(str(message), container.terminationMessagePath))
    name, own_domain = hostname(pod, node.facts().name), domain(pod, node.dns().domain)
    node_hosts = Path("/etc/hosts").read_text() if pod.spec.hostNetwork else ""
    files = {
        "/etc/hosts": hosts_file(pod, pod_ips(node, pod, sandbox), name, own_domain, node_hosts),
        "/etc/hostname": name + "\n",
        "/etc/resolv.conf": resolv_conf(pod, node.dns()),
    }
    for target, text in files.items():
        if target not in taken:
            path = pod_dir / target.replace("/", "-").lstrip("-")
            _write(path, text)
            mounts.append(Mount(str(path), target))
    return message, mounts


def _write(path: Path, text: str) -> None:
    """In place, since running containers have the file mounted; left alone if it is right already."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        data = text.encode()
        if os.read(descriptor, len(data) + 1) != data:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, data, 0)
    finally:
        os.close(descriptor)
