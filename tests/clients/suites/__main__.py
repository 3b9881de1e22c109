"""`python -m tests.clients.suites [kr8s] [kopf] [helm]`: the suites of others against Tiphys; all by default.

Every suite gets a cluster of its own with two simulated nodes.  Fails when fewer tests pass than before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.cli.running import running_cluster
from tests.clients import install_helm
from tests.clients.suites import helm_flow, pytest_suite
from tests.clients.suites.environment import cache_directory, prepare
from tests.clients.suites.known import HELM_FLOOR, HELM_REASONS, SUITES
from tests.clients.suites.suite import Verdict, judge

NAMES = (*SUITES, "helm")


def run_suite(name: str, logs: Path) -> Verdict:
    log = logs / f"{name}.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"tiphys-{name}-") as directory:
        if name == "helm":
            install_helm.main()
            with running_cluster(Path(directory)) as cluster:
                return judge(name, HELM_FLOOR, HELM_REASONS, helm_flow.play(cluster, log))
        suite = SUITES[name]
        environment = prepare(suite, cache_directory())
        with running_cluster(Path(directory)) as cluster:
            results = pytest_suite.play(suite, environment, cluster, log)
        return judge(suite.sdist, suite.floor, {**suite.reasons, **suite.races}, results)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients.suites", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SUITE", help=f"{', '.join(NAMES)}; all by default")
    parser.add_argument("--logs", type=Path, default=cache_directory() / "logs", help="where the output is kept")
    chosen = parser.parse_args(words)
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    chosen.logs.mkdir(parents=True, exist_ok=True)
    good = True
    for name in chosen.names or NAMES:
        verdict = run_suite(name, chosen.logs)
        print(verdict.text, flush=True)
        if not verdict.good:
            print(f"  fewer than before; the output is in {chosen.logs / name}.log")
        good = good and verdict.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
