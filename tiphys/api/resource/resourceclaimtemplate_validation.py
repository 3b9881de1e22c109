"""ResourceClaimTemplate: what its claims ask for never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.resource.resourceclaim_validation import claim_spec_errors

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    claim = ((obj.get("spec") or {}).get("spec")) or {}
    return check.object_name(obj, is_dns1123_subdomain) + claim_spec_errors("spec.spec", claim)


def validate_update(new: Object, old: Object) -> Errors:
    return check.immutable("spec", new.get("spec"), old.get("spec"))
