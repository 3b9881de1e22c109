"""ConfigMap: configuration that pods read."""

from typing import Annotated

from tiphys.api.declaration import At, Bytes, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="configmaps", short_names=("cm",))
class ConfigMap(Object, name="io.k8s.api.core.v1.ConfigMap"):
    """Configuration for pods to read, as text or bytes by key."""

    apiVersion: str = "v1"
    kind: str = "ConfigMap"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    immutable: Annotated[bool | None, At(4, "Whether the data can no longer be changed.")] = None
    data: Annotated[dict[str, str], At(2, "Text by key.")] = {}
    binaryData: Annotated[dict[str, Bytes], At(3, "Bytes by key, as base64.")] = {}


class ConfigMapList(Object, name="io.k8s.api.core.v1.ConfigMapList"):
    """A list of ConfigMap objects."""

    apiVersion: str = "v1"
    kind: str = "ConfigMapList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ConfigMap], At(2, required=True, list_type="")] = []
