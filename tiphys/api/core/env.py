"""Environment variables of a container and where their values come from."""

from typing import Annotated

from tiphys.api.core.references import LocalObjectReference
from tiphys.api.declaration import At, Model, Quantity


class ConfigMapEnvSource(LocalObjectReference, name="io.k8s.api.core.v1.ConfigMapEnvSource", inlined=1):
    """Takes all keys of a config map as variables."""

    optional: Annotated[bool | None, At(2)] = None


class SecretEnvSource(LocalObjectReference, name="io.k8s.api.core.v1.SecretEnvSource", inlined=1):
    """Takes all keys of a secret as variables."""

    optional: Annotated[bool | None, At(2)] = None


class EnvFromSource(Model, name="io.k8s.api.core.v1.EnvFromSource"):
    """Takes many environment variables from one source."""

    prefix: Annotated[str, At(1)] = ""
    configMapRef: Annotated[ConfigMapEnvSource | None, At(2)] = None
    secretRef: Annotated[SecretEnvSource | None, At(3)] = None


class ConfigMapKeySelector(
    LocalObjectReference, name="io.k8s.api.core.v1.ConfigMapKeySelector", inlined=1, atomic=True
):
    """One key of a config map."""

    key: Annotated[str, At(2, required=True)] = ""
    optional: Annotated[bool | None, At(3)] = None


class SecretKeySelector(LocalObjectReference, name="io.k8s.api.core.v1.SecretKeySelector", inlined=1, atomic=True):
    """One key of a secret."""

    key: Annotated[str, At(2, required=True)] = ""
    optional: Annotated[bool | None, At(3)] = None


class FileKeySelector(Model, name="io.k8s.api.core.v1.FileKeySelector", atomic=True):
    """One key of a file of variables in a volume."""

    volumeName: Annotated[str, At(1, required=True)] = ""
    path: Annotated[str, At(2, required=True)] = ""
    key: Annotated[str, At(3, required=True)] = ""
    optional: Annotated[bool | None, At(4, default=False)] = None


class ObjectFieldSelector(Model, name="io.k8s.api.core.v1.ObjectFieldSelector", atomic=True):
    """One field of the pod."""

    apiVersion: Annotated[str, At(1)] = ""
    fieldPath: Annotated[str, At(2, required=True)] = ""


class ResourceFieldSelector(Model, name="io.k8s.api.core.v1.ResourceFieldSelector", atomic=True):
    """One request or limit of a container."""

    containerName: Annotated[str, At(1)] = ""
    resource: Annotated[str, At(2, required=True)] = ""
    divisor: Annotated[Quantity, At(3)] = ""


class EnvVarSource(Model, name="io.k8s.api.core.v1.EnvVarSource"):
    """Where the value of a variable comes from."""

    fieldRef: Annotated[ObjectFieldSelector | None, At(1)] = None
    resourceFieldRef: Annotated[ResourceFieldSelector | None, At(2)] = None
    configMapKeyRef: Annotated[ConfigMapKeySelector | None, At(3)] = None
    secretKeyRef: Annotated[SecretKeySelector | None, At(4)] = None
    fileKeyRef: Annotated[FileKeySelector | None, At(5)] = None


class EnvVar(Model, name="io.k8s.api.core.v1.EnvVar"):
    """An environment variable of a container."""

    name: Annotated[str, At(1, "The name of the variable.", required=True)] = ""
    value: Annotated[str, At(2, "The value; $(NAME) stands for an earlier variable.")] = ""
    valueFrom: Annotated[EnvVarSource | None, At(3, "Where the value comes from instead.")] = None
