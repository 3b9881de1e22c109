"""PodSecurity: upstream's own 148 pods, the words of a refusal, and what namespaces and templates are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apiserver.admission.podsecurity_standards import LATEST, violations
from tests.apiserver.admission.configured import create, new_namespace
from tests.apiserver.cluster import Cluster

Object = dict[str, Any]
FIXTURES = Path(__file__).parents[2] / "data" / "pod_security.jsonl"
PODS = [json.loads(line) for line in FIXTURES.read_text().splitlines()]
LABEL = "pod-security.kubernetes.io/"
asynchronous = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: f"{pod['level']}-{pod['name']}")
def test_a_pod_gets_upstreams_verdict(pod: Object) -> None:
    found = violations(pod["level"], LATEST, pod.get("metadata", {}), pod["spec"])
    assert bool(found) is not pod["pass"], [str(one) for one in found]
    assert not violations("privileged", LATEST, pod.get("metadata", {}), pod["spec"])


def test_there_are_148_pods() -> None:
    assert len(PODS) == 148 and sum(pod["pass"] for pod in PODS) == 38


SPEC: Object = {
    "hostNetwork": True,
    "hostPID": True,
    "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
    "containers": [
        {"name": "a", "image": "i", "securityContext": {"privileged": True, "capabilities": {"add": ["NET_RAW"]}}},
        {
            "name": "b",
            "image": "i",
            "ports": [{"containerPort": 1, "hostPort": 8}, {"containerPort": 2, "hostPort": 9}],
        },
    ],
}
BASELINE = [
    'non-default capabilities (container "a" must not include "NET_RAW" in securityContext.capabilities.add)',
    "host namespaces (hostNetwork=true, hostPID=true)",
    'hostPath volumes (volume "v")',
    'hostPort (container "b" uses hostPorts 8, 9)',
    'privileged (container "a" must not set securityContext.privileged=true)',
]
RESTRICTED = [
    "host namespaces (hostNetwork=true, hostPID=true)",
    'hostPort (container "b" uses hostPorts 8, 9)',
    'privileged (container "a" must not set securityContext.privileged=true)',
    'allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false)',
    'unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"]; container "a" '
    'must not include "NET_RAW" in securityContext.capabilities.add)',
    'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    'runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true)',
    'seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")',
]


@pytest.mark.parametrize(("level", "texts"), [("baseline", BASELINE), ("restricted", RESTRICTED)])
def test_every_violation_is_named_in_upstreams_words_and_order(level: str, texts: list[str]) -> None:
    assert [str(one) for one in violations(level, LATEST, {}, SPEC)] == texts


def test_an_older_version_has_the_rules_of_its_time() -> None:
    probe = {"httpGet": {"host": "x", "port": 1}}
    spec = {"containers": [{"name": "a", "livenessProbe": probe}]}
    assert not violations("baseline", 33, {}, spec) and violations("baseline", 34, {}, spec)


def pod(name: str, **security: Any) -> Object:
    container = {"name": "c", "image": "i", "securityContext": security}
    return {"metadata": {"name": name}, "spec": {"containers": [container], "automountServiceAccountToken": False}}


async def labelled(cluster: Cluster, **modes: str) -> str:
    namespace = await new_namespace(cluster, **{LABEL + mode.replace("_", "-"): level for mode, level in modes.items()})
    account = {"metadata": {"name": "default"}}
    await cluster.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    return namespace


@asynchronous
async def test_a_namespace_enforces_and_warns_as_its_labels_say(cluster: Cluster) -> None:
    namespace = await labelled(cluster, enforce="baseline", enforce_version="v1.30", warn="restricted")
    refused = await create(cluster, namespace, pod("bad", privileged=True), "pods")
    text = (
        'violates PodSecurity "baseline:v1.30": privileged (container "c" must not set securityContext.privileged=true)'
    )
    assert (refused.status, refused.json["message"]) == (403, f'pods "bad" is forbidden: {text}')
    warned = await create(cluster, namespace, pod("warned"), "pods")
    assert warned.status == 201
    assert 'would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation' in warned.headers["Warning"]
    free = await new_namespace(cluster)
    await cluster.must("POST", f"/api/v1/namespaces/{free}/serviceaccounts", {"metadata": {"name": "default"}})
    assert (await create(cluster, free, pod("bad", privileged=True), "pods")).status == 201


@asynchronous
async def test_a_change_of_containers_is_judged_and_a_label_is_not(cluster: Cluster) -> None:
    namespace = await labelled(cluster)
    made = (await create(cluster, namespace, pod("old", privileged=True), "pods")).json
    path, merge = f"/api/v1/namespaces/{namespace}", "application/merge-patch+json"
    labels = {"metadata": {"labels": {f"{LABEL}enforce": "baseline"}}}
    answer = await cluster.request("PATCH", path, labels, content_type=merge)

    assert (
        f'existing pods in namespace \\"{namespace}\\" violate the new PodSecurity enforce level'
        in (answer.headers["Warning"])
    )
    assert "old: privileged" in answer.headers["Warning"]
    change = {"metadata": {"labels": {"a": "b"}}}
    assert (await cluster.request("PATCH", f"{path}/pods/old", change, content_type=merge)).status == 200
    made["spec"]["containers"][0]["image"] = "other"
    del made["metadata"]["resourceVersion"]
    assert (await cluster.request("PUT", f"{path}/pods/old", made)).status == 403


@asynchronous
async def test_a_template_only_draws_a_warning_and_a_wrong_label_is_refused(cluster: Cluster) -> None:
    namespace = await labelled(cluster, enforce="restricted", warn="baseline")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x", privileged=True)["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    answer = await cluster.request("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    assert answer.status == 201
    assert 'would violate PodSecurity \\"baseline:latest\\": privileged (container' in answer.headers["Warning"]
    wrong = {
        "metadata": {"name": f"{namespace}-2", "labels": {f"{LABEL}enforce": "strict", f"{LABEL}warn-version": "1"}}
    }
    answer = await cluster.request("POST", "/api/v1/namespaces", wrong)
    assert answer.status == 422
    assert [one["field"] for one in answer.json["details"]["causes"]] == [
        f"metadata.labels[{LABEL}enforce]",
        f"metadata.labels[{LABEL}warn-version]",
    ]
