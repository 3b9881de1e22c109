"""The states of a pod on this node, as a table.

    state         what holds
    Waiting       admitted; sandbox or volumes are not there yet
    Initializing  the sandbox is there; an init container has to succeed
    Running       the init containers are done; containers run or restart
    Finished      succeeded, failed, rejected or ended by the node: nothing starts again
    Terminating   deletion was asked for; containers are still alive
    Terminated    deletion was asked for; every container is dead
    Removed       the API no longer has the pod: everything of it must go

`TRANSITIONS` says which follows which; `diagram` draws it.

What must stay true: the state is derived (`state_of`), never stored, so a restarted agent is in the right one at
once; a pod never leaves Finished, Terminating, Terminated or Removed towards a state that starts containers.
"""

from __future__ import annotations

from enum import StrEnum

from nodeagent.pods.observed import Memory, Observed
from nodeagent.pods.restart import deadline_passed, failed_for_good, finished_for_good, init_containers_done
from tiphys.api.core.pod import Pod


class PodState(StrEnum):
    WAITING = "Waiting"
    INITIALIZING = "Initializing"
    RUNNING = "Running"
    FINISHED = "Finished"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    REMOVED = "Removed"


_W, _I, _R, _F, _T, _D, _X = PodState
TRANSITIONS: dict[PodState, frozenset[PodState]] = {
    _W: frozenset({_I, _R, _F, _T, _D, _X}),
    _I: frozenset({_R, _W, _F, _T, _D, _X}),
    _R: frozenset({_F, _W, _T, _D, _X}),
    _F: frozenset({_T, _D, _X}),
    _T: frozenset({_D, _X}),
    _D: frozenset({_X}),
    _X: frozenset(),
}


def state_of(pod: Pod | None, observed: Observed, memory: Memory, age_seconds: float = 0.0) -> PodState:
    """The state, from the API object (None when it is gone), what the runtime says,
    and the seconds since status.startTime.
    """
    if pod is None:
        return PodState.REMOVED
    if pod.metadata.deletionTimestamp:
        return PodState.TERMINATING if observed.running() else PodState.TERMINATED
    if pod.status.phase in ("Succeeded", "Failed") or memory.rejected is not None or memory.ending is not None:
        return PodState.FINISHED
    if deadline_passed(pod, age_seconds) or failed_for_good(pod, observed):
        return PodState.FINISHED
    if finished_for_good(pod, observed, memory.replaced):
        return PodState.FINISHED
    if observed.sandbox is None or not observed.sandbox.ready:
        return PodState.WAITING
    return PodState.RUNNING if init_containers_done(pod, observed, memory) else PodState.INITIALIZING


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documents."""
    lines = ["stateDiagram-v2", f"    [*] --> {PodState.WAITING}"]
    lines += [f"    {state} --> {after}" for state in PodState for after in PodState if after in TRANSITIONS[state]]
    return "\n".join([*lines, f"    {PodState.REMOVED} --> [*]", ""])
