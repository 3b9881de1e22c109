"""From a ContainerSpec to the OCI config.json: a pure function of a closed set of inputs.

What must stay true of every result: no hooks and no annotations; /dev is a fresh tmpfs; /proc and /sys are fresh; the
inheritable and ambient capability sets are empty; a mount namespace of its own; devices are denied but for the list.
`tests/nodeagent/runtime/test_spec.py` holds that as a property.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from nodeagent.runtime.capabilities import effective_capabilities
from nodeagent.runtime.facts import NodeFacts
from nodeagent.runtime.interface import ContainerSpec, Device, Mount, Rlimit, RuntimeFailure, Security, User
from nodeagent.runtime.seccomp import default_seccomp, load_profile

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_SIZE_BYTES = 64 << 20
HIGHEST_ID = (1 << 31) - 1  # above it, kernels and libraries have read ids as negative, or as root

MASKED_PATHS = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/devices/virtual/powercap", "/sys/firmware"),
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_DEVPTS_OPTIONS = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")

# null zero full random urandom tty, the pty multiplexer and its ptys
_DEVICE_RULES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, None))


def oci_config(
    spec: ContainerSpec, facts: NodeFacts, *, rootfs: str, cgroups_path: str, mounts: Sequence[Mount] | None = None
) -> dict[str, Any]:
    """The whole config.json.

    `mounts` are the spec's mounts with targets already resolved inside the rootfs (default: the spec's own).  Raises
    RuntimeFailure when the spec cannot be expressed safely (bad environment, working directory in /proc, bad ids).
    """
    security = spec.security
    volumes = spec.mounts if mounts is None else mounts
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "root": {"path": rootfs, "readonly": security.read_only_rootfs},
        "process": process(spec, facts),
        "mounts": [*_kernel_mounts(spec), *(_bind(mount) for mount in sorted(volumes, key=_depth))],
        "linux": {
            "cgroupsPath": cgroups_path,
            "namespaces": _namespaces(spec),
            "resources": _resources(spec, facts),
            "rootfsPropagation": _propagation(volumes),
            "devices": [_device_node(d) for d in _devices(spec, facts)],
        },
    }
    linux = config["linux"]
    if not (security.privileged or security.unmasked_proc):
        linux["maskedPaths"] = list(MASKED_PATHS)
        # Never /sys/fs/cgroup here: crun 1.8.1 would bind it over itself and leave the controllers below writable.
        linux["readonlyPaths"] = list(READ_ONLY_PATHS)
    if seccomp := _seccomp(security, config["process"]["capabilities"]["bounding"]):
        linux["seccomp"] = seccomp
    return config


def process(spec: ContainerSpec, facts: NodeFacts, argv: Sequence[str] | None = None) -> dict[str, Any]:
    """The `process` section; with `argv`, the one of an exec in the same container."""
    arguments = list(spec.argv if argv is None else argv)
    if not arguments:
        raise RuntimeFailure("no command specified")
    if any("\0" in text for text in arguments):
        raise RuntimeFailure("command contains a NUL character")
    capabilities = sorted(
        effective_capabilities(
            spec.security.capabilities_add,
            spec.security.capabilities_drop,
            privileged=spec.security.privileged,
            held_by_node=facts.capabilities,
        )
    )
    return {
        "terminal": spec.terminal and argv is None,
        "user": _user(spec.user),
        "args": arguments,
        "env": environment(spec.env, spec.hostname, spec.terminal),
        "cwd": _working_directory(spec.cwd),
        "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        "noNewPrivileges": spec.security.no_new_privileges and not spec.security.privileged,
        "oomScoreAdj": max(spec.oom_score_adj, facts.lowest_oom_score_adj),
        "rlimits": [_rlimit(limit, facts.hard_rlimits) for limit in spec.rlimits],
    }


def environment(env: Sequence[tuple[str, str]], hostname: str, terminal: bool) -> list[str]:
    """NAME=value lines: defaults first, the last value of a name wins.  RuntimeFailure on NUL or `=` in names."""
    values: dict[str, str] = {"PATH": DEFAULT_PATH}
    if hostname:
        values["HOSTNAME"] = hostname
    if terminal:
        values["TERM"] = "xterm"
    for name, value in env:
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise RuntimeFailure(f"invalid environment variable {name!r}")
        values[name] = value
    return [f"{name}={value}" for name, value in values.items()]


def _user(user: User) -> dict[str, Any]:
    if any(not 0 <= number <= HIGHEST_ID for number in (user.uid, user.gid, *user.groups)):
        raise RuntimeFailure(f"user or group id out of range 0-{HIGHEST_ID}")
    return {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)}


def _working_directory(cwd: str) -> str:
    path = cwd or "/"
    if not path.startswith("/") or "\0" in path:
        raise RuntimeFailure(f"working directory {cwd!r} is not an absolute path")
    path = "/" + posixpath.normpath(path).lstrip("/")
    if path == "/proc" or path.startswith("/proc/"):
        raise RuntimeFailure(f"working directory {cwd!r} is not allowed")
    return path


def _rlimit(limit: Rlimit, hard_limits: Mapping[str, int]) -> dict[str, Any]:
    ceiling = hard_limits.get(limit.kind, -1)
    hard = limit.hard if ceiling < 0 else min(limit.hard, ceiling)
    return {"type": limit.kind, "soft": min(limit.soft, hard), "hard": hard}


def _namespaces(spec: ContainerSpec) -> list[dict[str, str]]:
    namespaces = [{"type": "mount"}, {"type": "cgroup"}]
    pinned = spec.namespaces
    shared = (("user", pinned.user), ("network", pinned.net), ("ipc", pinned.ipc), ("uts", pinned.uts))
    for kind, path in shared:
        if path:
            namespaces.append({"type": kind, "path": path})
    if pinned.pid == "":
        namespaces.append({"type": "pid"})
    elif pinned.pid != "host":
        namespaces.append({"type": "pid", "path": pinned.pid})
    return namespaces


def _kernel_mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    access = "rw" if spec.security.privileged else "ro"
    closed = ["nosuid", "noexec", "nodev"]
    if spec.namespaces.shm:
        shm = _mount("/dev/shm", "bind", spec.namespaces.shm, ["bind", "rprivate", *closed, "rw"])
    else:
        shm = _mount("/dev/shm", "tmpfs", "shm", [*closed, "mode=1777", f"size={SHM_SIZE_BYTES}"])
    return [
        _mount("/proc", "proc", "proc", closed),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", _DEVPTS_OPTIONS),
        shm,
        _mount("/dev/mqueue", "mqueue", "mqueue", closed),
        _mount("/sys", "sysfs", "sysfs", [*closed, access]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*closed, "relatime", access]),
    ]


def _mount(destination: str, kind: str, source: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _bind(mount: Mount) -> dict[str, Any]:
    if unknown := set(mount.options) - {"nosuid", "nodev", "noexec"}:
        raise RuntimeFailure(f"mount option {sorted(unknown)[0]!r} is not allowed")
    access = ("rro" if mount.recursive_read_only else "ro") if mount.read_only else "rw"
    return _mount(mount.target, "bind", mount.source, ["rbind", mount.propagation, *mount.options, access])


def _depth(mount: Mount) -> int:
    return mount.target.rstrip("/").count("/")


def _propagation(mounts: Sequence[Mount]) -> str:
    kinds = {mount.propagation for mount in mounts}
    return "rshared" if "rshared" in kinds else "rslave" if "rslave" in kinds else "rprivate"


def _devices(spec: ContainerSpec, facts: NodeFacts) -> tuple[Device, ...]:
    return (*spec.devices, *facts.devices) if spec.security.privileged else spec.devices


def _device_node(device: Device) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": 0,
        "gid": 0,
    }


def _resources(spec: ContainerSpec, facts: NodeFacts) -> dict[str, Any]:
    wanted = spec.resources
    if spec.security.privileged:
        rules: list[dict[str, Any]] = [{"allow": True, "access": "rwm"}]
    else:
        rules = [{"allow": False, "access": "rwm"}]
        rules += [_allow("c", major, minor, "rwm") for major, minor in _DEVICE_RULES]
        rules += [_allow(kind, None, None, "m") for kind in ("c", "b")]  # making a node is harmless, opening it is not
        rules += [_allow(d.kind, d.major, d.minor, d.access) for d in spec.devices]
    resources: dict[str, Any] = {"devices": rules}
    cpu: dict[str, Any] = {}
    if wanted.cpu_shares:
        cpu["shares"] = wanted.cpu_shares
    if wanted.cpu_quota_us:
        cpu |= {"quota": wanted.cpu_quota_us, "period": wanted.cpu_period_us}
    if wanted.cpuset_cpus:
        cpu["cpus"] = wanted.cpuset_cpus
    if wanted.cpuset_mems:
        cpu["mems"] = wanted.cpuset_mems
    if cpu:
        resources["cpu"] = cpu
    if wanted.memory_limit_bytes:
        resources["memory"] = {"limit": wanted.memory_limit_bytes}
        if facts.swap_accounting:
            resources["memory"]["swap"] = wanted.memory_limit_bytes  # the limit is on the sum: no swap
    if facts.cgroup_v2:
        resources["unified"] = {"memory.oom.group": "1"}  # all of a container or nothing, as the kubelet has it
    if wanted.pids_limit:
        resources["pids"] = {"limit": wanted.pids_limit}
    if wanted.hugepage_limits:
        limits = sorted(wanted.hugepage_limits.items())
        resources["hugepageLimits"] = [{"pageSize": size, "limit": limit} for size, limit in limits]
    return resources


def _allow(kind: str, major: int | None, minor: int | None, access: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


def _seccomp(security: Security, capabilities: Sequence[str]) -> dict[str, Any] | None:
    if security.privileged or security.seccomp == "Unconfined":
        return None
    if security.seccomp == "Localhost":
        if not security.seccomp_profile:
            raise RuntimeFailure("localhost seccomp profile set but no profile name given")
        try:
            return load_profile(security.seccomp_profile)
        except ValueError as error:
            raise RuntimeFailure(str(error)) from error
    return default_seccomp(frozenset(capabilities))
