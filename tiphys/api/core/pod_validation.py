"""What a pod may say, and what of it may change later."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.podspec_validation import pod_spec_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import FieldError, forbidden_field, invalid

Object = Mapping[str, Any]
_UPDATE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate(pod: Object) -> Errors:
    spec = pod.get("spec") or {}
    errors = check.object_name(pod, is_dns1123_subdomain) + pod_spec_errors("spec", spec)
    if spec.get("ephemeralContainers"):
        errors.append(forbidden_field("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("schedulingGates") and spec.get("nodeName"):
        errors.append(forbidden_field("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Images, deadlines and tolerations may change within bounds; scheduling gates may go; nothing else."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = pod_spec_errors("spec", spec)
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or []) != len(before.get(field) or []):
            text = "pod updates may not add or remove containers"
            return [*errors, forbidden_field(f"spec.{field}", text)]
    errors += _deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    errors += _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [])
    errors += _gates(spec.get("schedulingGates") or [], before.get("schedulingGates") or [])
    changed = _forbidden_changes(spec, before)
    if changed:
        errors.append(forbidden_field("spec", "\n".join([_UPDATE_TEXT, *changed])))
    return errors


def _forbidden_changes(spec: Object, before: Object) -> list[str]:
    """One line for each changed field that may not change."""
    mine, theirs = deepcopy(dict(spec)), deepcopy(dict(before))
    gated = bool(before.get("schedulingGates"))
    free = ["activeDeadlineSeconds", "tolerations", "schedulingGates", *(["nodeSelector", "affinity"] if gated else [])]
    for one in (mine, theirs):
        for field in free:
            one.pop(field, None)
        for field in ("containers", "initContainers"):
            for container in one.get(field) or []:
                container.pop("image", None)
    if theirs.get("terminationGracePeriodSeconds", 0) < 0 and mine.get("terminationGracePeriodSeconds") == 1:
        mine["terminationGracePeriodSeconds"] = theirs["terminationGracePeriodSeconds"]
    return [f"  spec.{field} changed" for field in sorted({*mine, *theirs}) if mine.get(field) != theirs.get(field)]


def _deadline(new: int | None, old: int | None) -> Errors:
    path = "spec.activeDeadlineSeconds"
    if new is not None and old is not None and new > old:
        return [invalid(path, new, "must be less than or equal to previous value")]
    if new is None and old is not None:
        return [invalid(path, None, "must not update from a positive integer to nil value")]
    return []


def _tolerations(new: list[Object], old: list[Object]) -> Errors:
    """Every old one must still be there, save for its seconds."""

    def known(item: Object) -> tuple[tuple[str, Any], ...]:
        return tuple(sorted((key, value) for key, value in item.items() if key != "tolerationSeconds"))

    kept = {known(item) for item in new}
    if all(known(item) in kept for item in old):
        return []
    return [forbidden_field("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]


def _gates(new: list[Object], old: list[Object]) -> Errors:
    before = {gate["name"] for gate in old}
    return [
        forbidden_field(
            "spec.schedulingGates", f"only deletion is allowed, but found new scheduling gate '{gate['name']}'"
        )
        for gate in new
        if gate["name"] not in before
    ][:1]


def validate_status_update(new: Object, old: Object) -> Errors:
    """A node cannot be taken away, and a container that will not be restarted does not run again."""
    errors: Errors = []
    status, before = new.get("status") or {}, old.get("status") or {}
    policy = (new.get("spec") or {}).get("restartPolicy")
    if policy != "Always":
        for field in ("containerStatuses",):
            errors += _revivals(field, status.get(field) or [], before.get(field) or [], policy or "")
    return errors


def _revivals(field: str, new: list[Object], old: list[Object], policy: str) -> Errors:
    states = {item["name"]: item.get("state") or {} for item in new}
    errors: list[FieldError] = []
    for index, item in enumerate(old):
        ended = (item.get("state") or {}).get("terminated")
        if ended is None or (ended.get("exitCode", 0) != 0 and policy == "OnFailure"):
            continue
        state = states.get(item["name"])
        if state is not None and "terminated" not in state:
            text = "may not be transitioned to non-terminated state"
            errors.append(forbidden_field(f"status.{field}[{index}].state", text))
    return errors


def warnings(pod: Object) -> list[str]:
    """Advice that upstream gives for settings that parse but rarely mean what was wanted."""
    texts = []
    spec = pod.get("spec") or {}
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        texts.append(
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or []):
            names: set[str] = set()
            for number, variable in enumerate(container.get("env") or []):
                name = variable.get("name", "")
                if name in names:
                    texts.append(
                        f'spec.{field}[{index}].env[{number}]: hides previous definition of "{name}", '
                        "which may be dropped when using apply"
                    )
                names.add(name)
    return texts
