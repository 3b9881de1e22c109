"""Secret: small confidential data that pods read."""

from typing import Annotated

from tiphys.api.declaration import At, Bytes, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="secrets")
class Secret(Object, name="io.k8s.api.core.v1.Secret"):
    """Small confidential data for pods to read, by key."""

    apiVersion: str = "v1"
    kind: str = "Secret"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    immutable: Annotated[bool | None, At(5, "Whether the data can no longer be changed.")] = None
    data: Annotated[dict[str, Bytes], At(2, "Bytes by key, as base64.")] = {}
    stringData: Annotated[dict[str, str], At(4, "Text by key; for writing only, ends up in data.")] = {}
    type: Annotated[str, At(3, "What kind of secret it is; Opaque if not given.")] = ""


class SecretList(Object, name="io.k8s.api.core.v1.SecretList"):
    """A list of Secret objects."""

    apiVersion: str = "v1"
    kind: str = "SecretList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Secret], At(2, required=True, list_type="")] = []
