"""Probes, hooks, sidecars, volumes of the service account and private registries, on the real agent."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.nodeagent.cluster import Cluster, eventually, reasons, wait_for_pod
from tests.nodeagent.registry import PASSWORD, USER, Registry
from tests.nodeagent.test_agent import remove, running
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.pod import Pod
from tiphys.api.core.secret import Secret
from tiphys.client.rest import Client

pytestmark = pytest.mark.timeout(180)


async def log_is(cluster: Cluster, pod: str, text: str) -> None:
    async def probe() -> bool:
        return (await cluster.agent_get(f"/containerLogs/default/{pod}/main"))[1] == text

    await eventually(probe, f"the log of {pod} is {text!r}")


async def test_a_failing_liveness_probe_restarts_the_container(cluster: Cluster, client: Client) -> None:
    probe = {"exec": {"command": ["test", "-e", "/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    script = "touch /alive; sleep 1; rm /alive; exec sleep 1000"
    spec = {"terminationGracePeriodSeconds": 1}
    await client.create(cluster.pod("lively", ["sh", "-c", script], spec=spec, livenessProbe=probe))
    pod = await wait_for_pod(client, "lively", lambda p: any(s.restartCount for s in p.status.containerStatuses))
    ended = pod.status.containerStatuses[0].lastState.terminated
    assert ended is not None
    assert ended.exitCode == 137
    told = await reasons(client, "lively")
    assert told["Killing"] == "Container main failed liveness probe, will be restarted"
    assert told["Unhealthy"].startswith("Liveness probe failed: ")
    await remove(client, "lively")


async def test_a_readiness_probe_moves_ready_both_ways(cluster: Cluster, client: Client) -> None:
    probe = {"exec": {"command": ["test", "-e", "/v/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    spec = {"volumes": [{"name": "v", "emptyDir": {}}]}
    mounts = [{"name": "v", "mountPath": "/v"}]
    made = cluster.pod("ready", ["sleep", "1000"], spec=spec, readinessProbe=probe, volumeMounts=mounts)
    created = await client.create(made)

    def condition(pod: Pod) -> str:
        return next((c.status for c in pod.status.conditions if c.type == "Ready"), "")

    await wait_for_pod(client, "ready", lambda p: p.status.phase == "Running" and condition(p) == "False")
    flag = cluster.node_dir / "pods" / created.metadata.uid / "volumes/kubernetes.io~empty-dir/v/ready"
    flag.touch()
    await wait_for_pod(client, "ready", lambda p: condition(p) == "True")
    flag.unlink()
    await wait_for_pod(client, "ready", lambda p: condition(p) == "False")
    await remove(client, "ready")


async def test_hooks_run_after_the_start_and_before_the_stop(cluster: Cluster, client: Client) -> None:
    lifecycle = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo post > /proc/1/fd/1"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo pre > /proc/1/fd/1; touch /bye"]}},
    }
    script = "trap 'ls /bye; exit 0' TERM; while true; do sleep 0.05; done"
    await client.create(cluster.pod("hooked", ["sh", "-c", script], lifecycle=lifecycle))
    await wait_for_pod(client, "hooked", running)
    await log_is(cluster, "hooked", "post\n")
    pod = await wait_for_pod(client, "hooked", running)
    log = cluster.node_dir / "logs" / f"default_hooked_{pod.metadata.uid}" / "main/0.log"
    with log.open() as reader:
        await remove(client, "hooked")
        assert [line.split(" ", 3)[3] for line in reader.read().splitlines()] == ["post", "pre", "/bye"]


async def test_a_failing_post_start_hook_kills_the_container(cluster: Cluster, client: Client) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["false"]}}}
    never = {"restartPolicy": "Never"}
    script = "trap 'exit 7' TERM; while true; do sleep 0.05; done"
    await client.create(cluster.pod("hookless", ["sh", "-c", script], spec=never, lifecycle=lifecycle))
    await wait_for_pod(client, "hookless", lambda p: p.status.phase == "Failed")
    assert "FailedPostStartHook" in await reasons(client, "hookless")
    await remove(client, "hookless")


async def test_a_sidecar_runs_beside_and_ends_after_the_container(cluster: Cluster, client: Client) -> None:
    sidecar = {
        "name": "side",
        "image": cluster.image,
        "restartPolicy": "Always",
        "command": ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done"],
    }
    spec = {"restartPolicy": "Never", "initContainers": [sidecar]}
    await client.create(cluster.pod("aside", ["sleep", "0.5"], spec=spec))
    await wait_for_pod(client, "aside", running)
    pod = await wait_for_pod(client, "aside", lambda p: p.status.phase == "Succeeded")
    ended = pod.status.initContainerStatuses[0].state.terminated
    assert ended is not None
    await remove(client, "aside")


async def test_a_service_account_token_and_root_certificate_are_mounted(cluster: Cluster, client: Client) -> None:
    root = {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "CA"}}
    await client.create(ConfigMap.model_validate(root))
    script = "cd /var/run/secrets/kubernetes.io/serviceaccount; cat ca.crt namespace; test -s token && echo; id -u"
    spec = {"automountServiceAccountToken": True, "restartPolicy": "Never"}
    await client.create(cluster.pod("account", ["sh", "-c", script], spec=spec))
    await wait_for_pod(client, "account", lambda p: p.status.phase == "Succeeded")
    await log_is(cluster, "account", "CAdefault\n0\n")
    await remove(client, "account")


async def test_a_private_image_needs_its_pull_secret(cluster: Cluster, client: Client, tmp_path: Path) -> None:
    from nodeagent.images.layout import build_image
    from nodeagent.images.push_example import base_layer

    with Registry(tmp_path / "private", auth="basic") as registry:
        image = registry.push(build_image([base_layer()]), "secret", "1")
        await client.create(cluster.pod("refused", ["true"], image=image))
        refused = await wait_for_pod(client, "refused", lambda p: "ImagePull" in waiting_reason(p))
        assert refused.status.phase == "Pending"
        auths = {"auths": {registry.host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
        secret: dict[str, Any] = {
            "metadata": {"name": "pull", "namespace": "default"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(json.dumps(auths).encode()).decode()},
        }
        await client.create(Secret.model_validate(secret))
        spec = {"imagePullSecrets": [{"name": "pull"}], "restartPolicy": "Never"}
        await client.create(cluster.pod("allowed", ["true"], spec=spec, image=image))
        await wait_for_pod(client, "allowed", lambda p: p.status.phase == "Succeeded")
        for name in ("refused", "allowed"):
            await remove(client, name)


def waiting_reason(pod: Pod) -> str:
    states = [s.state.waiting for s in pod.status.containerStatuses if s.state.waiting is not None]
    return states[0].reason if states else ""


async def test_limits_are_enforced_and_an_oom_kill_is_named(cluster: Cluster, client: Client) -> None:
    script = "x=a; while true; do x=$x$x; done"
    never = {"restartPolicy": "Never"}
    limits = {"limits": {"memory": "16Mi"}}
    await client.create(cluster.pod("hungry", ["sh", "-c", script], spec=never, resources=limits))
    pod = await wait_for_pod(client, "hungry", lambda p: p.status.phase == "Failed")
    ended = pod.status.containerStatuses[0].state.terminated
    assert ended is not None
    assert (ended.reason, ended.exitCode) == ("OOMKilled", 137)
    await remove(client, "hungry")


async def test_a_pod_on_the_nodes_network_has_the_nodes_address(cluster: Cluster, client: Client) -> None:
    await client.create(cluster.pod("hosted", ["sleep", "1000"], spec={"hostNetwork": True}))
    pod = await wait_for_pod(client, "hosted", running)
    assert pod.status.podIP == "127.0.0.1"
    await remove(client, "hosted")
