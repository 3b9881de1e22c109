"""The security context of a container: what the pod's and the container's own fields come to.

Pure but for `run_as`, which reads the image's user database through the reader it is given.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from nodeagent.pods.environment import ConfigError
from nodeagent.runtime.interface import PortMapping, SandboxSpec, Security, User, UserNotFound
from nodeagent.runtime.sysctls import forbidden
from nodeagent.runtime.users import ReadFile, resolve_user
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod

SeccompType = Literal["RuntimeDefault", "Unconfined", "Localhost"]


def sandbox_spec(pod: Pod, hostname: str, cgroup_parent: str, runtime_handler: str = "") -> SandboxSpec:
    """What the pod says of its namespaces."""
    context = pod.spec.securityContext
    return SandboxSpec(
        pod_uid=pod.metadata.uid,
        hostname=hostname,
        host_network=pod.spec.hostNetwork,
        host_ipc=pod.spec.hostIPC,
        host_pid=pod.spec.hostPID,
        share_pid=bool(pod.spec.shareProcessNamespace),
        user_namespace=pod.spec.hostUsers is False,
        sysctls={s.name: s.value for s in context.sysctls} if context is not None else {},
        cgroup_parent=cgroup_parent,
        runtime_handler=runtime_handler,
        host_ports=() if pod.spec.hostNetwork else host_ports(pod),
    )


def host_ports(pod: Pod) -> tuple[PortMapping, ...]:
    """Of the containers that go on."""
    found = []
    for container in (*(c for c in pod.spec.initContainers if c.restartPolicy == "Always"), *pod.spec.containers):
        for port in container.ports:
            if port.hostPort:
                address = "" if port.hostIP in ("", "0.0.0.0") else port.hostIP
                protocol = (port.protocol or "TCP").lower()
                found.append(PortMapping(protocol, port.hostPort, port.containerPort, address))
    return tuple(found)


def forbidden_sysctl(pod: Pod, allowed_unsafe: Collection[str] = ()) -> str:
    """ "" or why the node does not admit the pod (reason sysctls.REASON), in upstream's words."""
    context = pod.spec.securityContext
    names = [s.name for s in context.sysctls] if context is not None else []
    return forbidden(names, host_network=pod.spec.hostNetwork, host_ipc=pod.spec.hostIPC, allowed_unsafe=allowed_unsafe)


def run_as(pod: Pod, container: Container, image_user: str, read: ReadFile) -> User:
    """Numbers for the process.  Raises ConfigError where runAsNonRoot does not hold or the user is unknown."""
    own, shared = container.securityContext, pod.spec.securityContext
    user = own.runAsUser if own is not None and own.runAsUser is not None else None
    group = own.runAsGroup if own is not None and own.runAsGroup is not None else None
    groups: list[int] = []
    merge = True
    if shared is not None:
        user = shared.runAsUser if user is None else user
        group = shared.runAsGroup if group is None else group
        groups = [*shared.supplementalGroups, *([shared.fsGroup] if shared.fsGroup is not None else [])]
        merge = shared.supplementalGroupsPolicy != "Strict"
    try:
        found = resolve_user(
            read, image_user, run_as_user=user, run_as_group=group, extra_groups=groups, merge_image_groups=merge
        )
    except UserNotFound as error:
        raise ConfigError(str(error)) from error
    if _non_root(pod, container):
        _check_non_root(pod, container, found, user, image_user)
    return found


def _non_root(pod: Pod, container: Container) -> bool:
    own, shared = container.securityContext, pod.spec.securityContext
    if own is not None and own.runAsNonRoot is not None:
        return own.runAsNonRoot
    return bool(shared is not None and shared.runAsNonRoot)


def _check_non_root(pod: Pod, container: Container, found: User, asked: int | None, image_user: str) -> None:
    described = (
        f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    )
    name = image_user.partition(":")[0]
    if asked == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {described}")
    if asked is None and found.uid == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {described}")
    if asked is None and name and not name.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {described}"
        )


def security(pod: Pod, container: Container, seccomp_root: Path) -> Security:
    """Capabilities, seccomp and the like; `seccomp_root` holds the Localhost profiles."""
    own = container.securityContext
    seccomp, profile = _seccomp(pod, container)
    if own is None:
        return Security(seccomp=seccomp, seccomp_profile=_profile_path(seccomp, profile, seccomp_root))
    capabilities = own.capabilities
    return Security(
        privileged=bool(own.privileged),
        capabilities_add=tuple(capabilities.add) if capabilities is not None else (),
        capabilities_drop=tuple(capabilities.drop) if capabilities is not None else (),
        no_new_privileges=own.allowPrivilegeEscalation is False,
        read_only_rootfs=bool(own.readOnlyRootFilesystem),
        seccomp=seccomp,
        seccomp_profile=_profile_path(seccomp, profile, seccomp_root),
        unmasked_proc=own.procMount == "Unmasked",
    )


def _seccomp(pod: Pod, container: Container) -> tuple[SeccompType, str]:
    own, shared = container.securityContext, pod.spec.securityContext
    profile = own.seccompProfile if own is not None else None
    if profile is None and shared is not None:
        profile = shared.seccompProfile
    if own is not None and own.privileged:
        return "Unconfined", ""
    if profile is None or profile.type not in ("Unconfined", "Localhost"):
        return "RuntimeDefault", ""
    if profile.type == "Localhost":
        return "Localhost", profile.localhostProfile or ""
    return "Unconfined", ""


def _profile_path(kind: str, name: str, root: Path) -> str:
    if kind != "Localhost":
        return ""
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise ConfigError("localhostProfile must be a relative path inside the node's seccomp directory")
    return str(root / name)
