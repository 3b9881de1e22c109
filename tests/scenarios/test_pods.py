"""What containers do and what their pods say about it, on a real node: exits, restarts, volumes, hooks, endings."""

from __future__ import annotations

import pytest

from tests.machine import KUBECTL, Machine, Object, eventually, is_running, terminated, waiting_reason
from tests.nodeagent.registry import Registry
from tests.scenarios.pods import busybox_image, config_map, container, pod, secret

pytestmark = pytest.mark.timeout(180)
QUICK = "trap 'exit 0' TERM; while true; do sleep 0.05; done"


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    return registry.push(busybox_image(shared="from the image"), "box", "v1")


def ended(found: Object) -> bool:
    return found["status"]["phase"] in ("Succeeded", "Failed")


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
def test_an_exit_code_is_in_the_status(machine: Machine, image: str, code: int, phase: str, reason: str) -> None:
    name = f"exit-{code}"
    machine.apply(pod(name, container(image, f"echo bye; exit {code}"), restartPolicy="Never"))
    found = machine.wait_pod(name, ended)
    end = terminated(found)
    assert end is not None
    assert (found["status"]["phase"], end["exitCode"], end["reason"]) == (phase, code, reason)
    assert machine.log(name) == "bye\n"
    machine.kubectl("delete", "pod", name)


def test_a_container_over_its_memory_limit_is_killed(machine: Machine, image: str) -> None:
    # tail keeps all of a line, and this line never ends
    hungry = container(image, "exec tail < /dev/zero", resources={"limits": {"memory": "24Mi"}})
    machine.apply(pod("hungry", hungry, restartPolicy="Never"))
    end = terminated(machine.wait_pod("hungry", ended))
    assert end is not None
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")
    machine.kubectl("delete", "pod", "hungry")


def test_a_failing_container_is_restarted_with_back_off(machine: Machine, image: str) -> None:
    machine.apply(pod("crashing", container(image, "echo try; exit 7")))
    found = machine.wait_pod("crashing", lambda p: waiting_reason(p) == "CrashLoopBackOff")
    (status,) = found["status"]["containerStatuses"]
    last = terminated(found, state="lastState")
    assert last is not None and last["exitCode"] == 7
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main")
    again = machine.wait_pod("crashing", lambda p: p["status"]["containerStatuses"][0]["restartCount"] >= 2)
    assert again["status"]["phase"] == "Running"
    assert machine.log("crashing", "--previous") == "try\n"
    assert "BackOff" in dict(machine.events("crashing"))
    machine.kubectl("delete", "pod", "crashing")


def test_settings_and_secrets_come_as_environment_and_files(machine: Machine, image: str) -> None:
    machine.apply(config_map("settings", colour="blue", size="7"), secret("token", password="s3cret"))
    env = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "token", "key": "password"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BOTH", "value": "$(COLOUR)-$(POD)"},
    ]
    mounts = [{"name": "settings", "mountPath": "/settings"}, {"name": "token", "mountPath": "/token"}]
    volumes = [
        {"name": "settings", "configMap": {"name": "settings", "items": [{"key": "size", "path": "deep/size"}]}},
        {"name": "token", "secret": {"secretName": "token", "defaultMode": 0o400}},
    ]
    script = "echo $COLOUR $PASSWORD $POD $BOTH $all_size; cat /settings/deep/size /token/password; echo; "
    script += "stat -Lc %a /token/password"
    main = container(
        image, script, env=env, envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "all_"}], volumeMounts=mounts
    )
    machine.apply(pod("configured", main, volumes=volumes, restartPolicy="Never"))
    machine.wait_pod("configured", ended)
    assert machine.log("configured") == "blue s3cret configured blue-configured 7\n7s3cret\n400\n"
    machine.kubectl("delete", "pod", "configured")


