"""Which volume a claim gets: the smallest that fits, never somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controllers.volumes import claim, reference, storage_class, volume
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import (
    asks_for_default_class,
    claim_class,
    default_class,
    find_match,
    mismatch,
    reaches,
    waits_for_consumer,
)

MANY = ("ReadWriteOnce", "ReadWriteMany")
MARKED = {"name": "b", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}


def name_of(found: PersistentVolume | None) -> str:
    return "" if found is None else found.metadata.name


@pytest.mark.parametrize(
    ("wanted", "volumes", "expected"),
    [
        (claim(), [], ""),
        (claim(), [volume("big", "9Gi"), volume("small", "2Gi"), volume("tiny", "1Mi")], "small"),
        (claim(), [volume("many", modes=MANY), volume("once", "5Gi")], "once"),
        (claim(modes=("ReadWriteMany",)), [volume("many", modes=MANY), volume("once")], "many"),
        (claim(storage_class="fast"), [volume("none"), volume("fast", storage_class="fast")], "fast"),
        (claim(), [volume("fast", storage_class="fast")], ""),
        (claim(), [volume(phase="Released"), volume("w", phase="Pending")], ""),
        (claim(), [volume(metadata={"deletionTimestamp": "2026-01-02T03:04:05Z"})], ""),
        (claim(volumeMode="Block"), [volume("fs"), volume("block", volumeMode="Block")], "block"),
        (claim(), [volume("other", claimRef=reference(claim("other")))], ""),
        (claim(), [volume("free"), volume("mine", "9Gi", claimRef=reference(claim(), uid=""))], "mine"),
        (claim(), [volume("old", claimRef=reference(claim(), uid="another life"))], ""),
        (claim(), [volume("mine", "1Mi", claimRef=reference(claim()))], ""),
        (
            claim(selector={"matchLabels": {"disk": "ssd"}}),
            [volume("hdd"), volume("ssd", metadata={"labels": {"disk": "ssd"}})],
            "ssd",
        ),
    ],
)
def test_the_smallest_volume_that_fits_is_taken(
    wanted: PersistentVolumeClaim, volumes: list[PersistentVolume], expected: str
) -> None:
    assert name_of(find_match(wanted, volumes)) == expected
    assert name_of(find_match(wanted, volumes[::-1])) == expected


def test_a_node_reaches_what_its_labels_allow() -> None:
    volumes = [volume("a", node="n1"), volume("b", "2Gi", node="n2"), volume("anywhere", "3Gi")]
    for host, expected in (("n1", "a"), ("n2", "b"), ("n3", "anywhere")):
        labels = {"kubernetes.io/hostname": host}
        assert name_of(find_match(claim(), volumes, node=(host, labels))) == expected
    assert not reaches(volume(nodeAffinity={"required": {"nodeSelectorTerms": [{}]}}), "n1", {})


def test_without_a_node_a_delayed_claim_takes_only_what_is_reserved_for_it() -> None:
    assert find_match(claim(), [volume()], delayed=True) is None
    mine = volume("mine", claimRef=reference(claim(), uid=""))
    assert name_of(find_match(claim(), [volume(), mine], delayed=True)) == "mine"
    assert name_of(find_match(claim(), [volume()], delayed=True, node=("n1", {}))) == "v"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, ""),
        ({"size": "1Mi"}, "requested PV is too small"),
        ({"storage_class": "fast"}, "storageClassName does not match"),
        ({"volumeMode": "Block"}, "incompatible volumeMode"),
        ({"modes": ("ReadOnlyMany",)}, "incompatible accessMode"),
    ],
)
def test_a_volume_asked_for_by_name_may_not_fit(changes: dict[str, Any], cause: str) -> None:
    assert mismatch(volume(**changes), claim()) == cause


def test_no_class_and_nothing_said_about_a_class_differ() -> None:
    assert [asks_for_default_class(claim(storage_class=one)) for one in (None, "", "fast")] == [True, False, False]
    old = claim(storage_class=None, annotations={"volume.beta.kubernetes.io/storage-class": "slow"})
    assert claim_class(old) == "slow" and not asks_for_default_class(old)
    assert default_class([storage_class("plain")]) is None
    first = storage_class("a", default=True)
    assert default_class([storage_class("b", default=True), first, storage_class("c")]) is first
    newest = storage_class("b", default=True, metadata={**MARKED, "creationTimestamp": "2026-01-02T03:04:05Z"})
    assert default_class([first, newest]) is newest
    classes = {"now": storage_class("now"), "later": storage_class("later", waits=True)}
    waiting = [waits_for_consumer(claim(storage_class=one), classes) for one in ("now", "later", "unknown")]
    assert waiting == [False, True, False]
