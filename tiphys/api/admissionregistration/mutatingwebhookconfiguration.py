"""MutatingWebhookConfiguration: services that may change objects before they are stored."""

from typing import Annotated

from tiphys.api.admissionregistration.matching import MatchCondition, RuleWithOperations
from tiphys.api.admissionregistration.webhook import WebhookClientConfig
from tiphys.api.declaration import At, Int32, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class MutatingWebhook(Model, name="io.k8s.api.admissionregistration.v1.MutatingWebhook"):
    """A webhook that may change an object."""

    name: Annotated[str, At(1, required=True)] = ""
    clientConfig: Annotated[WebhookClientConfig, At(2, required=True)] = default(WebhookClientConfig)
    rules: Annotated[list[RuleWithOperations], At(3)] = []
    failurePolicy: Annotated[str | None, At(4, enum=("Fail", "Ignore"))] = None
    matchPolicy: Annotated[str | None, At(9, enum=("Equivalent", "Exact"))] = None
    namespaceSelector: Annotated[LabelSelector | None, At(5)] = None
    objectSelector: Annotated[LabelSelector | None, At(11)] = None
    sideEffects: Annotated[str | None, At(6, required=True, enum=("None", "NoneOnDryRun", "Some", "Unknown"))] = None
    timeoutSeconds: Annotated[Int32 | None, At(7)] = None
    admissionReviewVersions: Annotated[list[str], At(8, required=True)] = []
    reinvocationPolicy: Annotated[str | None, At(10, enum=("IfNeeded", "Never"))] = None
    matchConditions: Annotated[list[MatchCondition], At(12, keys=("name",), merge="name")] = []


@kind(plural="mutatingwebhookconfigurations", categories=("api-extensions",), namespaced=False, generation=True)
class MutatingWebhookConfiguration(Object, name="io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration"):
    """Webhooks that may change objects before they are stored."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "MutatingWebhookConfiguration"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    webhooks: Annotated[list[MutatingWebhook], At(2, keys=("name",), merge="name")] = []


class MutatingWebhookConfigurationList(
    Object, name="io.k8s.api.admissionregistration.v1.MutatingWebhookConfigurationList"
):
    """A list of MutatingWebhookConfiguration objects."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "MutatingWebhookConfigurationList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[MutatingWebhookConfiguration], At(2, required=True, list_type="")] = []
