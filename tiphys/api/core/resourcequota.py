"""ResourceQuota: how much a namespace may use."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, Quantity, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ScopedResourceSelectorRequirement(
    Model, name="io.k8s.api.core.v1.ScopedResourceSelectorRequirement", atomic=True
):
    """One rule about the scope of a quota."""

    scopeName: Annotated[
        str,
        At(
            1,
            required=True,
            enum=(
                "BestEffort",
                "CrossNamespacePodAffinity",
                "NotBestEffort",
                "NotTerminating",
                "PriorityClass",
                "Terminating",
                "VolumeAttributesClass",
            ),
        ),
    ] = ""
    operator: Annotated[str, At(2, required=True, enum=("DoesNotExist", "Exists", "In", "NotIn"))] = ""
    values: Annotated[list[str], At(3)] = []


class ScopeSelector(Model, name="io.k8s.api.core.v1.ScopeSelector", atomic=True):
    """Which objects a quota counts."""

    matchExpressions: Annotated[list[ScopedResourceSelectorRequirement], At(1)] = []


class ResourceQuotaSpec(Model, name="io.k8s.api.core.v1.ResourceQuotaSpec"):
    """How much may be used."""

    hard: Annotated[dict[str, Quantity], At(1)] = {}
    scopes: Annotated[
        list[str],
        At(
            2,
            enum=(
                "BestEffort",
                "CrossNamespacePodAffinity",
                "NotBestEffort",
                "NotTerminating",
                "PriorityClass",
                "Terminating",
                "VolumeAttributesClass",
            ),
        ),
    ] = []
    scopeSelector: Annotated[ScopeSelector | None, At(3)] = None


class ResourceQuotaStatus(Model, name="io.k8s.api.core.v1.ResourceQuotaStatus"):
    """How much is used."""

    hard: Annotated[dict[str, Quantity], At(1)] = {}
    used: Annotated[dict[str, Quantity], At(2)] = {}


@kind(plural="resourcequotas", short_names=("quota",), subresources=(SubresourceInfo("status"),))
class ResourceQuota(Object, name="io.k8s.api.core.v1.ResourceQuota"):
    """Bounds what the objects of a namespace may use together."""

    apiVersion: str = "v1"
    kind: str = "ResourceQuota"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ResourceQuotaSpec, At(2)] = default(ResourceQuotaSpec)
    status: Annotated[ResourceQuotaStatus, At(3)] = default(ResourceQuotaStatus)


class ResourceQuotaList(Object, name="io.k8s.api.core.v1.ResourceQuotaList"):
    """A list of ResourceQuota objects."""

    apiVersion: str = "v1"
    kind: str = "ResourceQuotaList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ResourceQuota], At(2, required=True, list_type="")] = []
