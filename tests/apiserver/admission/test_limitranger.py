"""LimitRanger: defaults for containers that say nothing, bounds for those that do."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.limitranger import claim_problems, pod_problems, set_defaults
from tests.apiserver.admission.configured import create, new_namespace, until_cached
from tests.apiserver.cluster import Cluster

Object = dict[str, Any]


def container(name: str = "c", **resources: Object) -> Object:
    return {"name": name, "image": "i", "resources": resources}


def pod(*containers: Object, **spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


@pytest.mark.parametrize(
    ("item", "resources", "problem"),
    [
        ({"min": {"cpu": "50m"}}, {}, "minimum cpu usage per Container is 50m.  No request is specified"),
        (
            {"min": {"cpu": "50m"}},
            {"requests": {"cpu": "10m"}},
            "minimum cpu usage per Container is 50m, but request is 10m",
        ),
        (
            {"min": {"memory": "2Gi"}},
            {"requests": {"memory": "3Gi"}, "limits": {"memory": "1Gi"}},
            "minimum memory usage per Container is 2Gi, but limit is 1Gi",
        ),
        ({"max": {"cpu": "1"}}, {}, "maximum cpu usage per Container is 1.  No limit is specified"),
        (
            {"max": {"cpu": "500m"}},
            {"limits": {"cpu": "600m"}},
            "maximum cpu usage per Container is 500m, but limit is 600m",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "600m"}},
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
        ({"max": {"cpu": "1"}, "min": {"cpu": "1"}}, {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, ""),
    ],
)
def test_a_container_out_of_bounds_is_named_in_upstreams_words(item: Object, resources: Object, problem: str) -> None:
    found = list(pod_problems(pod(container(**resources)), {"type": "Container", **item}))
    assert found == ([problem] if problem else [])


def test_a_pod_is_judged_by_the_sum_of_its_containers() -> None:
    item = {"type": "Pod", "max": {"memory": "1Gi"}}
    half = container(limits={"memory": "600Mi"})
    assert list(pod_problems(pod(half), item)) == []
    assert list(pod_problems(pod(half, half), item)) == [
        "maximum memory usage per Pod is 1Gi, but limit is 1200Mi",
    ]


def test_a_claim_is_judged_by_its_request() -> None:
    item = {"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}, "min": {"storage": "1Gi"}}
    claim = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    text = "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
    assert list(claim_problems(claim, item)) == [text]


def test_defaults_fill_what_is_missing_and_are_noted() -> None:
    item = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}
    one = pod(container("a"), container("b", requests={"cpu": "5"}, limits={"memory": "2Gi"}))
    set_defaults(one, {"spec": {"limits": [item]}})
    a, b = one["spec"]["containers"]
    assert a["resources"] == {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert b["resources"] == {"requests": {"cpu": "5"}, "limits": {"memory": "2Gi", "cpu": "1"}}
    notes = "cpu request for container a; cpu, memory limit for container a; cpu limit for container b"
    assert one["metadata"]["annotations"] == {"kubernetes.io/limit-ranger": f"LimitRanger plugin set: {notes}"}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_limit_range_holds_for_new_pods_of_its_namespace(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    await cluster.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    limits = [{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}, "min": {"cpu": "100m"}}]
    made = await create(cluster, namespace, {"metadata": {"name": "l"}, "spec": {"limits": limits}}, "limitranges")
    await until_cached(cluster, made.json)
    made = await create(cluster, namespace, pod(container()), "pods")
    assert made.json["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    refused = await create(cluster, namespace, pod(container(limits={"cpu": "3"}, requests={"cpu": "50m"})), "pods")
    assert refused.status == 403
    assert refused.json["message"] == (
        'pods "p" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per '
        "Container is 2, but limit is 3]"
    )
