"""APIService: who answers for a group and version."""

from typing import Annotated

import tiphys.api.apiregistration.defaults  # noqa: F401  (registers itself for the types below)
from tiphys.api.declaration import At, Bytes, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta

_PACKAGE = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1."


class ServiceReference(Model, name=_PACKAGE + "ServiceReference"):
    """A service inside the cluster."""

    namespace: Annotated[str, At(1)] = ""
    name: Annotated[str, At(2)] = ""
    port: Annotated[Int32 | None, At(3)] = None


class APIServiceSpec(Model, name=_PACKAGE + "APIServiceSpec"):
    """Which group and version, and who serves it."""

    service: Annotated[ServiceReference | None, At(1, "None where this server answers itself.")] = None
    group: Annotated[str, At(2)] = ""
    version: Annotated[str, At(3)] = ""
    insecureSkipTLSVerify: Annotated[bool, At(4)] = False
    caBundle: Annotated[Bytes, At(5)] = ""
    groupPriorityMinimum: Annotated[Int32, At(7, required=True)] = 0
    versionPriority: Annotated[Int32, At(8, required=True)] = 0


class APIServiceCondition(Model, name=_PACKAGE + "APIServiceCondition"):
    """One aspect of an API service's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class APIServiceStatus(Model, name=_PACKAGE + "APIServiceStatus"):
    """Whether an API service can be used."""

    conditions: Annotated[list[APIServiceCondition], At(1, keys=("type",), merge="type")] = []


@kind(plural="apiservices", categories=("api-extensions",), namespaced=False, subresources=(SubresourceInfo("status"),))
class APIService(Object, name=_PACKAGE + "APIService"):
    """A group and version, and the server that answers for it."""

    apiVersion: str = "apiregistration.k8s.io/v1"
    kind: str = "APIService"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[APIServiceSpec, At(2)] = default(APIServiceSpec)
    status: Annotated[APIServiceStatus, At(3)] = default(APIServiceStatus)


class APIServiceList(Object, name=_PACKAGE + "APIServiceList"):
    """A list of APIService objects."""

    apiVersion: str = "apiregistration.k8s.io/v1"
    kind: str = "APIServiceList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[APIService], At(2, required=True, list_type="")] = []
