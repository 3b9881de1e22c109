"""Restart policy questions that `plan`, `states` and `status` share: may this container run again, is this pod over?

Pure.  The first of a container's restartPolicyRules that matches decides; else its own restartPolicy where it has
one; else the pod's.
"""

from __future__ import annotations

import hashlib

from nodeagent.pods.observed import Ending, Memory, Observed, ObservedContainer
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod


def is_sidecar(container: Container) -> bool:
    """An init container that keeps running beside the pod's containers."""
    return container.restartPolicy == "Always"


def rule_says(container: Container, exit_code: int) -> bool:
    """Whether one of the container's rules restarts it after this exit code."""
    for rule in container.restartPolicyRules:
        codes = rule.exitCodes
        if codes is not None and (exit_code in codes.values) == (codes.operator == "In"):
            return True  # Restart is the only action there is
    return False


def restarts(pod: Pod, container: Container, ended: ObservedContainer, replaced: frozenset[str] = frozenset()) -> bool:
    """Whether `container` is started again after `ended`; what was stopped to be `replaced` is, but for Never."""
    if rule_says(container, ended.exit_code):
        return True
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    if policy == "Always":
        return True
    return policy == "OnFailure" and (ended.exit_code != 0 or ended.id in replaced)


def init_restarts(pod: Pod, container: Container, ended: ObservedContainer) -> bool:
    """Whether a failed init container is tried again."""
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    return policy != "Never" or rule_says(container, ended.exit_code)


def ever_ran_main(pod: Pod, observed: Observed) -> bool:
    """Whether any of the pod's own containers was ever made: then the init containers are behind us."""
    return any(observed.latest(c.name) is not None for c in pod.spec.containers)


def init_containers_done(pod: Pod, observed: Observed, memory: Memory) -> bool:
    """
    Whether all init containers have succeeded and all sidecars have started (or the pod's containers ran already).
    """
    if ever_ran_main(pod, observed):
        return True
    for container in pod.spec.initContainers:
        latest = observed.latest(container.name)
        if latest is None:
            return False
        if is_sidecar(container):
            probe = memory.probes.get(container.name)
            if not latest.running or (probe is not None and not probe.started):
                return False
        elif not (latest.exited and latest.exit_code == 0):
            return False
    return True


def failed_for_good(pod: Pod, observed: Observed) -> bool:
    """An init container failed and will not be tried again."""
    if ever_ran_main(pod, observed):
        return False
    for container in pod.spec.initContainers:
        latest = observed.latest(container.name)
        if latest is None or not latest.exited or latest.exit_code == 0 or is_sidecar(container):
            continue
        if not init_restarts(pod, container, latest):
            return True
    return False


def finished_for_good(pod: Pod, observed: Observed, replaced: frozenset[str] = frozenset()) -> bool:
    """Every container of the pod has ended and none restarts."""
    for container in pod.spec.containers:
        latest = observed.latest(container.name)
        if latest is None or not latest.exited or restarts(pod, container, latest, replaced):
            return False
    return bool(pod.spec.containers)


def deadline_passed(pod: Pod, age_seconds: float) -> bool:
    """Whether spec.activeDeadlineSeconds is over for a pod that started `age_seconds` ago."""
    return pod.spec.activeDeadlineSeconds is not None and age_seconds >= pod.spec.activeDeadlineSeconds


def grace_seconds(pod: Pod, ending: Ending | None = None) -> int:
    """How long its containers get to stop: the deletion's grace, else the pod's; no longer than `ending` allows."""
    own = _own_grace_seconds(pod)
    return own if ending is None or ending.grace_seconds is None else min(own, ending.grace_seconds)


def _own_grace_seconds(pod: Pod) -> int:
    if pod.metadata.deletionTimestamp and pod.metadata.deletionGracePeriodSeconds is not None:
        return pod.metadata.deletionGracePeriodSeconds
    grace = pod.spec.terminationGracePeriodSeconds
    return 30 if grace is None else grace


def spec_hash(container: Container) -> str:
    """What a running container must have been made from; another value restarts it."""
    return hashlib.sha256(f"{container.name}\0{container.image}".encode()).hexdigest()[:16]
