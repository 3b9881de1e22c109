"""`python -m tests.benchmarks [SECTION...]`: all figures in one run, as one table.  Nothing here is asserted.

Sections: start, idle, pods, logs, engines, idle-pods, api, scale, controllers, store; all of them without arguments.
Everything runs inside a network namespace and a directory of its own, which are removed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import against_engines, api, cluster, controllers, engines, idle_pods, logs, scale, storage
from tests.benchmarks.report import Report
from tests.machine import Machine

SECTIONS = ("start", "idle", "pods", "logs", "engines", "idle-pods", "api", "scale", "controllers", "store")


def with_a_node(directory: Path, wanted: set[str], report: Report) -> None:
    with Machine(directory) as machine:
        image = cluster.pushed_image(machine)
        if "start" in wanted:
            report.section("starting")
            cluster.starting(machine, report)
            cluster.first_pod(machine, image, report)
        else:
            machine.up()
        if "idle" in wanted:
            report.section(f"idle for {cluster.IDLE_SECONDS} s")
            cluster.idle(machine, report)
        if wanted & {"pods", "logs", "engines"}:
            cluster.image_is_present(machine, image)
        if "pods" in wanted:
            report.section("starting pods")
            asyncio.run(cluster.pod_starts(machine, image, report))
        if "logs" in wanted:
            report.section("logs")
            asyncio.run(logs.measure(machine, image, report))
        if "engines" in wanted:
            asyncio.run(against_engines.measure(machine, image, report))


def without_a_node(directory: Path, report: Report) -> None:
    with Machine(directory) as machine:
        machine.up("--no-node")
        report.section("API server, sqlite, no node")
        asyncio.run(api.measure(machine, report))


def main(words: list[str]) -> int:
    wanted = set(words or SECTIONS)
    if unknown := wanted - set(SECTIONS):
        print(f"no such section: {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}", file=sys.stderr)
        return 1
    if "engines" in wanted and (missing := engines.missing_packages()):
        print(f"apt-get install --no-install-recommends {' '.join(missing)}", file=sys.stderr)
        return 1
    report = Report()
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as directory:
        if wanted & {"start", "idle", "pods", "logs", "engines"}:
            with_a_node(Path(directory) / "node", wanted, report)
        if "idle-pods" in wanted:
            idle_pods.measure(Path(directory) / "idle", report)
        if "api" in wanted:
            without_a_node(Path(directory) / "api", report)
        if "scale" in wanted:
            scale.measure(Path(directory) / "scale", report)
        if "controllers" in wanted:
            controllers.measure(Path(directory) / "controllers", report)
    if "store" in wanted:
        report.section("stores alone")
        asyncio.run(storage.main())
    print(f"\n{report}\n")
    print("The ratio is ours to the peer's best figure.  Peers of the same run took turns with ours; all other")
    print("peers are quoted, since no Kubernetes binaries are at hand: compare their figures with care.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
