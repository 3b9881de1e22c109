"""In-place resize: what a pod asks for, what the node has agreed to, what its containers have.  Pure.

    desired     spec.containers[].resources, as the API has it
    allocated   what the node has agreed to; kept on disk, else a restarted agent would forget an agreement
    actuated    what the running containers have; kept beside it

What must stay true: a container is made from what is allocated, never from what is merely desired; `allocated` becomes
`desired` whole or not at all; a pod that is already running never loses what it has because of others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nodeagent.pods.admission import NodeView, insufficient, shortage
from nodeagent.pods.observed import Observed, ResizeView, Waiting
from nodeagent.pods.podrequests import amount, pod_requests
from nodeagent.pods.restart import is_sidecar
from tiphys.api.core.container import Container, ResourceRequirements
from tiphys.api.core.pod import Pod

Amounts = Mapping[str, Mapping[str, str]]  # "requests", "limits" -> resource -> quantity
RESIZABLE = ("cpu", "memory")


@dataclass(frozen=True)
class Allocation:
    """What is on disk for one pod."""

    allocated: Mapping[str, Amounts]
    actuated: Mapping[str, Amounts]
    generation: int = 0  # of the pod whose desire became allocated


def desired(pod: Pod) -> dict[str, Amounts]:
    """Of every container that can be resized."""
    containers = [*pod.spec.containers, *(c for c in pod.spec.initContainers if is_sidecar(c))]
    return {container.name: resources_of(container) for container in containers}


def resources_of(container: Container) -> Amounts:
    """Requests and limits; a part that is empty is left out."""
    given = {"requests": container.resources.requests, "limits": container.resources.limits}
    return {kind: dict(part) for kind, part in given.items() if part}


def with_resources(pod: Pod, given: Mapping[str, Amounts]) -> Pod:
    """The pod as the node runs it, where `given` is allocated, or as it is, where that is actuated."""
    if given == desired(pod):
        return pod

    def own(container: Container) -> Container:
        amounts = given.get(container.name)
        if amounts is None:
            return container
        claims = container.resources.claims
        resources = ResourceRequirements(
            requests=dict(amounts.get("requests", {})), limits=dict(amounts.get("limits", {})), claims=claims
        )
        return container.model_copy(update={"resources": resources})

    containers, init = [own(c) for c in pod.spec.containers], [own(c) for c in pod.spec.initContainers]
    spec = pod.spec.model_copy(update={"containers": containers, "initContainers": init})
    return pod.model_copy(update={"spec": spec})


def decide(
    pod: Pod, allocation: Allocation, others: Sequence[Pod], node: NodeView
) -> tuple[Allocation, Waiting | None]:
    """The allocation after looking at what the pod desires, and why it cannot have that (Deferred, Infeasible)."""
    if desired(pod) == allocation.allocated:
        return allocation, None
    requests = pod_requests(pod)
    for name in RESIZABLE:
        capacity = amount(name, node.allocatable.get(name, "0"))
        if requests.get(name, 0) > capacity:
            text = f"Node didn't have enough capacity: {name}, requested: {requests[name]}, capacity: {capacity}"
            return allocation, Waiting("Infeasible", text)
    before = pod_requests(with_resources(pod, allocation.allocated))
    growing = {name: requests[name] for name in RESIZABLE if requests.get(name, 0) > before.get(name, 0)}
    short = shortage(growing, others, node, pods=0)
    if short is not None:
        return allocation, Waiting("Deferred", insufficient(*short))
    return Allocation(desired(pod), allocation.actuated, pod.metadata.generation), None


def needs_restart(container: Container, before: Amounts, after: Amounts) -> bool:
    """Whether a resource that changes is one whose resizePolicy asks for a restart."""
    changed = {
        name
        for kind in ("requests", "limits")
        for name in RESIZABLE
        if before.get(kind, {}).get(name) != after.get(kind, {}).get(name)
    }
    return any(
        policy.resourceName in changed and policy.restartPolicy == "RestartContainer"
        for policy in container.resizePolicy
    )


def to_update(pod: Pod, allocation: Allocation, observed: Observed) -> tuple[list[Container], frozenset[str]]:
    """(running containers whose limits change in place, names of those that are restarted); `pod` is as allocated."""
    in_place: list[Container] = []
    restart = set()
    for container in [*pod.spec.containers, *(c for c in pod.spec.initContainers if is_sidecar(c))]:
        has, gets = allocation.actuated.get(container.name), allocation.allocated.get(container.name)
        latest = observed.latest(container.name)
        if has is None or gets is None or has == gets or latest is None or not latest.running:
            continue
        if needs_restart(container, has, gets):
            restart.add(container.name)
        else:
            in_place.append(container)
    return in_place, frozenset(restart)


def actuated(allocation: Allocation, name: str) -> Allocation:
    """After the container of that name got what is allocated to it."""
    gets = allocation.allocated.get(name)
    return allocation if gets is None else replace(allocation, actuated={**allocation.actuated, name: gets})


def view(
    allocation: Allocation, observed: Observed, pending: Waiting | None, error: str, restart: frozenset[str]
) -> ResizeView:
    """What status and plan see; a container that does not run has nothing to be in progress."""
    has = {
        name: amounts
        for name, amounts in allocation.actuated.items()
        if (latest := observed.latest(name)) is not None and latest.running
    }
    return ResizeView(allocation.allocated, has, allocation.generation, pending, error, restart)
