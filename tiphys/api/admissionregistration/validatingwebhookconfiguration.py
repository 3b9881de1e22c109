"""ValidatingWebhookConfiguration: services that may refuse requests."""

from typing import Annotated

from tiphys.api.admissionregistration.matching import MatchCondition, RuleWithOperations
from tiphys.api.admissionregistration.webhook import WebhookClientConfig
from tiphys.api.declaration import At, Int32, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class ValidatingWebhook(Model, name="io.k8s.api.admissionregistration.v1.ValidatingWebhook"):
    """A webhook that is asked whether a request may go on."""

    name: Annotated[str, At(1, required=True)] = ""
    clientConfig: Annotated[WebhookClientConfig, At(2, required=True)] = default(WebhookClientConfig)
    rules: Annotated[list[RuleWithOperations], At(3)] = []
    failurePolicy: Annotated[str | None, At(4, enum=("Fail", "Ignore"))] = None
    matchPolicy: Annotated[str | None, At(9, enum=("Equivalent", "Exact"))] = None
    namespaceSelector: Annotated[LabelSelector | None, At(5)] = None
    objectSelector: Annotated[LabelSelector | None, At(10)] = None
    sideEffects: Annotated[str | None, At(6, required=True, enum=("None", "NoneOnDryRun", "Some", "Unknown"))] = None
    timeoutSeconds: Annotated[Int32 | None, At(7)] = None
    admissionReviewVersions: Annotated[list[str], At(8, required=True)] = []
    matchConditions: Annotated[list[MatchCondition], At(11, keys=("name",), merge="name")] = []


@kind(plural="validatingwebhookconfigurations", categories=("api-extensions",), namespaced=False, generation=True)
class ValidatingWebhookConfiguration(Object, name="io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration"):
    """Webhooks that are asked before an object is stored."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "ValidatingWebhookConfiguration"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    webhooks: Annotated[list[ValidatingWebhook], At(2, keys=("name",), merge="name")] = []


class ValidatingWebhookConfigurationList(
    Object, name="io.k8s.api.admissionregistration.v1.ValidatingWebhookConfigurationList"
):
    """A list of ValidatingWebhookConfiguration objects."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "ValidatingWebhookConfigurationList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ValidatingWebhookConfiguration], At(2, required=True, list_type="")] = []
