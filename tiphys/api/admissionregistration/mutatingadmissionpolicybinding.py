"""MutatingAdmissionPolicyBinding: where a mutating policy holds, with which parameters."""

from typing import Annotated

from tiphys.api.admissionregistration.matching import MatchResources
from tiphys.api.admissionregistration.parameters import ParamRef
from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class MutatingAdmissionPolicyBindingSpec(
    Model, name="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingSpec"
):
    """Where a mutating policy holds."""

    policyName: Annotated[str, At(1)] = ""
    paramRef: Annotated[ParamRef | None, At(2)] = None
    matchResources: Annotated[MatchResources | None, At(3)] = None


@kind(plural="mutatingadmissionpolicybindings", categories=("api-extensions",), namespaced=False, generation=True)
class MutatingAdmissionPolicyBinding(Object, name="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding"):
    """Puts a mutating policy into force."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "MutatingAdmissionPolicyBinding"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[MutatingAdmissionPolicyBindingSpec, At(2)] = default(MutatingAdmissionPolicyBindingSpec)


class MutatingAdmissionPolicyBindingList(
    Object, name="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingList"
):
    """A list of MutatingAdmissionPolicyBinding objects."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "MutatingAdmissionPolicyBindingList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[MutatingAdmissionPolicyBinding], At(2, required=True, list_type="")] = []
