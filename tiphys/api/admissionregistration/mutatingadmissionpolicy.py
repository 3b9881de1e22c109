"""MutatingAdmissionPolicy: expressions that change an object."""

from typing import Annotated

from tiphys.api.admissionregistration.matching import MatchCondition, MatchResources
from tiphys.api.admissionregistration.parameters import ParamKind, Variable
from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ApplyConfiguration(Model, name="io.k8s.api.admissionregistration.v1.ApplyConfiguration"):
    """An expression whose result is applied to the object."""

    expression: Annotated[str, At(1)] = ""


class JSONPatch(Model, name="io.k8s.api.admissionregistration.v1.JSONPatch"):
    """An expression whose result is a JSON patch."""

    expression: Annotated[str, At(1)] = ""


class Mutation(Model, name="io.k8s.api.admissionregistration.v1.Mutation"):
    """One change a policy makes."""

    patchType: Annotated[str, At(2, required=True, enum=("ApplyConfiguration", "JSONPatch"))] = ""
    applyConfiguration: Annotated[ApplyConfiguration | None, At(3)] = None
    jsonPatch: Annotated[JSONPatch | None, At(4)] = None


class MutatingAdmissionPolicySpec(Model, name="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicySpec"):
    """What is changed, in which requests."""

    paramKind: Annotated[ParamKind | None, At(1)] = None
    matchConstraints: Annotated[MatchResources | None, At(2)] = None
    variables: Annotated[list[Variable], At(3)] = []
    mutations: Annotated[list[Mutation], At(4)] = []
    failurePolicy: Annotated[str | None, At(5, enum=("Fail", "Ignore"))] = None
    matchConditions: Annotated[list[MatchCondition], At(6, keys=("name",), merge="name")] = []
    reinvocationPolicy: Annotated[str, At(7, enum=("IfNeeded", "Never"))] = ""


@kind(plural="mutatingadmissionpolicies", categories=("api-extensions",), namespaced=False, generation=True)
class MutatingAdmissionPolicy(Object, name="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy"):
    """Expressions that change an object before it is stored."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "MutatingAdmissionPolicy"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[MutatingAdmissionPolicySpec, At(2)] = default(MutatingAdmissionPolicySpec)


class MutatingAdmissionPolicyList(Object, name="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyList"):
    """A list of MutatingAdmissionPolicy objects."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "MutatingAdmissionPolicyList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[MutatingAdmissionPolicy], At(2, required=True, list_type="")] = []
