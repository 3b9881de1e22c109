"""The objects that a binding names as its policy's parameters."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.admission import Attributes, Obj
from apiserver.admission.policy.definitions import Binding, Policy
from apiserver.resources import Resources
from tiphys.api.kinds import KindInfo
from tiphys.api.selectors import from_label_selector


class ConfigurationError(Exception):
    """The policy or its binding cannot be used as it stands."""


def parameters(policy: Policy, binding: Binding, attributes: Attributes, resources: Resources) -> Sequence[Obj | None]:
    """One evaluation for each: [None] without parameters, [] where none are there and that is allowed.

    Raises ConfigurationError."""
    if policy.param_kind is None or binding.param_ref is None:
        return [None]
    api_version, kind = policy.param_kind
    group, _, version = api_version.rpartition("/")
    info = resources.registry.by_kind(group, version, kind)
    if info is None:
        text = f"failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'"
        raise ConfigurationError(f"failed to configure policy: {text}")
    reference = binding.param_ref
    found = _find(info, reference, attributes, resources)
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        text = "no params found for policy binding with `Deny` parameterNotFoundAction"
        raise ConfigurationError(f"failed to configure binding: {text}")
    return found


def _find(info: KindInfo, reference: Obj, attributes: Attributes, resources: Resources) -> list[Obj]:
    namespace = reference.get("namespace") or ""
    if not info.namespaced:
        if namespace:
            text = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
            raise ConfigurationError(f"failed to configure binding: {text}")
    elif not namespace:
        namespace = attributes.namespace
        if not namespace:
            text = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            raise ConfigurationError(f"failed to configure binding: {text}")
    store = resources.of(info)
    name = reference.get("name")
    if name:
        found = store.peek(namespace, name)
        return [] if found is None else [found]
    selector = from_label_selector(reference.get("selector"))
    return [one for one in store.peek_all(namespace) if selector.matches(one["metadata"].get("labels") or {})]
