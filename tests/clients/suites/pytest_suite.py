"""Runs the tests of one suite with its own interpreter against a running cluster.

A test that fails and could pass runs again, alone: these suites have races of their own (a client that must not be
answered within microseconds, sockets that must be closed before the collector looks), which a busy machine loses.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cli.running import KUBECTL, RunningCluster
from tests.clients.suites.environment import Environment
from tests.clients.suites.suite import Result, Suite, read_results, worth_another_try

STAND_IN = Path(__file__).parent / "stand_in"
TEST_SECONDS = 120
SUITE_SECONDS = 1800
TRIES = 3


def play(suite: Suite, environment: Environment, cluster: RunningCluster, log: Path) -> dict[str, Result]:
    """Results of all tests; what pytest printed is appended to `log`."""
    _make_system_pods(cluster)
    results = _pytest(suite.tests, environment, cluster, log)
    for _ in range(TRIES - 1):
        if not (names := worth_another_try(results, suite)):
            break
        again = _pytest(("-k", " or ".join(names), *suite.tests), environment, cluster, log)
        results |= {name: result for name, result in again.items() if result == "passed"}
    return results


def _make_system_pods(cluster: RunningCluster) -> None:
    """Pods in kube-system, as every cluster of a hoster has them: suites look for some."""
    where = ("-n", "kube-system")
    if cluster.kubectl("get", "deployment", "system", *where).code != 0:
        cluster.ok("create", "deployment", "system", "--image=example.com/system:1", "--replicas=2", *where)
    cluster.ok("rollout", "status", "deployment/system", "--timeout=50s", *where)


def _pytest(words: Sequence[str], environment: Environment, cluster: RunningCluster, log: Path) -> dict[str, Result]:
    report = log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    options = ("-q", "-o", "addopts=", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}", f"--junitxml={report}")
    with log.open("ab") as output:
        subprocess.run(
            [str(environment.python), "-m", "pytest", *options, *words],
            cwd=environment.source,
            env=_variables(cluster),
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=SUITE_SECONDS,
        )
    assert report.exists(), f"pytest wrote no report:\n{log.read_text()[-3000:]}"
    return read_results(report.read_text())


def _variables(cluster: RunningCluster) -> Mapping[str, str]:
    """A home of its own, kubectl on the path, the stand-in importable; nothing of our own packages."""
    programs = cluster.home / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "kubectl").exists():
        (programs / "kubectl").symlink_to(KUBECTL)
    return {
        **cluster.environment,
        "PATH": f"{programs}:{cluster.environment['PATH']}",
        "PYTHONPATH": str(STAND_IN),
        "STAND_IN_KUBECONFIG": str(cluster.kubeconfig),
        "STAND_IN_KUBECTL": str(KUBECTL),
    }
