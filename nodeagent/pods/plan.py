"""What to do for one pod now, as data: the kubelet's computePodActions.

`plan` takes the API object, what the runtime shows and what the worker remembers, and returns `Actions`.  What must
stay true: no I/O, no clock, no randomness; called again after its actions succeeded it returns nothing more to do;
called again after any prefix of them it returns the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nodeagent.pods import backoff
from nodeagent.pods.observed import BackoffEntry, Memory, Observed, ObservedContainer, Waiting
from nodeagent.pods.restart import (
    ever_ran_main,
    grace_seconds,
    init_restarts,
    is_sidecar,
    restarts,
    spec_hash,
)
from nodeagent.pods.states import PodState, state_of
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.times import parse_time


@dataclass(frozen=True)
class Start:
    """Create and start attempt `attempt` of a container.  `kind` is "init", "sidecar", "container" or "ephemeral"."""

    name: str
    attempt: int = 0
    kind: str = "container"


@dataclass(frozen=True)
class Kill:
    """Stop a running container.  `message` is the text of its Killing event."""

    container_id: str
    name: str
    message: str
    grace_seconds: int
    replace: bool = False  # another attempt is to follow


@dataclass
class Actions:
    """One turn's work.  `backoff` replaces the remembered entries; `waiting` says who is held back and why."""

    state: PodState
    create_sandbox: bool = False
    remove_sandbox: bool = False
    start: list[Start] = field(default_factory=list)
    kill: list[Kill] = field(default_factory=list)
    prune: list[str] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    backoff: dict[str, BackoffEntry] = field(default_factory=dict)
    wake_after_seconds: float | None = None

    def wake_within(self, seconds: float) -> None:
        self.wake_after_seconds = seconds if self.wake_after_seconds is None else min(self.wake_after_seconds, seconds)


def plan(pod: Pod | None, observed: Observed, memory: Memory, now: datetime) -> Actions:
    """The actions for `pod`, or for a pod that the API no longer has (None)."""
    age = age_seconds(pod, now)
    actions = Actions(state_of(pod, observed, memory, age), backoff=dict(memory.backoff))
    if pod is None:
        _end_orphan(observed, memory, actions)
    elif actions.state in (PodState.TERMINATING, PodState.TERMINATED, PodState.FINISHED):
        _end(pod, observed, memory, actions)
    elif observed.sandbox is None or not observed.sandbox.ready:
        _new_sandbox(pod, observed, memory, actions)
    else:
        _run(pod, observed, memory, now, actions)
        if pod.spec.activeDeadlineSeconds is not None:
            actions.wake_within(max(0.0, pod.spec.activeDeadlineSeconds - age))
    if pod is not None:
        actions.prune = _superseded(observed)
    return actions


def age_seconds(pod: Pod | None, now: datetime) -> float:
    """Seconds since the node first saw the pod (status.startTime); 0 when it has not said so yet."""
    if pod is None or not pod.status.startTime:
        return 0.0
    return (now - parse_time(pod.status.startTime)).total_seconds()


def _end_orphan(observed: Observed, memory: Memory, actions: Actions) -> None:
    for container in observed.running():
        if container.id not in memory.stopping:
            actions.kill.append(Kill(container.id, container.name, f"Stopping container {container.name}", -1))
    actions.remove_sandbox = not observed.running() and observed.sandbox is not None


def _end(pod: Pod, observed: Observed, memory: Memory, actions: Actions) -> None:
    """Stop what runs: first the pod's containers, then the sidecars in reverse order."""
    sidecars = [c.name for c in pod.spec.initContainers if is_sidecar(c)]
    running = observed.running()
    first = [c for c in running if c.name not in sidecars]
    if first:
        stop: Sequence[ObservedContainer] = first
    else:
        stop = sorted(running, key=lambda c: -sidecars.index(c.name))[:1]
    for container in stop:
        if container.id not in memory.stopping:
            message = f"Stopping container {container.name}"
            grace = grace_seconds(pod, memory.ending)
            actions.kill.append(Kill(container.id, container.name, message, grace))
    actions.remove_sandbox = not running and observed.sandbox is not None


def _new_sandbox(pod: Pod, observed: Observed, memory: Memory, actions: Actions) -> None:
    """Containers that outlived their sandbox go first; then a new one is made,
    and the next turn starts containers in it.
    """
    for container in observed.running():
        if container.id not in memory.stopping:
            message = "Pod sandbox changed, it will be killed and re-created."
            actions.kill.append(Kill(container.id, container.name, message, grace_seconds(pod)))
    actions.create_sandbox = not observed.running()


def _run(pod: Pod, observed: Observed, memory: Memory, now: datetime, actions: Actions) -> None:
    _start_ephemeral(pod, observed, actions)
    if not _init_containers(pod, observed, memory, now, actions):
        return
    for container in pod.spec.containers:
        _container(pod, container, observed, memory, now, actions, kind="container")


