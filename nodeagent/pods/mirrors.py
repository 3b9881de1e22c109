"""Static pods and their mirrors: the API's picture of a pod that comes from a manifest on this node.

What must stay true: the pod runs whether the mirror exists or not; a mirror that was deleted, or shows another
content, is made anew; a mirror without a static pod goes; a new content waits until the pod of the old one is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from nodeagent.pods.admission import is_static
from nodeagent.pods.staticpods import HASH, MIRROR
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

MIRROR_UID = "tiphys.io/config.mirror-uid"  # on what `known_as` gives: the uid by which the API knows a static pod
Key = tuple[str, str]


def is_mirror(pod: Pod) -> bool:
    return MIRROR in pod.metadata.annotations


def mirror_of(pod: Pod, node: Node) -> Pod:
    """The mirror of a static pod, as it is created."""
    meta = pod.metadata
    annotations = {**meta.annotations, MIRROR: meta.annotations[HASH]}
    owner = {"apiVersion": "v1", "kind": "Node", "name": node.metadata.name, "uid": node.metadata.uid}
    metadata = {
        "name": meta.name,
        "namespace": meta.namespace,
        "labels": meta.labels,
        "annotations": annotations,
        "ownerReferences": [{**owner, "controller": True}],
    }
    return Pod.model_validate({"metadata": metadata, "spec": pod.spec.to_dict()})


class StaticPods:
    """All static pods of this node; `wake(uid)` is called when a worker should look (and is made if need be)."""

    def __init__(
        self, client: Client, clock: Clock, node: Callable[[], Node | None], wake: Callable[[str], None]
    ) -> None:
        self._client, self._clock, self._node, self._wake = client, clock, node, wake
        self._pods: dict[str, Pod] = {}  # by uid; one that is going has a deletionTimestamp
        self._next: dict[Key, Pod] = {}  # waits for its predecessor
        self._mirrors: dict[Key, Pod] = {}

    def all(self) -> list[Pod]:
        """With the status their mirrors show."""
        return [self._shown(pod) for pod in self._pods.values()]

    def get(self, pod_uid: str) -> Pod | None:
        pod = self._pods.get(pod_uid)
        return None if pod is None else self._shown(pod)

    def _shown(self, pod: Pod) -> Pod:
        mirror = self.mirror(pod)
        return pod if mirror is None else pod.model_copy(update={"status": mirror.status})

    def known_as(self, pod: Pod) -> Pod:
        """A static pod with the uid of its mirror noted; others as they are."""
        mirror = self.mirror(pod) if is_static(pod) else None
        if mirror is None:
            return pod
        notes = {**pod.metadata.annotations, MIRROR_UID: mirror.metadata.uid}
        return pod.model_copy(update={"metadata": pod.metadata.model_copy(update={"annotations": notes})})

    def mirror(self, pod: Pod) -> Pod | None:
        """The mirror of this very content."""
        found = self._mirrors.get(_key(pod))
        return found if found is not None and found.metadata.annotations.get(MIRROR) == pod.metadata.uid else None

    def changed(self, wanted: Sequence[Pod]) -> None:
        """The manifests are these now."""
        names = {_key(pod): pod for pod in wanted}
        for uid, pod in list(self._pods.items()):
            successor = names.get(_key(pod))
            if successor is not None and successor.metadata.uid == uid:
                self._next.pop(_key(pod), None)
                continue
            self._next.pop(_key(pod), None)
            if not pod.metadata.deletionTimestamp:
                self._pods[uid] = self._going(pod)
                self._wake(uid)
        present = {_key(pod): pod.metadata.uid for pod in self._pods.values()}
        for key, pod in names.items():
            if key not in present:
                self._pods[pod.metadata.uid] = pod
                self._wake(pod.metadata.uid)
            elif present[key] != pod.metadata.uid or self._pods[present[key]].metadata.deletionTimestamp:
                self._next[key] = pod

    def _going(self, pod: Pod) -> Pod:
        grace = pod.spec.terminationGracePeriodSeconds
        marks = {
            "deletionTimestamp": format_time(self._clock.now()),
            "deletionGracePeriodSeconds": 30 if grace is None else grace,
        }
        return pod.model_copy(update={"metadata": pod.metadata.model_copy(update=marks)})

    def mirror_changed(self, old: Pod | None, new: Pod | None) -> None:
        """The API's pods with the mirror annotation come in here."""
        shown = new if new is not None else old
        assert shown is not None
        key = _key(shown)
        if new is None:
            self._mirrors.pop(key, None)
        else:
            self._mirrors[key] = new
        for uid, pod in self._pods.items():
            if _key(pod) == key:
                self._wake(uid)

    def orphans(self) -> list[Pod]:
        """Mirrors of nothing."""
        names = {_key(pod) for pod in [*self._pods.values(), *self._next.values()]}
        return [mirror for key, mirror in self._mirrors.items() if key not in names]

    async def settle(self, pod: Pod) -> None:
        """Make the mirror what it should be.  Raises ApiError, ConnectionFailed."""
        found = self._mirrors.get(_key(pod))
        if pod.metadata.deletionTimestamp:
            return
        if found is not None and (found.metadata.deletionTimestamp or self.mirror(pod) is None):
            await self.remove(found)
            return  # its going wakes the worker, which comes here again
        node = self._node()
        if found is None and node is not None:
            try:
                made = await self._client.create(mirror_of(pod, node))
            except ApiError as error:
                if not error.already_exists and error.code < 500:
                    _log.warning("a mirror pod was refused", extra=fields(pod=pod.metadata.name, cause=error))
                    return
                if not error.already_exists:
                    raise
            else:
                self._mirrors.setdefault(_key(pod), made)

    async def remove(self, mirror: Pod) -> None:
        """Delete this very mirror, at once."""
        meta = mirror.metadata
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except ApiError as error:
            if not (error.not_found or error.code == 409):
                raise

    async def finished(self, pod: Pod) -> None:
        """Everything of a static pod that was to go has gone: its mirror goes, and its successor comes."""
        mirror = self._mirrors.get(_key(pod))
        if mirror is not None:
            await self.remove(mirror)
        self._pods.pop(pod.metadata.uid, None)
        successor = self._next.pop(_key(pod), None)
        if successor is not None:
            self._pods[successor.metadata.uid] = successor
            self._wake(successor.metadata.uid)
        self._wake(pod.metadata.uid)


def _key(pod: Pod) -> Key:
    return pod.metadata.namespace, pod.metadata.name
