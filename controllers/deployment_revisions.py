"""Which ReplicaSet is whose version: templates, hashes, revision numbers and the history.  Pure.

A version is identified by its pod template, not by its hash: the new ReplicaSet is the oldest one whose template
equals the Deployment's (without the pod-template-hash label).  A rollback is therefore nothing special: the template
is set back, the old ReplicaSet is found again and gets the next revision number.

The hash only makes names unique.  Upstream hashes Go's memory dump of the template, which nobody else can reproduce;
ours is FNV-1a over canonical JSON, in upstream's alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import orjson

from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.pod import PodTemplateSpec

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
MAX_HISTORY_CHARACTERS = 2000

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, no 0 1 3: no words, no look-alikes


def by_age(replica_set: ReplicaSet) -> tuple[str, str]:
    """Sort key: oldest first, name breaks ties."""
    return replica_set.metadata.creationTimestamp, replica_set.metadata.name


def int_annotation(replica_set: ReplicaSet, name: str) -> int | None:
    text = replica_set.metadata.annotations.get(name, "")
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def revision_of(replica_set: ReplicaSet) -> int:
    return int_annotation(replica_set, REVISION) or 0


def template_hash(template: PodTemplateSpec, collision_count: int | None) -> str:
    """The value of the pod-template-hash label; `collision_count` makes another one of the same template."""
    data = orjson.dumps(template.to_dict(), option=orjson.OPT_SORT_KEYS)
    if collision_count is not None:
        data += collision_count.to_bytes(8, "little")
    return safe_hash(data)


def safe_hash(data: bytes) -> str:
    """FNV-1a of `data` in the alphabet of generated names."""
    number = 0x811C9DC5
    for byte in data:
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def same_template(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Equal but for the hash label."""
    if a.spec != b.spec:
        return False
    return _without_hash(a) == _without_hash(b)


def _without_hash(template: PodTemplateSpec) -> dict[str, object]:
    metadata = template.metadata.to_dict()
    labels = {name: value for name, value in template.metadata.labels.items() if name != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {**metadata, "labels": labels}


def split(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> tuple[ReplicaSet | None, list[ReplicaSet]]:
    """(the ReplicaSet of the current template or None, all others), oldest first."""
    oldest_first = sorted(replica_sets, key=by_age)
    new = next((rs for rs in oldest_first if same_template(rs.spec.template, deployment.spec.template)), None)
    return new, [rs for rs in oldest_first if rs is not new]


def next_revision(old: Sequence[ReplicaSet]) -> int:
    return max(map(revision_of, old), default=0) + 1


def inherited_annotations(deployment: Deployment) -> dict[str, str]:
    """The Deployment's annotations that its new ReplicaSet carries too."""
    return {name: value for name, value in deployment.metadata.annotations.items() if name not in _NOT_COPIED}


def version_annotations(deployment: Deployment, new: ReplicaSet | None, revision: int) -> dict[str, str]:
    """The annotations the new ReplicaSet (None: not yet made) should have gained or changed."""
    wanted = inherited_annotations(deployment)
    held = new.metadata.annotations if new is not None else {}
    before = held.get(REVISION, "")
    if new is None or (int_annotation(new, REVISION) or 0) < revision:
        wanted[REVISION] = str(revision)
        if before:
            wanted[REVISION_HISTORY] = _appended(held.get(REVISION_HISTORY, ""), before)
    return {name: value for name, value in wanted.items() if held.get(name) != value}


def _appended(history: str, revision: str) -> str:
    """`history` with `revision` at its end, the oldest dropped where it grows too long."""
    revisions = [*(part for part in history.split(",") if part), revision]
    while len(",".join(revisions)) > MAX_HISTORY_CHARACTERS and len(revisions) > 1:
        revisions.pop(0)
    return ",".join(revisions)


def surplus_history(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """Old ReplicaSets beyond revisionHistoryLimit that nothing needs any more, oldest revision first."""
    limit = deployment.spec.revisionHistoryLimit
    if limit is None or limit == 2**31 - 1:
        return []
    kept = [rs for rs in old if not rs.metadata.deletionTimestamp]
    surplus = sorted(kept, key=lambda rs: (revision_of(rs), by_age(rs)))[: max(0, len(kept) - limit)]
    return [rs for rs in surplus if _is_empty(rs)]


def _is_empty(rs: ReplicaSet) -> bool:
    settled = rs.metadata.generation <= rs.status.observedGeneration
    return rs.status.replicas == 0 and rs.spec.replicas == 0 and settled
