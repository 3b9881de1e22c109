"""Versions of a Deployment: found by template, numbered, hashed, forgotten."""

from controllers.deployment import new_replica_set
from controllers.deployment_revisions import (
    next_revision,
    split,
    surplus_history,
    template_hash,
    version_annotations,
)
from tests.controllers.objects import deployment, replica_set

REVISION = "deployment.kubernetes.io/revision"


def test_the_version_is_found_by_its_template_whatever_its_hash_label_says() -> None:
    old, same = replica_set("web-a", image="app:1"), replica_set("web-b", image="app:2")
    new, others = split(deployment(image="app:2"), [old, same])
    assert new is same and others == [old]


def test_of_two_replica_sets_with_the_template_the_older_is_the_version() -> None:
    younger, older = replica_set("web-a", age=10), replica_set("web-b", age=100)
    new, others = split(deployment(), [younger, older])
    assert new is older and others == [younger]


def test_a_rollback_gives_the_old_version_the_next_number_and_remembers_the_former() -> None:
    first = replica_set("web-a", image="app:1", annotations={REVISION: "1"})
    second = replica_set("web-b", image="app:2", annotations={REVISION: "2"})
    new, old = split(deployment(image="app:1"), [first, second])
    assert new is first
    changed = version_annotations(deployment(image="app:1"), new, next_revision(old))
    assert changed == {REVISION: "3", "deployment.kubernetes.io/revision-history": "1"}


def test_the_newest_version_keeps_its_number() -> None:
    first = replica_set("web-a", image="app:1", annotations={REVISION: "1"})
    second = replica_set("web-b", image="app:2", annotations={REVISION: "2"})
    assert version_annotations(deployment(image="app:2"), second, next_revision([first])) == {}


def test_annotations_are_inherited_but_for_those_about_the_deployment_itself() -> None:
    annotations = {
        "team": "shop",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        REVISION: "7",
    }
    assert version_annotations(deployment(annotations=annotations), None, 1) == {"team": "shop", REVISION: "1"}


def test_the_hash_is_stable_depends_on_template_and_collisions_and_spells_no_words() -> None:
    one = template_hash(deployment(image="app:1").spec.template, None)
    assert one == template_hash(deployment(image="app:1").spec.template, None)
    assert one != template_hash(deployment(image="app:2").spec.template, None)
    assert one != template_hash(deployment(image="app:1").spec.template, 1)
    assert set(one) <= set("bcdfghjklmnpqrstvwxz2456789") and 1 <= len(one) <= 10


def test_a_new_replica_set_selects_and_labels_its_own_pods_only() -> None:
    made = new_replica_set(
        deployment(4, surge=1, unavailable=0), [replica_set("web-a", 4, annotations={REVISION: "1"})]
    )
    hashed = made.metadata.labels["pod-template-hash"]
    assert made.metadata.name == f"web-{hashed}"
    assert made.spec.selector is not None
    assert made.spec.selector.matchLabels == {"app": "web", "pod-template-hash": hashed}
    assert made.spec.template.metadata.labels == {"app": "web", "pod-template-hash": hashed}
    assert made.spec.replicas == 1, "four old ones and room for one more"
    assert made.metadata.annotations[REVISION] == "2"
    assert made.metadata.annotations["deployment.kubernetes.io/max-replicas"] == "5"
    assert made.metadata.ownerReferences[0].controller is True


def test_history_beyond_the_limit_goes_oldest_revision_first_but_never_with_pods() -> None:
    sets = [replica_set(f"web-{number}", 0, annotations={REVISION: str(number)}) for number in (10, 2, 9, 1)]
    busy = replica_set("web-0", 0, replicas=1, annotations={REVISION: "0"})
    wanted = deployment(spec={"revisionHistoryLimit": 2})
    assert [rs.metadata.name for rs in surplus_history(wanted, [*sets, busy])] == ["web-1", "web-2"]
    assert surplus_history(deployment(spec={"revisionHistoryLimit": 10}), sets) == []
