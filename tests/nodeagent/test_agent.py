"""The agent from outside: a real API server, a real registry, real containers."""

import asyncio
import urllib.request
from pathlib import Path

import pytest

from nodeagent.volumes.teardown import mounts_below
from tests.nodeagent.cluster import NODE, Cluster, eventually, get_pod, reasons, wait_for_pod
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client

pytestmark = pytest.mark.timeout(180)


def running(pod: Pod) -> bool:
    return pod.status.phase == "Running" and all(s.ready for s in pod.status.containerStatuses)


def container_id(pod: Pod) -> str:
    return pod.status.containerStatuses[0].containerID.removeprefix("tiphys://")


def pid_of(cluster: Cluster, pod: Pod) -> int:
    """The process of the pod's container, by its cgroup."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and container_id(pod) in (entry / "cgroup").read_text():
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError("the container has no process")


async def remove(client: Client, name: str) -> None:
    await client.delete(Pod, name, "default", grace_period_seconds=1)

    async def gone() -> bool:
        return await get_pod(client, name) is None

    await eventually(gone, f"pod {name} is gone")


async def test_the_node_registers_with_its_facts_and_renews_its_lease(cluster: Cluster, client: Client) -> None:
    node = await client.get(Node, NODE)
    assert node.metadata.labels["kubernetes.io/hostname"] == NODE
    assert node.status.capacity["pods"] == "110"
    assert node.status.nodeInfo.operatingSystem == "linux"
    assert node.status.daemonEndpoints.kubeletEndpoint.Port == cluster.agent_port
    assert node.spec.podCIDR
    lease = await client.get(Lease, NODE, "kube-node-lease")
    assert lease.spec.holderIdentity == NODE


async def test_a_pod_runs_answers_on_its_address_and_logs(cluster: Cluster, client: Client) -> None:
    script = (
        "echo started; mkdir /www; echo I am $(hostname) $GREETING > /www/index.html; exec httpd -f -p 8080 -h /www"
    )
    env = [{"name": "GREETING", "value": "hello"}]
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    await client.create(cluster.pod("web", ["sh", "-c", script], env=env, readinessProbe=probe))
    pod = await wait_for_pod(client, "web", running)
    assert pod.status.podIP and pod.status.hostIP == "127.0.0.1"

    def fetch() -> str:
        with urllib.request.urlopen(f"http://{pod.status.podIP}:8080/", timeout=5) as response:
            return str(response.read().decode())

    assert await asyncio.to_thread(fetch) == "I am web hello\n"
    assert await cluster.agent_get("/containerLogs/default/web/main") == (200, "started\n")
    assert (await cluster.agent_get("/containerLogs/default/web/main", certificate=""))[0] == 401
    assert (await cluster.agent_get("/pods", certificate=f"node-{NODE}"))[0] == 403
    code, metrics = await cluster.agent_get("/metrics")
    assert code == 200
    assert "kubelet_running_pods 1.0" in metrics
    assert await cluster.agent_get("/healthz") == (200, "ok")

    async def all_events() -> bool:
        return {"Pulling", "Pulled", "Created", "Started"} <= set(await reasons(client, "web"))

    await eventually(all_events, "the events of a start")
    assert (await reasons(client, "web"))["Created"] == "Container created"
    await remove(client, "web")


async def test_an_exit_code_is_shown_and_a_crash_loop_is_held_back(cluster: Cluster, client: Client) -> None:
    await client.create(cluster.pod("crash", ["sh", "-c", "echo bye; exit 3"]))
    pod = await wait_for_pod(
        client,
        "crash",
        lambda p: any(
            s.state.waiting and s.state.waiting.reason == "CrashLoopBackOff" for s in p.status.containerStatuses
        ),
    )
    status = pod.status.containerStatuses[0]
    assert status.restartCount == 1
    assert status.state.waiting is not None
    expected = f"back-off 10s restarting failed container=main pod=crash_default({pod.metadata.uid})"
    assert status.state.waiting.message == expected
    assert status.lastState.terminated is not None
    assert (status.lastState.terminated.exitCode, status.lastState.terminated.reason) == (3, "Error")
    assert pod.status.phase == "Running"
    assert await cluster.agent_get("/containerLogs/default/crash/main?previous=true") == (200, "bye\n")
    await remove(client, "crash")


async def test_a_pod_that_need_not_restart_ends(cluster: Cluster, client: Client) -> None:
    never = {"restartPolicy": "Never"}
    await client.create(cluster.pod("good", ["true"], spec=never))
    await client.create(cluster.pod("bad", ["sh", "-c", "echo why > /dev/termination-log; exit 4"], spec=never))
    await client.create(cluster.pod("nosuch", ["/no/such/program"], spec=never))
    good = await wait_for_pod(client, "good", lambda p: p.status.phase == "Succeeded")
    assert good.status.containerStatuses[0].state.terminated is not None
    assert good.status.containerStatuses[0].state.terminated.reason == "Completed"
    bad = await wait_for_pod(client, "bad", lambda p: p.status.phase == "Failed")
    ended = bad.status.containerStatuses[0].state.terminated
    assert ended is not None
    assert (ended.exitCode, ended.message) == (4, "why\n")
    nosuch = await wait_for_pod(client, "nosuch", lambda p: p.status.phase == "Failed")
    ended = nosuch.status.containerStatuses[0].state.terminated
    assert ended is not None
    assert (ended.exitCode, ended.reason) == (128, "StartError")
    for name in ("good", "bad", "nosuch"):
        await remove(client, name)


async def test_init_containers_run_in_order_before_the_rest(cluster: Cluster, client: Client) -> None:
    def step(name: str, command: str) -> dict[str, object]:
        mounts = [{"name": "v", "mountPath": "/v"}]
        return {"name": name, "image": cluster.image, "command": ["sh", "-c", command], "volumeMounts": mounts}

    spec = {
        "restartPolicy": "Never",
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [step("one", "echo 1 >> /v/f"), step("two", "echo 2 >> /v/f")],
        "containers": [step("main", "cat /v/f")],
    }
    await client.create(cluster.pod("ordered", [], spec=spec))
    await wait_for_pod(client, "ordered", lambda p: p.status.phase == "Succeeded")
    assert await cluster.agent_get("/containerLogs/default/ordered/main") == (200, "1\n2\n")
    await remove(client, "ordered")


async def test_configuration_that_is_missing_is_waited_for_and_followed(cluster: Cluster, client: Client) -> None:
    env = [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}]
    script = 'echo "$K $(cat /c/k)"; while [ "$(cat /c/k)" = 1 ]; do sleep 0.05; done; cat /c/k; sleep 1000'
    spec = {"volumes": [{"name": "c", "configMap": {"name": "late"}}]}
    mounts = [{"name": "c", "mountPath": "/c"}]
    await client.create(cluster.pod("late", ["sh", "-c", script], spec=spec, env=env, volumeMounts=mounts))

    async def mount_failed() -> bool:
        return 'configmap "late" not found' in (await reasons(client, "late")).get("FailedMount", "")

    await eventually(mount_failed, "a FailedMount event")
    config = ConfigMap.model_validate({"metadata": {"name": "late", "namespace": "default"}, "data": {"k": "1"}})
    await client.create(config)
    await wait_for_pod(client, "late", running)
    await client.patch(ConfigMap, "late", "default", {"data": {"k": "2"}})

    async def seen() -> bool:
        return (await cluster.agent_get("/containerLogs/default/late/main"))[1] == "1 1\n2"

    await eventually(seen, "the changed file")
    await remove(client, "late")


async def test_a_missing_env_source_is_a_config_error_until_it_exists(cluster: Cluster, client: Client) -> None:
    env = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "k"}}}]
    await client.create(cluster.pod("noenv", ["sleep", "1000"], env=env))
    pod = await wait_for_pod(
        client,
        "noenv",
        lambda p: any(
            s.state.waiting and s.state.waiting.reason == "CreateContainerConfigError"
            for s in p.status.containerStatuses
        ),
    )
    waiting = pod.status.containerStatuses[0].state.waiting
    assert waiting is not None
    assert waiting.message == 'secret "nowhere" not found'
    await remove(client, "noenv")


async def test_an_image_that_is_not_there_backs_off_with_the_cause(cluster: Cluster, client: Client) -> None:
    await client.create(cluster.pod("noimage", ["true"], image=f"{cluster.registry.host}/nothing:1"))
    pod = await wait_for_pod(
        client,
        "noimage",
        lambda p: any(
            s.state.waiting and s.state.waiting.reason == "ImagePullBackOff" for s in p.status.containerStatuses
        ),
    )
    waiting = pod.status.containerStatuses[0].state.waiting
    assert waiting is not None
    assert waiting.message.startswith(f'Back-off pulling image "{cluster.registry.host}/nothing:1": ErrImagePull: ')
    assert "not found" in waiting.message
    assert pod.status.phase == "Pending"
    await remove(client, "noimage")


async def test_a_deletion_gives_the_container_its_grace(cluster: Cluster, client: Client) -> None:
    script = "trap 'echo stopping; sleep 0.2; echo stopped; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    await client.create(cluster.pod("polite", ["sh", "-c", script]))
    pod = await wait_for_pod(client, "polite", running)

    async def up() -> bool:
        return (await cluster.agent_get("/containerLogs/default/polite/main"))[1] == "up\n"

    await eventually(up, "the trap is set")
    follow = asyncio.create_task(cluster.agent_get("/containerLogs/default/polite/main?follow=true"))
    await asyncio.sleep(0)
    await client.delete(Pod, "polite", "default")

    async def gone() -> bool:
        return await get_pod(client, "polite") is None

    await eventually(gone, "the pod is gone")
    assert await follow == (200, "up\nstopping\nstopped\n")

    async def no_directory() -> bool:
        return not (cluster.node_dir / "pods" / pod.metadata.uid).exists()

    await eventually(no_directory, "nothing is left of the pod")


async def test_killing_the_agent_restarts_nothing_and_forgets_nothing(cluster: Cluster, client: Client) -> None:
    await client.create(cluster.pod("stays", ["sleep", "1000"]))
    await client.create(cluster.pod("leaves", ["sleep", "1000"]))
    await client.create(cluster.pod("ends", ["sh", "-c", "sleep 2; exit 5"], spec={"restartPolicy": "Never"}))
    pods = {name: await wait_for_pod(client, name, running) for name in ("stays", "leaves", "ends")}
    pids = {name: pid_of(cluster, pod) for name, pod in pods.items()}
    cluster.kill_agent()
    assert pid_of(cluster, pods["stays"]) == pids["stays"]
    await client.delete(Pod, "leaves", "default", grace_period_seconds=0)

    async def ended() -> bool:
        return not Path(f"/proc/{pids['ends']}").exists() or "Z" in Path(f"/proc/{pids['ends']}/stat").read_text()

    await eventually(ended, "the container ended while nobody looked")
    cluster.start_agent()
    after = await wait_for_pod(client, "ends", lambda p: p.status.phase == "Failed")
    state = after.status.containerStatuses[0].state.terminated
    assert state is not None
    assert state.exitCode == 5

    async def cleaned() -> bool:
        return not Path(f"/proc/{pids['leaves']}").exists()

    await eventually(cleaned, "the container of the deleted pod is stopped")
    still = await wait_for_pod(client, "stays", running)
    assert pid_of(cluster, still) == pids["stays"]
    assert still.status.containerStatuses[0].restartCount == 0
    assert container_id(still) == container_id(pods["stays"])
    for name in ("stays", "ends"):
        await remove(client, name)


async def test_an_agent_killed_while_it_starts_pods_neither_doubles_nor_leaks_them(
    cluster: Cluster, client: Client
) -> None:
    names = [f"torn{number}" for number in range(6)]
    for number, name in enumerate(names):
        await client.create(cluster.pod(name, ["sleep", "1000"]))
        await asyncio.sleep(0.04 * (number + 1))  # where in the start the blow falls
        cluster.kill_agent()
        cluster.start_agent()
    pods = [await wait_for_pod(client, name, running) for name in names]
    assert {status.restartCount for pod in pods for status in pod.status.containerStatuses} == {0}
    for name in names:
        await remove(client, name)

    async def nothing_left() -> bool:
        directories = [cluster.node_dir / part for part in ("pods", "run/sandboxes", "runtime/containers")]
        return not any(list(directory.iterdir()) for directory in directories)

    await eventually(nothing_left, "no pod, sandbox or container is left on disk")
    assert mounts_below(cluster.node_dir) == []
