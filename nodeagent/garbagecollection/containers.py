"""Which ended containers may go before their pod does, when the disk is short.  Pure.

Between such moments the worker of each pod keeps one ended attempt per container besides the newest, and a pod that is
gone takes everything with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nodeagent.runtime.interface import ContainerStatus


def removable(statuses: Iterable[ContainerStatus], pods_over: Collection[str]) -> list[ContainerStatus]:
    """All ended containers of pods that are over (`pods_over` are uids), and all but the newest attempt of the others.

    The newest attempt of a pod that lives stays: what the pod does next is decided by it."""
    newest: dict[tuple[str, str], int] = {}
    statuses = list(statuses)
    for status in statuses:
        key = status.spec.pod_uid, status.spec.name
        newest[key] = max(newest.get(key, 0), status.spec.attempt)
    return [
        status
        for status in statuses
        if status.state == "exited"
        and (status.spec.pod_uid in pods_over or status.spec.attempt < newest[status.spec.pod_uid, status.spec.name])
    ]
