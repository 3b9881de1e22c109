"""Owner references: who controls an object, and adopting or releasing objects by label selector.

The rules of upstream's controller reference manager: an object with the owner's reference stays if the selector matches
and is released if not; an object without a controller is adopted if the selector matches, unless it or the owner is
being deleted.  Adoption looks at the live owner first, because the cached one may already be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tiphys.api.meta import OwnerReference
from tiphys.api.selectors import LabelSelectorExpr
from tiphys.client.errors import ApiError
from tiphys.client.informer import Informer
from tiphys.client.resources import ApiObject, resource_of
from tiphys.client.rest import Client

T = TypeVar("T", bound=ApiObject)

CONTROLLER_INDEX = "controller"
ORPHAN_INDEX = "orphans"


def controller_of(obj: ApiObject) -> OwnerReference | None:
    """The owner reference with controller: true; an object has at most one."""
    for reference in obj.metadata.ownerReferences:
        if reference.controller:
            return reference
    return None


def is_controlled_by(obj: ApiObject, owner: ApiObject) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference.uid == owner.metadata.uid


def owner_reference(owner: ApiObject) -> dict[str, Any]:
    """The controlling reference to `owner`, in wire form."""
    resource = resource_of(type(owner))
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def index_by_controller(informer: Informer[Any]) -> None:
    """Make `by_index(CONTROLLER_INDEX, owner_uid)` list what an owner controls."""

    def controller_uid(obj: ApiObject) -> Iterable[str]:
        reference = controller_of(obj)
        return [reference.uid] if reference is not None else []

    if not informer.cache.has_index(CONTROLLER_INDEX):
        informer.add_index(CONTROLLER_INDEX, controller_uid)


def index_orphans(informer: Informer[Any]) -> None:
    """Make `by_index(ORPHAN_INDEX, namespace)` list the objects nobody controls."""
    if not informer.cache.has_index(ORPHAN_INDEX):
        informer.add_index(ORPHAN_INDEX, lambda obj: [] if controller_of(obj) else [obj.metadata.namespace])


@dataclass(frozen=True)
class Claim(Generic[T]):
    keep: list[T] = field(default_factory=list)
    adopt: list[T] = field(default_factory=list)
    release: list[T] = field(default_factory=list)


def plan_claim(owner: ApiObject, selector: LabelSelectorExpr, candidates: Iterable[T]) -> Claim[T]:
    """Which of `candidates` belong to `owner`, should, or should no longer."""
    claim: Claim[T] = Claim()
    deleting = bool(owner.metadata.deletionTimestamp)
    for obj in candidates:
        matches = selector.matches(obj.metadata.labels)
        if is_controlled_by(obj, owner):
            if matches:
                claim.keep.append(obj)
            elif not deleting:
                claim.release.append(obj)
        elif matches and controller_of(obj) is None and not deleting and not obj.metadata.deletionTimestamp:
            claim.adopt.append(obj)
    return claim


async def claim_owned(
    client: Client,
    owner: ApiObject,
    selector: LabelSelectorExpr,
    informer: Informer[T],
    may_adopt: Callable[[T], bool] = lambda obj: True,
) -> Sequence[T]:
    """The objects of `informer` that `owner` controls after adopting and releasing; needs both indexes above.

    Of the objects without a controller only those are adopted that `may_adopt` lets pass."""
    candidates = [
        *informer.by_index(CONTROLLER_INDEX, owner.metadata.uid),
        *filter(may_adopt, informer.by_index(ORPHAN_INDEX, owner.metadata.namespace)),
    ]
    claim = plan_claim(owner, selector, candidates)
    owned = list(claim.keep)
    if claim.adopt:
        await _require_live(client, owner)
    for obj in claim.adopt:
        patch = {"metadata": {"ownerReferences": [owner_reference(owner)], "uid": obj.metadata.uid}}
        adopted = await _patch_if_there(client, obj, patch)
        owned += [adopted] if adopted is not None else []
    for obj in claim.release:
        dropped = {"$patch": "delete", "uid": owner.metadata.uid}
        await _patch_if_there(client, obj, {"metadata": {"ownerReferences": [dropped], "uid": obj.metadata.uid}})
    return owned


async def _require_live(client: Client, owner: ApiObject) -> None:
    live = await client.get(type(owner), owner.metadata.name, owner.metadata.namespace)
    if live.metadata.uid != owner.metadata.uid or live.metadata.deletionTimestamp:
        raise ApiError(409, "Conflict", f"{owner.metadata.name} is gone or being deleted: it adopts nothing")


async def _patch_if_there(client: Client, obj: T, patch: dict[str, Any]) -> T | None:
    """Strategic merge patch; None when the object went away or is another one by now (422 for the changed uid)."""
    try:
        return await client.patch(type(obj), obj.metadata.name, obj.metadata.namespace, patch, patch_type="strategic")
    except ApiError as error:
        if error.not_found or error.code == 422:
            return None
        raise
