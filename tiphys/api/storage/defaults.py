"""What the server fills in for storage classes."""

from typing import Any

from tiphys.api.declaration import sets_defaults


@sets_defaults("io.k8s.api.storage.v1.StorageClass")
def storage_class(obj: dict[str, Any]) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")
