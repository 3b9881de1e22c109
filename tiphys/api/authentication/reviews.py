"""TokenReview and SelfSubjectReview: who is this, who am I."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ObjectMeta


class UserInfo(Model, name="io.k8s.api.authentication.v1.UserInfo"):
    """Who somebody is."""

    username: Annotated[str, At(1)] = ""
    uid: Annotated[str, At(2)] = ""
    groups: Annotated[list[str], At(3)] = []
    extra: Annotated[dict[str, list[str]], At(4, proto="map<string, ExtraValue>")] = {}


class TokenReviewSpec(Model, name="io.k8s.api.authentication.v1.TokenReviewSpec"):
    """The token in question."""

    token: Annotated[str, At(1, required=True, always=False)] = ""
    audiences: Annotated[list[str], At(2)] = []


class TokenReviewStatus(Model, name="io.k8s.api.authentication.v1.TokenReviewStatus"):
    """What a token is worth."""

    authenticated: Annotated[bool, At(1)] = False
    user: Annotated[UserInfo, At(2)] = default(UserInfo)
    audiences: Annotated[list[str], At(4)] = []
    error: Annotated[str, At(3)] = ""


@kind(plural="tokenreviews", namespaced=False, verbs=("create",))
class TokenReview(Object, name="io.k8s.api.authentication.v1.TokenReview"):
    """Asks who a token belongs to."""

    apiVersion: str = "authentication.k8s.io/v1"
    kind: str = "TokenReview"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[TokenReviewSpec, At(2, required=True)] = default(TokenReviewSpec)
    status: Annotated[TokenReviewStatus, At(3)] = default(TokenReviewStatus)


class SelfSubjectReviewStatus(Model, name="io.k8s.api.authentication.v1.SelfSubjectReviewStatus"):
    """Who the caller is."""

    userInfo: Annotated[UserInfo, At(1)] = default(UserInfo)


@kind(plural="selfsubjectreviews", namespaced=False, verbs=("create",))
class SelfSubjectReview(Object, name="io.k8s.api.authentication.v1.SelfSubjectReview"):
    """Asks who the caller is."""

    apiVersion: str = "authentication.k8s.io/v1"
    kind: str = "SelfSubjectReview"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    status: Annotated[SelfSubjectReviewStatus, At(2)] = default(SelfSubjectReviewStatus)
