"""Static pods from a directory, their mirrors, and the graceful shutdown of the node: on the real agent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodeagent.cluster import NODE, Cluster, eventually, get_pod, wait_for_pod
from tests.nodeagent.test_agent import running
from tests.nodeagent.test_agent_changes import condition, kubectl
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client

pytestmark = pytest.mark.timeout(180)
TRAP = "trap 'exit 0' TERM;"
MIRROR = f"web-{NODE}"


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, manifests: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.agent_flags += ["--pod-manifest-path", str(manifests), "--shutdown-grace-period", "6"]
    cluster.agent_flags += ["--shutdown-grace-period-critical-pods", "3"]
    try:
        cluster.start()
        yield cluster
    finally:
        left = cluster.stop()
        print(cluster.log_of("nodeagent")[-6000:])
    assert left == []


def manifest(cluster: Cluster, seconds: int) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: main, image: "{cluster.image}", command: [sleep, "{seconds}"]}}
"""


async def gone(client: Client, name: str) -> None:
    async def probe() -> bool:
        return await get_pod(client, name) is None

    await eventually(probe, f"{name} is gone")


async def test_a_static_pod_runs_and_has_a_mirror(cluster: Cluster, client: Client, manifests: Path) -> None:
    (manifests / "broken.yaml").write_text("kind: [")
    (manifests / "web.yaml").write_text(manifest(cluster, 1001))
    mirror = await wait_for_pod(client, MIRROR, running)
    notes = mirror.metadata.annotations
    assert notes["kubernetes.io/config.source"] == "file"
    assert notes["kubernetes.io/config.mirror"] == notes["kubernetes.io/config.hash"]
    (owner,) = mirror.metadata.ownerReferences
    assert (owner.kind, owner.name, owner.controller) == ("Node", NODE, True)
    assert mirror.status.podIP and mirror.metadata.labels == {"app": "web"}
    container = mirror.status.containerStatuses[0].containerID
    out = await kubectl(cluster, "exec", MIRROR, "--", "hostname")
    assert out == f"{MIRROR}\n"

    await kubectl(cluster, "delete", "pod", MIRROR, "--wait=false")  # the pod does not mind

    def anew(pod: Pod) -> bool:
        return pod.metadata.uid != mirror.metadata.uid and running(pod)

    again = await wait_for_pod(client, MIRROR, anew)
    assert again.status.containerStatuses[0].containerID == container

    cluster.kill_agent()
    cluster.start_agent()
    patch = {"metadata": {"labels": {"seen": "yes"}}}
    await client.patch(Pod, MIRROR, "default", patch, patch_type="merge")
    same = await wait_for_pod(client, MIRROR, running)
    assert same.status.containerStatuses[0].containerID == container

    (manifests / "web.yaml").write_text(manifest(cluster, 1002))
    changed = await wait_for_pod(client, MIRROR, lambda p: running(p) and p.metadata.uid != again.metadata.uid)
    assert changed.spec.containers[0].command == ["sleep", "1002"]
    assert changed.status.containerStatuses[0].containerID != container
    (manifests / "web.yaml").unlink()
    await gone(client, MIRROR)


async def test_a_manifest_that_went_while_no_agent_ran_leaves_nothing(
    cluster: Cluster, client: Client, manifests: Path
) -> None:
    (manifests / "web.yaml").write_text(manifest(cluster, 1003))
    await wait_for_pod(client, MIRROR, running)
    cluster.kill_agent()
    (manifests / "web.yaml").unlink()
    cluster.start_agent()
    await gone(client, MIRROR)


async def test_a_shutdown_ends_ordinary_pods_before_critical_ones(cluster: Cluster, client: Client) -> None:
    script = f"{TRAP} while true; do sleep 0.05; done"
    grace = {"terminationGracePeriodSeconds": 30}
    await client.create(cluster.pod("ordinary", ["sh", "-c", script], spec=grace))
    await client.create(cluster.pod("stubborn", ["sh", "-c", f"trap '' TERM;{script[len(TRAP) :]}"], spec=grace))
    spec = {"priorityClassName": "system-node-critical"}
    await client.create(cluster.pod("critical", ["sh", "-c", script], spec=spec))
    for name in ("ordinary", "stubborn", "critical"):
        await wait_for_pod(client, name, running)
    assert cluster.agent is not None
    cluster.agent.send_signal(signal.SIGPWR)

    async def not_ready() -> bool:
        node = await client.get(Node, NODE)
        return any(c.type == "Ready" and "shutting down" in c.message for c in node.status.conditions)

    await eventually(not_ready, "the Node says so")
    await client.create(cluster.pod("late", ["true"]))
    late = await wait_for_pod(client, "late", lambda p: p.status.phase == "Failed")
    assert late.status.reason == "NodeShutdown"
    ends = {}
    for name in ("ordinary", "stubborn", "critical"):
        pod = await wait_for_pod(client, name, lambda p: p.status.phase == "Failed")
        assert pod.status.reason == "Terminated"
        assert condition(pod, "DisruptionTarget")["reason"] == "TerminationByKubelet"
        assert pod.status.message == "Pod was terminated in response to imminent node shutdown."
        ended = pod.status.containerStatuses[0].state.terminated
        assert ended is not None and ended.finishedAt is not None
        ends[name] = (ended.finishedAt, ended.exitCode)
    assert ends["stubborn"][1] == 137
    assert ends["ordinary"][0] <= ends["stubborn"][0] <= ends["critical"][0]
    assert cluster.agent.wait(30) == 0
