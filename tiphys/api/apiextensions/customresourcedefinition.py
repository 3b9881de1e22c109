"""CustomResourceDefinition: a kind that is declared by an object."""

from typing import Annotated

import tiphys.api.apiextensions.defaults  # noqa: F401  (registers itself for the types below)
from tiphys.api.apiextensions.jsonschemaprops import JSONSchemaProps
from tiphys.api.declaration import NULL_IS_EMPTY, At, Bytes, Int32, Model, Object, Time, alias, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta

_PACKAGE = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."


class ServiceReference(Model, name=_PACKAGE + "ServiceReference"):
    """A service that answers a webhook."""

    namespace: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(2, required=True)] = ""
    path: Annotated[str | None, At(3)] = None
    port: Annotated[Int32 | None, At(4)] = None


class WebhookClientConfig(Model, name=_PACKAGE + "WebhookClientConfig"):
    """How a webhook is reached."""

    service: Annotated[ServiceReference | None, At(1)] = None
    caBundle: Annotated[Bytes, At(2)] = ""
    url: Annotated[str | None, At(3)] = None


class WebhookConversion(Model, name=_PACKAGE + "WebhookConversion"):
    """A webhook that turns one version into another."""

    clientConfig: Annotated[WebhookClientConfig | None, At(2)] = None
    conversionReviewVersions: Annotated[list[str], At(3, required=True)] = []


class CustomResourceConversion(Model, name=_PACKAGE + "CustomResourceConversion"):
    """How objects are turned from one version into another."""

    strategy: Annotated[str, At(1, "None changes the apiVersion only; Webhook asks a service.", required=True)] = ""
    webhook: Annotated[WebhookConversion | None, At(2)] = None


class CustomResourceDefinitionNames(Model, name=_PACKAGE + "CustomResourceDefinitionNames"):
    """How the resource and its kind are called."""

    plural: Annotated[str, At(1, "The word in URLs.", required=True)] = ""
    singular: Annotated[str, At(2)] = ""
    shortNames: Annotated[list[str], At(3)] = []
    kind: Annotated[str, At(4, "The kind of one object.", required=True)] = ""
    listKind: Annotated[str, At(5)] = ""
    categories: Annotated[list[str], At(6, "Groups of kinds it belongs to, such as all.")] = []


class CustomResourceColumnDefinition(Model, name=_PACKAGE + "CustomResourceColumnDefinition"):
    """A column of the printed table."""

    name: Annotated[str, At(1, required=True)] = ""
    type: Annotated[str, At(2, required=True)] = ""
    format: Annotated[str, At(3)] = ""
    description: Annotated[str, At(4)] = ""
    priority: Annotated[Int32, At(5)] = 0
    jsonPath: Annotated[str, At(6, required=True)] = ""


class SelectableField(Model, name=_PACKAGE + "SelectableField"):
    """A field that field selectors may name."""

    jsonPath: Annotated[str, At(1, required=True)] = ""


class CustomResourceSubresourceScale(Model, name=_PACKAGE + "CustomResourceSubresourceScale"):
    """Where an object keeps what its scale subresource shows."""

    specReplicasPath: Annotated[str, At(1, required=True)] = ""
    statusReplicasPath: Annotated[str, At(2, required=True)] = ""
    labelSelectorPath: Annotated[str | None, At(3)] = None


class CustomResourceSubresourceStatus(Model, name=_PACKAGE + "CustomResourceSubresourceStatus"):
    """The status of an object is written through an address of its own."""


class CustomResourceSubresources(Model, name=_PACKAGE + "CustomResourceSubresources"):
    """The subresources of a custom resource."""

    status: Annotated[CustomResourceSubresourceStatus | None, At(1)] = None
    scale: Annotated[CustomResourceSubresourceScale | None, At(2)] = None


class CustomResourceValidation(Model, name=_PACKAGE + "CustomResourceValidation"):
    """The schema of an object."""

    openAPIV3Schema: Annotated[JSONSchemaProps | None, At(1)] = None


class CustomResourceDefinitionVersion(Model, name=_PACKAGE + "CustomResourceDefinitionVersion"):
    """One version of the kind."""

    name: Annotated[str, At(1, required=True)] = ""
    served: Annotated[bool, At(2, required=True)] = False
    storage: Annotated[bool, At(3, "Objects are stored in this version; exactly one is.", required=True)] = False
    schema_: Annotated[CustomResourceValidation | None, At(4), alias("schema")] = None
    subresources: Annotated[CustomResourceSubresources | None, At(5)] = None
    additionalPrinterColumns: Annotated[list[CustomResourceColumnDefinition], At(6)] = []
    deprecated: Annotated[bool, At(7)] = False
    deprecationWarning: Annotated[str | None, At(8)] = None
    selectableFields: Annotated[list[SelectableField], At(9)] = []


class CustomResourceDefinitionSpec(Model, name=_PACKAGE + "CustomResourceDefinitionSpec"):
    """The kind that is declared."""

    group: Annotated[str, At(1, required=True)] = ""
    names: Annotated[CustomResourceDefinitionNames, At(3, required=True)] = default(CustomResourceDefinitionNames)
    scope: Annotated[str, At(4, "Namespaced or Cluster.", required=True)] = ""
    versions: Annotated[list[CustomResourceDefinitionVersion], At(7, required=True)] = []
    conversion: Annotated[CustomResourceConversion | None, At(9)] = None
    preserveUnknownFields: Annotated[bool, At(10)] = False


class CustomResourceDefinitionCondition(Model, name=_PACKAGE + "CustomResourceDefinitionCondition"):
    """One aspect of a definition's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""
    observedGeneration: Annotated[int, At(6)] = 0


class CustomResourceDefinitionStatus(Model, name=_PACKAGE + "CustomResourceDefinitionStatus"):
    """Whether the kind is served, and under which names."""

    conditions: Annotated[
        list[CustomResourceDefinitionCondition], At(1, keys=("type",), always=True), NULL_IS_EMPTY
    ] = []
    acceptedNames: Annotated[CustomResourceDefinitionNames, At(2, always=True)] = default(CustomResourceDefinitionNames)
    storedVersions: Annotated[list[str], At(3, "Versions objects may be stored in.", always=True), NULL_IS_EMPTY] = []
    observedGeneration: Annotated[int, At(4)] = 0


@kind(
    plural="customresourcedefinitions",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    namespaced=False,
    subresources=(SubresourceInfo("status"),),
    generation=True,
)
class CustomResourceDefinition(Object, name=_PACKAGE + "CustomResourceDefinition"):
    """Declares a kind; objects of it can be made as soon as the definition is Established."""

    apiVersion: str = "apiextensions.k8s.io/v1"
    kind: str = "CustomResourceDefinition"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[CustomResourceDefinitionSpec, At(2, required=True)] = default(CustomResourceDefinitionSpec)
    status: Annotated[CustomResourceDefinitionStatus, At(3)] = default(CustomResourceDefinitionStatus)


class CustomResourceDefinitionList(Object, name=_PACKAGE + "CustomResourceDefinitionList"):
    """A list of CustomResourceDefinition objects."""

    apiVersion: str = "apiextensions.k8s.io/v1"
    kind: str = "CustomResourceDefinitionList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[CustomResourceDefinition], At(2, required=True, list_type="")] = []
