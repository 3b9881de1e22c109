"""Namespaces, users and kernel settings of pods, said in the pod and seen in its containers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.nodeagent.cluster import NODE, Cluster, eventually, get_pod, reasons, wait_for_pod
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.node.runtimeclass import RuntimeClass
from tiphys.client.rest import Client

NEVER = {"restartPolicy": "Never"}


async def ended(client: Client, name: str) -> Pod:
    return await wait_for_pod(client, name, lambda p: p.status.phase in ("Succeeded", "Failed"))


async def log(cluster: Cluster, pod: Pod, container: str = "main") -> str:
    return (await cluster.agent_get(f"/containerLogs/default/{pod.metadata.name}/{container}"))[1]


async def remove(client: Client, *names: str) -> None:
    for name in names:
        await client.delete(Pod, name, "default", grace_period_seconds=0)

    async def gone() -> bool:
        return not any([await get_pod(client, name) for name in names])

    await eventually(gone, f"{names} are gone")


async def test_the_node_says_what_its_runtimes_can_do(cluster: Cluster, client: Client) -> None:
    async def handlers() -> list[str] | None:
        node = await client.get(Node, NODE)
        return [handler.name for handler in node.status.runtimeHandlers] or None

    assert (await eventually(handlers, "the node shows its handlers"))[:2] == ["", "crun"]
    node = await client.get(Node, NODE)
    features = node.status.runtimeHandlers[0].features
    assert features is not None and features.userNamespaces is not None
    assert node.status.features is not None and node.status.features.supplementalGroupsPolicy is True


async def test_a_pod_with_its_own_users_and_shared_processes(cluster: Cluster, client: Client) -> None:
    """Root inside is nobody outside, the volume is root's there, and process 1 is not the program."""
    spec: dict[str, Any] = {
        **NEVER,
        "hostUsers": False,
        "shareProcessNamespace": True,
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    script = (
        "echo $(id -u) $(cat /proc/self/uid_map); tr '\\0' ' ' < /proc/1/cmdline; echo;"
        " echo x > /data/file; stat -c %u /data/file; cat /etc/hostname"
    )
    mounts = [{"name": "data", "mountPath": "/data"}]
    await client.create(cluster.pod("mapped", ["sh", "-c", script], spec=spec, volumeMounts=mounts))
    pod = await ended(client, "mapped")
    first, one, owner, name = (await log(cluster, pod)).splitlines()
    uid, inside, base, count = first.split()
    assert (uid, inside, count, one, owner, name) == ("0", "0", "65536", "/pause ", "0", "mapped")
    assert int(base) >= 65536
    assert pod.status.phase == "Succeeded"
    await remove(client, "mapped")

    async def given_back() -> bool:
        return not Path("/run/tiphys-doors").exists()

    await eventually(given_back, "the pod's doors are closed")


async def test_kernel_settings_are_set_or_the_pod_is_refused(cluster: Cluster, client: Client) -> None:
    def spec(name: str, value: str) -> dict[str, Any]:
        return {**NEVER, "securityContext": {"sysctls": [{"name": name, "value": value}]}}

    show = ["cat", "/proc/sys/net/ipv4/tcp_fin_timeout"]
    safe = cluster.pod("safe", show, spec=spec("net.ipv4.tcp_fin_timeout", "13"))
    unsafe = cluster.pod("unsafe", show, spec=spec("kernel.msgmax", "8192"))
    await asyncio.gather(client.create(safe), client.create(unsafe))
    assert await log(cluster, await ended(client, "safe")) == "13\n"
    refused = await ended(client, "unsafe")
    assert (refused.status.phase, refused.status.reason) == ("Failed", "SysctlForbidden")
    assert 'forbidden sysctl: "kernel.msgmax" not allowlisted' in refused.status.message
    await remove(client, "safe", "unsafe")


async def test_a_runtime_class_chooses_the_handler(cluster: Cluster, client: Client) -> None:
    for name in ("crun", "gvisor"):
        await client.create(RuntimeClass.model_validate({"metadata": {"name": name}, "handler": name}))
    for name in ("crun", "gvisor"):
        spec = {**NEVER, "runtimeClassName": name}
        await client.create(cluster.pod(f"with-{name}", ["true"], spec=spec))
    assert (await ended(client, "with-crun")).status.phase == "Succeeded"

    async def refused() -> str | None:
        return (await reasons(client, "with-gvisor")).get("FailedCreatePodSandBox")

    message = await eventually(refused, "the sandbox is refused")
    assert message == 'Failed to create pod sandbox: no runtime for "gvisor" is configured'
    await remove(client, "with-crun", "with-gvisor")