def _start_ephemeral(pod: Pod, observed: Observed, actions: Actions) -> None:
    """Each once: an ephemeral container that has ended, or whose record is gone, is never started again."""
    ran = {status.name for status in pod.status.ephemeralContainerStatuses if status.containerID}
    for container in pod.spec.ephemeralContainers:
        latest = observed.latest(container.name)
        if (latest is None and container.name not in ran) or (latest is not None and latest.state == "created"):
            actions.start.append(Start(container.name, kind="ephemeral"))


def _init_containers(pod: Pod, observed: Observed, memory: Memory, now: datetime, actions: Actions) -> bool:
    """Bring the init containers forward; True when the pod's containers may run."""
    initialized = ever_ran_main(pod, observed)
    for container in pod.spec.initContainers:
        latest = observed.latest(container.name)
        if is_sidecar(container):
            _container(pod, container, observed, memory, now, actions, kind="sidecar")
            probe = memory.probes.get(container.name)
            started = latest is not None and latest.running and (probe is None or probe.started)
            if not started and not initialized:
                return False
            continue
        if initialized or (latest is not None and latest.exited and latest.exit_code == 0):
            continue
        if latest is None or (latest.exited and init_restarts(pod, container, latest)):
            _try_start(pod, container, latest, memory, now, actions, kind="init")
        elif latest.state == "created":
            actions.start.append(Start(container.name, latest.attempt, "init"))
        return False
    return True


def _container(
    pod: Pod,
    container: Container,
    observed: Observed,
    memory: Memory,
    now: datetime,
    actions: Actions,
    *,
    kind: str,
) -> None:
    """One container that should be running: start it, keep it, or stop it because it must become another."""
    latest = observed.latest(container.name)
    if latest is None:
        _try_start(pod, container, None, memory, now, actions, kind=kind)
    elif latest.exited:
        if kind == "sidecar" or restarts(pod, container, latest, memory.replaced):
            _try_start(pod, container, latest, memory, now, actions, kind=kind)
    elif latest.state == "created":
        # The agent died between create and start: the same attempt goes on.
        actions.start.append(Start(container.name, latest.attempt, kind))
    elif latest.id not in memory.stopping:
        message, grace = _why_replace(container, latest, memory)
        if message:
            wanted = grace_seconds(pod) if grace is None else grace
            actions.kill.append(Kill(latest.id, container.name, message, wanted, replace=True))


def _why_replace(container: Container, latest: ObservedContainer, memory: Memory) -> tuple[str, int | None]:
    """(the sentence of the Killing event or "", grace in seconds or None for the pod's)."""
    if latest.spec_hash and latest.spec_hash != spec_hash(container):
        return f"Container {container.name} definition changed, will be restarted", None
    if memory.resize is not None and container.name in memory.resize.restart:
        return f"Container {container.name} resize requires restart", None
    probe = memory.probes.get(container.name)
    return (probe.kill_reason, probe.kill_grace_seconds) if probe is not None else ("", None)


def _try_start(
    pod: Pod,
    container: Container,
    ended: ObservedContainer | None,
    memory: Memory,
    now: datetime,
    actions: Actions,
    *,
    kind: str,
) -> None:
    """Start the next attempt, unless the back-off after the last one still holds."""
    if ended is None:
        actions.start.append(Start(container.name, restart_count_in_status(pod, container.name), kind))
        return
    entry = memory.backoff.get(container.name)
    event_at = ended.finished_at or now
    wait_seconds = backoff.remaining_seconds(entry, event_at, now)
    if entry is not None and wait_seconds > 0:
        actions.waiting[container.name] = Waiting("CrashLoopBackOff", crash_loop_message(pod, container.name, entry))
        actions.wake_within(wait_seconds)
        return
    actions.backoff[container.name] = backoff.next_entry(entry, event_at, now)
    actions.start.append(Start(container.name, ended.attempt + 1, kind))


def crash_loop_message(pod: Pod, name: str, entry: BackoffEntry) -> str:
    """Upstream's sentence for a container that is held back."""
    meta = pod.metadata
    return (
        f"back-off {backoff.go_duration(entry.seconds)} restarting failed container={name} "
        f"pod={meta.name}_{meta.namespace}({meta.uid})"
    )


def restart_count_in_status(pod: Pod, name: str) -> int:
    """The attempt number for a container without a record on disk: one more than the API has seen,
    0 if it never ran.
    """
    for status in [*pod.status.containerStatuses, *pod.status.initContainerStatuses]:
        if status.name == name and status.containerID:
            return status.restartCount + 1
    return 0


def _superseded(observed: Observed) -> list[str]:
    """Dead attempts before the previous one: the latest and one before it stay, for lastState and `logs --previous`."""
    gone = []
    for name in {c.name for c in observed.containers}:
        attempts = sorted((c for c in observed.containers if c.name == name), key=lambda c: -c.attempt)
        gone += [c.id for c in attempts[2:] if not c.running]
    return sorted(gone)
