"""Which resources a quota can count, and how their amounts must look."""

from __future__ import annotations

from tiphys.api.field_checks import Errors
from tiphys.api.names import is_qualified_name
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import invalid

COUNTED = (
    *("pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims"),
    *("configmaps", "services.nodeports", "services.loadbalancers"),
)
COMPUTE = (
    *("cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage"),
    *("limits.cpu", "limits.memory", "limits.ephemeral-storage"),
)
STANDARD = (*COUNTED, *COMPUTE, "requests.storage")


def quota_name_errors(path: str, name: str) -> Errors:
    errors = [invalid(path, name, text) for text in is_qualified_name(name)]
    huge = name.startswith(("hugepages-", "requests.hugepages-"))
    if not errors and "/" not in name and name not in STANDARD and not huge:
        errors.append(invalid(path, name, "must be a standard resource for quota"))
    return errors


def quantity_errors(path: str, name: str, amount: str) -> Errors:
    """Not negative, and whole where the resource is counted in pieces."""
    value = parse_quantity(amount)
    if value < 0:
        return [invalid(path, amount, "must be greater than or equal to 0")]
    if (name in COUNTED or is_extended(name)) and value != value.to_integral_value():
        return [invalid(path, amount, "must be an integer")]
    return []


def is_extended(name: str) -> bool:
    """A resource somebody else than Kubernetes counts, such as example.com/gpu."""
    domain = name.partition("/")[0] if "/" in name else ""
    return bool(domain) and not domain.endswith("kubernetes.io") and not name.startswith("requests.")
