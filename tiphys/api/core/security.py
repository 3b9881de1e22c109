"""What a pod and its containers are allowed to be on their node."""

from typing import Annotated

from tiphys.api.declaration import At, Model


class AppArmorProfile(Model, name="io.k8s.api.core.v1.AppArmorProfile"):
    """The AppArmor profile processes are confined by."""

    type: Annotated[str, At(1, required=True, enum=("Localhost", "RuntimeDefault", "Unconfined"))] = ""
    localhostProfile: Annotated[str | None, At(2)] = None


class Capabilities(Model, name="io.k8s.api.core.v1.Capabilities"):
    """Linux capabilities added to and dropped from what the runtime gives."""

    add: Annotated[list[str], At(1)] = []
    drop: Annotated[list[str], At(2)] = []


class SELinuxOptions(Model, name="io.k8s.api.core.v1.SELinuxOptions"):
    """The SELinux label of a container."""

    user: Annotated[str, At(1)] = ""
    role: Annotated[str, At(2)] = ""
    type: Annotated[str, At(3)] = ""
    level: Annotated[str, At(4)] = ""


class SeccompProfile(Model, name="io.k8s.api.core.v1.SeccompProfile"):
    """Which system calls are allowed."""

    type: Annotated[str, At(1, required=True, enum=("Localhost", "RuntimeDefault", "Unconfined"))] = ""
    localhostProfile: Annotated[str | None, At(2)] = None


class WindowsSecurityContextOptions(Model, name="io.k8s.api.core.v1.WindowsSecurityContextOptions"):
    """Settings for Windows containers."""

    gmsaCredentialSpecName: Annotated[str | None, At(1)] = None
    gmsaCredentialSpec: Annotated[str | None, At(2)] = None
    runAsUserName: Annotated[str | None, At(3)] = None
    hostProcess: Annotated[bool | None, At(4)] = None


class SecurityContext(Model, name="io.k8s.api.core.v1.SecurityContext"):
    """What one container may do; wins over the pod's settings."""

    capabilities: Annotated[Capabilities | None, At(1)] = None
    privileged: Annotated[bool | None, At(2)] = None
    seLinuxOptions: Annotated[SELinuxOptions | None, At(3)] = None
    windowsOptions: Annotated[WindowsSecurityContextOptions | None, At(10)] = None
    runAsUser: Annotated[int | None, At(4)] = None
    runAsGroup: Annotated[int | None, At(8)] = None
    runAsNonRoot: Annotated[bool | None, At(5)] = None
    readOnlyRootFilesystem: Annotated[bool | None, At(6)] = None
    allowPrivilegeEscalation: Annotated[bool | None, At(7)] = None
    procMount: Annotated[str | None, At(9, enum=("Default", "Unmasked"))] = None
    seccompProfile: Annotated[SeccompProfile | None, At(11)] = None
    appArmorProfile: Annotated[AppArmorProfile | None, At(12)] = None


class Sysctl(Model, name="io.k8s.api.core.v1.Sysctl"):
    """A kernel parameter."""

    name: Annotated[str, At(1, required=True)] = ""
    value: Annotated[str, At(2, required=True)] = ""


class PodSecurityContext(Model, name="io.k8s.api.core.v1.PodSecurityContext"):
    """What all containers of the pod may do, and who owns their volumes."""

    seLinuxOptions: Annotated[SELinuxOptions | None, At(1)] = None
    windowsOptions: Annotated[WindowsSecurityContextOptions | None, At(8)] = None
    runAsUser: Annotated[int | None, At(2)] = None
    runAsGroup: Annotated[int | None, At(6)] = None
    runAsNonRoot: Annotated[bool | None, At(3)] = None
    supplementalGroups: Annotated[list[int], At(4)] = []
    supplementalGroupsPolicy: Annotated[str | None, At(12, enum=("Merge", "Strict"))] = None
    fsGroup: Annotated[int | None, At(5)] = None
    sysctls: Annotated[list[Sysctl], At(7)] = []
    fsGroupChangePolicy: Annotated[str | None, At(9, enum=("Always", "OnRootMismatch"))] = None
    seccompProfile: Annotated[SeccompProfile | None, At(10)] = None
    appArmorProfile: Annotated[AppArmorProfile | None, At(11)] = None
    seLinuxChangePolicy: Annotated[str | None, At(13)] = None
