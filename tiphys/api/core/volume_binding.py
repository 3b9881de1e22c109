"""Which volume fits which claim: the rules that the volume controller, the scheduler and the node all go by.

Pure.  What must stay true: a claim and a volume are bound to each other only when both say so by name and uid, and no
rule here prefers a volume that another claim has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.scheduling import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from tiphys.api.quantity import parse_quantity
from tiphys.api.selectors import Requirement, from_label_selector
from tiphys.api.storage.storageclass import StorageClass

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
OLD_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
NO_PROVISIONER = "kubernetes.io/no-provisioner"
LOCAL_PATH_PROVISIONER = "tiphys.dev/local-path"  # its directories are made and removed by the node agents
LOCAL_PATH_FINALIZER = "tiphys.dev/local-path"  # taken off by the agent once the directory is gone
LOCAL_PATH_NODE = "tiphys.dev/local-path-node"  # label of such a volume: the node that has its directory
LOCAL_PATH_ROOT = "tiphys.dev/local-path-root"  # annotation of a Node: where its directories are
READ_WRITE_ONCE_POD = "ReadWriteOncePod"


def claims_of(pod: Pod) -> dict[str, str]:
    """Volume name -> claim name, for volumes of claims and ephemeral volumes (their claims bear the pod's name)."""
    names = {}
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            names[volume.name] = volume.persistentVolumeClaim.claimName
        elif volume.ephemeral is not None:
            names[volume.name] = f"{pod.metadata.name}-{volume.name}"
    return names


def claim_class(claim: PersistentVolumeClaim) -> str:
    """The name of the class the claim asks for; "" for none."""
    return claim.metadata.annotations.get(OLD_CLASS) or claim.spec.storageClassName or ""


def asks_for_default_class(claim: PersistentVolumeClaim) -> bool:
    """Nothing was said about a class: the default one may be filled in."""
    return claim.spec.storageClassName is None and OLD_CLASS not in claim.metadata.annotations


def volume_class(volume: PersistentVolume) -> str:
    return volume.metadata.annotations.get(OLD_CLASS) or volume.spec.storageClassName


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """Of several default classes the newest, by name among equals."""
    marked = [one for one in classes if any(one.metadata.annotations.get(name) == "true" for name in DEFAULT_CLASS)]
    by_name = sorted(marked, key=lambda one: one.metadata.name)
    return max(by_name, key=lambda one: one.metadata.creationTimestamp or "", default=None)


def waits_for_consumer(claim: PersistentVolumeClaim, classes: Mapping[str, StorageClass]) -> bool:
    """The claim is bound when a pod that uses it has a node, not before."""
    found = classes.get(claim_class(claim))
    return found is not None and found.volumeBindingMode == "WaitForFirstConsumer"


def is_fully_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volumeName) and BIND_COMPLETED in claim.metadata.annotations


def is_reserved_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """The volume names this claim (whoever wrote that); a uid, if there is one, must be the claim's."""
    reference = volume.spec.claimRef
    if reference is None:
        return False
    same = (reference.namespace, reference.name) == (claim.metadata.namespace, claim.metadata.name)
    return same and reference.uid in ("", claim.metadata.uid)


def requested(claim: PersistentVolumeClaim) -> Decimal:
    return parse_quantity(claim.spec.resources.requests.get("storage", "0"))


def capacity(volume: PersistentVolume) -> Decimal:
    return parse_quantity(volume.spec.capacity.get("storage", "0"))


def mode_of(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    return obj.spec.volumeMode or "Filesystem"


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Why a volume the claim asks for by name cannot be its volume; "" when it can."""
    if capacity(volume) < requested(claim):
        return "requested PV is too small"
    if volume_class(volume) != claim_class(claim):
        return "storageClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    if not set(claim.spec.accessModes) <= set(volume.spec.accessModes):
        return "incompatible accessMode"
    if (volume.spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
        return "volumeAttributesClassName does not match"
    return ""


def find_match(
    claim: PersistentVolumeClaim,
    volumes: Iterable[PersistentVolume],
    *,
    delayed: bool = False,
    node: tuple[str, Mapping[str, str]] | None = None,
) -> PersistentVolume | None:
    """The volume reserved for the claim, else the one with the fewest access modes and then the smallest that fits.

    `node` (name, labels) restricts to what that node reaches.  `delayed` without a node: only a reserved volume, since
    the scheduler has to choose."""
    best: tuple[tuple[int, Decimal, str], PersistentVolume] | None = None
    for volume in volumes:
        reserved = is_reserved_for(volume, claim)
        if volume.metadata.deletionTimestamp or (volume.spec.claimRef is not None and not reserved):
            continue
        if not _fits(volume, claim):
            continue
        reached = node is None or reaches(volume, *node)
        if reserved:
            return volume if reached else None
        if (delayed and node is None) or not reached or not _is_free_for(volume, claim):
            continue
        rank = (len(set(volume.spec.accessModes)), capacity(volume), volume.metadata.name)
        if best is None or rank < best[0]:
            best = (rank, volume)
    return None if best is None else best[1]


def _fits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """What even a volume reserved for the claim must have."""
    return (
        capacity(volume) >= requested(claim)
        and mode_of(volume) == mode_of(claim)
        and set(claim.spec.accessModes) <= set(volume.spec.accessModes)
        and (volume.spec.volumeAttributesClassName or "") == (claim.spec.volumeAttributesClassName or "")
    )


def _is_free_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    selector = claim.spec.selector
    return (
        volume.status.phase == "Available"
        and volume_class(volume) == claim_class(claim)
        and (selector is None or from_label_selector(selector).matches(volume.metadata.labels))
    )


def reaches(volume: PersistentVolume, node_name: str, labels: Mapping[str, str]) -> bool:
    """Whether the volume can be used on a node, by its node affinity."""
    affinity = volume.spec.nodeAffinity
    return affinity is None or affinity.required is None or selects_node(affinity.required, node_name, labels)


def selects_node(selector: NodeSelector, node_name: str, labels: Mapping[str, str]) -> bool:
    """One of the terms holds; a term without expressions and fields holds for no node."""

    def holds(term: NodeSelectorTerm) -> bool:
        fields = {"metadata.name": node_name}
        return bool(term.matchExpressions or term.matchFields) and all(
            [_holds(one, labels) for one in term.matchExpressions] + [_holds(one, fields) for one in term.matchFields]
        )

    return any(holds(term) for term in selector.nodeSelectorTerms)


def _holds(expression: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    return Requirement(expression.key, expression.operator, frozenset(expression.values)).matches(labels)
