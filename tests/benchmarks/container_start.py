"""How long a container takes to start through our Runtime, against bare conmon and crun with the same configuration.

    python tests/benchmarks/container_start.py [ROUNDS]

Prints medians in milliseconds and their ratio, and the time to attach a pod's network.  Both sides take turns in one
run, so that a busy machine slows both.  Figures only: nothing here fails because it is slow.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nodeagent.network.pods import NetworkConfig, PodNetwork
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.engine import ConmonRuntime, find_programs, new_container_id
from nodeagent.runtime.facts import read_node_facts
from nodeagent.runtime.interface import ContainerSpec, SandboxSpec
from nodeagent.runtime.records import Layout
from nodeagent.runtime.sandbox import PodSandboxes
from nodeagent.runtime.spec import oci_config

_CGROUP_ROOT = f"tiphys-bench-{os.getpid()}"


def busybox_layer(directory: Path) -> Path:
    (directory / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", directory / "bin/busybox")
    (directory / "bin/sh").symlink_to("busybox")
    return directory


def container(layer: Path, log_dir: Path) -> ContainerSpec:
    return ContainerSpec(
        id=new_container_id(),
        pod_uid="bench",
        name="bench",
        argv=("/bin/sh", "-c", "exec busybox sleep 1000"),
        layers=(layer,),
        log_path=log_dir / "log",
    )


class Bare:
    """conmon and crun as a shell script would call them, on one prepared bundle."""

    def __init__(self, root: Path, layer: Path) -> None:
        self.programs = find_programs()
        self.layout = Layout(root)
        self.layout.make()
        self.bundle = root / "bundle"
        self.bundle.mkdir()
        rootfs = self.bundle / "rootfs"
        shutil.copytree(layer, rootfs, symlinks=True)
        for name in ("dev", "proc", "sys"):
            (rootfs / name).mkdir()
        self.spec = container(layer, root)
        self.rootfs = rootfs

    def round(self) -> float:
        name = new_container_id()
        record = self.layout.record(name)
        config = oci_config(
            self.spec, read_node_facts(), rootfs=str(self.rootfs), cgroups_path=f"/{_CGROUP_ROOT}/bare/{name}"
        )
        type(record)(self.bundle, record.exit_file).write_config(config)
        read_end, write_end = os.pipe()
        oci = [self.programs.oci, f"--root={self.layout.oci}"]
        begin = time.perf_counter()
        subprocess.run(
            [
                *(self.programs.conmon, "--api-version", "1", "-c", name, "-u", name, "-n", name, "-r", oci[0]),
                *("--runtime-arg", oci[1], "-b", str(self.bundle), "-p", f"{self.bundle}/pid"),
                *("-P", f"{self.bundle}/conmon.pid", "--exit-dir", str(self.layout.exits), "--no-sync-log"),
                *("-l", f"k8s-file:{self.spec.log_path}", "--full-attach", "--log-level", "error"),
            ],
            pass_fds=[write_end],
            env={"PATH": os.environ["PATH"], "_OCI_SYNCPIPE": str(write_end)},
            stdin=subprocess.DEVNULL,
            check=True,
        )
        os.close(write_end)
        answer = os.read(read_end, 4096)
        subprocess.run([*oci, "start", name], check=True)
        elapsed = time.perf_counter() - begin
        os.close(read_end)
        assert b'"data": -1' not in answer, answer
        subprocess.run([*oci, "delete", "--force", name], check=True)
        return elapsed


async def ours(runtime: ConmonRuntime, spec: ContainerSpec) -> float:
    begin = time.perf_counter()
    await runtime.create(spec)
    await runtime.start(spec.id)
    elapsed = time.perf_counter() - begin
    await runtime.remove(spec.id)
    return elapsed


async def attach_times(root: Path, rounds: int) -> list[float]:
    pods = ipaddress.IPv4Network("10.253.249.0/24")
    network = PodNetwork(NetworkConfig(root / "ipam", pods, bridge="tiphysbench0", table="tiphysbench"))
    await network.open()
    sandboxes = PodSandboxes(root / "run", network)
    await sandboxes.open()
    times = []
    try:
        for number in range(rounds):
            sandbox = await sandboxes.create(SandboxSpec(f"pod{number}", "bench"))
            await network.detach(f"pod{number}")
            begin = time.perf_counter()
            await network.attach(f"pod{number}", sandbox.namespaces.net)
            times.append(time.perf_counter() - begin)
    finally:
        await sandboxes.teardown_all()
        await network.teardown()
    return times


async def main(rounds: int) -> None:
    logging.basicConfig(level=logging.ERROR)
    root = Path(tempfile.mkdtemp(prefix="tiphys-bench-"))
    layer = busybox_layer(root / "layer")
    cgroups = Cgroups(_CGROUP_ROOT)
    runtime = ConmonRuntime(root / "runtime", cgroups)
    await runtime.open()
    bare = Bare(root / "bare", layer)
    bare_times, our_times = [], []
    try:
        for number in range(rounds + 2):
            bare_time, our_time = bare.round(), await ours(runtime, container(layer, root))
            if number >= 2:  # the first rounds warm the caches
                bare_times.append(bare_time)
                our_times.append(our_time)
        attached = await attach_times(root, rounds)
    finally:
        await runtime.teardown_all()
        runtime.close()
        cgroups.remove(f"/{_CGROUP_ROOT}")
        shutil.rmtree(root)
    bare_p50, our_p50 = statistics.median(bare_times) * 1e3, statistics.median(our_times) * 1e3
    print(f"create and start: bare p50 {bare_p50:.1f} ms, ours p50 {our_p50:.1f} ms, ratio {our_p50 / bare_p50:.2f}")
    print(f"network attach: p50 {statistics.median(attached) * 1e3:.1f} ms, max {max(attached) * 1e3:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
