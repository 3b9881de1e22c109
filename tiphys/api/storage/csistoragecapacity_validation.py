"""CSIStorageCapacity: it is about one class in one part of the cluster, always the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import invalid

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += check.label_selector("nodeTopology", obj.get("nodeTopology"))
    name = obj.get("storageClassName", "")
    errors += [invalid("storageClassName", name, text) for text in is_dns1123_subdomain(name)]
    for field in ("capacity", "maximumVolumeSize"):
        amount = obj.get(field)
        if amount is not None and parse_quantity(amount) < 0:
            errors.append(invalid(field, amount, "must be greater than or equal to 0"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    errors = validate(new)
    for field in ("nodeTopology", "storageClassName"):
        errors += check.immutable(field, new.get(field), old.get(field))
    return errors
