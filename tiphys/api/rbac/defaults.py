"""What the server fills in for role bindings."""

from typing import Any

from tiphys.api.declaration import sets_defaults

GROUP = "rbac.authorization.k8s.io"


@sets_defaults("io.k8s.api.rbac.v1.RoleRef")
def role_ref(reference: dict[str, Any]) -> None:
    if not reference.get("apiGroup"):
        reference["apiGroup"] = GROUP


@sets_defaults("io.k8s.api.rbac.v1.Subject")
def subject(obj: dict[str, Any]) -> None:
    if not obj.get("apiGroup") and obj.get("kind") in ("User", "Group"):
        obj["apiGroup"] = GROUP
