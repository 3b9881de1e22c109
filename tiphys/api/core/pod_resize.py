"""pods/resize: requests and limits of cpu and memory change on a pod that runs.

What must stay true: only `resources` (and resizePolicy, to be refused with a reason) get through; the class of
service stays; nothing that was requested or limited stops being so.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tiphys.api.core.pod_ephemeralcontainers import MIRROR_ANNOTATION, count_generation, take_from_old
from tiphys.api.core.pod_qos import qos_class
from tiphys.api.core.podspec_validation import pod_spec_errors
from tiphys.api.field_checks import Errors
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import forbidden_field, invalid

Obj = dict[str, Any]
Object = Mapping[str, Any]
RESIZABLE = ("cpu", "memory")
_LISTS = ("containers", "initContainers")
_PARTS = ("resources", "resizePolicy")


def prepare_resize_update(new: Obj, old: Obj, now: str) -> None:
    asked = new.get("spec") or {}
    take_from_old(new, old)
    new["spec"] = deepcopy(old.get("spec") or {})
    for field in _LISTS:
        wanted = {container.get("name", ""): container for container in asked.get(field) or []}
        names = [container.get("name", "") for container in new["spec"].get(field) or []]
        if [container.get("name", "") for container in asked.get(field) or []] != names:
            new["spec"][field] = deepcopy(asked.get(field) or [])  # for the check to refuse
            continue
        for container in new["spec"].get(field) or []:
            for part in _PARTS:
                container.pop(part, None)
                if wanted[container["name"]].get(part) is not None:
                    container[part] = deepcopy(wanted[container["name"]][part])
    count_generation(new, old)


def check_resize_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if MIRROR_ANNOTATION in ((old.get("metadata") or {}).get("annotations") or {}):
        return [forbidden_field("", "static pods cannot be resized")]
    if (before.get("os") or {}).get("name") == "windows":
        return [forbidden_field("", "windows pods cannot be resized")]
    for field in _LISTS:
        names = [[container.get("name", "") for container in one.get(field) or []] for one in (spec, before)]
        if names[0] != names[1]:
            return [forbidden_field("spec", "containers may not be renamed or reordered on resize")]
    errors = pod_spec_errors("spec", spec)
    for index, (one, other) in enumerate(
        zip(spec.get("containers") or [], before.get("containers") or [], strict=True)
    ):
        errors += _removals(f"spec.containers[{index}].resources", one, other)
    for index, (one, other) in enumerate(
        zip(spec.get("initContainers") or [], before.get("initContainers") or [], strict=True)
    ):
        here = f"spec.initContainers[{index}].resources"
        if other.get("restartPolicy") == "Always":
            errors += _removals(here, one, other)
        elif not _same(one.get("resources") or {}, other.get("resources") or {}):
            errors.append(forbidden_field(here, "resources for non-sidecar init containers are immutable"))
    after = qos_class(dict(spec))
    if after != ((old.get("status") or {}).get("qosClass") or qos_class(dict(before))):
        errors.append(invalid("spec", after, "Pod QOS Class may not change as a result of resizing"))
    if _without_resizable(spec) != _without_resizable(before):
        errors.append(forbidden_field("spec", "only cpu and memory resources are mutable"))
    return errors


def _removals(path: str, new: Object, old: Object) -> Errors:
    errors: Errors = []
    for kind in ("requests", "limits"):
        before = (old.get("resources") or {}).get(kind) or {}
        after = (new.get("resources") or {}).get(kind) or {}
        if set(before) - set(after):
            errors.append(forbidden_field(f"{path}.{kind}", f"resource {kind} cannot be removed"))
    return errors


def _same(one: Object, other: Object) -> bool:
    """Equal as amounts: 1 is 1000m."""

    def amounts(resources: Object) -> Any:
        return {
            kind: {name: parse_quantity(str(text)) for name, text in (resources.get(kind) or {}).items()}
            for kind in ("requests", "limits")
        }

    return bool(amounts(one) == amounts(other))


def _without_resizable(spec: Object) -> Obj:
    rest = deepcopy(dict(spec))
    for field in _LISTS:
        for container in rest.get(field) or []:
            resources = container.pop("resources", None) or {}
            left = {
                kind: {name: text for name, text in (resources.get(kind) or {}).items() if name not in RESIZABLE}
                for kind in ("requests", "limits")
            }
            container["resources"] = {**left, "claims": resources.get("claims") or []}
    return rest
