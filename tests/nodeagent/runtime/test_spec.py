"""The OCI configuration as a function of the spec: properties that hold for every spec, and tables of details."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.runtime.capabilities import NAMES
from nodeagent.runtime.facts import NodeFacts
from nodeagent.runtime.interface import (
    ContainerSpec,
    Device,
    Mount,
    PodNamespaces,
    Resources,
    Rlimit,
    RuntimeFailure,
    Security,
    User,
)
from nodeagent.runtime.spec import MASKED_PATHS, oci_config, process

FACTS = NodeFacts(
    capabilities=frozenset(NAMES) - {"CAP_SYS_RESOURCE"},
    cgroup_v2=False,
    swap_accounting=True,
    hard_rlimits={"RLIMIT_NOFILE": 20_000, "RLIMIT_CPU": -1},
    lowest_oom_score_adj=0,
    devices=(Device("/dev/kvm", "c", 10, 232),),
)
BASE = ContainerSpec(id="c", pod_uid="p", name="c", argv=("/app",), layers=(Path("/l"),), log_path=Path("/log"))


def config(**fields: Any) -> dict[str, Any]:
    return oci_config(replace(BASE, **fields), FACTS, rootfs="/root", cgroups_path="/tiphys/c")


text = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=20)
specs = st.builds(
    ContainerSpec,
    id=st.just("c"),
    pod_uid=text,
    name=text,
    argv=st.lists(text, min_size=1, max_size=4).map(tuple),
    layers=st.just((Path("/layer"),)),
    log_path=st.just(Path("/log")),
    env=st.lists(st.tuples(text.filter(lambda t: t and "=" not in t), text), max_size=4).map(tuple),
    cwd=st.sampled_from(["/", "/app", ""]),
    user=st.builds(User, uid=st.integers(0, 2**31 - 1), gid=st.integers(0, 2**31 - 1)),
    mounts=st.lists(
        st.builds(Mount, source=text, target=st.sampled_from(["/dev", "/dev/shm", "/proc", "/data"]) | text), max_size=4
    ).map(tuple),
    devices=st.lists(st.just(Device("/dev/x", "c", 1, 2)), max_size=1).map(tuple),
    namespaces=st.builds(
        PodNamespaces, net=text, ipc=text, uts=text, pid=st.sampled_from(["", "host", "/p"]), shm=text
    ),
    security=st.builds(
        Security,
        privileged=st.booleans(),
        capabilities_add=st.lists(st.sampled_from(["ALL", "SYS_ADMIN", "nonsense", "CAP_BPF"])).map(tuple),
        capabilities_drop=st.lists(st.sampled_from(["ALL", "CHOWN"])).map(tuple),
        no_new_privileges=st.booleans(),
        unmasked_proc=st.booleans(),
        seccomp=st.sampled_from(["RuntimeDefault", "Unconfined"]),
    ),
    labels=st.dictionaries(st.sampled_from(["run.oci.hooks.stdout", "org.systemd.property.x"]), text),
)


@given(specs)
@settings(max_examples=300, deadline=None)
def test_every_configuration_keeps_the_promises(spec: ContainerSpec) -> None:
    made = oci_config(spec, FACTS, rootfs="/root", cgroups_path="/x")
    assert "hooks" not in made and "annotations" not in made
    dev = next(mount for mount in made["mounts"] if mount["destination"] == "/dev")
    assert (dev["type"], "nosuid" in dev["options"]) == ("tmpfs", True)
    by_place = {mount["destination"]: mount["type"] for mount in reversed(made["mounts"])}
    assert (by_place["/proc"], by_place["/sys"], by_place["/dev/pts"]) == ("proc", "sysfs", "devpts")
    capabilities = made["process"]["capabilities"]
    assert set(capabilities) == {"bounding", "effective", "permitted"}
    assert set(capabilities["bounding"]) <= FACTS.capabilities
    assert {"type": "mount"} in made["linux"]["namespaces"]
    allowed = [d["path"] for d in made["linux"]["devices"]]
    assert set(allowed) <= {"/dev/x"} | ({"/dev/kvm"} if spec.security.privileged else set())
    if not spec.security.privileged:
        assert made["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
        if spec.security.seccomp == "RuntimeDefault":
            assert made["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
        if not spec.security.unmasked_proc:
            assert made["linux"]["maskedPaths"] == list(MASKED_PATHS)


def test_namespaces_follow_the_sandbox() -> None:
    pinned = PodNamespaces(net="/n", ipc="/i", uts="/u", pid="host")
    kinds = {n["type"]: n.get("path") for n in config(namespaces=pinned)["linux"]["namespaces"]}
    assert kinds == {"mount": None, "cgroup": None, "network": "/n", "ipc": "/i", "uts": "/u"}
    assert "pid" in {n["type"] for n in config()["linux"]["namespaces"]}


def test_limits_are_written_as_the_runtime_wants_them() -> None:
    limits = Resources(cpu_shares=512, cpu_quota_us=50_000, memory_limit_bytes=1 << 20, pids_limit=9)
    made = config(resources=limits)["linux"]["resources"]
    assert made["cpu"] == {"shares": 512, "quota": 50_000, "period": 100_000}
    assert made["memory"] == {"limit": 1 << 20, "swap": 1 << 20}
    assert made["pids"] == {"limit": 9}


def test_what_the_node_may_not_raise_is_asked_for_in_part() -> None:
    limits = (Rlimit("RLIMIT_NOFILE", 30_000, 40_000), Rlimit("RLIMIT_CPU", 1, 2))
    made = process(replace(BASE, rlimits=limits, oom_score_adj=-997), FACTS)
    assert made["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 20_000, "hard": 20_000},
        {"type": "RLIMIT_CPU", "soft": 1, "hard": 2},
    ]
    assert made["oomScoreAdj"] == 0
    assert process(replace(BASE, oom_score_adj=1000), FACTS)["oomScoreAdj"] == 1000


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"argv": ()}, "no command"),
        ({"argv": ("a\0b",)}, "NUL"),
        ({"env": (("A=B", "c"),)}, "environment"),
        ({"env": (("A", "c\0d"),)}, "environment"),
        ({"cwd": "relative"}, "absolute"),
        ({"cwd": "/proc/self/fd/3"}, "not allowed"),
        ({"cwd": "/x/../proc/self"}, "not allowed"),
        ({"cwd": "//proc/self"}, "not allowed"),
        ({"user": User(uid=4294967295)}, "out of range"),
        ({"user": User(uid=2147483648)}, "out of range"),
        ({"user": User(gid=-1)}, "out of range"),
        ({"mounts": (Mount("/a", "/b", options=("dev",)),)}, "mount option"),
        ({"security": Security(seccomp="Localhost")}, "no profile name"),
        ({"security": Security(seccomp="Localhost", seccomp_profile="/a/../b")}, "absolute"),
    ],
)
def test_what_cannot_be_expressed_safely_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RuntimeFailure, match=words):
        config(**fields)


def test_the_last_value_of_a_variable_wins_and_defaults_come_first() -> None:
    env = config(env=(("A", "1"), ("PATH", "/p"), ("A", "2")), hostname="h")["process"]["env"]
    assert env == ["PATH=/p", "HOSTNAME=h", "A=2"]


def test_deeper_mounts_come_after_the_ones_they_lie_in() -> None:
    mounts = (Mount("/s", "/a/b/c"), Mount("/s", "/a", read_only=True), Mount("/s", "/a/b", propagation="rslave"))
    made = config(mounts=mounts)
    binds = [m for m in made["mounts"] if m["source"] == "/s"]
    assert [m["destination"] for m in binds] == ["/a", "/a/b", "/a/b/c"]
    assert binds[0]["options"] == ["rbind", "rprivate", "nosuid", "nodev", "ro"]
    assert made["linux"]["rootfsPropagation"] == "rslave"
