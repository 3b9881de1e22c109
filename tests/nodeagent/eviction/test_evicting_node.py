"""A real node that runs short: limits of ephemeral storage, memory pressure, and what it says about itself."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest

from nodeagent.images.layout import LayerBuilder, build_image
from nodeagent.images.push_example import base_layer
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.stats.cgroupusage import read_usage
from nodeagent.volumes.teardown import mounts_below
from tests.nodeagent.cluster import NODE, Cluster, eventually, reasons, wait_for_pod
from tests.nodeagent.conftest import client as _client
from tiphys.api.core.event import Event
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import value
from tiphys.api.times import parse_time
from tiphys.client.rest import Client

client = _client
SLEEP = "trap 'exit 0' TERM; while true; do sleep 0.2; done"
STORAGE = "ephemeral-storage"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.agent_flags += ["--system-reserved", "cpu=100m,memory=1Gi", "--max-pods", "30"]
    try:
        cluster.start()
        yield cluster
    finally:
        left = cluster.stop()
        print(cluster.log_of("nodeagent")[-6000:])
    assert left == []
    assert mounts_below(cluster.root) == []


def shell(cluster: Cluster, name: str, script: str, **fields: object) -> Pod:
    return cluster.pod(name, ["/bin/sh", "-c", f"{script}; {SLEEP}"], **fields)  # type: ignore[arg-type]


def restart(cluster: Cluster, *flags: str) -> None:
    """Another agent, with more flags."""
    assert cluster.agent is not None
    cluster.agent.terminate()
    cluster.agent.wait(20)
    cluster.agent_flags += flags
    cluster.start_agent()


def _listening(probe: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """False while nobody answers."""

    async def patient() -> bool:
        try:
            return await probe()
        except OSError:
            return False

    return patient


async def _is(found: Awaitable[object], wanted: object) -> bool:
    return await found == wanted


async def test_a_pod_above_its_limit_of_ephemeral_storage_is_evicted(cluster: Cluster, client: Client) -> None:
    limit = {"limits": {STORAGE: "4Mi"}}
    fill = "dd if=/dev/zero of={} bs=1M count=8 2>/dev/null"
    scratch = {"volumes": [{"name": "s", "emptyDir": {}}]}
    mount = [{"name": "s", "mountPath": "/s"}]
    other = {
        "name": "other",
        "image": cluster.image,
        "command": ["sleep", "1000"],
        "resources": {"limits": {STORAGE: "1Gi"}},
    }
    layer = shell(cluster, "layer", fill.format("/file"), resources=limit)
    together = {"containers": [layer.to_dict()["spec"]["containers"][0], other]}
    pods = [
        layer.model_copy(update={"metadata": layer.metadata}),
        shell(cluster, "volume", fill.format("/s/file"), resources=limit, spec=scratch, volumeMounts=mount),
        cluster.pod("container", [], spec=together),
        shell(cluster, "modest", "true", resources=limit),
    ]
    for pod in pods:
        await client.create(pod)
    total = "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. "
    own = 'Container main exceeded its local ephemeral storage limit "4Mi". '
    for name, message in (("layer", total), ("volume", total), ("container", own)):
        pod = await wait_for_pod(client, name, lambda pod: pod.status.phase == "Failed", 60)
        assert (pod.status.reason, pod.status.message) == ("Evicted", message)
        assert "DisruptionTarget" not in {c.type for c in pod.status.conditions}
        assert (await reasons(client, name))["Evicted"] == message
    await wait_for_pod(client, "modest", lambda pod: pod.status.phase == "Running")
    await client.delete(Pod, "modest", "default", grace_period_seconds=0)


async def test_the_pages_show_pods_containers_and_node(cluster: Cluster, client: Client) -> None:
    limits = {"limits": {"cpu": "50m", "memory": "32Mi"}}
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    await client.create(shell(cluster, "shown", busy, resources=limits, readinessProbe=probe))
    await wait_for_pod(
        client, "shown", lambda pod: any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    )

    async def throttled() -> str | None:
        text = (await cluster.agent_get("/metrics/cadvisor"))[1]
        found = re.search(r'container_cpu_cfs_throttled_periods_total\{container="main".*pod="shown"\} (\d+)', text)
        return text if found and int(found[1]) > 0 else None

    cadvisor = await eventually(throttled, "the container is throttled")
    row = re.escape(f'image="{cluster.image}"') + r',name="[0-9a-f]{64}",namespace="default",pod="shown"'
    for pattern in (
        r'container_cpu_usage_seconds_total\{container="main",cpu="total",id="/[^"]+",' + row + r"\} 0\.\d+ \d{13}",
        r'container_memory_working_set_bytes\{container="main",id="/[^"]+",' + row + r"\} [1-9]",
        r'container_network_receive_bytes_total\{container="",id="[^"]+",image="",interface="eth0",name="",'
        r'namespace="default",pod="shown"\} [1-9]',
        r"machine_cpu_cores \d+",
    ):
        assert re.search(pattern, cadvisor), pattern
    resource = (await cluster.agent_get("/metrics/resource"))[1]
    for pattern in (
        r'container_cpu_usage_seconds_total\{container="main",namespace="default",pod="shown"\} 0\.\d+ \d{13}',
        r'pod_memory_working_set_bytes\{namespace="default",pod="shown"\} [1-9]\d* \d{13}',
        r"node_cpu_usage_seconds_total [\d.]+ \d{13}",
        r"resource_scrape_error 0",
    ):
        assert re.search(pattern, resource), pattern
    probes = (await cluster.agent_get("/metrics/probes"))[1]
    assert re.search(
        r'prober_probe_total\{container="main",namespace="default",pod="shown",.*result="successful"\} ', probes
    ) or ('probe_type="Readiness",result="successful"' in probes)
    kubelet = (await cluster.agent_get("/metrics"))[1]
    for family in (
        "kubelet_certificate_manager_client_ttl_seconds",
        'kubelet_evictions{eviction_signal="ephemeralpodfs.limit"}',
        "kubelet_node_config_error",
        "kubelet_pleg_relist_interval_seconds_count",
        'rest_client_requests_total{code="200"',
        "storage_operation_duration_seconds_bucket",
        "volume_manager_total_volumes",
        "kubernetes_build_info",
        "go_goroutines",
        "process_resident_memory_bytes",
    ):
        assert family in kubelet, family


async def test_the_summary_has_upstreams_fields(cluster: Cluster, client: Client) -> None:
    page = json.loads((await cluster.agent_get("/stats/summary"))[1])
    assert {
        "nodeName",
        "systemContainers",
        "startTime",
        "cpu",
        "memory",
        "network",
        "fs",
        "runtime",
        "rlimit",
        "swap",
    } == set(page["node"])
    pod = next(pod for pod in page["pods"] if pod["podRef"]["name"] == "shown")
    assert {"cpu", "memory", "network", "ephemeral-storage", "process_stats", "swap", "containers"} <= set(pod)
    main = pod["containers"][0]
    assert {"name", "startTime", "cpu", "memory", "rootfs", "logs", "swap"} == set(main)
    assert main["memory"]["availableBytes"] + main["memory"]["workingSetBytes"] == 32 << 20
    lean = json.loads((await cluster.agent_get("/stats/summary?only_cpu_and_memory=true"))[1])
    assert "fs" not in lean["node"] and "rootfs" not in lean["pods"][0]["containers"][0]
    await client.delete(Pod, "shown", "default", grace_period_seconds=0)


async def test_the_nodes_room_is_what_is_left_and_others_resources_stay(cluster: Cluster, client: Client) -> None:
    extra = {"status": {"capacity": {"example.com/foo": "5"}}}
    await client.patch(Node, NODE, "", extra, subresource="status")

    async def shown() -> Node | None:
        node = await client.get(Node, NODE)
        return node if node.status.allocatable.get("example.com/foo") == "5" else None

    node = await eventually(shown, "the extended resource is allocatable")
    assert node.status.capacity["example.com/foo"] == "5"
    assert node.status.allocatable["pods"] == "30"
    assert node.status.allocatable["cpu"].endswith("900m")
    cgroups = Cgroups(cluster.agent_flags[cluster.agent_flags.index("--cgroup-root") + 1])
    usage = read_usage(cgroups, cgroups.qos_path("Guaranteed"))
    assert usage is not None
    capacity = value(node.status.capacity["memory"])
    assert capacity - usage.memory_limit_bytes == 1 << 30
    assert capacity - value(node.status.allocatable["memory"]) == (1 << 30) + (100 << 20)


async def test_images_that_nobody_uses_go_when_the_disk_is_too_full(cluster: Cluster, client: Client) -> None:
    """Too full is one percent here, and nothing that goes is ever enough."""
    image = build_image([base_layer(), LayerBuilder().file("second", "x").build()], {"Cmd": ["/bin/sh"]})
    second = cluster.registry.push(image, "second", "1")
    await client.create(shell(cluster, "user", "true"))
    await client.create(cluster.pod("once", ["true"], image=second, spec={"restartPolicy": "Never"}))
    await wait_for_pod(client, "user", lambda pod: pod.status.phase == "Running")
    await wait_for_pod(client, "once", lambda pod: pod.status.phase == "Succeeded")

    async def images() -> set[str]:
        node = await client.get(Node, NODE)
        return {name for image in node.status.images for name in image.names if "@" not in name}

    await client.delete(Pod, "once", "default", grace_period_seconds=0)

    async def gone() -> bool:
        specs = [path.read_text() for path in (cluster.node_dir / "runtime/containers").glob("*/spec.json")]
        return not any(second in spec for spec in specs)

    await eventually(gone, "the container of the second image is gone")
    thresholds = ("--image-gc-high-threshold", "1", "--image-gc-low-threshold", "0")
    restart(cluster, *thresholds, "--minimum-image-ttl-duration", "0s")

    async def removed() -> bool:
        text = (await cluster.agent_get("/metrics"))[1]
        return 'kubelet_image_garbage_collected_total{reason="space"} 1.0' in text

    await eventually(_listening(removed), "the image that nobody uses is removed")
    assert cluster.image in await images()

    async def said() -> str | None:
        events = (await client.list(Event)).items
        return next((event.message for event in events if event.reason == "FreeDiskSpaceFailed"), None)

    assert "Failed to garbage collect required amount of images." in await eventually(said, "the node says so")
    assert (await client.get(Pod, "user", "default")).status.phase == "Running"
    await client.delete(Pod, "user", "default", grace_period_seconds=0)
    await eventually(lambda: _is(images(), {cluster.image}), "the Node says so too")


async def test_under_memory_pressure_the_greediest_pod_goes_and_critical_ones_stay(
    cluster: Cluster, client: Client
) -> None:
    """The threshold is above what any machine has, so that the pressure is real for the agent."""
    hog = "dd if=/dev/zero of=/m/file bs=1M count=40 2>/dev/null; echo full"
    memory = {"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]}
    asks = {"requests": {"memory": "10Mi"}}
    critical = {"priorityClassName": "system-node-critical"}
    mount = [{"name": "m", "mountPath": "/m"}]
    await client.create(shell(cluster, "hog", hog, spec=memory, volumeMounts=mount, resources=asks))
    await client.create(shell(cluster, "within", "true", resources={"requests": {"memory": "64Mi"}}))
    await client.create(shell(cluster, "critical", "true", spec=critical))
    for name in ("hog", "within", "critical"):
        await wait_for_pod(client, name, lambda pod: pod.status.phase == "Running")
    restart(cluster, "--eviction-hard", "memory.available<10Ti", "--eviction-pressure-transition-period", "1s")
    evicted = await wait_for_pod(client, "hog", lambda pod: pod.status.phase == "Failed", 60)
    assert evicted.status.reason == "Evicted"
    assert re.fullmatch(
        r"The node was low on resource: memory\. Threshold quantity: 10Ti, available: \d+\w*\. "
        r"Container main was using [4-9]\d+\w+, request is 10Mi, has larger consumption of memory\. ",
        evicted.status.message,
    ), evicted.status.message
    target = next(c for c in evicted.status.conditions if c.type == "DisruptionTarget")
    assert (target.status, target.reason) == ("True", "TerminationByKubelet")

    async def pressure() -> bool:
        node = await client.get(Node, NODE)
        return any(c.type == "MemoryPressure" and c.status == "True" for c in node.status.conditions)

    await eventually(pressure, "the node says MemoryPressure")
    await client.create(shell(cluster, "late", "true"))
    late = await wait_for_pod(client, "late", lambda pod: pod.status.phase == "Failed")
    assert late.status.message == "Pod was rejected: The node had condition: [MemoryPressure]. "
    within = await wait_for_pod(client, "within", lambda pod: pod.status.phase == "Failed", 60)

    def ended(pod: Pod) -> object:
        state = pod.status.containerStatuses[0].state.terminated
        return parse_time(state.finishedAt or "") if state is not None else None

    assert str(ended(evicted)) <= str(ended(within))
    assert (await client.get(Pod, "critical", "default")).status.phase == "Running"
    events = {e.reason: e.message for e in (await client.list(Event)).items if e.involvedObject.kind == "Node"}
    assert events["EvictionThresholdMet"] == "Attempting to reclaim memory"
