"""Security contexts and sysctls: who a container is and what it may not do."""

from __future__ import annotations

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, once, shell
from tests.conformance.rows import row


@row(281, "Security Context, runAsUser=65534")
def test_a_container_runs_as_the_user_asked_for(case: Case) -> None:
    check = "test $(id -u) -eq 65534"
    case.output(once("nobody", shell(case.images.busybox, check, securityContext={"runAsUser": 65534})))


@row(282, "Security Context, privileged=false.")
def test_an_unprivileged_container_makes_no_link(case: Case) -> None:
    attempt = "ip link add dummy0 type dummy || true"

    def log(name: str, privileged: bool) -> str:
        main = shell(case.images.busybox, attempt, securityContext={"privileged": privileged})
        return case.output(once(name, main))

    assert "RTNETLINK answers: Operation not permitted" in log("unprivileged", False)
    assert "not permitted" not in log("privileged", True)  # with the right, the same attempt is not refused


@row(283, "Security Context, readOnlyRootFilesystem=false.")
def test_a_root_filesystem_can_be_written(case: Case) -> None:
    main = shell(case.images.busybox, "touch checkfile", securityContext={"readOnlyRootFilesystem": False})
    case.output(once("writer", main))


@row(284, "Security Context, allowPrivilegeEscalation=false.")
def test_a_set_user_id_program_gains_nothing(case: Case) -> None:
    def log(name: str, allow: bool) -> str:
        context = {"runAsUser": 1000, "allowPrivilegeEscalation": allow}
        return case.output(once(name, container(case.images.nonewprivs, securityContext=context)))

    assert log("held", False) == "Effective uid: 1000\n"
    assert log("free", True) == "Effective uid: 0\n"  # the program does gain where it may


@pytest.mark.parametrize(
    ("on_pod", "on_container"),
    [
        pytest.param(
            {"runAsUser": 1001, "runAsGroup": 2002},
            {},
            marks=row(457, "Security Context, test RunAsGroup at pod level"),
            id="457",
        ),
        pytest.param(
            {"runAsUser": 1000, "runAsGroup": 2000},
            {"runAsUser": 1001, "runAsGroup": 2002},
            marks=row(456, "Security Context, test RunAsGroup at container level"),
            id="456",
        ),
    ],
)
def test_a_container_runs_as_the_group_asked_for(case: Case, on_pod: Object, on_container: Object) -> None:
    main = shell(case.images.busybox, "id", securityContext=on_container)
    log = case.output(once("member", main, securityContext=on_pod))
    assert "uid=1001" in log
    assert "gid=2002" in log


@row(286, "Sysctl, test sysctls")
def test_a_safe_sysctl_is_set(case: Case) -> None:
    context = {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
    main = shell(case.images.busybox, "sysctl kernel.shm_rmid_forced")
    assert case.output(once("set", main, securityContext=context)) == "kernel.shm_rmid_forced = 1\n"
