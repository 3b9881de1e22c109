"""Volumes on a real node: claims and their directories, limits, images, propagation, and what must not be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.machine import Machine, Object, eventually, is_ready, is_running, terminated
from tests.nodeagent.registry import Registry
from tests.scenarios.pods import SLEEPER, busybox_image, container, pod

pytestmark = pytest.mark.timeout(240)
WRITER = "trap 'exit 0' TERM; echo $HOSTNAME >> /data/log; while true; do sleep 0.1; done"


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    return registry.push(busybox_image(shared="from the image"), "box", "v1")


def claim(name: str, **spec: Any) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def of_claim(name: str, **fields: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name, **fields}}]}


def mounted(image: str, script: str, name: str = "data", **fields: Any) -> Object:
    """What the script says and what is said of its errors come in order."""
    return container(image, f"exec 2>&1; {script}", volumeMounts=[{"name": name, "mountPath": "/data", **fields}])


def ended(found: Object) -> bool:
    return found["status"]["phase"] in ("Succeeded", "Failed")


def output(machine: Machine, name: str) -> str:
    """What a pod that runs to its end has printed."""
    found = machine.wait_pod(name, ended)
    assert found["status"]["phase"] == "Succeeded", machine.log(name)
    return machine.log(name)


def volumes_of(machine: Machine) -> list[Object]:
    found = machine.get("/api/v1/persistentvolumes")
    assert found is not None
    items: list[Object] = found["items"]
    return items


def test_a_stateful_set_keeps_its_data_over_deleted_pods_and_a_killed_agent(machine: Machine, image: str) -> None:
    template = pod("db", mounted(image, WRITER))
    stateful = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"run": "db"}},
            "template": {"metadata": {"labels": {"run": "db"}}, "spec": template["spec"]},
            "volumeClaimTemplates": [claim("data")],
        },
    }
    machine.apply(stateful)
    for name in ("db-0", "db-1"):
        machine.wait_pod(name, is_ready)
    reasons = {reason for reason, _ in machine.events("data-db-0")}
    assert {"ExternalProvisioning", "ProvisioningSucceeded"} <= reasons
    shown = machine.kubectl("get", "pvc", "--no-headers").out.split("\n")[0].split()
    assert shown[:2] == ["data-db-0", "Bound"] and shown[3:6] == ["1Gi", "RWO", "local-path"]
    old = machine.wait_pod("db-0", is_running)["metadata"]["uid"]
    machine.kubectl("delete", "pod", "db-0")
    machine.wait_pod("db-0", lambda p: p["metadata"]["uid"] != old and is_ready(p))
    pid = machine.kill("nodeagent")
    machine.kubectl("delete", "pod", "db-1", "--wait=false")
    machine.restarted("nodeagent", pid)
    gone = machine.wait_pod("db-1", lambda p: not p["metadata"].get("deletionTimestamp") and is_ready(p))
    assert gone
    for name in ("db-0", "db-1"):
        assert machine.kubectl("exec", name, "--", "cat", "/data/log").out == f"{name}\n{name}\n"
    directories = sorted(path.name for path in (machine.layout.node / "local-path").iterdir())
    assert directories == sorted(one["metadata"]["name"] for one in volumes_of(machine))

    machine.kubectl("delete", "statefulset", "db")
    machine.gone("db-0")
    machine.gone("db-1")
    pid = machine.kill("nodeagent")  # what is to be removed is removed by the next agent
    machine.kubectl("delete", "pvc", "data-db-0", "data-db-1")
    machine.restarted("nodeagent", pid)
    eventually(lambda: not volumes_of(machine), "the volumes are gone")
    assert list((machine.layout.node / "local-path").iterdir()) == []


def test_prepared_volumes_have_group_mode_and_reclaim_policy(machine: Machine, image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "old").write_text("kept")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("secret")
    outside.chmod(0o600)
    (tmp_path / "link").symlink_to(outside)
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["machine"]}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "prepared",
        "local": {"path": str(tmp_path)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
    }
    machine.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "prepared"}, "spec": spec},
        claim("prepared", storageClassName="prepared"),
    )
    script = "id -G; stat -c '%g %a' /data /data/old; echo new > /data/new; stat -c %g /data/new; cat /data/old"
    user = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000, "supplementalGroups": [3000]}
    machine.apply(
        pod("grouped", mounted(image, script), restartPolicy="Never", securityContext=user, **of_claim("prepared"))
    )
    text = output(machine, "grouped").split("\n")
    assert set(text[0].split()) == {"1000", "2000", "3000"}
    assert text[1:] == ["2000 2775", "2000 664", "2000", "kept"]
    assert outside.stat().st_gid == 0 and outside.stat().st_mode & 0o777 == 0o600
    read_only = pod("reader", mounted(image, "touch /data/x; cat /data/new"), restartPolicy="Never")
    read_only["spec"].update(of_claim("prepared", readOnly=True))
    machine.apply(read_only)
    assert output(machine, "reader").startswith("touch: /data/x: Read-only file system\nnew")
    machine.kubectl("delete", "pod", "grouped", "reader")
    machine.kubectl("delete", "pvc", "prepared")
    eventually(lambda: volumes_of(machine)[0]["status"]["phase"] == "Released", "the volume is released")
    machine.kubectl("delete", "pv", "prepared")
    assert (tmp_path / "new").read_text() == "new\n"


def test_a_pod_over_the_limit_of_its_empty_dir_is_evicted(machine: Machine, image: str) -> None:
    volumes = [{"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}]
    script = "dd if=/dev/zero of=/data/big bs=1M count=4; trap 'exit 0' TERM; while true; do sleep 0.1; done"
    machine.apply(pod("greedy", mounted(image, script), volumes=volumes))
    found = machine.wait_pod("greedy", ended)
    message = 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". '
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "Evicted")
    assert found["status"]["message"] == message
    eventually(lambda: ("Evicted", message) in machine.events("greedy"), "the eviction is said")
    machine.kubectl("delete", "pod", "greedy")


def test_volumes_of_images_memory_and_device_nodes(machine: Machine, image: str) -> None:
    volumes = [
        {"name": "files", "image": {"reference": image, "pullPolicy": "IfNotPresent"}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "disk", "emptyDir": {}},
    ]
    script = (
        "exec 2>&1; cat /files/data/shared; echo; cat /sub/shared; echo; touch /files/x; "
        "df /memory | tail -1 | cut -c1-5; "
        "dd if=/dev/zero of=/memory/big bs=1M count=2 2>&1 | grep -o 'No space left on device'; "
        "mknod /disk/sda b 8 0; cat /disk/sda 2>&1 | grep -o 'Permission denied\\|not permitted'"
    )
    mounts = [
        {"name": "files", "mountPath": "/files"},
        {"name": "files", "mountPath": "/sub", "subPath": "data"},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "disk", "mountPath": "/disk"},
    ]
    machine.apply(pod("mixed", container(image, script, volumeMounts=mounts), volumes=volumes, restartPolicy="Never"))
    machine.wait_pod("mixed", ended)
    lines = machine.log("mixed").splitlines()
    assert lines[:3] == ["from the image", "from the image", "touch: /files/x: Read-only file system"]
    assert lines[3:5] == ["tmpfs", "No space left on device"]
    assert lines[5:] in (["Permission denied"], ["not permitted"])
    machine.kubectl("delete", "pod", "mixed")


def test_mounts_are_passed_on_between_containers_and_gone_with_the_pod(
    machine: Machine, image: str, tmp_path: Path
) -> None:
    """A privileged container mounts a directory of the host into a shared volume: seen by its neighbour, never deleted
    through."""
    (tmp_path / "canary").write_text("alive")
    volumes = [{"name": "shared", "emptyDir": {}}, {"name": "host", "hostPath": {"path": str(tmp_path)}}]
    giver = container(
        image,
        "mkdir -p /shared/host; mount --bind /host /shared/host; trap 'exit 0' TERM; while true; do sleep 0.1; done",
        "giver",
        securityContext={"privileged": True},
        volumeMounts=[
            {"name": "shared", "mountPath": "/shared", "mountPropagation": "Bidirectional"},
            {"name": "host", "mountPath": "/host"},
        ],
    )
    taker = container(
        image,
        f"until cat /shared/host/canary 2>/dev/null; do sleep 0.1; done; {SLEEPER}",
        "taker",
        volumeMounts=[{"name": "shared", "mountPath": "/shared", "mountPropagation": "HostToContainer"}],
    )
    machine.apply(pod("passing", giver, taker, volumes=volumes))
    machine.wait_pod("passing", is_running)
    eventually(lambda: machine.log("passing", "-c", "taker") == "alive", "the mount is seen by the other container")
    machine.kubectl("delete", "pod", "passing")
    machine.gone("passing")
    assert (tmp_path / "canary").read_text() == "alive"


def test_read_only_all_the_way_down(machine: Machine, image: str, tmp_path: Path) -> None:
    nested = tmp_path / "nested"
    nested.mkdir()
    machine.run("mount", "-t", "tmpfs", "none", str(nested))
    try:
        volumes = [{"name": "data", "hostPath": {"path": str(tmp_path)}}]
        plain = {"name": "data", "mountPath": "/plain", "readOnly": True}
        deep = {"name": "data", "mountPath": "/deep", "readOnly": True, "recursiveReadOnly": "Enabled"}
        script = "exec 2>&1; touch /plain/nested/written && echo written; touch /deep/nested/other"
        main = container(image, script, volumeMounts=[plain, deep])
        machine.apply(pod("deep", main, volumes=volumes, restartPolicy="Never"))
        machine.wait_pod("deep", ended)
        assert machine.log("deep") == "written\ntouch: /deep/nested/other: Read-only file system\n"
        machine.kubectl("delete", "pod", "deep")
    finally:
        machine.run("umount", str(nested))


def test_a_claim_that_is_not_there_and_kinds_without_support_are_said_clearly(machine: Machine, image: str) -> None:
    main = mounted(image, "true")
    missing = pod("unclaimed", main, nodeName="machine", **of_claim("nowhere"))
    nfs = pod("remote", main, volumes=[{"name": "data", "nfs": {"server": "192.0.2.1", "path": "/x"}}])
    csi = pod("driven", main, volumes=[{"name": "data", "csi": {"driver": "disk.example.com"}}])
    machine.apply(missing, nfs, csi)
    unattached = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process"
    expected = {
        "unclaimed": f"{unattached} volumes=[data]: error processing PVC default/nowhere: failed to fetch PVC from API",
        "remote": 'MountVolume.SetUp failed for volume "data" : volumes of type nfs are not supported on this node',
        "driven": 'MountVolume.SetUp failed for volume "data" : kubernetes.io/csi: driver name disk.example.com not',
    }
    for name, text in expected.items():

        def said(name: str = name, text: str = text) -> bool:
            return any(reason == "FailedMount" and one.startswith(text) for reason, one in machine.events(name))

        eventually(said, f"{name}: {text}")
    machine.kubectl("delete", "pod", *expected, "--now")


def test_links_in_a_volume_lead_nowhere(machine: Machine, image: str) -> None:
    """subPath through a link to / is refused; the same subPath as a directory works."""
    volumes = [{"name": "data", "emptyDir": {}}]
    for name, made in (("linked", "ln -s / /data/sub"), ("plain", "mkdir /data/sub; echo ok > /data/sub/f")):
        first = {**mounted(image, made), "name": "first"}
        main = mounted(image, "cat /data/f", subPath="sub")
        machine.apply(pod(name, main, initContainers=[first], volumes=volumes, restartPolicy="Never"))
    assert output(machine, "plain") == "ok\n"

    def refused() -> bool:
        return any("leads out of the volume" in text for reason, text in machine.events("linked") if reason == "Failed")

    eventually(refused, "the link is refused")
    assert terminated(machine.wait_pod("linked", lambda p: True)) is None
    machine.kubectl("delete", "pod", "linked", "plain", "--now")


def test_an_ephemeral_volume_comes_and_goes_with_its_pod(machine: Machine, image: str) -> None:
    spec = {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Mi"}}}
    volumes = [{"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}]
    machine.apply(pod("passing-by", mounted(image, WRITER), volumes=volumes))
    machine.wait_pod("passing-by", is_ready)
    again = pod("second", mounted(image, "true"), **of_claim("passing-by-data"))
    machine.apply(again)

    def refused() -> bool:
        texts = [text for reason, text in machine.events("second") if reason == "FailedScheduling"]
        return any("ReadWriteOncePod access mode" in text for text in texts)

    eventually(refused, "a second pod is refused")
    machine.kubectl("delete", "pod", "second", "passing-by")
    machine.gone("passing-by")
    eventually(lambda: not volumes_of(machine), "the volume is gone")
    assert list((machine.layout.node / "local-path").iterdir()) == []


def test_files_of_settings_follow_and_a_sub_path_follows_at_the_next_start(machine: Machine, image: str) -> None:
    def settings(text: str) -> Object:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "live"}, "data": {"key": text}}

    machine.apply(settings("one"))
    script = "trap 'exit 0' TERM; until grep -q two /all/key; do sleep 0.1; done; cat /all/key /one; echo; exit 1"
    mounts = [
        {"name": "live", "mountPath": "/all"},
        {"name": "live", "mountPath": "/one", "subPath": "key"},
    ]
    main = container(image, script, volumeMounts=mounts)
    machine.apply(pod("live", main, volumes=[{"name": "live", "configMap": {"name": "live"}}]))
    machine.wait_pod("live", is_running)
    machine.apply(settings("two"))
    machine.wait_pod("live", lambda p: p["status"]["containerStatuses"][0]["restartCount"] >= 1)
    eventually(lambda: machine.log("live").endswith("twotwo\n"), "the second container sees the new file")
    assert machine.kubectl("logs", "live", "--previous", check=False).out in ("twoone\n", "twotwo\n")
    machine.kubectl("delete", "pod", "live", "--now")


def test_the_node_reads_its_own_files_only_for_messages_and_logs(machine: Machine, image: str, tmp_path: Path) -> None:
    """A link where the message is expected, and one in the place of a log, show nothing of the host."""
    canary = tmp_path / "canary"
    canary.write_text("host secret\n")
    volumes = [{"name": "logs", "hostPath": {"path": str(machine.layout.node / "logs")}}]
    script = (
        f"echo said; rm -f /message; ln -s {canary} /message; "
        f"d=$(ls -d /logs/default_linker_*/main); ln -sf {canary} $d/0.log; echo done"
    )
    main = container(
        image, script, volumeMounts=[{"name": "logs", "mountPath": "/logs"}], terminationMessagePath="/message"
    )
    main["securityContext"] = {"privileged": True}
    machine.apply(pod("linker", main, volumes=volumes, restartPolicy="Never"))
    found = machine.wait_pod("linker", ended)
    end = terminated(found)
    assert end is not None and "host secret" not in end.get("message", "")
    shown = machine.kubectl("logs", "linker", check=False)
    assert "host secret" not in shown.out + shown.err
    (link,) = (machine.layout.node / "logs").glob("default_linker_*/main/0.log")
    assert link.is_symlink(), "the control: the link is there"
    machine.kubectl("delete", "pod", "linker")
    assert canary.read_text() == "host secret\n"


def test_the_default_class_is_installed_once(machine: Machine) -> None:
    shown = machine.kubectl("get", "storageclass", "--no-headers").out.split()
    expected = ["local-path", "(default)", "tiphys.dev/local-path", "Delete", "WaitForFirstConsumer", "true"]
    assert shown[:6] == expected
    machine.kubectl("delete", "storageclass", "local-path")
    machine.up()
    assert machine.kubectl("get", "storageclass", "--no-headers").out == ""
