"""Small decisions: probe thresholds, quality of service, cgroup numbers, security contexts, durations."""

from pathlib import Path
from typing import Any

import pytest

from nodeagent.pods.backoff import go_duration
from nodeagent.pods.environment import ConfigError
from nodeagent.pods.probedecision import Streak, observe
from nodeagent.pods.qos import oom_score_adj, qos_class
from nodeagent.pods.resources import container_resources, pod_resources
from nodeagent.pods.security import run_as, security
from tests.nodeagent.pods.test_plan import pod
from tiphys.api.core.pod import Pod
from tiphys.api.core.probes import Probe


@pytest.mark.parametrize(
    ("results", "thresholds", "verdict"),
    [
        ([], (1, 3), None),
        ([True], (1, 3), True),
        ([False, False], (1, 3), None),
        ([False, False, False], (1, 3), False),
        ([True, False, False], (1, 3), True),
        ([True, False, False, True, False, False], (1, 3), True),
        ([False] * 3 + [True], (2, 3), False),
        ([False] * 3 + [True, True], (2, 3), True),
    ],
)
def test_a_verdict_takes_enough_equal_results(
    results: list[bool], thresholds: tuple[int, int], verdict: bool | None
) -> None:
    probe = Probe.model_validate({"successThreshold": thresholds[0], "failureThreshold": thresholds[1]})
    streak = Streak()
    for result in results:
        streak = observe(streak, result, probe)
    assert streak.verdict is verdict


def with_resources(*resources: dict[str, Any], init: tuple[dict[str, Any], ...] = ()) -> Pod:
    def containers(prefix: str, each: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
        return [{"name": f"{prefix}{n}", "image": "x", "resources": one} for n, one in enumerate(each)]

    return pod({"containers": containers("c", resources), "initContainers": containers("i", init)})


FULL = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ([{}], "BestEffort"),
        ([FULL], "Guaranteed"),
        ([{"limits": FULL["limits"]}], "Guaranteed"),
        ([FULL, {}], "Burstable"),
        ([{"requests": {"cpu": "1m"}}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"nvidia.com/gpu": "1"}}], "BestEffort"),
    ],
)
def test_the_quality_of_service(resources: list[dict[str, Any]], quality: str) -> None:
    assert qos_class(with_resources(*resources)) == quality


@pytest.mark.parametrize(("resources", "score"), [({}, 1000), (FULL, -997), ({"requests": {"memory": "1Gi"}}, 750)])
def test_how_soon_the_oom_killer_comes(resources: dict[str, Any], score: int) -> None:
    the_pod = with_resources(resources)
    assert oom_score_adj(the_pod, the_pod.spec.containers[0], 4 << 30) == score


def test_cgroup_numbers_of_containers_and_pods() -> None:
    half = {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}
    the_pod = with_resources(half, half, init=({"limits": {"cpu": "3", "memory": "1Mi"}},))
    one = container_resources(the_pod.spec.containers[0])
    assert (one.cpu_shares, one.cpu_quota_us, one.memory_limit_bytes) == (256, 50_000, 64 << 20)
    whole = pod_resources(the_pod)
    assert (whole.cpu_shares, whole.cpu_quota_us, whole.memory_limit_bytes) == (3072, 300_000, 128 << 20)
    open_ended = pod_resources(with_resources(half, {}))
    assert (open_ended.cpu_quota_us, open_ended.memory_limit_bytes) == (0, 0)


def secured(container: dict[str, Any], shared: dict[str, Any] | None = None) -> Pod:
    made = {"name": "a", "image": "x", "securityContext": container}
    return pod({"containers": [made], **({"securityContext": shared} if shared is not None else {})})


def passwd(path: str) -> bytes:
    return b"root:x:0:0::/:/bin/sh\nweb:x:7:8::/:/bin/sh\n" if path == "/etc/passwd" else b""


def test_the_container_overrides_the_pod() -> None:
    the_pod = secured({"runAsUser": 5}, {"runAsUser": 6, "runAsGroup": 9, "fsGroup": 11, "supplementalGroups": [10]})
    user = run_as(the_pod, the_pod.spec.containers[0], "web", passwd)
    assert (user.uid, user.gid, user.groups) == (5, 9, (9, 10, 11))


@pytest.mark.parametrize(
    ("context", "image_user", "message"),
    [
        ({"runAsNonRoot": True, "runAsUser": 0}, "", "runAsUser breaks non-root policy"),
        ({"runAsNonRoot": True}, "", "image will run as root"),
        ({"runAsNonRoot": True}, "0", "image will run as root"),
        ({"runAsNonRoot": True}, "web", "non-numeric user"),
        ({}, "nobody-here", "unable to find user"),
    ],
)
def test_a_user_that_may_not_be_is_refused(context: dict[str, Any], image_user: str, message: str) -> None:
    the_pod = secured(context)
    with pytest.raises(ConfigError, match=message):
        run_as(the_pod, the_pod.spec.containers[0], image_user, passwd)
    allowed = secured({"runAsNonRoot": True, "runAsUser": 7})
    assert run_as(allowed, allowed.spec.containers[0], image_user or "web", passwd).uid == 7


def test_seccomp_comes_from_container_or_pod_and_stays_in_its_directory() -> None:
    def kind(container: dict[str, Any], shared: dict[str, Any] | None = None) -> tuple[str, str]:
        the_pod = secured(container, shared)
        made = security(the_pod, the_pod.spec.containers[0], Path("/p"))
        return made.seccomp, made.seccomp_profile

    assert kind({}) == ("RuntimeDefault", "")
    assert kind({"privileged": True}) == ("Unconfined", "")
    assert kind({}, {"seccompProfile": {"type": "Unconfined"}}) == ("Unconfined", "")
    local = {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}
    assert kind(local) == ("Localhost", "/p/a/b.json")
    for bad in ("", "../x", "/x", "a/../../x"):
        with pytest.raises(ConfigError):
            kind({"seccompProfile": {"type": "Localhost", "localhostProfile": bad}})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0ms"),
        (0.313, "313ms"),
        (1.2, "1.2s"),
        (10, "10s"),
        (160, "2m40s"),
        (300, "5m0s"),
        (3661, "1h1m1s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
