"""The Pod Security Standards: what `baseline` and `restricted` forbid in a pod, each with its reason and detail.

Pure.  What must stay true: init, ephemeral and ordinary containers are judged alike; a check says every offender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]

_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)  # fmt: skip
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
    )
)  # fmt: skip
_VOLUMES = frozenset(
    (
        "configMap", "downwardAPI", "emptyDir", "projected", "secret", "csi", "persistentVolumeClaim", "ephemeral",
        "image",
    )
)  # fmt: skip
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


@dataclass(frozen=True, slots=True)
class Violation:
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Obj, Obj], "Violation | None"]
"""(metadata, spec) -> what is wrong, or None"""


def containers(spec: Obj) -> Iterator[Obj]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _security(part: Obj) -> Obj:
    return part.get("securityContext") or {}


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _who(names: Sequence[str], word: str = "container") -> str:
    return f"{word}{'' if len(names) == 1 else 's'} {_quoted(names)}"


def _setters(spec: Obj, is_bad: Callable[[Obj], bool]) -> str:
    """ "pod", "container "a"", "pod and containers "a", "b"", or "" """
    found = ["pod"] if is_bad(_security(spec)) else []
    names = [one["name"] for one in containers(spec) if is_bad(_security(one))]
    return " and ".join([*found, *([_who(names)] if names else [])])


def _is_windows(spec: Obj) -> bool:
    return bool((spec.get("os") or {}).get("name") == "windows")


def _in_user_namespace(spec: Obj) -> bool:
    return spec.get("hostUsers") is False


# --- baseline ---------------------------------------------------------------------------------------------------------


def _apparmor(metadata: Obj, spec: Obj) -> Violation | None:
    def profile(part: Obj) -> str:
        return str((part.get("appArmorProfile") or {}).get("type") or "RuntimeDefault")

    allowed = ("RuntimeDefault", "Localhost")
    found = []
    setters = _setters(spec, lambda part: profile(part) not in allowed)
    if setters:
        values = {profile(_security(part)) for part in (spec, *containers(spec))} - set(allowed)
        found.append(f"{setters} must not set AppArmor profile type to {_quoted(sorted(values))}")
    for key, value in sorted((metadata.get("annotations") or {}).items()):
        if key.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/"):
            found.append(f'annotation {key}="{value}"')
    reason = "forbidden AppArmor profile" + ("" if len(found) == 1 else "s")
    return Violation(reason, ", ".join(found)) if found else None


def _added(container: Obj) -> list[str]:
    return list((_security(container).get("capabilities") or {}).get("add") or ())


def _capabilities_baseline(metadata: Obj, spec: Obj) -> Violation | None:
    names = [one["name"] for one in containers(spec) if set(_added(one)) - _CAPABILITIES]
    if not names:
        return None
    added = sorted({cap for one in containers(spec) for cap in _added(one)} - _CAPABILITIES)
    text = f"{_who(names)} must not include {_quoted(added)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", text)


def _host_namespaces(metadata: Obj, spec: Obj) -> Violation | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_paths(metadata: Obj, spec: Obj) -> Violation | None:
    names = [one["name"] for one in spec.get("volumes") or () if "hostPath" in one]
    return Violation("hostPath volumes", _who(names, "volume")) if names else None


def _host_ports(metadata: Obj, spec: Obj) -> Violation | None:
    names, ports = [], set()
    for one in containers(spec):
        used = {port["hostPort"] for port in one.get("ports") or () if port.get("hostPort")}
        if used:
            names.append(one["name"])
            ports |= used
    if not names:
        return None
    verb, noun = "uses" if len(names) == 1 else "use", "hostPort" if len(ports) == 1 else "hostPorts"
    return Violation("hostPort", f"{_who(names)} {verb} {noun} {', '.join(map(str, sorted(ports)))}")


def _hosts(container: Obj) -> set[str]:
    handlers = [container.get(probe) or {} for probe in _PROBES]
    handlers += [handler or {} for handler in (container.get("lifecycle") or {}).values() if isinstance(handler, dict)]
    actions = [handler.get(kind) or {} for handler in handlers for kind in ("httpGet", "tcpSocket")]
    return {action["host"] for action in actions if action.get("host")}


def _probe_hosts(metadata: Obj, spec: Obj) -> Violation | None:
    names = [one["name"] for one in containers(spec) if _hosts(one)]
    if not names:
        return None
    hosts = sorted(set().union(*(_hosts(one) for one in containers(spec))))
    verb, noun = "uses" if len(names) == 1 else "use", "host" if len(hosts) == 1 else "hosts"
    return Violation("probe or lifecycle host", f"{_who(names)} {verb} probe or lifecycle {noun} {_quoted(hosts)}")


def _privileged(metadata: Obj, spec: Obj) -> Violation | None:
    names = [one["name"] for one in containers(spec) if _security(one).get("privileged")]
    return Violation("privileged", f"{_who(names)} must not set securityContext.privileged=true") if names else None


def _proc_mount_restricted(metadata: Obj, spec: Obj) -> Violation | None:
    def mount(container: Obj) -> str:
        return _security(container).get("procMount") or "Default"

    names = [one["name"] for one in containers(spec) if mount(one) != "Default"]
    if not names:
        return None
    values = _quoted(sorted({mount(one) for one in containers(spec)} - {"Default"}))
    return Violation("procMount", f"{_who(names)} must not set securityContext.procMount to {values}")


def _proc_mount_baseline(metadata: Obj, spec: Obj) -> Violation | None:
    return None if _in_user_namespace(spec) else _proc_mount_restricted(metadata, spec)


def _seccomp(part: Obj) -> str:
    return str((part.get("seccompProfile") or {}).get("type") or "")


def _seccomp_baseline(metadata: Obj, spec: Obj) -> Violation | None:
    allowed = ("", "RuntimeDefault", "Localhost")
    setters = _setters(spec, lambda part: _seccomp(part) not in allowed)
    if not setters:
        return None
    values = {_seccomp(_security(part)) for part in (spec, *containers(spec))} - set(allowed)
    text = f"{setters} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return Violation("seccompProfile", text)


def _selinux(metadata: Obj, spec: Obj) -> Violation | None:
    def options(part: Obj) -> Obj:
        return part.get("seLinuxOptions") or {}

    def is_bad(part: Obj) -> bool:
        found = options(part)
        return found.get("type", "") not in _SELINUX_TYPES or bool(found.get("user") or found.get("role"))

    setters = _setters(spec, is_bad)
    if not setters:
        return None
    every = [options(_security(part)) for part in (spec, *containers(spec))]
    types = sorted({one.get("type", "") for one in every} - _SELINUX_TYPES)
    data = [f"type{'' if len(types) == 1 else 's'} {_quoted(types)}"] if types else []
    data += [f"{field} may not be set" for field in ("user", "role") if any(one.get(field) for one in every)]
    return Violation("seLinuxOptions", f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")


def _sysctls(metadata: Obj, spec: Obj) -> Violation | None:
    found = sorted({one["name"] for one in _security(spec).get("sysctls") or ()} - _SYSCTLS)
    return Violation("forbidden sysctls", ", ".join(found)) if found else None


def _host_process(metadata: Obj, spec: Obj) -> Violation | None:
    setters = _setters(spec, lambda part: bool((part.get("windowsOptions") or {}).get("hostProcess")))
    text = f"{setters} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", text) if setters else None


# --- restricted -------------------------------------------------------------------------------------------------------


def _privilege_escalation(metadata: Obj, spec: Obj) -> Violation | None:
    if _is_windows(spec):
        return None
    names = [one["name"] for one in containers(spec) if _security(one).get("allowPrivilegeEscalation") is not False]
    text = f"{_who(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text) if names else None


def _capabilities_restricted(metadata: Obj, spec: Obj) -> Violation | None:
    if _is_windows(spec):
        return None

    def drops_all(container: Obj) -> bool:
        return "ALL" in ((_security(container).get("capabilities") or {}).get("drop") or ())

    details = []
    names = [one["name"] for one in containers(spec) if not drops_all(one)]
    if names:
        details.append(f'{_who(names)} must set securityContext.capabilities.drop=["ALL"]')
    adding = [one["name"] for one in containers(spec) if set(_added(one)) - {"NET_BIND_SERVICE"}]
    if adding:
        added = sorted({cap for one in containers(spec) for cap in _added(one)} - {"NET_BIND_SERVICE"})
        details.append(f"{_who(adding)} must not include {_quoted(added)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def _volumes(metadata: Obj, spec: Obj) -> Violation | None:
    names, kinds = [], set()
    for volume in spec.get("volumes") or ():
        used = set(volume) - {"name"} - _VOLUMES
        if used:
            names.append(volume["name"])
            kinds |= used
    if not names:
        return None
    verb, noun = "uses" if len(names) == 1 else "use", "type" if len(kinds) == 1 else "types"
    text = f"{_who(names, 'volume')} {verb} restricted volume {noun} {_quoted(sorted(kinds))}"
    return Violation("restricted volume types", text)


def _non_root(metadata: Obj, spec: Obj) -> Violation | None:
    if _in_user_namespace(spec):
        return None
    pod = _security(spec).get("runAsNonRoot")
    every = [(one["name"], _security(one).get("runAsNonRoot")) for one in containers(spec)]
    explicit = [name for name, value in every if value is False]
    silent = [name for name, value in every if value is None]
    if explicit or (pod is False and silent):
        setters = (["pod"] if pod is False else []) + ([_who(explicit)] if explicit else [])
        return Violation(
            "runAsNonRoot != true", f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        )
    if pod is None and silent:
        return Violation("runAsNonRoot != true", f"pod or {_who(silent)} must set securityContext.runAsNonRoot=true")
    return None


def _user(metadata: Obj, spec: Obj) -> Violation | None:
    if _in_user_namespace(spec):
        return None
    setters = _setters(spec, lambda part: part.get("runAsUser") == 0)
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _seccomp_restricted(metadata: Obj, spec: Obj) -> Violation | None:
    if _is_windows(spec):
        return None
    found = _seccomp_baseline(metadata, spec)
    if found is not None:
        return found
    silent = [one["name"] for one in containers(spec) if not _seccomp(_security(one))]
    if _seccomp(_security(spec)) or not silent:
        return None
    wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {_who(silent)} must set {wanted}")


_ALWAYS = 0
_BASELINE: Sequence[tuple[str, int, Check]] = (
    ("appArmorProfile", _ALWAYS, _apparmor),
    ("capabilities_baseline", _ALWAYS, _capabilities_baseline),
    ("hostNamespaces", _ALWAYS, _host_namespaces),
    ("hostPathVolumes", _ALWAYS, _host_paths),
    ("hostPorts", _ALWAYS, _host_ports),
    ("hostProbesAndHostLifecycle", 34, _probe_hosts),
    ("privileged", _ALWAYS, _privileged),
    ("procMount", _ALWAYS, _proc_mount_baseline),
    ("seLinuxOptions", _ALWAYS, _selinux),
    ("seccompProfile_baseline", _ALWAYS, _seccomp_baseline),
    ("sysctls", _ALWAYS, _sysctls),
    ("windowsHostProcess", _ALWAYS, _host_process),
)
_RESTRICTED: Sequence[tuple[str, int, Check]] = (
    ("allowPrivilegeEscalation", 8, _privilege_escalation),
    ("capabilities_restricted", 22, _capabilities_restricted),
    ("procMount_restricted", _ALWAYS, _proc_mount_restricted),
    ("restrictedVolumes", _ALWAYS, _volumes),
    ("runAsNonRoot", _ALWAYS, _non_root),
    ("runAsUser", 23, _user),
    ("seccompProfile_restricted", 19, _seccomp_restricted),
)
_REPLACED = {
    "capabilities_baseline": 22, "hostPathVolumes": _ALWAYS, "procMount": _ALWAYS, "seccompProfile_baseline": 19
}  # fmt: skip
LATEST = 1000


def violations(level: str, minor: int, metadata: Obj, spec: Obj) -> list[Violation]:
    """What keeps a pod from `level` as of v1.`minor` (LATEST for the newest), in upstream's order."""
    if level == "privileged":
        return []
    checks = [one for one in _BASELINE if one[1] <= minor]
    if level == "restricted":
        checks = [one for one in checks if minor < _REPLACED.get(one[0], LATEST + 1)]
        checks += [one for one in _RESTRICTED if one[1] <= minor]
    found = (check(metadata, spec) for _, _, check in checks)
    return [one for one in found if one is not None]
