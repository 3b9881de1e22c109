"""Which requests a webhook or policy is about."""

from typing import Annotated

from tiphys.api.declaration import At, Model
from tiphys.api.meta import LabelSelector


class Rule(Model, name="io.k8s.api.admissionregistration.v1.Rule"):
    """Resources of groups and versions."""

    apiGroups: Annotated[list[str], At(1)] = []
    apiVersions: Annotated[list[str], At(2)] = []
    resources: Annotated[list[str], At(3)] = []
    scope: Annotated[str | None, At(4, enum=("*", "Cluster", "Namespaced"))] = None


class RuleWithOperations(Rule, name="io.k8s.api.admissionregistration.v1.RuleWithOperations", inlined=2):
    """Operations on resources."""

    operations: Annotated[list[str], At(1, enum=("*", "CONNECT", "CREATE", "DELETE", "UPDATE"))] = []


class NamedRuleWithOperations(
    RuleWithOperations, name="io.k8s.api.admissionregistration.v1.NamedRuleWithOperations", inlined=2
):
    """Operations on resources, or on some objects of them."""

    resourceNames: Annotated[list[str], At(1)] = []


class MatchCondition(Model, name="io.k8s.api.admissionregistration.v1.MatchCondition"):
    """An expression that must hold for a request to count."""

    name: Annotated[str, At(1, required=True)] = ""
    expression: Annotated[str, At(2, required=True)] = ""


class MatchResources(Model, name="io.k8s.api.admissionregistration.v1.MatchResources"):
    """Which requests are meant."""

    namespaceSelector: Annotated[LabelSelector | None, At(1)] = None
    objectSelector: Annotated[LabelSelector | None, At(2)] = None
    resourceRules: Annotated[list[NamedRuleWithOperations], At(3)] = []
    excludeResourceRules: Annotated[list[NamedRuleWithOperations], At(4)] = []
    matchPolicy: Annotated[str | None, At(7, enum=("Equivalent", "Exact"))] = None
