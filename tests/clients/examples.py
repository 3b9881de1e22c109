"""An example of every kind: the recorded inputs and the good objects of the test data, and a few that those lack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients import sails
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.yaml import load_documents

Object = dict[str, Any]
DATA = Path(__file__).parents[1] / "data"
NAMESPACE = "valid"

LABELS = {"app": "busy"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "example.com/web:1"}]}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
REVIEW = {"resourceAttributes": {"verb": "get", "resource": "pods"}}

QUESTIONS: dict[str, Object] = {
    kind: {"apiVersion": version, "kind": kind, "metadata": {}, "spec": spec}
    for version, kind, spec in (
        ("authentication.k8s.io/v1", "TokenReview", {"token": "x"}),
        ("authentication.k8s.io/v1", "SelfSubjectReview", {}),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview", REVIEW),
        ("authorization.k8s.io/v1", "SubjectAccessReview", {**REVIEW, "user": "jane"}),
        (
            "authorization.k8s.io/v1",
            "LocalSubjectAccessReview",
            {"resourceAttributes": {**REVIEW["resourceAttributes"], "namespace": NAMESPACE}, "user": "jane"},
        ),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview", {"namespace": NAMESPACE}),
    )
}
"""Kinds that are asked and never stored."""

_MORE: list[Object] = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "g"},
        "data": {"a": "b"},
        "binaryData": {"c": "AA=="},
    },
    {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "g"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reason": "Why",
        "action": "Do",
        "type": "Normal",
        "reportingController": "example.com/x",
        "reportingInstance": "x-1",
        "regarding": {"kind": "Pod", "name": "p", "namespace": NAMESPACE},
    },
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.boats.example.com"},
        "spec": {
            **sails.SPEC,
            "group": "boats.example.com",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
        },
    },
]


def workload(api_version: str, kind: str, spec: Object) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "busy", "namespace": NAMESPACE},
        "spec": spec,
    }


_RUNNING = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
_ONCE = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}  # type: ignore[dict-item]
_JOB = {"template": _ONCE}
_PORT = {"port": 80}
_BACKEND = {"service": {"name": "busy", "port": {"number": 80}}}
WORKLOADS: list[Object] = [
    workload("apps/v1", "Deployment", _RUNNING),
    workload(
        "apps/v1",
        "StatefulSet",
        {**_RUNNING, "serviceName": "busy", "selector": {"matchLabels": {"app": "set"}}}
        | {"template": {**TEMPLATE, "metadata": {"labels": {"app": "set"}}}},
    ),
    workload(
        "apps/v1",
        "DaemonSet",
        {"selector": {"matchLabels": {"app": "all"}}, "template": {**TEMPLATE, "metadata": {"labels": {"app": "all"}}}},
    ),
    workload("batch/v1", "Job", _JOB),
    workload("batch/v1", "CronJob", {"schedule": "* * * * *", "jobTemplate": {"spec": _JOB}}),
    workload("v1", "Service", {"selector": LABELS, "ports": [_PORT]}),
    workload("v1", "PersistentVolumeClaim", CLAIM),
    workload("networking.k8s.io/v1", "Ingress", {"defaultBackend": _BACKEND}),
    workload("policy/v1", "PodDisruptionBudget", {"selector": {"matchLabels": LABELS}, "minAvailable": 1}),
    workload(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"}, "maxReplicas": 2},
    ),
    {**sails.sail("busy"), "metadata": {"name": "busy", "namespace": NAMESPACE}},
]
"""Objects that controllers act upon: their statuses and what is made for them is validated too."""


def _sources() -> Iterator[Object]:
    for line in (DATA / "golden" / "defaults.jsonl").read_text().splitlines():
        recorded = json.loads(line)
        if recorded["code"] == 201:
            yield recorded["input"]
    for document in load_documents((DATA / "good_objects.yaml").read_bytes()):
        yield document.value
    yield from _MORE


def _examples() -> dict[tuple[str, str], list[Object]]:
    registry = builtin_registry()
    found: dict[tuple[str, str], list[Object]] = {}
    for source in _sources():
        info = registry.by_api_version(source["apiVersion"], source["kind"])
        assert info is not None, source["kind"]
        metadata = {**source.get("metadata", {})}
        if info.namespaced:
            metadata["namespace"] = NAMESPACE
        example = {**source, "metadata": metadata}
        if "involvedObject" in example:  # an Event lives where its object does
            example["involvedObject"] = {**example["involvedObject"], "namespace": NAMESPACE}
        found.setdefault((info.api_version, info.kind), []).append(example)
    return found


EXAMPLES = _examples()


def collection_path(info: KindInfo, namespace: str) -> str:
    """Of the objects of a kind; of all namespaces when none is given."""
    root = f"/apis/{info.api_version}" if info.group else f"/api/{info.version}"
    scope = f"/namespaces/{namespace}" if namespace and info.namespaced else ""
    return f"{root}{scope}/{info.plural}"
