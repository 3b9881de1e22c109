"""pods/ephemeralcontainers: containers are added to a pod that runs; none is changed or taken away.

What must stay true: nothing but `spec.ephemeralContainers` changes through here, and managedFields say who did it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from tiphys.api.core.container_validation import container_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label
from tiphys.api.status import duplicate, forbidden_field, invalid, not_found_field, required

Obj = dict[str, Any]
Object = Mapping[str, Any]
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_PATH = "spec.ephemeralContainers"
_UNFIT = "cannot be set for an Ephemeral Container"
_UNFIT_FIELDS = (
    *("ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules"),
    *("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"),
)


def take_from_old(new: Obj, old: Obj) -> None:
    """Everything in `new` becomes what it is in `old`, but for the version, who manages the fields, and the spec."""
    own = new.get("metadata") or {}
    kept = {name: own[name] for name in ("resourceVersion", "managedFields") if name in own}
    spec = new.get("spec") or {}
    before = deepcopy(old)
    new.clear()
    new.update(before)
    new["metadata"].pop("managedFields", None)
    new["metadata"].update(kept)
    new["spec"] = spec


def count_generation(new: Obj, old: Obj) -> None:
    """metadata.generation counts changes of the spec."""
    before = (old.get("metadata") or {}).get("generation", 0)
    new["metadata"]["generation"] = before + int(new.get("spec") != old.get("spec"))


def prepare_ephemeralcontainers_update(new: Obj, old: Obj, now: str) -> None:
    added = deepcopy((new.get("spec") or {}).get("ephemeralContainers"))
    take_from_old(new, old)
    new["spec"] = deepcopy(old.get("spec") or {})
    new["spec"].pop("ephemeralContainers", None)
    if added:
        new["spec"]["ephemeralContainers"] = added
    count_generation(new, old)


def check_ephemeralcontainers_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if MIRROR_ANNOTATION in ((old.get("metadata") or {}).get("annotations") or {}):
        return [forbidden_field("", "static pods do not support ephemeral containers")]
    containers: Sequence[Object] = spec.get("ephemeralContainers") or []
    errors = _each(containers, spec)
    known = {container.get("name", ""): container for container in containers}
    for container in before.get("ephemeralContainers") or []:
        name = container.get("name", "")
        if name not in known:
            errors.append(forbidden_field(_PATH, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif known[name] != container:
            errors.append(forbidden_field(_PATH, f'existing ephemeral containers "{name}" may not be changed\n'))
    return errors


def _each(containers: Sequence[Object], spec: Object) -> Errors:
    errors: Errors = []
    regular = {c.get("name", "") for field in ("containers", "initContainers") for c in spec.get(field) or []}
    taken = set(regular)
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or []}
    for index, container in enumerate(containers):
        here = f"{_PATH}[{index}]"
        name, target = container.get("name", ""), container.get("targetContainerName", "")
        errors += _name(here, name, taken)
        taken.add(name)
        errors += container_errors(here, container, volumes, host_network=bool(spec.get("hostNetwork")))
        if target and target not in regular:
            errors.append(not_found_field(f"{here}.targetContainerName", target))
        errors += [forbidden_field(f"{here}.{field}", _UNFIT) for field in _UNFIT_FIELDS if container.get(field)]
        for number, mount in enumerate(container.get("volumeMounts") or []):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    errors.append(forbidden_field(f"{here}.volumeMounts[{number}].{field}", _UNFIT))
    return errors


def _name(path: str, name: str, taken: set[str]) -> Errors:
    if not name:
        return [required(f"{path}.name")]
    errors = [invalid(f"{path}.name", name, text) for text in is_dns1123_label(name)]
    return [*errors, duplicate(f"{path}.name", name)] if name in taken else errors
