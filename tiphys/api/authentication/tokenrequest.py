"""TokenRequest: a token for a service account, bound to a purpose."""

from typing import Annotated

from tiphys.api.declaration import NULL_IS_EMPTY, At, Model, Object, Time, default
from tiphys.api.meta import ObjectMeta


class BoundObjectReference(Model, name="io.k8s.api.authentication.v1.BoundObjectReference"):
    """The object a token lives and dies with."""

    kind: Annotated[str, At(1)] = ""
    apiVersion: Annotated[str, At(2)] = ""
    name: Annotated[str, At(3)] = ""
    uid: Annotated[str, At()] = ""


class TokenRequestSpec(Model, name="io.k8s.api.authentication.v1.TokenRequestSpec"):
    """What a token is to be good for."""

    audiences: Annotated[list[str], At(1, always=True), NULL_IS_EMPTY] = []
    expirationSeconds: Annotated[int | None, At(4, always=True)] = None
    boundObjectRef: Annotated[BoundObjectReference | None, At(3, always=True)] = None


class TokenRequestStatus(Model, name="io.k8s.api.authentication.v1.TokenRequestStatus"):
    """The token."""

    token: Annotated[str, At(1, always=True)] = ""
    expirationTimestamp: Annotated[Time | None, At(2, always=True)] = None


class TokenRequest(Object, name="io.k8s.api.authentication.v1.TokenRequest"):
    """Asks for a token of a service account."""

    apiVersion: str = "authentication.k8s.io/v1"
    kind: str = "TokenRequest"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[TokenRequestSpec, At(2, always=True)] = default(TokenRequestSpec)
    status: Annotated[TokenRequestStatus, At(3)] = default(TokenRequestStatus)
