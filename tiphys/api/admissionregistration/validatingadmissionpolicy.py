"""ValidatingAdmissionPolicy: expressions that must hold for an object."""

from typing import Annotated

from tiphys.api.admissionregistration.matching import MatchCondition, MatchResources
from tiphys.api.admissionregistration.parameters import ParamKind, Variable
from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import Condition, ListMeta, ObjectMeta


class Validation(Model, name="io.k8s.api.admissionregistration.v1.Validation"):
    """An expression, and what is said when it does not hold."""

    expression: Annotated[str, At(1, required=True)] = ""
    message: Annotated[str, At(2)] = ""
    reason: Annotated[str | None, At(3)] = None
    messageExpression: Annotated[str, At(4)] = ""


class AuditAnnotation(Model, name="io.k8s.api.admissionregistration.v1.AuditAnnotation"):
    """What is noted in the audit log."""

    key: Annotated[str, At(1, required=True)] = ""
    valueExpression: Annotated[str, At(2, required=True)] = ""


class ValidatingAdmissionPolicySpec(Model, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicySpec"):
    """What is checked, of which requests."""

    paramKind: Annotated[ParamKind | None, At(1)] = None
    matchConstraints: Annotated[MatchResources | None, At(2)] = None
    validations: Annotated[list[Validation], At(3)] = []
    failurePolicy: Annotated[str | None, At(4, enum=("Fail", "Ignore"))] = None
    auditAnnotations: Annotated[list[AuditAnnotation], At(5)] = []
    matchConditions: Annotated[list[MatchCondition], At(6, keys=("name",), merge="name")] = []
    variables: Annotated[list[Variable], At(7, keys=("name",), merge="name")] = []


class ExpressionWarning(Model, name="io.k8s.api.admissionregistration.v1.ExpressionWarning"):
    """An expression that does not fit the types."""

    fieldRef: Annotated[str, At(2, required=True)] = ""
    warning: Annotated[str, At(3, required=True)] = ""


class TypeChecking(Model, name="io.k8s.api.admissionregistration.v1.TypeChecking"):
    """What was found when the expressions were checked against the types."""

    expressionWarnings: Annotated[list[ExpressionWarning], At(1)] = []


class ValidatingAdmissionPolicyStatus(
    Model, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyStatus"
):
    """What became of a policy."""

    observedGeneration: Annotated[int, At(1)] = 0
    typeChecking: Annotated[TypeChecking | None, At(2)] = None
    conditions: Annotated[list[Condition], At(3, keys=("type",))] = []


@kind(
    plural="validatingadmissionpolicies",
    categories=("api-extensions",),
    namespaced=False,
    generation=True,
    subresources=(SubresourceInfo("status"),),
)
class ValidatingAdmissionPolicy(Object, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy"):
    """Expressions that must hold for an object to be stored."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "ValidatingAdmissionPolicy"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ValidatingAdmissionPolicySpec, At(2)] = default(ValidatingAdmissionPolicySpec)
    status: Annotated[ValidatingAdmissionPolicyStatus, At(3)] = default(ValidatingAdmissionPolicyStatus)


class ValidatingAdmissionPolicyList(Object, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyList"):
    """A list of ValidatingAdmissionPolicy objects."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "ValidatingAdmissionPolicyList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ValidatingAdmissionPolicy], At(2, required=True, list_type="")] = []
