"""metadata.generation of pods, and status.observedGeneration, which says what the node has seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, pod
from tests.conformance.rows import row

UPDATES = 500


def observed(case: Case, name: str, generation: int) -> Object:
    return case.wait(
        name,
        lambda found: found["status"].get("observedGeneration") == generation,
        f"has been seen at generation {generation}",
    )


@row(453, "Pods Generation, updates")
def test_the_generation_starts_at_one_and_grows_with_each_update(case: Case) -> None:
    name = case.create(pod("updated", container(case.images.agnhost)))
    assert case.pod(name)["metadata"]["generation"] == 1
    case.running(name)
    observed(case, name, 1)

    def tolerate(found: Object) -> None:
        toleration = {"key": "example", "operator": "Exists", "effect": "NoSchedule"}
        found["spec"]["tolerations"].append(toleration)

    def nothing(found: Object) -> None:
        pass

    def label(found: Object) -> None:
        found["metadata"]["labels"]["example"] = "changed"

    def custom(found: Object) -> None:
        found["metadata"]["generation"] = 100

    changes: list[tuple[Callable[[Object], object], int]] = [
        (nothing, 0),
        (tolerate, 1),
        (lambda found: found["spec"].update(activeDeadlineSeconds=600), 1),
        (lambda found: found["spec"]["containers"][0].update(image=case.images.non_root), 1),
        (label, 0),
        (custom, 0),
    ]
    expected = 1
    for change, growth in changes:

        def apply(found: Object, change: Callable[[Object], object] = change) -> None:
            change(found)

        case.api.update(case.path("pods", name), apply)
        expected += growth
        assert case.pod(name)["metadata"]["generation"] == expected
        observed(case, name, expected)


@row(451, "Pods Generation, graceful delete")
def test_a_graceful_delete_is_a_generation(case: Case) -> None:
    made = pod("deleted", container(case.images.agnhost), terminationGracePeriodSeconds=60)
    made["metadata"]["generation"] = 100
    # what keeps the pod in the API after its containers have ended
    made["metadata"]["finalizers"] = ["example.com/conformance"]
    name = case.create(made)
    assert case.pod(name)["metadata"]["generation"] == 1
    case.running(name)
    case.delete(name, gracePeriodSeconds=60)
    assert case.pod(name)["metadata"]["generation"] == 2
    case.api.patch(case.path("pods", name), {"metadata": {"finalizers": None}})


@pytest.mark.slow
@row(452, "Pods Generation, 500 updates")
def test_after_many_updates_both_generations_agree(case: Case) -> None:
    name = case.create(pod("updated", container(case.images.agnhost)))
    case.running(name)
    for number in range(UPDATES - 1):
        path = case.path("pods", name)
        toleration = {"key": f"key-{number}", "operator": "Exists", "effect": "NoSchedule"}
        case.api.patch(path, [{"op": "add", "path": "/spec/tolerations/-", "value": toleration}], "json")
    assert case.pod(name)["metadata"]["generation"] == UPDATES
    observed(case, name, UPDATES)