def test_a_missing_config_map_holds_the_container_back_until_it_exists(machine: Machine, image: str) -> None:
    env = [{"name": "LATE", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "word"}}}]
    machine.apply(pod("late", container(image, "echo $LATE", env=env), restartPolicy="Never"))
    found = machine.wait_pod("late", lambda p: waiting_reason(p) == "CreateContainerConfigError")
    assert 'configmap "late" not found' in found["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    machine.apply(config_map("late", word="here"))
    machine.wait_pod("late", ended)
    assert machine.log("late") == "here\n"
    machine.kubectl("delete", "pod", "late")


def test_two_containers_share_an_empty_directory_and_init_runs_first(machine: Machine, image: str) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    first = container(image, "echo init > /shared/log", "first", volumeMounts=mounts)
    writer = container(image, f"echo writer >> /shared/log; {QUICK}", "writer", volumeMounts=mounts)
    reader = container(
        image,
        f"until grep -q writer /shared/log; do sleep 0.05; done; cat /shared/log; {QUICK}",
        "reader",
        volumeMounts=mounts,
    )
    volumes = [{"name": "shared", "emptyDir": {}}]
    machine.apply(pod("sharing", writer, reader, initContainers=[first], volumes=volumes))
    found = machine.wait_pod("sharing", is_running)
    init = found["status"]["initContainerStatuses"][0]["state"]["terminated"]
    assert (init["exitCode"], init["reason"]) == (0, "Completed")
    eventually(lambda: machine.log("sharing", "-c", "reader") == "init\nwriter\n", "the reader sees both lines")
    machine.kubectl("delete", "pod", "sharing")


def test_a_write_in_one_container_is_not_seen_in_another_of_the_same_image(machine: Machine, image: str) -> None:
    write = container(image, f"echo mine > /data/shared; rm /bin/vi; cat /data/shared; {QUICK}", "writing")
    machine.apply(pod("private", write, container(image, QUICK, "beside")))
    machine.wait_pod("private", is_running)
    eventually(lambda: machine.log("private", "-c", "writing") == "mine\n", "it has written")
    look = container(image, "cat /data/shared; ls /bin/vi")
    machine.apply(pod("looking", look, restartPolicy="Never"))
    machine.wait_pod("looking", ended)
    assert machine.log("looking") == "from the image/bin/vi\n"
    pid = next(pid for pid, words in machine.containers().items() if words == f"/bin/sh -c {QUICK}")
    assert machine.run("cat", f"/proc/{pid}/root/data/shared").out == "from the image"
    machine.kubectl("delete", "pod", "private", "looking")


def test_a_deleted_pod_gets_its_hook_and_its_signal(machine: Machine, image: str) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1; sleep 0.3"]}}}
    script = "trap 'echo signal; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    machine.apply(pod("polite", container(image, script, lifecycle=hook), terminationGracePeriodSeconds=20))
    machine.wait_pod("polite", is_running)
    follower = machine.start(KUBECTL, "logs", "-f", "polite")
    assert follower.stdout is not None and follower.stdout.readline() == "up\n"
    machine.kubectl("delete", "pod", "polite", "--wait=false")
    assert follower.communicate(timeout=20)[0] == "hook\nsignal\n"
    machine.gone("polite", 10)


def test_a_container_that_ignores_its_signal_is_killed_after_the_grace(machine: Machine, image: str) -> None:
    script = "trap '' TERM; echo up; while true; do sleep 0.05; done"
    stubborn = pod("stubborn", container(image, script), terminationGracePeriodSeconds=1)
    stubborn["metadata"]["finalizers"] = ["example.com/look"]  # so that the last status can be read
    machine.apply(stubborn)
    machine.wait_pod("stubborn", is_running)
    machine.kubectl("delete", "pod", "stubborn", "--wait=false")
    end = terminated(machine.wait_pod("stubborn", lambda p: terminated(p) is not None))
    assert end is not None and (end["exitCode"], end["reason"]) == (137, "Error")
    machine.kubectl("patch", "pod", "stubborn", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    machine.gone("stubborn")


def test_no_such_program_is_said_in_the_status(machine: Machine, image: str) -> None:
    machine.apply(pod("nothing", {"name": "main", "image": image, "command": ["/no/such"]}, restartPolicy="Never"))
    end = terminated(machine.wait_pod("nothing", ended))
    assert end is not None and (end["exitCode"], end["reason"]) == (128, "StartError")
    assert "/no/such" in end["message"]
    machine.kubectl("delete", "pod", "nothing")


def test_a_refused_probe_is_told_with_the_systems_words(machine: Machine, image: str) -> None:
    probe = {"httpGet": {"path": "/up", "port": 81}, "periodSeconds": 1}
    machine.apply(pod("deaf", container(image, QUICK, readinessProbe=probe)))
    address = machine.wait_pod("deaf", is_running)["status"]["podIP"]
    text = f'Readiness probe failed: Get "http://{address}:81/up": dial tcp {address}:81: connect: connection refused'
    eventually(lambda: ("Unhealthy", text) in machine.events("deaf"), "the event of the failed probe")
    machine.kubectl("delete", "pod", "deaf")


def test_requests_and_limits_are_in_the_cgroup(machine: Machine, image: str) -> None:
    limits = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"cpu": "250m", "memory": "32Mi"}}
    machine.apply(pod("limited", container(image, QUICK, resources=limits)))
    machine.wait_pod("limited", is_running)
    (pid,) = [pid for pid, words in machine.containers().items() if words == f"/bin/sh -c {QUICK}"]
    paths = dict(line.split(":", 2)[1:] for line in machine.run("cat", f"/proc/{pid}/cgroup").out.split())
    if "memory" in paths:  # cgroup v1
        read = [
            ("memory", "memory.limit_in_bytes", "33554432"),
            ("cpu", "cpu.cfs_quota_us", "25000"),
            ("cpu", "cpu.shares", "102"),
        ]
        files = [(f"/sys/fs/cgroup/{c}{paths[c]}/{file}", value) for c, file, value in read]
    else:
        files = [
            (f"/sys/fs/cgroup{paths['']}/memory.max", "33554432"),
            (f"/sys/fs/cgroup{paths['']}/cpu.max", "25000 100000"),
        ]
    for file, value in files:
        assert machine.run("cat", file).out.strip() == value, file
    machine.kubectl("delete", "pod", "limited")


def test_nothing_runs_any_more(machine: Machine) -> None:
    eventually(lambda: machine.pods() == [], "the pods are gone")
    eventually(lambda: machine.containers() == {}, "the containers are gone")
