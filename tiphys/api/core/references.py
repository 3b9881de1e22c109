"""How one object names another, or a key in it."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model


class LocalObjectReference(Model, name="io.k8s.api.core.v1.LocalObjectReference", atomic=True):
    """Names an object of the same namespace."""

    name: Annotated[str, At(1, default="")] = ""


class ObjectReference(Model, name="io.k8s.api.core.v1.ObjectReference", atomic=True):
    """Names an object anywhere, or a part of it."""

    kind: Annotated[str, At(1)] = ""
    namespace: Annotated[str, At(2)] = ""
    name: Annotated[str, At(3)] = ""
    uid: Annotated[str, At(4)] = ""
    apiVersion: Annotated[str, At(5)] = ""
    resourceVersion: Annotated[str, At(6)] = ""
    fieldPath: Annotated[str, At(7)] = ""


class SecretReference(Model, name="io.k8s.api.core.v1.SecretReference", atomic=True):
    """Names a secret anywhere."""

    name: Annotated[str, At(1)] = ""
    namespace: Annotated[str, At(2)] = ""


class TypedLocalObjectReference(Model, name="io.k8s.api.core.v1.TypedLocalObjectReference", atomic=True):
    """Names an object of any kind in the same namespace."""

    apiGroup: Annotated[str | None, At(1, always=True)] = None
    kind: Annotated[str, At(2, required=True)] = ""
    name: Annotated[str, At(3, required=True)] = ""


class TypedObjectReference(Model, name="io.k8s.api.core.v1.TypedObjectReference"):
    """Names an object of any kind, in another namespace where that is allowed."""

    apiGroup: Annotated[str | None, At(1, always=True)] = None
    kind: Annotated[str, At(2, required=True)] = ""
    name: Annotated[str, At(3, required=True)] = ""
    namespace: Annotated[str | None, At(4)] = None


class KeyToPath(Model, name="io.k8s.api.core.v1.KeyToPath"):
    """Puts one key of a config map or secret into a file."""

    key: Annotated[str, At(1, required=True)] = ""
    path: Annotated[str, At(2, required=True)] = ""
    mode: Annotated[Int32 | None, At(3)] = None
