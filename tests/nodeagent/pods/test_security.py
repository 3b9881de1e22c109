"""From a pod's security context to what the runtime is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeagent.pods.environment import ConfigError
from nodeagent.pods.security import forbidden_sysctl, run_as, sandbox_spec, security
from nodeagent.runtime.interface import SandboxSpec, User
from tiphys.api.core.pod import Pod

PASSWD = b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n"
GROUP = b"root:x:0:\nweb:x:33:\nmore:x:44:web\n"


def read(path: str) -> bytes:
    return {"/etc/passwd": PASSWD, "/etc/group": GROUP}[path]


def pod(spec: dict[str, Any] | None = None, context: dict[str, Any] | None = None, **own: Any) -> Pod:
    container = {"name": "main", "image": "x", **({"securityContext": own} if own else {})}
    whole = {"containers": [container], **(spec or {}), **({"securityContext": context} if context else {})}
    return Pod.model_validate({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": whole})


@pytest.mark.parametrize(
    ("context", "own", "image_user", "words"),
    [
        ({"runAsNonRoot": True}, {}, "", "image will run as root"),
        ({"runAsNonRoot": True}, {}, "root", "image will run as root"),
        ({"runAsNonRoot": True}, {}, "0", "image will run as root"),
        ({"runAsNonRoot": True}, {}, "0:33", "image will run as root"),
        ({"runAsNonRoot": True}, {}, "web", "non-numeric user"),
        ({"runAsNonRoot": True}, {}, "nobody-here", "unable to find user"),
        ({"runAsNonRoot": True, "runAsUser": 0}, {}, "33", "breaks non-root policy"),
        ({}, {"runAsNonRoot": True, "runAsUser": 0}, "33", "breaks non-root policy"),
        (
            {"runAsNonRoot": False, "runAsUser": 33},
            {"runAsNonRoot": True, "runAsUser": 0},
            "",
            "breaks non-root policy",
        ),
    ],
)
def test_a_container_that_may_not_be_root_is_not(
    context: dict[str, Any], own: dict[str, Any], image_user: str, words: str
) -> None:
    made = pod(context=context, **own)
    for _ in range(2):  # a later start is judged as the first
        with pytest.raises(ConfigError, match=words):
            run_as(made, made.spec.containers[0], image_user, read)


@pytest.mark.parametrize(
    ("context", "own", "image_user", "expected"),
    [
        ({"runAsNonRoot": True}, {}, "33", User(33, 33, (33, 44))),
        ({"runAsNonRoot": True, "runAsUser": 1000}, {}, "root", User(1000, 0, (0,))),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, "", User(0, 0, (0,))),
        ({"runAsUser": 33, "supplementalGroups": [7], "fsGroup": 8}, {}, "", User(33, 33, (7, 8, 33, 44))),
        (
            {"runAsUser": 33, "supplementalGroups": [7], "supplementalGroupsPolicy": "Strict"},
            {"runAsGroup": 5},
            "",
            User(33, 5, (5, 7)),
        ),
    ],
)
def test_users_and_groups(context: dict[str, Any], own: dict[str, Any], image_user: str, expected: User) -> None:
    made = pod(context=context, **own)
    assert run_as(made, made.spec.containers[0], image_user, read) == expected


def test_namespaces_of_a_pod() -> None:
    assert sandbox_spec(pod(), "host", "/pods/u") == SandboxSpec("u", "host", cgroup_parent="/pods/u")
    asked = {"hostNetwork": True, "hostIPC": True, "hostPID": True, "hostUsers": True}
    assert sandbox_spec(pod(asked), "host", "/c", "crun") == SandboxSpec(
        "u", "host", True, True, True, cgroup_parent="/c", runtime_handler="crun"
    )
    shared = sandbox_spec(pod({"shareProcessNamespace": True, "hostUsers": False}), "host", "/c")
    assert (shared.share_pid, shared.user_namespace) == (True, True)
    settings = [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]
    assert sandbox_spec(pod(context={"sysctls": settings}), "h", "/c").sysctls == {"net.ipv4.tcp_syncookies": "1"}


def test_kernel_settings_are_judged_with_the_pods_namespaces() -> None:
    settings = {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}
    assert forbidden_sysctl(pod()) == forbidden_sysctl(pod(context=settings)) == ""
    assert "not allowed with host net" in forbidden_sysctl(pod({"hostNetwork": True}, settings))


def test_what_a_container_may_do(tmp_path: Path) -> None:
    made = pod(
        allowPrivilegeEscalation=False,
        readOnlyRootFilesystem=True,
        procMount="Unmasked",
        capabilities={"add": ["NET_ADMIN"], "drop": ["ALL"]},
    )
    found = security(made, made.spec.containers[0], tmp_path)
    assert (found.no_new_privileges, found.read_only_rootfs, found.unmasked_proc) == (True, True, True)
    assert (found.capabilities_add, found.capabilities_drop) == (("NET_ADMIN",), ("ALL",))
    assert found.seccomp == "RuntimeDefault" and not found.privileged


@pytest.mark.parametrize("profile", ["", "../x", "/etc/x", "a/../../x"])
def test_a_localhost_profile_stays_in_its_directory(profile: str, tmp_path: Path) -> None:
    made = pod(seccompProfile={"type": "Localhost", "localhostProfile": profile})
    with pytest.raises(ConfigError, match="localhostProfile"):
        security(made, made.spec.containers[0], tmp_path)
    good = pod(seccompProfile={"type": "Localhost", "localhostProfile": "a/b.json"})
    assert security(good, good.spec.containers[0], tmp_path).seccomp_profile == str(tmp_path / "a/b.json")
