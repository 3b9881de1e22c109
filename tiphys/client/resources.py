"""What a client knows about a kind: its path on the server and how to make a Python object of its JSON.

A built-in kind is named by its model class; a kind that is known only from discovery (the garbage collector's view, a
custom resource) by a `Resource` with its own decoder.  Client and informer take either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import quote

from tiphys.api.kinds import info_of
from tiphys.api.meta import ObjectMeta

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class ApiObject(Protocol):
    """Any top-level object: every model with metadata, and `PartialObject`."""

    @property
    def metadata(self) -> ObjectMeta: ...

    def to_dict(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=ApiObject)


@dataclass(frozen=True)
class Resource(Generic[T]):
    """One resource of the server, e.g. apps/v1 deployments."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    decode: Callable[[dict[str, Any]], T]
    metadata_only: bool = False  # ask the server for PartialObjectMetadata

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def accept(self, verb: str = "get") -> str:
        """The Accept header of a request with `verb`."""
        if not self.metadata_only:
            return "application/json"
        return METADATA_ONLY_LIST if verb == "list" else METADATA_ONLY

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """/apis/apps/v1/namespaces/default/deployments/web/status and its shorter forms."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(quote(part, safe="/" if part is subresource else "") for part in parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class PartialObject:
    """An object of which only the metadata was asked for."""

    api_version: str
    kind: str
    metadata: ObjectMeta

    def to_dict(self) -> dict[str, Any]:
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": self.metadata.to_dict()}


def partial_resource(group: str, version: str, plural: str, kind: str, namespaced: bool) -> Resource[PartialObject]:
    """The metadata-only view of a resource; works for kinds nobody here has a model of."""
    api_version = f"{group}/{version}" if group else version

    def decode(obj: Mapping[str, Any]) -> PartialObject:
        metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
        return PartialObject(api_version, kind, ObjectMeta.model_validate(metadata))

    return Resource(group, version, plural, kind, namespaced, decode, metadata_only=True)


@cache
def _of_model(model: type[Any]) -> Resource[Any]:
    info = info_of(model)
    return Resource(info.group, info.version, info.plural, info.kind, info.namespaced, model.model_validate)


def resource_of(model: type[T] | Resource[T]) -> Resource[T]:
    """The resource of a model class; a Resource is returned as it is."""
    if isinstance(model, Resource):
        return model
    return cast("Resource[T]", _of_model(model))


def without_managed_fields(obj: dict[str, Any]) -> dict[str, Any]:
    """`obj` without metadata.managedFields: half of many objects' bytes, of no use to a controller."""
    metadata = obj.get("metadata")
    if metadata and "managedFields" in metadata:
        obj = {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    return obj
