"""Objects are refused with upstream's field paths and texts; the object a case starts from passes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo, builtin_registry

REGISTRY = builtin_registry()
DELETE = object()


def info_of(api_version: str, kind: str) -> KindInfo:
    info = REGISTRY.by_api_version(api_version, kind)
    assert info is not None
    return info


def prepared(obj: dict[str, Any]) -> tuple[KindInfo, dict[str, Any]]:
    info = info_of(obj["apiVersion"], obj["kind"])
    value = decode(deepcopy(obj), info.schema).value
    apply_defaults(value, info.schema)
    return info, value


def with_change(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy in which the field at a.b.0.c has another value."""
    changed = deepcopy(obj)
    *parents, last = [int(part) if part.isdigit() else part.replace("~", ".") for part in path.split("/")]
    target: Any = changed
    for part in parents:
        target = target[part] if isinstance(part, int) else target.setdefault(part, {})
    if value is DELETE:
        del target[last]
    else:
        target[last] = value
    return changed


def errors_of(obj: dict[str, Any]) -> list[str]:
    info, value = prepared(obj)
    return [str(error) for error in info.validate(value)]


POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "g", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "ports": [{"containerPort": 80, "name": "http"}],
                "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"name": "v", "mountPath": "/x"}],
                "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
                "readinessProbe": {"httpGet": {"port": 80}},
                "securityContext": {},
            }
        ],
        "initContainers": [{"name": "i", "image": "nginx"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "securityContext": {},
    },
}
C = "spec/containers/0"
POD_CASES: list[tuple[str, Any, str]] = [
    ("spec/containers", [], "spec.containers: Required value"),
    (f"{C}/image", DELETE, "spec.containers[0].image: Required value"),
    (
        f"{C}/image",
        " nginx",
        'spec.containers[0].image: Invalid value: " nginx": must not have leading or trailing whitespace',
    ),
    (f"{C}/name", DELETE, "spec.containers[0].name: Required value"),
    ("spec/initContainers/0/name", "c", 'spec.initContainers[0].name: Duplicate value: "c"'),
    (
        "spec/initContainers/0/readinessProbe",
        {"exec": {"command": ["a"]}},
        "spec.initContainers[0].readinessProbe: Forbidden: "
        "may not be set for init containers without restartPolicy=Always",
    ),
    (
        "spec/restartPolicy",
        "Sometimes",
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ),
    ("spec/dnsPolicy", "None", "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    (
        "spec/activeDeadlineSeconds",
        0,
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
    (f"{C}/ports/0/containerPort", 0, "spec.containers[0].ports[0].containerPort: Required value"),
    (
        f"{C}/ports/0/containerPort",
        70000,
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        f"{C}/ports",
        [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}],
        'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"',
    ),
    (
        f"{C}/ports/0/protocol",
        "ICMP",
        'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    ),
    (f"{C}/env/0/name", "", "spec.containers[0].env[0].name: Required value"),
    (
        f"{C}/env/0/valueFrom",
        {"fieldRef": {"fieldPath": "metadata.name"}},
        'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ),
    (f"{C}/volumeMounts/0/name", "w", 'spec.containers[0].volumeMounts[0].name: Not found: "w"'),
    (
        f"{C}/volumeMounts/0/subPath",
        "../y",
        "spec.containers[0].volumeMounts.subPath: Invalid value: \"../y\": must not contain '..'",
    ),
    (
        f"{C}/volumeMounts",
        [{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}],
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique',
    ),
    (
        f"{C}/resources/requests/cpu",
        "2",
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        f"{C}/resources/limits/cpu",
        "-1",
        'spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ),
    (f"{C}/livenessProbe", {}, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
    (
        f"{C}/livenessProbe",
        {"tcpSocket": {"port": 1}, "successThreshold": 2},
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    (
        f"{C}/readinessProbe/exec",
        {"command": ["x"]},
        "spec.containers[0].readinessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
    ),
    (
        f"{C}/securityContext/runAsUser",
        -1,
        "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
    ),
    (
        f"{C}/securityContext/seccompProfile",
        {"type": "Localhost", "localhostProfile": ""},
        "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: "
        "must be set when seccomp type is Localhost",
    ),
    (
        "spec/volumes/0/hostPath",
        {"path": "/"},
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ),
    (
        "spec/volumes/0",
        {"name": "v", "configMap": {"name": "m", "items": [{"key": "a", "path": "../../x"}]}},
        "spec.volumes[0].configMap.items[0].path: Invalid value: \"../../x\": must not contain '..'",
    ),
    (
        "spec/volumes/0",
        {"name": "v", "secret": {"secretName": "s", "defaultMode": 4096}},
        "spec.volumes[0].secret.defaultMode: Invalid value: 4096: "
        "must be a number between 0 and 0777 (octal), both inclusive",
    ),
    (
        "spec/tolerations/0",
        {"operator": "Equal"},
        'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which '
        'means "match all values and all keys"',
    ),
    (
        "spec/securityContext/sysctls",
        [{"name": "foo-", "value": "1"}],
        'spec.securityContext.sysctls[0].name: Invalid value: "foo-": must have at most 253 characters and match regex '
        r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
    ),
    (
        "spec/nodeSelector",
        {"a": "b c"},
        'spec.nodeSelector: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric '
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
        "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    (
        "spec/ephemeralContainers",
        [{"name": "e", "image": "x"}],
        "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ),
]

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "g", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}
DEPLOYMENT_CASES: list[tuple[str, Any, str]] = [
    ("spec/replicas", -1, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    (
        "spec/selector/matchLabels/app",
        "y",
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ),
    ("spec/selector", {}, "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
    (
        "spec/strategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    (
        "spec/template/spec/restartPolicy",
        "Never",
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        "spec/progressDeadlineSeconds",
        0,
        "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
    ),
]

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "g", "namespace": "default"},
    "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}},
}
SERVICE_CASES: list[tuple[str, Any, str]] = [
    ("spec/ports", [], "spec.ports: Required value"),
    (
        "spec/type",
        "Foo",
        'spec.type: Unsupported value: "Foo": '
        'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ),
    (
        "spec/clusterIPs",
        ["1.2.3"],
        'spec.clusterIPs[0]: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ),
    ("spec/ports/0/port", 0, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    (
        "spec/ports/0/nodePort",
        30000,
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
]

CONFIG_MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "g", "namespace": "default"},
    "data": {"a": "b"},
}
LEASE: dict[str, Any] = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "g", "namespace": "default"},
    "spec": {"leaseDurationSeconds": 1},
}
OTHER_CASES: list[tuple[dict[str, Any], str, Any, str]] = [
    (
        CONFIG_MAP,
        "data",
        {"a/b": "c"},
        'data[a/b]: Invalid value: "a/b": '
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
        "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    ),
    (LEASE, "spec/leaseDurationSeconds", 0, "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
]
CASES = [
    *((POD, *case) for case in POD_CASES),
    *((DEPLOYMENT, *case) for case in DEPLOYMENT_CASES),
    *((SERVICE, *case) for case in SERVICE_CASES),
    *OTHER_CASES,
]


@pytest.mark.parametrize("obj", [POD, DEPLOYMENT, SERVICE, CONFIG_MAP, LEASE], ids=lambda obj: obj["kind"])
def test_a_good_object_passes(obj: dict[str, Any]) -> None:
    assert errors_of(obj) == []


@pytest.mark.parametrize(
    ("obj", "path", "value", "error"), CASES, ids=[f"{case[0]['kind']}-{case[1]}" for case in CASES]
)
def test_a_bad_field_is_named(obj: dict[str, Any], path: str, value: Any, error: str) -> None:
    assert error in errors_of(with_change(obj, path, value))


UPDATES: list[tuple[dict[str, Any], str, Any, str]] = [
    (
        DEPLOYMENT,
        "spec/selector/matchLabels/app",
        "z",
        'spec.selector: Invalid value: {"matchLabels":{"app":"z"}}: field is immutable',
    ),
    (POD, "spec/containers/0/command", ["x"], "spec: Forbidden: pod updates may not change fields other than"),
    (POD, "spec/tolerations", [], "spec.tolerations: Forbidden: existing toleration can not be modified"),
    (
        with_change(CONFIG_MAP, "immutable", True),
        "data/a",
        "c",
        "data: Forbidden: field is immutable when `immutable` is set",
    ),
]


@pytest.mark.parametrize(("obj", "path", "value", "error"), UPDATES)
def test_a_fixed_field_cannot_change(obj: dict[str, Any], path: str, value: Any, error: str) -> None:
    info, old = prepared(obj)
    _, new = prepared(with_change(obj, path, value))
    assert any(str(found).startswith(error) for found in info.validate_update(new, old))


def test_a_pods_image_may_change() -> None:
    info, old = prepared(with_change(POD, f"{C}/image", "nginx:1"))
    _, new = prepared(with_change(POD, f"{C}/image", "nginx:2"))
    assert info.validate_update(new, old) == []
