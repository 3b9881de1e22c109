"""ResourceSlice: devices of one driver and pool, reachable from nodes that are named one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.scheduling_validation import node_selector_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.resource.selection_validation import unique_names
from tiphys.api.status import invalid, required, too_many
from tiphys.api.storage.drivernames import driver_name_errors

Object = Mapping[str, Any]
_MAX_DEVICES = 128
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_VALUES = ("int", "bool", "string", "version", "ints", "bools", "strings", "versions")


def validate(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    errors = check.object_name(obj, is_dns1123_subdomain)
    errors += driver_name_errors("spec.driver", spec.get("driver", ""))
    errors += _pool(spec.get("pool") or {})
    given = [place for place in _PLACES if spec.get(place)]
    if not given:
        text = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        errors.append(required("spec", text))
    elif len(given) > 1:
        words = ", ".join(f"`{place}`" for place in given)
        text = (
            "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, "
            "but multiple fields are set"
        )
        errors.append(invalid("spec", f"{{{words}}}", text))
    errors += check.optional_name("spec.nodeName", spec.get("nodeName"), is_dns1123_subdomain)
    if spec.get("nodeSelector") is not None:
        errors += node_selector_errors("spec.nodeSelector", spec["nodeSelector"])
    devices = spec.get("devices") or []
    if len(devices) > _MAX_DEVICES:
        return [*errors, too_many("spec.devices", len(devices), _MAX_DEVICES)]
    return errors + unique_names("spec.devices", devices) + check.each("spec.devices", devices, _device)


def _pool(pool: Object) -> Errors:
    name = pool.get("name", "")
    errors: Errors = [] if name else [required("spec.pool.name")]
    for part in name.split("/") if name else []:
        errors += [invalid("spec.pool.name", part, text) for text in is_dns1123_subdomain(part)]
    if pool.get("resourceSliceCount", 0) <= 0:
        count = pool.get("resourceSliceCount", 0)
        errors.append(invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    return errors + check.not_negative("spec.pool.generation", pool.get("generation"))


def _device(path: str, device: Object) -> Errors:
    errors: Errors = []
    for name, attribute in (device.get("attributes") or {}).items():
        given = [kind for kind in _VALUES if attribute.get(kind) is not None]
        if not given:
            errors.append(required(f"{path}.attributes[{name}]", "exactly one value must be specified"))
        elif len(given) > 1:
            errors.append(invalid(f"{path}.attributes[{name}]", attribute, "exactly one value must be specified"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate(new)
    for field in ("driver", "nodeName"):
        errors += check.immutable(f"spec.{field}", spec.get(field), before.get(field))
    name, was = ((one.get("pool") or {}).get("name") for one in (spec, before))
    return errors + check.immutable("spec.pool.name", name, was)
