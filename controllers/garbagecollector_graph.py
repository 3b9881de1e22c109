"""The owner graph, and what to do about one object given its owners.  Plain data, no I/O.

Nodes are objects by uid; an edge leads from an owner's uid to every object that names it, whether or not the owner is
known.  So an object whose owner is unknown is simply looked at, and the owner is asked for by name on the server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tiphys.api.meta import ObjectMeta, OwnerReference
from tiphys.client.discovery import ServedResource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True)
class Node:
    """An object as the graph knows it."""

    resource: ServedResource
    metadata: ObjectMeta

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def owners(self) -> Sequence[OwnerReference]:
        return self.metadata.ownerReferences

    @property
    def deleting(self) -> bool:
        return bool(self.metadata.deletionTimestamp)

    @property
    def deleting_dependents(self) -> bool:
        """Being deleted in the foreground: it waits until its dependents are gone."""
        return self.deleting and FOREGROUND in self.metadata.finalizers

    @property
    def orphaning(self) -> bool:
        """Being deleted after its dependents have been let go."""
        return self.deleting and ORPHAN in self.metadata.finalizers

    def blocks(self, owner_uid: str) -> bool:
        """The owner's foreground deletion waits for this object."""
        return any(reference.uid == owner_uid and bool(reference.blockOwnerDeletion) for reference in self.owners)


@dataclass
class Graph:
    nodes: dict[str, Node] = field(default_factory=dict)
    _dependents: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def dependents(self, uid: str) -> list[Node]:
        return [self.nodes[dependent] for dependent in self._dependents.get(uid, ()) if dependent in self.nodes]

    def put(self, node: Node) -> set[str]:
        """Take in a new or changed object; the uids that may need action now."""
        before = self.nodes.get(node.uid)
        self.nodes[node.uid] = node
        owners_before = {owner.uid for owner in before.owners} if before else set()
        owners_now = {owner.uid for owner in node.owners}
        for gone in owners_before - owners_now:
            self._dependents[gone].discard(node.uid)
        for owner in owners_now:
            self._dependents[owner].add(node.uid)
        affected = {owner for owner in owners_before | owners_now if self._waits(owner)}
        if any(self._is_questionable(owner, node) for owner in node.owners):
            affected.add(node.uid)
        if node.deleting_dependents or node.orphaning:
            affected.add(node.uid)
        if node.deleting_dependents and not (before and before.deleting_dependents):
            affected.update(self._dependents.get(node.uid, ()))
        return affected

    def drop(self, uid: str) -> set[str]:
        """Forget an object that is gone; its dependents and waiting owners may need action now."""
        node = self.nodes.pop(uid, None)
        affected = set(self._dependents.get(uid, ()))
        for owner in node.owners if node else ():
            self._dependents[owner.uid].discard(uid)
            if not self._dependents[owner.uid]:
                del self._dependents[owner.uid]
            if self._waits(owner.uid):
                affected.add(owner.uid)
        return affected

    def _waits(self, uid: str) -> bool:
        owner = self.nodes.get(uid)
        return owner is not None and owner.deleting_dependents

    def _is_questionable(self, reference: OwnerReference, dependent: Node) -> bool:
        """The owner is unknown, waits for its dependents, or is where the dependent cannot refer to."""
        owner = self.nodes.get(reference.uid)
        return owner is None or owner.deleting_dependents or not can_own(owner, dependent)


def can_own(owner: Node, dependent: Node) -> bool:
    """Owners are in the dependent's namespace or have none."""
    return not owner.resource.namespaced or owner.metadata.namespace == dependent.metadata.namespace


class OwnerState(Enum):
    SOLID = "exists"
    ABSENT = "does not exist, or is another object of that name"
    WAITING = "exists and waits for its dependents to go"


@dataclass(frozen=True)
class Action:
    """Exactly one of these, or nothing."""

    remove_owners: frozenset[str] = frozenset()  # uids of references to take away
    delete: str = ""  # the propagation policy to delete the object with
    unblock: bool = False  # before that, let no owner wait for it: it is part of a circle


def plan(metadata: ObjectMeta, owners: Mapping[str, OwnerState], dependents: Iterable[Node]) -> Action:
    """What to do about an object, given the state of each of its owners by uid (upstream's attemptToDeleteItem)."""
    if not metadata.ownerReferences:
        return Action()
    states = {reference.uid: owners[reference.uid] for reference in metadata.ownerReferences}
    doomed = frozenset(uid for uid, state in states.items() if state is not OwnerState.SOLID)
    if len(doomed) < len(states):
        return Action(remove_owners=doomed)
    following = list(dependents)
    if OwnerState.WAITING in states.values() and following:
        return Action(delete="Foreground", unblock=any(node.deleting_dependents for node in following))
    if ORPHAN in metadata.finalizers:
        return Action(delete="Orphan")
    return Action(delete="Foreground" if FOREGROUND in metadata.finalizers else "Background")
