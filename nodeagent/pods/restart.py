"""Restart policy questions that `plan`, `states` and `status` share: may this container run again, is this pod over?

Pure.  A container restarts by its own restartPolicy where it has one, else by the pod's.
"""

from __future__ import annotations

import hashlib

from nodeagent.pods.observed import Memory, Observed, ObservedContainer
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod


def is_sidecar(container: Container) -> bool:
    """An init container that keeps running beside the pod's containers."""
    return container.restartPolicy == "Always"


def restarts(pod: Pod, container: Container, ended: ObservedContainer) -> bool:
    """Whether the policy starts `container` again after `ended`."""
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    if policy == "Always":
        return True
    return policy == "OnFailure" and ended.exit_code != 0


def init_restarts(pod: Pod, container: Container) -> bool:
    """Whether a failed init container is tried again."""
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    return policy != "Never"


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
        failed = latest is not None and latest.exited and latest.exit_code != 0
        if failed and not is_sidecar(container) and not init_restarts(pod, container):
            return True
    return False


def finished_for_good(pod: Pod, observed: Observed) -> bool:
    """Every container of the pod has ended and none restarts."""
    for container in pod.spec.containers:
        latest = observed.latest(container.name)
        if latest is None or not latest.exited or restarts(pod, container, latest):
            return False
    return bool(pod.spec.containers)


def deadline_passed(pod: Pod, age_seconds: float) -> bool:
    """Whether spec.activeDeadlineSeconds is over for a pod that started `age_seconds` ago."""
    return pod.spec.activeDeadlineSeconds is not None and age_seconds >= pod.spec.activeDeadlineSeconds


def grace_seconds(pod: Pod) -> int:
    """How long its containers get to stop: the deletion's grace, else the pod's."""
    if pod.metadata.deletionTimestamp and pod.metadata.deletionGracePeriodSeconds is not None:
        return pod.metadata.deletionGracePeriodSeconds
    grace = pod.spec.terminationGracePeriodSeconds
    return 30 if grace is None else grace


def spec_hash(container: Container) -> str:
    """What a running container must have been made from; another value restarts it."""
    return hashlib.sha256(f"{container.name}\0{container.image}".encode()).hexdigest()[:16]
