"""/stats/summary: a NodeSnapshot in the JSON of upstream's stats/v1alpha1.  Pure.

Fields that nothing is known about are left out, as upstream does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from nodeagent.stats.cgroupusage import Usage
from nodeagent.stats.disk import TreeUsage, VolumeUsage
from nodeagent.stats.machine import FileSystem, Interface
from nodeagent.stats.snapshot import ContainerStats, NodeSnapshot, PodStats, SystemContainer
from tiphys.api.times import format_time

Json = dict[str, Any]


def summary(node: NodeSnapshot, *, only_cpu_and_memory: bool = False) -> Json:
    """The whole page, or what `?only_cpu_and_memory=true` asks for."""
    lean = only_cpu_and_memory
    return {"node": _node(node, lean=lean), "pods": [_pod(pod, node, lean=lean) for pod in node.pods]}


def _node(node: NodeSnapshot, *, lean: bool) -> Json:
    at, memory = format_time(node.at), node.memory
    result: Json = {
        "nodeName": node.node_name,
        "systemContainers": [_system(one, at) for one in node.system],
        "startTime": format_time(node.booted_at),
        "cpu": _cpu(node.cpu_ns, node.cpu_nano_cores, at),
        "memory": {
            "time": at,
            "availableBytes": memory.available_bytes,
            "usageBytes": memory.usage_bytes,
            "workingSetBytes": memory.working_set_bytes,
            "rssBytes": memory.rss_bytes,
            "pageFaults": memory.page_faults,
            "majorPageFaults": memory.major_page_faults,
        },
    }
    if lean:
        return result
    containers = node.containers_bytes or 0
    image_fs = {**_own_fs(node.image_fs, at), "usedBytes": node.images_bytes}
    return {
        **result,
        "network": _network(node.interfaces, node.default_interface, at),
        "fs": {**_own_fs(node.node_fs, at), "usedBytes": node.node_fs.used_bytes},
        "runtime": {
            "imageFs": image_fs,
            "containerFs": {**_own_fs(node.image_fs, at), "usedBytes": containers},
        },
        "rlimit": {"time": at, "maxpid": node.processes.most, "curproc": node.processes.running},
        "swap": {
            "time": at,
            "swapAvailableBytes": memory.swap_free_bytes,
            "swapUsageBytes": memory.swap_total_bytes - memory.swap_free_bytes,
        },
    }


def _system(one: SystemContainer, at: str) -> Json:
    return {
        "name": one.name,
        "startTime": _time(one.started_at) or at,
        "cpu": _cpu(one.usage.cpu_ns, one.cpu_nano_cores, at),
        "memory": _memory(one.usage, at),
        "swap": _swap(one.usage, at),
    }


def _pod(pod: PodStats, node: NodeSnapshot, *, lean: bool) -> Json:
    at = format_time(node.at)
    result: Json = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": _time(pod.started_at) or at,
        "containers": [_container(one, pod, node, lean=lean) for one in pod.containers],
    }
    if pod.usage is not None:
        result["cpu"] = _cpu(pod.usage.cpu_ns, pod.cpu_nano_cores, at)
        result["memory"] = _memory(pod.usage, at)
    if lean:
        return result
    if pod.interfaces:
        result["network"] = _network(pod.interfaces, pod.interfaces[0].name, at)
    if pod.disk is not None:
        if pod.disk.volumes:
            result["volume"] = [_volume(volume, pod, node, at) for volume in pod.disk.volumes]
        result["ephemeral-storage"] = _shared_fs(node.node_fs, pod.disk.total(), at)
    if pod.usage is not None:
        if pod.usage.processes is not None:
            result["process_stats"] = {"process_count": pod.usage.processes}
        result["swap"] = _swap(pod.usage, at)
    return result


def _container(one: ContainerStats, pod: PodStats, node: NodeSnapshot, *, lean: bool) -> Json:
    at = format_time(node.at)
    result: Json = {
        "name": one.name,
        "startTime": _time(one.started_at) or at,
        "cpu": _cpu(one.usage.cpu_ns, one.cpu_nano_cores, at),
        "memory": _memory(one.usage, at),
    }
    if lean:
        return result
    if pod.disk is not None:
        result["rootfs"] = _shared_fs(node.image_fs, pod.disk.layers.get(one.name, TreeUsage()), at)
        result["logs"] = _shared_fs(node.node_fs, pod.disk.logs.get(one.name, TreeUsage()), at)
    result["swap"] = _swap(one.usage, at)
    return result


def _cpu(nanoseconds: int | None, nano_cores: int | None, at: str) -> Json:
    result: Json = {"time": at}
    if nano_cores is not None:
        result["usageNanoCores"] = nano_cores
    if nanoseconds is not None:
        result["usageCoreNanoSeconds"] = nanoseconds
    return result


def _memory(usage: Usage, at: str) -> Json:
    result: Json = {"time": at}
    if usage.memory_limit_bytes:
        result["availableBytes"] = max(0, usage.memory_limit_bytes - usage.working_set_bytes)
    return {
        **result,
        "usageBytes": usage.memory_bytes,
        "workingSetBytes": usage.working_set_bytes,
        "rssBytes": usage.rss_bytes,
        "pageFaults": usage.page_faults,
        "majorPageFaults": usage.major_page_faults,
    }


def _swap(usage: Usage, at: str) -> Json:
    return {"time": at, "swapUsageBytes": usage.swap_bytes}


def _network(found: Iterable[Interface], default: str, at: str) -> Json:
    cards = {
        one.name: {
            "name": one.name,
            "rxBytes": one.received_bytes,
            "rxErrors": one.received_errors,
            "txBytes": one.sent_bytes,
            "txErrors": one.sent_errors,
        }
        for one in found
    }
    return {"time": at, **cards.get(default, {"name": ""}), "interfaces": list(cards.values())}


def _own_fs(found: FileSystem, at: str) -> Json:
    return {
        "time": at,
        "availableBytes": found.available_bytes,
        "capacityBytes": found.capacity_bytes,
        "inodesFree": found.inodes_free,
        "inodes": found.inodes,
        "inodesUsed": found.inodes_used,
    }


def _shared_fs(on: FileSystem, used: TreeUsage, at: str) -> Json:
    return {**_own_fs(on, at), "usedBytes": used.bytes, "inodesUsed": used.inodes}


def _volume(volume: VolumeUsage, pod: PodStats, node: NodeSnapshot, at: str) -> Json:
    result = _shared_fs(volume.own or node.node_fs, volume.used, at)
    result["name"] = volume.name
    if volume.claim:
        result["pvcRef"] = {"name": volume.claim, "namespace": pod.namespace}
    return result


def _time(at: datetime | None) -> str:
    return format_time(at) if at is not None else ""
