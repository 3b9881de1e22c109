"""Simulated nodes: Node objects whose pods become Running and Ready without any container.

For CI pipelines and scale tests (`tiphys up --fake-nodes N`).  Everything above the node is real: scheduling, rollouts,
services, garbage collection.  Pods that run to an end (restartPolicy Never or OnFailure, owned by a Job) succeed.
Two annotations of a pod say otherwise: `tiphys.dev/simulated-exit` is an exit code or "never", and with
`tiphys.dev/simulated-ready: "false"` it runs without being ready.

Event-driven; the only clockwork is one Lease renewal per node every RENEW_SECONDS, spread evenly.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from controllers.nodelifecycle import LEASE_NAMESPACE
from controllers.podconditions import is_ready
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_micro_time, format_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.ownership import controller_of
from tiphys.logs import fields

_log = logging.getLogger(__name__)

LABEL, LABEL_VALUE = "type", "tiphys-fake"
RENEW_SECONDS = 30.0
LEASE_SECONDS = 40
SILENT_SECONDS = 2.0
CAPACITY = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
POD_NETWORK = ipaddress.IPv4Network("100.64.0.0/10")
IP_INDEX = "podIP"
EXIT, READY = "tiphys.dev/simulated-exit", "tiphys.dev/simulated-ready"


def node_name(number: int) -> str:
    return f"fake-node-{number}"


def node_object(number: int, now: datetime) -> dict[str, Any]:
    """A Node with capacity, all conditions well."""
    name, at = node_name(number), format_time(now)
    well = {"lastHeartbeatTime": at, "lastTransitionTime": at}
    pressures = [
        {"type": type, "status": "False", "reason": f"KubeletHas{reason}", "message": f"kubelet has {text}", **well}
        for type, reason, text in (
            ("MemoryPressure", "SufficientMemory", "sufficient memory available"),
            ("DiskPressure", "NoDiskPressure", "no disk pressure"),
            ("PIDPressure", "SufficientPID", "sufficient PID available"),
        )
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated node is ready", **well}
    labels = {
        LABEL: LABEL_VALUE,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "conditions": [*pressures, ready],
            "addresses": [{"type": "InternalIP", "address": node_ip(number)}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "kubeletVersion": "v1.36.0",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "containerRuntimeVersion": "simulated://1",
                "osImage": "simulated",
                "kernelVersion": "simulated",
                "machineID": name,
                "systemUUID": name,
                "bootID": name,
                "kubeProxyVersion": "",
            },
        },
    }


def node_ip(number: int) -> str:
    return str(ipaddress.IPv4Address("10.128.0.1") + number)


def ends_by_itself(pod: Pod) -> bool:
    if EXIT in pod.metadata.annotations:
        return pod.metadata.annotations[EXIT].isdigit()
    owner = controller_of(pod)
    return pod.spec.restartPolicy in ("Never", "OnFailure") and owner is not None and owner.kind == "Job"


def is_to_be_ready(pod: Pod) -> bool:
    return pod.metadata.annotations.get(READY) != "false"


def stopped_exit_code(pod: Pod) -> int:
    """What a container answers that is told to stop: a server says 0, work that was cut short has failed."""
    return 0 if pod.spec.restartPolicy == "Always" else 143


def running_status(pod: Pod, host_ip: str, pod_ip: str, now: datetime) -> dict[str, Any]:
    """The status of a pod all of whose containers run and are ready; init containers have done their work."""
    at, ready = format_time(now), is_to_be_ready(pod)
    words = dict.fromkeys(("Ready", "ContainersReady"), "True" if ready else "False")
    return {
        "phase": "Running",
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": at,
        "observedGeneration": pod.metadata.generation,
        "conditions": [
            {"type": type, "status": words.get(type, "True"), "lastTransitionTime": at}
            for type in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
        ],
        "initContainerStatuses": [
            _container(one.name, one.image, {"terminated": _completed(at)}) for one in pod.spec.initContainers
        ],
        "containerStatuses": [
            {**_container(one.name, one.image, {"running": {"startedAt": at}}), "ready": ready}
            for one in pod.spec.containers
        ],
    }


def ended_status(pod: Pod, now: datetime, exit_code: int = 0) -> dict[str, Any]:
    at = format_time(now)
    ending = _completed(at) if exit_code == 0 else {**_completed(at), "exitCode": exit_code, "reason": "Error"}
    done = {"status": "False", "reason": "PodCompleted", "lastTransitionTime": at}
    return {
        "phase": "Failed" if exit_code else "Succeeded",
        "conditions": [{"type": type, **done} for type in ("Ready", "ContainersReady")],
        "containerStatuses": [
            {**_container(one.name, one.image, {"terminated": ending}), "ready": False, "started": False}
            for one in pod.spec.containers
        ],
    }


def _completed(at: str) -> dict[str, Any]:
    return {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}


def _container(name: str, image: str, state: Mapping[str, Any]) -> dict[str, Any]:
    ready = {"ready": True, "started": True, "restartCount": 0}
    return {
        "name": name,
        "image": image,
        "imageID": image,
        "containerID": f"simulated://{name}",
        **ready,
        "state": state,
    }


class SimulatedNodes(Controller):
    """Registers `count` nodes and plays the kubelet for the pods bound to them."""

    name: ClassVar = "simulated-nodes"
    kind = Pod
    reads = (Node,)
    writes = (
        Writes(Node, ("create",)),
        Writes(Node, ("patch",), "status"),
        Writes(Lease, ("create", "patch")),
        Writes(Pod, ("patch",), "status"),
        Writes(Pod, ("delete",)),
    )
    workers = 20

    def __init__(self, environment: Environment, count: int) -> None:
        super().__init__(environment)
        self.numbers = {node_name(number): number for number in range(count)}
        self._next_ip = 0

    def setup(self) -> None:
        self.cache(Pod).add_index(IP_INDEX, lambda pod: [pod.status.podIP] if pod.status.podIP else [])

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        """Register each node, and from then on renew one Lease after the other."""
        self._leased: set[str] = set()
        for number in self.numbers.values():
            await self._tried(self._register(number))
        while self.numbers:
            for number in self.numbers.values():
                await asyncio.sleep(RENEW_SECONDS / len(self.numbers))
                await self._tried(self._register(number))

    async def _tried(self, step: Awaitable[None]) -> None:
        try:
            await step
        except (ApiError, ConnectionFailed) as error:
            _log.warning("simulated node not renewed", extra=fields(reason=error))

    async def _register(self, number: int) -> None:
        name, now = node_name(number), self.clock.now()
        renewal = {"renewTime": format_micro_time(now)}
        if name in self._leased:
            await self.client.patch(Lease, name, LEASE_NAMESPACE, {"spec": renewal})
            if not self._is_heard_of(name):
                status = node_object(number, now)["status"]
                await self.client.patch(Node, name, "", {"status": status}, subresource="status")
            return
        wanted = Node.model_validate(node_object(number, now))
        try:
            await self.client.create(wanted)
        except ApiError as error:
            if not error.already_exists:
                raise
        await self.client.patch(Node, name, "", {"status": wanted.status.to_dict()}, subresource="status")
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, **renewal}
        metadata = {"name": name, "namespace": LEASE_NAMESPACE}
        try:
            await self.client.create(Lease.model_validate({"metadata": metadata, "spec": spec}))
        except ApiError as error:
            if not error.already_exists:
                raise
            await self.client.patch(Lease, name, LEASE_NAMESPACE, {"spec": spec})
        self._leased.add(name)

    async def reconcile(self, key: Key) -> float | None:
        pod = self.cache(Pod).get(*key)
        if pod is None or pod.spec.nodeName not in self.numbers:
            return None
        meta, now = pod.metadata, self.clock.now()
        try:
            if meta.deletionTimestamp:
                if is_ready(pod):  # as on a real node, the containers end before the object goes
                    await self._write(pod, ended_status(pod, now, stopped_exit_code(pod)))
                await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
            elif pod.status.phase in ("", "Pending") or (
                pod.status.phase == "Running" and is_ready(pod) != is_to_be_ready(pod)
            ):
                if pod.status.phase == "Running" and not self._is_heard_of(pod.spec.nodeName):
                    return SILENT_SECONDS  # the node lifecycle controller would mark it not ready again, without end
                host_ip = node_ip(self.numbers[pod.spec.nodeName])
                address = pod.status.podIP or (host_ip if pod.spec.hostNetwork else self._new_ip())
                await self._write(pod, running_status(pod, host_ip, address, now))
            elif pod.status.phase == "Running" and ends_by_itself(pod):
                await self._write(pod, ended_status(pod, now, int(pod.metadata.annotations.get(EXIT, "0"))))
        except ApiError as error:
            if not error.not_found and error.code not in (409, 422):
                raise
        return None

    def _is_heard_of(self, name: str) -> bool:
        node = self.cache(Node).get("", name)
        return node is not None and any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)

    async def _write(self, pod: Pod, status: Mapping[str, Any]) -> None:
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": status}
        meta = pod.metadata
        await self.client.patch(Pod, meta.name, meta.namespace, patch, patch_type="strategic", subresource="status")

    def _new_ip(self) -> str:
        """An address no cached pod has; they go round the whole network before one is used again."""
        while True:
            self._next_ip = self._next_ip % (POD_NETWORK.num_addresses - 2) + 1
            address = str(POD_NETWORK[self._next_ip])
            if not self.cache(Pod).by_index(IP_INDEX, address):
                return address
