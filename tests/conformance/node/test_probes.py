"""Probes: restarts by failing liveness, no restart by passing ones, readiness with delays.

Upstream watches a passing probe for four minutes; here it is watched for some ten periods.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case, condition, is_running, restarts
from tests.conformance.node.manifests import container, pod, shell
from tests.conformance.rows import row

QUIET_SECONDS = 15.0
HEALTH = "echo ok > /tmp/health; trap 'exit 0' TERM; "


def exec_probe(**fields: Any) -> Object:
    return {"exec": {"command": ["cat", "/tmp/health"]}, **fields}


def http_probe(port: int, path: str = "/healthz", **fields: Any) -> Object:
    return {"httpGet": {"path": path, "port": port}, **fields}


def subject(case: Case, kind: str) -> Object:
    """A container with a passing liveness probe of the kind."""
    often: dict[str, Any] = {"initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 5, "timeoutSeconds": 5}
    if kind == "exec":
        return shell(
            case.images.busybox, HEALTH + "while true; do sleep 1 & wait $!; done", livenessProbe=exec_probe(**often)
        )
    if kind == "grpc":
        probe = {"grpc": {"port": 5000}, **often}
        return container(case.images.agnhost, "grpc-health-checking", livenessProbe=probe)
    probe = {"tcpSocket": {"port": 8080}, **often} if kind == "tcp" else http_probe(8080, **often)
    return container(case.images.agnhost, "netexec", livenessProbe=probe)


def kinds(number: int, testname: str, kind: str) -> Any:
    return pytest.param(kind, marks=row(number, testname), id=str(number))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        kinds(261, "Pod liveness probe, using http endpoint, failure", "http"),
        kinds(262, "Pod liveness probe, using grpc call, success", "grpc"),
        kinds(263, "Pod liveness probe, using local file, no restart", "exec"),
        kinds(264, "Pod liveness probe, using tcp socket, no restart", "tcp"),
    ],
)
def test_a_passing_liveness_probe_restarts_nothing(case: Case, kind: str) -> None:
    name = case.create(pod("alive", subject(case, kind)))
    case.running(name)
    case.never(name, lambda found: restarts(found) > 0, "was restarted", QUIET_SECONDS)


@pytest.mark.slow
@row(265, "Pod liveness probe, using http endpoint, restart")
def test_a_failing_http_probe_restarts_the_container(case: Case) -> None:
    probe = http_probe(8080, initialDelaySeconds=1, periodSeconds=1, failureThreshold=1)
    name = case.create(pod("dying", container(case.images.agnhost, "liveness", livenessProbe=probe)))
    case.wait(name, lambda found: restarts(found) >= 1, "is restarted")


@pytest.mark.slow
@row(266, "Pod liveness probe, using grpc call, failure")
def test_a_failing_grpc_probe_restarts_the_container(case: Case) -> None:
    probe = {"grpc": {"port": 2333}, "initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 1}
    name = case.create(pod("dying", container(case.images.agnhost, "grpc-health-checking", livenessProbe=probe)))
    case.wait(name, lambda found: restarts(found) >= 1, "is restarted")


@pytest.mark.slow
@row(267, "Pod liveness probe, using local file, restart")
def test_a_failing_exec_probe_restarts_the_container(case: Case) -> None:
    script = HEALTH + "sleep 5; rm -rf /tmp/health; sleep 600 & wait $!"
    probe = exec_probe(initialDelaySeconds=1, periodSeconds=1, failureThreshold=1, timeoutSeconds=5)
    name = case.create(pod("dying", shell(case.images.busybox, script, livenessProbe=probe)))
    case.wait(name, lambda found: restarts(found) >= 1, "is restarted")


@pytest.mark.slow
@row(268, "Pod liveness probe, using http endpoint, multiple restarts (slow)")
def test_the_restart_count_only_grows(case: Case) -> None:
    probe = http_probe(8080, initialDelaySeconds=1, periodSeconds=1, failureThreshold=1)
    main = container(case.images.agnhost, "liveness", "--healthy-seconds=1", livenessProbe=probe)
    name = case.create(pod("dying", main))
    seen = 0

    def has_restarted(found: Object) -> bool:
        nonlocal seen
        count = restarts(found)
        assert count >= seen, f"{count} restarts after {seen}"
        seen = count
        return count >= 5

    case.wait(name, has_restarted, "was restarted five times", seconds=330)


@pytest.mark.slow
@row(269, "Pod readiness probe, with initial delay")
def test_a_container_is_not_ready_before_the_initial_delay(case: Case) -> None:
    delay_seconds = 8
    probe = http_probe(8080, initialDelaySeconds=delay_seconds, periodSeconds=5, timeoutSeconds=15)
    name = case.create(pod("late", container(case.images.agnhost, "netexec", readinessProbe=probe)))
    found = case.running(name)
    assert condition(found, "Ready") == "True" and restarts(found) == 0
    started = found["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    (ready,) = [c for c in found["status"]["conditions"] if c["type"] == "Ready"]
    passed = datetime.fromisoformat(ready["lastTransitionTime"]) - datetime.fromisoformat(started)
    assert passed.total_seconds() >= delay_seconds - 1  # both are whole seconds


@pytest.mark.slow
@row(270, "Pod readiness probe, failure")
def test_a_container_whose_readiness_fails_is_never_ready(case: Case) -> None:
    probe = {"exec": {"command": ["/bin/false"]}, "initialDelaySeconds": 1, "periodSeconds": 1}
    name = case.create(pod("unready", shell(case.images.busybox, readinessProbe=probe)))
    case.wait(name, lambda found: found["status"]["phase"] == "Running", "runs")
    case.never(name, lambda found: is_running(found) or restarts(found) > 0, "became ready or was restarted", 10)
    assert condition(case.pod(name), "Ready") == "False"
