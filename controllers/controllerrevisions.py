"""The history of StatefulSets and DaemonSets: one ControllerRevision per pod template they had.

A revision's data is the patch `kubectl rollout undo` sends: the whole template, to replace the present one.  What must
stay true: a revision's data never changes; the current template always has a revision, the one with the highest
number; a template that comes back gets its old revision with a new number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from controllers.deployment_revisions import safe_hash
from tiphys.api.apps.controllerrevision import ControllerRevision
from tiphys.api.core.pod import PodTemplateSpec
from tiphys.client.errors import ApiError
from tiphys.client.ownership import owner_reference
from tiphys.client.resources import ApiObject
from tiphys.client.rest import Client

MAX_PREFIX = 223  # so that prefix, dash and hash are a name


@dataclass(frozen=True)
class History:
    """`revisions` oldest first; the last is that of the current template."""

    revisions: Sequence[ControllerRevision]
    collision_count: int | None

    @property
    def update(self) -> ControllerRevision:
        return self.revisions[-1]

    def named(self, name: str) -> ControllerRevision | None:
        return next((revision for revision in self.revisions if revision.metadata.name == name), None)


def template_patch(template: PodTemplateSpec) -> dict[str, Any]:
    """The data of the revision of `template`."""
    return {"spec": {"template": {**template.to_dict(), "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """The template a revision holds."""
    held = dict(revision.data["spec"]["template"]) if revision.data else {}
    held.pop("$patch", None)
    return PodTemplateSpec.model_validate(held)


def revision_hash(data: dict[str, Any], collision_count: int | None) -> str:
    text = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return safe_hash(text + (str(collision_count).encode() if collision_count else b""))


def by_number(revision: ControllerRevision) -> tuple[int, str, str]:
    """Sort key: the current one comes last."""
    return revision.revision, revision.metadata.creationTimestamp, revision.metadata.name


def next_number(revisions: Iterable[ControllerRevision]) -> int:
    return max((revision.revision for revision in revisions), default=0) + 1


def new_revision(
    owner: ApiObject, template: PodTemplateSpec, number: int, collision_count: int | None, hash_label: str
) -> ControllerRevision:
    """A revision of `template` to create; `hash_label` is where this kind of owner notes the hash."""
    data = template_patch(template)
    hashed = revision_hash(data, collision_count)
    return ControllerRevision.model_validate(
        {
            "metadata": {
                "name": f"{owner.metadata.name[:MAX_PREFIX]}-{hashed}",
                "namespace": owner.metadata.namespace,
                "labels": {**template.metadata.labels, hash_label: hashed},
                "annotations": dict(owner.metadata.annotations),
                "ownerReferences": [owner_reference(owner)],
            },
            "data": data,
            "revision": number,
        }
    )


async def sync_history(
    client: Client,
    owner: ApiObject,
    template: PodTemplateSpec,
    known: Iterable[ControllerRevision],
    collision_count: int | None,
    hash_label: str,
) -> History:
    """Make sure that the current template has the newest revision.  Raises ApiError."""
    revisions = sorted(known, key=by_number)
    data = template_patch(template)
    same = [revision for revision in revisions if revision.data == data]
    if same and same[-1] is revisions[-1]:
        return History(revisions, collision_count)
    number = next_number(revisions)
    if same:
        found = same[-1].metadata
        newest = await client.patch(ControllerRevision, found.name, found.namespace, {"revision": number})
    else:
        newest, collision_count = await _create(client, owner, template, number, collision_count, hash_label)
    others = [revision for revision in revisions if revision.metadata.uid != newest.metadata.uid]
    return History([*others, newest], collision_count)


async def _create(
    client: Client,
    owner: ApiObject,
    template: PodTemplateSpec,
    number: int,
    collision_count: int | None,
    hash_label: str,
) -> tuple[ControllerRevision, int | None]:
    """A name that is taken by another template, or by somebody else, calls for another hash."""
    while True:
        wanted = new_revision(owner, template, number, collision_count, hash_label)
        try:
            return await client.create(wanted), collision_count
        except ApiError as error:
            if not error.already_exists:
                raise
        live = await client.get(ControllerRevision, wanted.metadata.name, wanted.metadata.namespace)
        owners = [reference.uid for reference in live.metadata.ownerReferences if reference.controller]
        if live.data == wanted.data and owners == [owner.metadata.uid]:
            return live, collision_count
        collision_count = (collision_count or 0) + 1


def surplus(history: History, in_use: Collection[str], limit: int | None) -> list[ControllerRevision]:
    """The oldest revisions beyond `limit` (None: no limit) of those whose names are not `in_use`."""
    idle = [
        revision
        for revision in history.revisions
        if revision.metadata.name not in in_use and revision is not history.update
    ]
    return [] if limit is None else idle[: max(0, len(idle) - limit)]


async def forget(client: Client, revisions: Iterable[ControllerRevision]) -> None:
    for revision in revisions:
        meta = revision.metadata
        try:
            await client.delete(ControllerRevision, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if not error.not_found and not error.conflict:
                raise
