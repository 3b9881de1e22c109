"""RuntimeClasses: their overhead is the pod's, and a pod with one is scheduled."""

from __future__ import annotations

from tests.conformance.api import Object
from tests.conformance.node.case import Case, condition
from tests.conformance.node.manifests import container, pod
from tests.conformance.rows import row

PATH = "/apis/node.k8s.io/v1/runtimeclasses"


def scheduled(case: Case, overhead: Object) -> Object:
    """A pod with a RuntimeClass of that overhead, once it is scheduled; it need not start."""
    name = f"conformance-{case.unique}"
    case.api.create(PATH, {"metadata": {"name": name}, "handler": "tiphys-test", **overhead})
    try:
        made = case.create(pod("classed", container(case.images.agnhost), runtimeClassName=name))
        return case.wait(made, lambda found: condition(found, "PodScheduled") == "True", "is scheduled")
    finally:
        case.api.delete(f"{PATH}/{name}")


@row(273, "RuntimeClass Overhead field must be respected.")
def test_overhead_is_copied_into_the_pod(case: Case) -> None:
    fixed = {"cpu": "10m", "memory": "1Mi"}
    found = scheduled(case, {"overhead": {"podFixed": fixed}})
    assert found["spec"]["overhead"] == fixed


@row(274, "Can schedule a pod requesting existing RuntimeClass.")
def test_a_class_without_overhead_gives_none(case: Case) -> None:
    assert "overhead" not in scheduled(case, {})["spec"]
