"""pods/eviction: a deletion that asks first.

What must stay true: a pod that counts towards a disruption budget is deleted only after one disruption was taken from
the budget's status and the pod noted there, in one write on the version that was checked.  So of any number of
evictions at once no more succeed than the budget allows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_part
from apiserver.registry.deletion import check_preconditions
from apiserver.registry.options import DeleteOptions, delete_options, write_options
from apiserver.registry.store import ResourceStore
from apiserver.request import Request, Response
from apiserver.storage.cacheitem import Filter
from apiserver.subresources.disruptionbudget import checked_and_decremented, is_unready_and_spare, still_processed
from apiserver.verbs import Scope
from apiserver.verbs.delete import delete_object
from tiphys.api.declaration import struct_of
from tiphys.api.policy.eviction import Eviction
from tiphys.api.selectors import SelectorError, from_label_selector
from tiphys.api.status import StatusError, bad_request

Obj = dict[str, Any]
TRIES = 20  # a pod not yet running may change under our hands
_TARGET = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


async def evict(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
    options = write_options(request, "CreateOptions")
    eviction = await read_part(request, struct_of(Eviction), "Eviction", "v1", scope.resources.registry, options)
    name = eviction.get("metadata", {}).get("name") or request.info.name
    if name != request.info.name:
        raise bad_request("name in URL does not match name in Eviction object")
    attributes = scope.attributes(request, "CREATE", eviction, None, dry_run=options.dry_run)
    await scope.admission.mutate(attributes)
    await scope.admission.validate(attributes)
    asked = dict(eviction.get("deleteOptions") or {})
    if options.dry_run:
        asked["dryRun"] = ["All"]
    await _evict(request, scope, delete_options(asked or None, {}))
    done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return object_response(done, accepted, 201)


async def _evict(request: Request, scope: Scope, options: DeleteOptions) -> None:
    """Raises 404, 409, 429, and 500 for a pod with several budgets."""
    namespace, name = request.info.namespace, request.info.name
    pod = (await scope.store.get(namespace, name)).obj
    for attempt in range(TRIES):
        if not _is_no_disruption(pod):
            break
        try:
            return await _delete(request, scope, _on_version(options, pod) if _may_become_ready(pod) else options)
        except StatusError as error:
            given = options.resource_version is not None
            if error.reason != "Conflict" or given or attempt == TRIES - 1:
                raise
        pod = (await scope.store.get(namespace, name)).obj
    budgets = scope.resources.named("policy", "poddisruptionbudgets")
    matching = await _budgets_of(budgets, pod) if budgets is not None else []
    if len(matching) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StatusError(500, "", text)
    if budgets is None or not matching:
        return await _delete(request, scope, options)
    budget = matching[0]
    if is_unready_and_spare(pod, budget):
        return await _delete_unready(request, scope, options, pod, budget["metadata"]["name"])
    await _take(scope, budgets, budget, name, dry_run=options.dry_run)
    return await _delete(request, scope, options)


def _is_no_disruption(pod: Obj) -> bool:
    """The pod serves nobody (yet, or any more)."""
    phase = pod.get("status", {}).get("phase", "")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _may_become_ready(pod: Obj) -> bool:
    """What was decided holds only for the pod as it was read."""
    return pod.get("status", {}).get("phase") == "Pending" and "deletionTimestamp" not in pod["metadata"]


def _on_version(options: DeleteOptions, pod: Obj) -> DeleteOptions:
    if options.resource_version is not None:
        return options
    return replace(options, resource_version=pod["metadata"]["resourceVersion"])


async def _budgets_of(budgets: ResourceStore, pod: Obj) -> list[Obj]:
    """The budgets that select the pod, as of now."""
    listing = await budgets.cache.list(budgets.prefix, Filter(pod["metadata"]["namespace"]))
    found = []
    for item in listing.items:
        budget: Obj = orjson.loads(item.data)
        try:
            selector = from_label_selector(budget.get("spec", {}).get("selector"))
        except SelectorError:
            continue
        if selector.matches(pod["metadata"].get("labels", {})):
            found.append(budget)
    return found


async def _take(scope: Scope, budgets: ResourceStore, budget: Obj, pod_name: str, *, dry_run: bool) -> None:
    """Take one disruption from the budget, for that pod.  Raises 403, 404, 429."""

    async def change(current: Obj) -> Obj:
        return checked_and_decremented(current, pod_name, scope.now())

    metadata = budget["metadata"]
    await budgets.change(metadata["namespace"], metadata["name"], change, dry_run=dry_run)


async def _delete_unready(request: Request, scope: Scope, options: DeleteOptions, pod: Obj, budget: str) -> None:
    """Only as it was read: had it become ready, it would count."""
    try:
        await _delete(request, scope, _on_version(options, pod))
    except StatusError as error:
        if error.reason == "Conflict" and options.resource_version is None:
            raise still_processed(budget) from None
        raise


async def _delete(request: Request, scope: Scope, options: DeleteOptions) -> None:
    """Say in the pod why it goes, then delete it."""
    namespace, name = request.info.namespace, request.info.name

    async def target(pod: Obj) -> Obj:
        check_preconditions(pod, options, scope.info.kind, scope.info.group)
        conditions = pod.setdefault("status", {}).setdefault("conditions", [])
        held = next((one for one in conditions if one["type"] == _TARGET["type"]), None)
        since = held["lastTransitionTime"] if held and held.get("status") == "True" else scope.now()
        new = {**_TARGET, "lastProbeTime": None, "lastTransitionTime": since}
        pod["status"]["conditions"] = [*(one for one in conditions if one["type"] != _TARGET["type"]), new]
        return pod

    if not options.dry_run:
        marked = await scope.store.change(namespace, name, target)
        if options.resource_version is not None:
            options = replace(options, resource_version=marked.obj["metadata"]["resourceVersion"])
    await delete_object(request, scope, namespace, name, options)
