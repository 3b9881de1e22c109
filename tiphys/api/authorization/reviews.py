"""Access reviews: may this subject do that."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import FieldSelectorRequirement, LabelSelectorRequirement, ObjectMeta


class FieldSelectorAttributes(Model, name="io.k8s.api.authorization.v1.FieldSelectorAttributes"):
    """The field selector of the call in question."""

    rawSelector: Annotated[str, At(1)] = ""
    requirements: Annotated[list[FieldSelectorRequirement], At(2)] = []


class LabelSelectorAttributes(Model, name="io.k8s.api.authorization.v1.LabelSelectorAttributes"):
    """The label selector of the call in question."""

    rawSelector: Annotated[str, At(1)] = ""
    requirements: Annotated[list[LabelSelectorRequirement], At(2)] = []


class ResourceAttributes(Model, name="io.k8s.api.authorization.v1.ResourceAttributes"):
    """A call on resources."""

    namespace: Annotated[str, At(1)] = ""
    verb: Annotated[str, At(2)] = ""
    group: Annotated[str, At(3)] = ""
    version: Annotated[str, At(4)] = ""
    resource: Annotated[str, At(5)] = ""
    subresource: Annotated[str, At(6)] = ""
    name: Annotated[str, At(7)] = ""
    fieldSelector: Annotated[FieldSelectorAttributes | None, At(8)] = None
    labelSelector: Annotated[LabelSelectorAttributes | None, At(9)] = None


class NonResourceAttributes(Model, name="io.k8s.api.authorization.v1.NonResourceAttributes"):
    """A call on another path."""

    path: Annotated[str, At(1)] = ""
    verb: Annotated[str, At(2)] = ""


class SelfSubjectAccessReviewSpec(Model, name="io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec"):
    """The call in question."""

    resourceAttributes: Annotated[ResourceAttributes | None, At(1)] = None
    nonResourceAttributes: Annotated[NonResourceAttributes | None, At(2)] = None


class SubjectAccessReviewSpec(Model, name="io.k8s.api.authorization.v1.SubjectAccessReviewSpec"):
    """The call in question and who makes it."""

    resourceAttributes: Annotated[ResourceAttributes | None, At(1)] = None
    nonResourceAttributes: Annotated[NonResourceAttributes | None, At(2)] = None
    user: Annotated[str, At(3)] = ""
    groups: Annotated[list[str], At(4)] = []
    extra: Annotated[dict[str, list[str]], At(5, proto="map<string, ExtraValue>")] = {}
    uid: Annotated[str, At(6)] = ""


class SubjectAccessReviewStatus(Model, name="io.k8s.api.authorization.v1.SubjectAccessReviewStatus"):
    """Whether the call is allowed, and why."""

    allowed: Annotated[bool, At(1, required=True)] = False
    denied: Annotated[bool, At(4)] = False
    reason: Annotated[str, At(2)] = ""
    evaluationError: Annotated[str, At(3)] = ""


@kind(plural="selfsubjectaccessreviews", namespaced=False, verbs=("create",))
class SelfSubjectAccessReview(Object, name="io.k8s.api.authorization.v1.SelfSubjectAccessReview"):
    """Asks whether the caller may do something."""

    apiVersion: str = "authorization.k8s.io/v1"
    kind: str = "SelfSubjectAccessReview"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[SelfSubjectAccessReviewSpec, At(2, required=True)] = default(SelfSubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus, At(3)] = default(SubjectAccessReviewStatus)


@kind(plural="subjectaccessreviews", namespaced=False, verbs=("create",))
class SubjectAccessReview(Object, name="io.k8s.api.authorization.v1.SubjectAccessReview"):
    """Asks whether somebody may do something."""

    apiVersion: str = "authorization.k8s.io/v1"
    kind: str = "SubjectAccessReview"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[SubjectAccessReviewSpec, At(2, required=True)] = default(SubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus, At(3)] = default(SubjectAccessReviewStatus)


@kind(plural="localsubjectaccessreviews", verbs=("create",))
class LocalSubjectAccessReview(Object, name="io.k8s.api.authorization.v1.LocalSubjectAccessReview"):
    """Asks whether somebody may do something in one namespace."""

    apiVersion: str = "authorization.k8s.io/v1"
    kind: str = "LocalSubjectAccessReview"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[SubjectAccessReviewSpec, At(2, required=True)] = default(SubjectAccessReviewSpec)
    status: Annotated[SubjectAccessReviewStatus, At(3)] = default(SubjectAccessReviewStatus)


class ResourceRule(Model, name="io.k8s.api.authorization.v1.ResourceRule"):
    """Calls on resources that are allowed."""

    verbs: Annotated[list[str], At(1, required=True)] = []
    apiGroups: Annotated[list[str], At(2)] = []
    resources: Annotated[list[str], At(3)] = []
    resourceNames: Annotated[list[str], At(4)] = []


class NonResourceRule(Model, name="io.k8s.api.authorization.v1.NonResourceRule"):
    """Calls on other paths that are allowed."""

    verbs: Annotated[list[str], At(1, required=True)] = []
    nonResourceURLs: Annotated[list[str], At(2)] = []


class SelfSubjectRulesReviewSpec(Model, name="io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec"):
    """The namespace in question."""

    namespace: Annotated[str, At(1)] = ""


class SubjectRulesReviewStatus(Model, name="io.k8s.api.authorization.v1.SubjectRulesReviewStatus"):
    """What is allowed; perhaps not everything."""

    resourceRules: Annotated[list[ResourceRule], At(1, required=True)] = []
    nonResourceRules: Annotated[list[NonResourceRule], At(2, required=True)] = []
    incomplete: Annotated[bool, At(3, required=True)] = False
    evaluationError: Annotated[str, At(4)] = ""


@kind(plural="selfsubjectrulesreviews", namespaced=False, verbs=("create",))
class SelfSubjectRulesReview(Object, name="io.k8s.api.authorization.v1.SelfSubjectRulesReview"):
    """Asks what the caller may do in a namespace."""

    apiVersion: str = "authorization.k8s.io/v1"
    kind: str = "SelfSubjectRulesReview"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[SelfSubjectRulesReviewSpec, At(2, required=True)] = default(SelfSubjectRulesReviewSpec)
    status: Annotated[SubjectRulesReviewStatus, At(3)] = default(SubjectRulesReviewStatus)
