"""What policies of both sorts have in common: parameters and variables."""

from typing import Annotated

from tiphys.api.declaration import At, Model
from tiphys.api.meta import LabelSelector


class ParamKind(Model, name="io.k8s.api.admissionregistration.v1.ParamKind"):
    """Which kind of object a policy's parameters are."""

    apiVersion: Annotated[str, At(1)] = ""
    kind: Annotated[str, At(2)] = ""


class ParamRef(Model, name="io.k8s.api.admissionregistration.v1.ParamRef"):
    """Names a policy's parameters."""

    name: Annotated[str, At(1)] = ""
    namespace: Annotated[str, At(2)] = ""
    selector: Annotated[LabelSelector | None, At(3)] = None
    parameterNotFoundAction: Annotated[str | None, At(4)] = None


class Variable(Model, name="io.k8s.api.admissionregistration.v1.Variable"):
    """A named expression that other expressions use."""

    name: Annotated[str, At(1, required=True)] = ""
    expression: Annotated[str, At(2, required=True)] = ""
