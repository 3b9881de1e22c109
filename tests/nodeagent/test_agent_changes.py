"""A pod that runs is looked into and resized; a pod that does not fit is refused: on the real agent, by kubectl."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
import pytest

from tests.nodeagent.cluster import Cluster, eventually, reasons, wait_for_pod
from tests.nodeagent.test_agent import remove, running
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client

pytestmark = pytest.mark.timeout(180)
KUBECTL = Path(sys.executable).with_name("kubectl")


async def kubectl(cluster: Cluster, *words: str, check: bool = True) -> str:
    """What it printed; with `check` a failure is an AssertionError."""
    environment = {**os.environ, "KUBECONFIG": str(cluster.root / "admin.kubeconfig"), "HOME": str(cluster.root)}
    process = await asyncio.create_subprocess_exec(
        KUBECTL, *words, stdout=-1, stderr=-1, stdin=asyncio.subprocess.DEVNULL, env=environment
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert not check or process.returncode == 0, (words, out, err)
    return (out + err).decode()


def condition(pod: Pod, kind: str) -> dict[str, Any]:
    found = next((c for c in pod.status.conditions if c.type == kind), None)
    return found.to_dict() if found is not None else {}


async def test_kubectl_debug_looks_into_a_running_pod(cluster: Cluster, client: Client) -> None:
    await client.create(cluster.pod("target", ["sleep", "4321"]))
    await wait_for_pod(client, "target", running)
    image = f"--image={cluster.image}"
    await kubectl(
        cluster, "debug", "target", image, "-c", "look", "--target=main", "--", "sh", "-c", "ps; echo polo; sleep 0.2"
    )
    pod = await wait_for_pod(
        client,
        "target",
        lambda p: any(s.state.terminated is not None for s in p.status.ephemeralContainerStatuses),
    )
    (status,) = pod.status.ephemeralContainerStatuses
    assert (status.name, status.ready, status.restartCount) == ("look", False, 0)
    log = await kubectl(cluster, "logs", "target", "-c", "look")
    assert "polo" in log and "sleep 4321" in log  # it sees the processes of its target
    assert pod.status.containerStatuses[0].restartCount == 0
    assert pod.status.phase == "Running" and condition(pod, "Ready")["status"] == "True"
    cluster.kill_agent()  # what has ended is not started again by another agent
    cluster.start_agent()
    await kubectl(cluster, "debug", "target", image, "-c", "again", "--", "echo", "second")
    pod = await wait_for_pod(
        client,
        "target",
        lambda p: [s.state.terminated is not None for s in p.status.ephemeralContainerStatuses] == [True, True],
    )
    assert pod.status.ephemeralContainerStatuses[0].containerID == status.containerID
    await remove(client, "target")


def resources(cpu: str, memory: str, cpu_limit: str, memory_limit: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu_limit, "memory": memory_limit}}


def resized(pod: Pod, wanted: dict[str, Any], index: int = 0) -> bool:
    status = pod.status.containerStatuses[index]
    has = status.resources.to_dict() if status.resources is not None else {}
    return has == wanted and not condition(pod, "PodResizeInProgress") and not condition(pod, "PodResizePending")


async def resize(cluster: Cluster, name: str, wanted: dict[str, Any], container: str = "main") -> None:
    patch = f'{{"spec":{{"containers":[{{"name":"{container}","resources":{_json(wanted)}}}]}}}}'
    await kubectl(cluster, "patch", "pod", name, "--subresource=resize", "-p", patch)


def _json(value: Any) -> str:
    return str(value).replace("'", '"')


async def memory_limit(cluster: Cluster, name: str) -> int:
    """As the container sees it."""
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    return int((await kubectl(cluster, "exec", name, "--", "sh", "-c", script)).strip())


async def test_a_pod_is_resized_without_a_restart(cluster: Cluster, client: Client) -> None:
    first, second = resources("50m", "16Mi", "100m", "32Mi"), resources("60m", "24Mi", "200m", "64Mi")
    await client.create(cluster.pod("elastic", ["sleep", "1000"], resources=first))
    pod = await wait_for_pod(client, "elastic", lambda p: running(p) and resized(p, first))
    container = pod.status.containerStatuses[0].containerID
    assert pod.status.containerStatuses[0].allocatedResources == first["requests"]
    await resize(cluster, "elastic", second)
    pod = await wait_for_pod(client, "elastic", lambda p: resized(p, second))
    assert pod.metadata.generation == pod.status.observedGeneration == 2
    assert await memory_limit(cluster, "elastic") == 64 << 20
    cluster.kill_agent()  # a new agent knows what was agreed
    cluster.start_agent()
    await resize(cluster, "elastic", first)
    pod = await wait_for_pod(client, "elastic", lambda p: resized(p, first))
    assert await memory_limit(cluster, "elastic") == 32 << 20
    status = pod.status.containerStatuses[0]
    assert (status.containerID, status.restartCount) == (container, 0)
    assert {"ResizeStarted", "ResizeCompleted"} <= set(await reasons(client, "elastic"))
    await remove(client, "elastic")


async def test_a_resize_restarts_a_container_that_asks_for_it(cluster: Cluster, client: Client) -> None:
    first, second = resources("50m", "16Mi", "100m", "32Mi"), resources("50m", "16Mi", "100m", "48Mi")
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    spec = {"terminationGracePeriodSeconds": 0}
    await client.create(cluster.pod("again", ["sleep", "1000"], spec=spec, resources=first, resizePolicy=policy))
    await wait_for_pod(client, "again", running)
    await resize(cluster, "again", second)
    pod = await wait_for_pod(client, "again", lambda p: running(p) and resized(p, second))
    assert pod.status.containerStatuses[0].restartCount == 1
    assert await memory_limit(cluster, "again") == 48 << 20
    await remove(client, "again")


async def test_a_resize_beyond_the_node_is_infeasible(cluster: Cluster, client: Client) -> None:
    first = resources("50m", "16Mi", "100m", "32Mi")
    await client.create(cluster.pod("greedy", ["sleep", "1000"], resources=first))
    await wait_for_pod(client, "greedy", running)
    await resize(cluster, "greedy", resources("900", "16Mi", "900", "32Mi"))
    pod = await wait_for_pod(client, "greedy", lambda p: condition(p, "PodResizePending"))
    pending = condition(pod, "PodResizePending")
    assert (pending["reason"], pending["observedGeneration"]) == ("Infeasible", 2)
    assert pending["message"].startswith("Node didn't have enough capacity: cpu, requested: 900000, capacity: ")
    assert pod.status.containerStatuses[0].allocatedResources["cpu"] == "50m"
    await resize(cluster, "greedy", first)
    await wait_for_pod(client, "greedy", lambda p: resized(p, first))
    await remove(client, "greedy")


async def test_a_deferred_resize_goes_on_when_another_pod_leaves(cluster: Cluster, client: Client) -> None:
    half = {"requests": {"cpu": f"{(os.cpu_count() or 1) * 500}m"}}
    small = {"requests": {"cpu": "10m"}}
    most = {"requests": {"cpu": f"{(os.cpu_count() or 1) * 750}m"}}
    await client.create(cluster.pod("blocking", ["sleep", "1000"], resources=half))
    await client.create(cluster.pod("patient", ["sleep", "1000"], resources=small))
    for name in ("blocking", "patient"):
        await wait_for_pod(client, name, running)
    await resize(cluster, "patient", most)
    pod = await wait_for_pod(client, "patient", lambda p: condition(p, "PodResizePending"))
    assert condition(pod, "PodResizePending")["reason"] == "Deferred"
    await remove(client, "blocking")
    await wait_for_pod(client, "patient", lambda p: resized(p, most))
    await remove(client, "patient")


@pytest.mark.parametrize(
    ("name", "spec", "container", "reason", "text"),
    [
        (
            "wide",
            {},
            {"resources": {"requests": {"cpu": "900"}}},
            "OutOfcpu",
            "Node didn't have enough resource: cpu, re",
        ),
        ("far", {"nodeSelector": {"disk": "no"}}, {}, "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't"),
        (
            "unsafe",
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}},
            {},
            "SysctlForbidden",
            "forbidden sysctl",
        ),
    ],
)
async def test_a_pod_that_does_not_fit_is_rejected(
    cluster: Cluster, client: Client, name: str, spec: Any, container: Any, reason: str, text: str
) -> None:
    await client.create(cluster.pod(name, ["sleep", "1"], spec=spec, **container))
    pod = await wait_for_pod(client, name, lambda p: p.status.phase == "Failed")
    assert pod.status.reason == reason
    assert pod.status.message.startswith(f"Pod was rejected: {text}")
    assert (await reasons(client, name))[reason].startswith(text)
    assert pod.status.containerStatuses == []
    await remove(client, name)


async def test_a_label_given_a_moment_ago_counts(cluster: Cluster, client: Client) -> None:
    await kubectl(cluster, "label", "node", "--all", "fresh=yes")
    await client.create(cluster.pod("fresh", ["sleep", "1000"], spec={"nodeSelector": {"fresh": "yes"}}))
    await wait_for_pod(client, "fresh", running)
    await remove(client, "fresh")


async def test_rules_restart_a_container_by_its_exit_code(cluster: Cluster, client: Client) -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    spec = {"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}]}
    script = "test -e /v/been && exit 7; touch /v/been; exit 42"
    mounts = [{"name": "v", "mountPath": "/v"}]
    made = cluster.pod("ruled", ["sh", "-c", script], spec=spec, volumeMounts=mounts)
    rule = {"restartPolicy": "Never", "restartPolicyRules": rules}
    body = made.to_dict()
    body["spec"]["containers"][0].update(rule)
    await client.create(Pod.model_validate(body))
    pod = await wait_for_pod(client, "ruled", lambda p: p.status.phase == "Failed")
    status = pod.status.containerStatuses[0]
    assert status.restartCount == 1 and status.state.terminated is not None and status.state.terminated.exitCode == 7
    await remove(client, "ruled")


async def test_names_and_users_are_as_the_pod_says(cluster: Cluster, client: Client) -> None:
    spec = {
        "hostname": "short",
        "subdomain": "sub",
        "setHostnameAsFQDN": True,
        "restartPolicy": "Never",
        "securityContext": {"runAsUser": 1234, "runAsGroup": 55, "supplementalGroups": [77]},
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["foo.remote", "bar.remote"]}],
    }
    await client.create(cluster.pod("named", ["sh", "-c", "hostname; cat /etc/hosts"], spec=spec))
    pod = await wait_for_pod(client, "named", lambda p: p.status.phase == "Succeeded")
    log = await kubectl(cluster, "logs", "named")
    assert log.startswith("short.sub.default.svc.cluster.local\n")
    assert "10.1.2.3\tfoo.remote\tbar.remote\n" in log
    user = pod.status.containerStatuses[0].user
    assert user is not None and user.linux is not None
    assert (user.linux.uid, user.linux.gid, user.linux.supplementalGroups) == (1234, 55, [55, 77])
    over = cluster.pod("override", ["hostname"], spec={"hostnameOverride": "my.own.name", "restartPolicy": "Never"})
    await client.create(over)
    await wait_for_pod(client, "override", lambda p: p.status.phase == "Succeeded")
    assert await kubectl(cluster, "logs", "override") == "my.own.name\n"
    for name in ("named", "override"):
        await remove(client, name)


async def test_generation_and_observed_generation_meet(cluster: Cluster, client: Client) -> None:
    await client.create(cluster.pod("counted", ["sleep", "1000"]))
    pod = await wait_for_pod(client, "counted", running)
    assert pod.metadata.generation == 1
    for seconds in range(500, 520):
        patch = {"spec": {"activeDeadlineSeconds": 1000 - seconds}}
        pod = await client.patch(Pod, "counted", "default", patch, patch_type="strategic")
    assert pod.metadata.generation == 21

    async def met() -> bool:
        found = await client.get(Pod, "counted", "default")
        return found.status.observedGeneration == found.metadata.generation == 21

    await eventually(met, "the node has seen the newest generation")
    await remove(client, "counted")


async def test_a_grpc_probe_asks_the_health_service(cluster: Cluster, client: Client) -> None:
    answers = [b"\x08\x01"]

    async def health(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return answers[0]

    server = grpc.aio.server()
    methods = {"Check": grpc.unary_unary_rpc_method_handler(health)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    probe = {"grpc": {"port": port}, "periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 1}
    ready = {key: value for key, value in probe.items() if key != "terminationGracePeriodSeconds"}
    spec = {"hostNetwork": True, "terminationGracePeriodSeconds": 60}  # so that the pod's address is this machine's
    made = cluster.pod("asked", ["sleep", "1000"], spec=spec, livenessProbe=probe, readinessProbe=ready)
    await client.create(made)
    await wait_for_pod(client, "asked", lambda p: condition(p, "Ready").get("status") == "True")
    answers[0] = b"\x08\x02"
    await wait_for_pod(client, "asked", lambda p: p.status.containerStatuses[0].restartCount >= 1)  # not after 60 s
    told = await reasons(client, "asked")
    assert 'service unhealthy (responded with "NOT_SERVING")' in told["Unhealthy"]
    await server.stop(0)
    await client.delete(Pod, "asked", "default", grace_period_seconds=0)
