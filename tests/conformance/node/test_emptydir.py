"""emptyDir on disk and in memory: modes of new files, for root and others, and sharing between containers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, mount, once, pod, shell
from tests.conformance.rows import row

PERMISSIONS = {"0644": "-rw-r--r--", "0666": "-rw-rw-rw-", "0777": "-rwxrwxrwx"}
PATH = "/test-volume"


def made(number: int, testname: str, uid: int, mode: str, medium: str) -> Any:
    return pytest.param(uid, mode, medium, marks=row(number, testname), id=str(number))


@pytest.mark.parametrize(
    ("uid", "mode", "medium"),
    [
        made(417, "EmptyDir, medium default, volume mode 0644", 1001, "0644", ""),
        made(418, "EmptyDir, medium memory, volume mode 0644, non-root user", 1001, "0644", "Memory"),
        made(419, "EmptyDir, medium default, volume mode 0666", 1001, "0666", ""),
        made(420, "EmptyDir, medium memory, volume mode 0666,, non-root user", 1001, "0666", "Memory"),
        made(421, "EmptyDir, medium default, volume mode 0777", 1001, "0777", ""),
        made(422, "EmptyDir, medium memory, volume mode 0777, non-root user", 1001, "0777", "Memory"),
        made(423, "EmptyDir, medium default, volume mode 0644", 0, "0644", ""),
        made(424, "EmptyDir, medium memory, volume mode 0644", 0, "0644", "Memory"),
        made(425, "EmptyDir, medium default, volume mode 0666", 0, "0666", ""),
        made(426, "EmptyDir, medium memory, volume mode 0666", 0, "0666", "Memory"),
        made(427, "EmptyDir, medium default, volume mode 0777", 0, "0777", ""),
        made(428, "EmptyDir, medium memory, volume mode 0777", 0, "0777", "Memory"),
    ],
)
def test_a_new_file_has_its_mode(case: Case, uid: int, mode: str, medium: str) -> None:
    path = f"{PATH}/test-file"
    main = container(
        case.images.agnhost,
        "mounttest",
        f"--fs_type={PATH}",
        f"--new_file_{mode}={path}",
        f"--file_perm={path}",
        volumeMounts=[mount("volume", PATH)],
        securityContext={"runAsUser": uid},
    )
    log = case.output(once("writer", main, volumes=[{"name": "volume", "emptyDir": {"medium": medium}}]))
    assert f'perms of file "{path}": {PERMISSIONS[mode]}' in log
    assert f'content of file "{path}": mount-tester new file' in log
    assert (f'mount type of "{PATH}": tmpfs' in log) == (medium == "Memory")


@pytest.mark.parametrize(
    "medium",
    [
        pytest.param("", marks=row(429, "EmptyDir, medium default, volume mode default"), id="429"),
        pytest.param("Memory", marks=row(430, "EmptyDir, medium memory, volume mode default"), id="430"),
    ],
)
def test_the_volume_itself_is_open_to_all(case: Case, medium: str) -> None:
    main = container(
        case.images.agnhost,
        "mounttest",
        f"--fs_type={PATH}",
        f"--file_perm={PATH}",
        volumeMounts=[mount("volume", PATH)],
    )
    log = case.output(once("looker", main, volumes=[{"name": "volume", "emptyDir": {"medium": medium}}]))
    assert f'perms of file "{PATH}": -rwxrwxrwx' in log
    assert (f'mount type of "{PATH}": tmpfs' in log) == (medium == "Memory")


@row(416, "EmptyDir, Shared volumes between containers")
def test_two_containers_share_a_volume(case: Case) -> None:
    path, mounts = "/usr/share/volumeshare", [mount("shared", "/usr/share/volumeshare")]
    main = container(case.images.agnhost, name="main", volumeMounts=mounts)
    sub = shell(case.images.busybox, f"echo Hello > {path}/shareddata.txt; sleep 3600", "sub", volumeMounts=mounts)
    name = case.create(pod("sharing", main, sub, volumes=[{"name": "shared", "emptyDir": {}}]))
    case.running(name)
    case.shell(name, f"until [ -s {path}/shareddata.txt ]; do sleep 0.1; done", container="main")
    assert case.exec(name, "cat", f"{path}/shareddata.txt", container="main") == "Hello\n"
