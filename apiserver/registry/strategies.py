"""The table of what is different: (group, plural) -> Strategy, after upstream's registry packages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apiserver.crd.status import begin_cleanup, is_alive
from apiserver.registry.strategy import Strategy
from apiserver.request import User
from apiserver.resources import Strategies
from tiphys.api.certificates.certificatesigningrequest_strategy import prepare_approval_update
from tiphys.api.core.pod_ephemeralcontainers import (
    check_ephemeralcontainers_update,
    prepare_ephemeralcontainers_update,
)
from tiphys.api.core.pod_resize import check_resize_update, prepare_resize_update
from tiphys.api.kinds import Registry

EVENT_TTL_SECONDS = 3600
_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
_CREATED_BY_UPDATE = (
    ("", "limitranges"),
    *((_RBAC, plural) for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")),
)
_VERSIONED_UPDATE = (
    ("apiregistration.k8s.io", "apiservices"),
    ("node.k8s.io", "runtimeclasses"),
    ("policy", "poddisruptionbudgets"),
    *((_ADMISSION, f"{word}webhookconfigurations") for word in ("mutating", "validating")),
    *((_ADMISSION, f"{word}admissionpolicies") for word in ("mutating", "validating")),
    *((_ADMISSION, f"{word}admissionpolicybindings") for word in ("mutating", "validating")),
    *(("storage.k8s.io", plural) for plural in ("csidrivers", "csinodes", "csistoragecapacities", "volumeattachments")),
)


def _terminate(namespace: dict[str, Any]) -> None:
    """A namespace under deletion shows its phase and has no grace period of its own."""
    namespace["status"]["phase"] = "Terminating"
    namespace["metadata"].pop("deletionGracePeriodSeconds", None)


def _has_spec_finalizers(namespace: dict[str, Any]) -> bool:
    return bool(namespace.get("spec", {}).get("finalizers"))


def _sign_request(request: dict[str, Any], user: User) -> None:
    """Who asks for a certificate decides what it may say; signers and approvers read it here."""
    extra = {name: list(values) for name, values in user.extra.items()}
    said = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
    request["spec"].update({name: value for name, value in said.items() if value})


def builtin_strategies(registry: Registry, services: Strategy) -> Strategies:
    """`services` comes with its allocators from the server that owns them."""
    strategies: dict[tuple[str, str], Strategy] = {
        ("", "namespaces"): Strategy(begin_deletion=_terminate, holds=_has_spec_finalizers),
        ("", "serviceaccounts"): Strategy(returns_deleted=True),
        ("", "persistentvolumeclaims"): Strategy(returns_deleted=True),
        ("", "persistentvolumes"): Strategy(returns_deleted=True),
        ("", "podtemplates"): Strategy(returns_deleted=True),
        ("", "resourcequotas"): Strategy(returns_deleted=True),
        ("", "events"): Strategy(create_on_update=True, ttl_seconds=EVENT_TTL_SECONDS),
        ("events.k8s.io", "events"): Strategy(create_on_update=True),  # they expire as the core group's
        ("", "endpoints"): Strategy(create_on_update=True),
        ("", "services"): services,
        ("apiextensions.k8s.io", "customresourcedefinitions"): Strategy(begin_deletion=begin_cleanup, holds=is_alive),
        ("certificates.k8s.io", "certificatesigningrequests"): Strategy(
            sign=_sign_request, prepare={"approval": prepare_approval_update}
        ),
        ("coordination.k8s.io", "leases"): Strategy(create_on_update=True, unconditional_update=False),
    }
    strategies |= dict.fromkeys(_CREATED_BY_UPDATE, Strategy(create_on_update=True))
    strategies |= dict.fromkeys(_VERSIONED_UPDATE, Strategy(unconditional_update=False))
    for info in registry.all():
        if info.graceful:
            strategies[(info.group, info.plural)] = Strategy(returns_deleted=True, grace=info.grace_period_seconds)
    pods = strategies[("", "pods")]
    strategies[("", "pods")] = replace(
        pods,
        prepare={"ephemeralcontainers": prepare_ephemeralcontainers_update, "resize": prepare_resize_update},
        check={"ephemeralcontainers": check_ephemeralcontainers_update, "resize": check_resize_update},
    )
    return strategies
