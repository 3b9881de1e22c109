"""ValidatingAdmissionPolicyBinding: where a policy holds, with which parameters."""

from typing import Annotated

from tiphys.api.admissionregistration.matching import MatchResources
from tiphys.api.admissionregistration.parameters import ParamRef
from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ValidatingAdmissionPolicyBindingSpec(
    Model, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec"
):
    """Where a policy holds and what happens when it is broken."""

    policyName: Annotated[str, At(1, required=True, always=False)] = ""
    paramRef: Annotated[ParamRef | None, At(2)] = None
    matchResources: Annotated[MatchResources | None, At(3)] = None
    validationActions: Annotated[
        list[str],
        At(4, required=True, always=False, enum=("Audit", "Deny", "Warn"), list_type="set"),
    ] = []


@kind(plural="validatingadmissionpolicybindings", categories=("api-extensions",), namespaced=False, generation=True)
class ValidatingAdmissionPolicyBinding(
    Object, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding"
):
    """Puts a policy into force."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "ValidatingAdmissionPolicyBinding"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[
        ValidatingAdmissionPolicyBindingSpec,
        At(2, required=True, always=False),
    ] = default(ValidatingAdmissionPolicyBindingSpec)


class ValidatingAdmissionPolicyBindingList(
    Object, name="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBindingList"
):
    """A list of ValidatingAdmissionPolicyBinding objects."""

    apiVersion: str = "admissionregistration.k8s.io/v1"
    kind: str = "ValidatingAdmissionPolicyBindingList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ValidatingAdmissionPolicyBinding], At(2, required=True, list_type="")] = []
