"""Security contexts of pods and containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import MAX_INT32, Errors
from tiphys.api.status import duplicate, invalid, required

Object = Mapping[str, Any]
SYSCTL_PATTERN = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
# Labels are matched one by one: the whole pattern at once backtracks without bound on hostile input.
_SYSCTL_LABEL = re.compile(r"[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?", re.ASCII)


def security_context_errors(path: str, context: Object) -> Errors:
    """A container's securityContext."""
    errors: Errors = []
    for field in ("runAsUser", "runAsGroup"):
        errors += check.within(f"{path}.{field}", context.get(field), 0, MAX_INT32)
    if context.get("procMount") is not None:
        errors += check.one_of(f"{path}.procMount", context["procMount"], ("Default", "Unmasked"), optional=False)
    errors += profile_errors(f"{path}.seccompProfile", context.get("seccompProfile"))
    errors += profile_errors(f"{path}.appArmorProfile", context.get("appArmorProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        refused = "cannot set `allowPrivilegeEscalation` to false and "
        if context.get("privileged"):
            errors.append(invalid(path, context, refused + "`privileged` to true"))
        if any(name in ("CAP_SYS_ADMIN", "SYS_ADMIN") for name in (context.get("capabilities") or {}).get("add", ())):
            errors.append(invalid(path, context, refused + "`capabilities.Add` CAP_SYS_ADMIN"))
    return errors


def pod_security_context_errors(path: str, context: Object, spec: Object) -> Errors:
    """A pod's securityContext, with the host namespaces beside it in the spec."""
    errors: Errors = []
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        errors += check.within(f"{path}.{field}", context.get(field), 0, MAX_INT32)
    for index, group in enumerate(context.get("supplementalGroups") or []):
        errors += check.within(f"{path}.supplementalGroups[{index}]", group, 0, MAX_INT32)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        value = spec["shareProcessNamespace"]
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid("spec.shareProcessNamespace", value, text))
    errors += _sysctls(f"{path}.sysctls", context.get("sysctls") or [], spec)
    errors += profile_errors(f"{path}.seccompProfile", context.get("seccompProfile"))
    errors += profile_errors(f"{path}.appArmorProfile", context.get("appArmorProfile"))
    for field, supported in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    ):
        if context.get(field) is not None:
            errors += check.one_of(f"{path}.{field}", context[field], supported, optional=False)
    return errors


def valid_sysctl_name(name: str) -> bool:
    return len(name) <= 253 and all(_SYSCTL_LABEL.fullmatch(label) for label in re.split(r"[./]", name))


def _sysctls(path: str, sysctls: list[Object], spec: Object) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, here = sysctl.get("name", ""), f"{path}[{index}].name"
        if not name:
            errors.append(required(here))
        elif not valid_sysctl_name(name):
            errors.append(invalid(here, name, f"must have at most 253 characters and match regex {SYSCTL_PATTERN}"))
        elif name.replace("/", ".") in names:
            errors.append(duplicate(here, name))
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.append(invalid(here, name, "may not be specified when 'hostNetwork' is set to true"))
        if spec.get("hostIPC") and dotted.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            errors.append(invalid(here, name, "may not be specified when 'hostIPC' is set to true"))
        names.add(dotted)
    return errors


def profile_errors(path: str, profile: Object | None) -> Errors:
    """seccompProfile and appArmorProfile."""
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    errors = check.one_of(f"{path}.type", kind, ("Localhost", "RuntimeDefault", "Unconfined"), optional=False)
    if kind == "Localhost":
        if not local:
            errors.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            errors += check.relative_path(f"{path}.localhostProfile", local)
    elif local is not None:
        text = "must only be set when seccomp type is Localhost"
        errors.append(invalid(f"{path}.localhostProfile", local, text))
    return errors
