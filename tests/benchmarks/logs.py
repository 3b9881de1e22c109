"""Ten containers write 50 MB/s of log lines together: what that costs the agent, which has conmon write them.

The agent's part is rotation; the CPU of the conmons (and of the writers themselves) is shown beside it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import orjson

from tests.benchmarks.cluster import PodStarts
from tests.benchmarks.load import Endpoint
from tests.benchmarks.meter import cpu_seconds
from tests.benchmarks.report import Report
from tests.machine import Machine
from tests.scenarios.pods import container, pod

CONTAINERS = 10
BYTES_PER_SECOND = 5_000_000  # of each container
SECONDS = 10
_CHUNKS_PER_SECOND = 10
# A file of 100-byte lines, written ten times a second.
_WRITER = (
    "trap 'exit 0' TERM; "
    f"busybox yes {'x' * 99} | head -c {BYTES_PER_SECOND // _CHUNKS_PER_SECOND} > /block; "
    f"while true; do cat /block; sleep {1 / _CHUNKS_PER_SECOND}; done"
)


async def measure(machine: Machine, image: str, report: Report) -> None:
    """CPU of agent, conmons and writers per megabyte of log, and the rate that was reached."""
    agent = machine.pids()["nodeagent"]
    names = [f"writer-{number}" for number in range(CONTAINERS)]
    endpoint = Endpoint(machine.layout.pki)
    async with await endpoint.connect() as asking, await endpoint.connect() as watching:
        starts = PodStarts(asking, watching, image)
        for name in names:
            await asking.send("POST", "/api/v1/namespaces/default/pods", _body(name, image))
        await starts.running(names)
        conmons = [pid for pid, words in machine._own_processes() if "conmon" in words.split(" ")[0]]
        before, begin = (_io(conmons), cpu_seconds([agent]), cpu_seconds(conmons)), time.perf_counter()
        await asyncio.sleep(SECONDS)
        elapsed = time.perf_counter() - begin
        written = (_io(conmons) - before[0]) / 1e6
        agent_cpu, conmon_cpu = cpu_seconds([agent]) - before[1], cpu_seconds(conmons) - before[2]
        await starts.delete(names)
    report.add(f"logs of {CONTAINERS} containers", written / elapsed, "MB/s")
    report.add("  agent's CPU meanwhile", agent_cpu / elapsed * 100, "% of a core")
    report.add("  conmons' CPU", conmon_cpu / elapsed * 100, "% of a core")


def _body(name: str, image: str) -> bytes:
    made = pod(name, container(image, _WRITER))
    made["metadata"]["labels"] = {"bench": name}
    return orjson.dumps(made)


def _io(pids: list[int]) -> int:
    """Bytes that these processes have written."""
    total = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/io").read_text().split()
        total += int(words[words.index("wchar:") + 1])
    return total
