"""What the server fills in for a pod, and for the pod template of every workload.

A template gets what `PodSpec` and the types below it get; what stands under `Pod` happens to real pods only.
"""

import re
from typing import Any

from tiphys.api.declaration import sets_defaults
from tiphys.api.quantity import canonical, milli

JsonObject = dict[str, Any]

DEFAULT_FILE_MODE = 0o644
VOLUME_SOURCES_APART_FROM = "name"
POD_LEVEL_RESOURCES = ("cpu", "memory")

_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
IMAGE_REFERENCE = re.compile(
    rf"(?:(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?"
    rf"{_PATH_PART}(?:/{_PATH_PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)


def pull_policy(image: str) -> str:
    """Always for `latest`, said or meant; IfNotPresent for another tag, a digest, and what is no image name."""
    match = IMAGE_REFERENCE.fullmatch(image)
    if match is None or (match["digest"] and not match["tag"]):
        return "IfNotPresent"
    return "Always" if (match["tag"] or "latest") == "latest" else "IfNotPresent"


@sets_defaults("io.k8s.api.core.v1.Pod")
def pod(obj: JsonObject) -> None:
    spec = obj.setdefault("spec", {})
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        _request_what_is_limited(container.get("resources") or {})
    _default_pod_requests(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            for port in container.get("ports") or ():
                if not port.get("hostPort"):
                    port["hostPort"] = port.get("containerPort", 0)


def _request_what_is_limited(resources: JsonObject) -> None:
    if limits := resources.get("limits"):
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _default_pod_requests(spec: JsonObject) -> None:
    """Pod-level limits imply pod-level requests: what the containers ask for, else the limit."""
    resources = spec.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name in POD_LEVEL_RESOURCES:
        if name in requests:
            continue
        asked = _asked_by_containers(spec, name)
        if asked is not None:
            requests[name] = asked
        elif name in limits:
            requests[name] = limits[name]
    for name, limit in limits.items():
        if name.startswith("hugepages-"):
            requests.setdefault(name, limit)
    if requests:
        resources["requests"] = requests


def _asked_by_containers(spec: JsonObject, name: str) -> str | None:
    """The sum over containers and sidecars, or the largest moment of the init phase, if that is more."""
    running, peak, found = 0, 0, False
    for container in spec.get("initContainers") or ():
        text = (container.get("resources", {}).get("requests") or {}).get(name)
        amount = milli(text) if text is not None else 0
        found = found or text is not None
        if container.get("restartPolicy") == "Always":
            running += amount
            peak = max(peak, running)
        else:
            peak = max(peak, running + amount)
    for container in spec.get("containers") or ():
        text = (container.get("resources", {}).get("requests") or {}).get(name)
        found = found or text is not None
        running += milli(text) if text is not None else 0
    return canonical(f"{max(running, peak)}m") if found else None


@sets_defaults("io.k8s.api.core.v1.PodSpec")
def pod_spec(spec: JsonObject) -> None:
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:  # the old name of the field is kept in step for old clients
        spec["serviceAccountName"] = spec["serviceAccount"] = name


@sets_defaults("io.k8s.api.core.v1.Container")
@sets_defaults("io.k8s.api.core.v1.EphemeralContainer")
def container(obj: JsonObject) -> None:
    if not obj.get("imagePullPolicy"):
        obj["imagePullPolicy"] = pull_policy(obj.get("image", ""))
    if not obj.get("terminationMessagePath"):
        obj["terminationMessagePath"] = "/dev/termination-log"
    if not obj.get("terminationMessagePolicy"):
        obj["terminationMessagePolicy"] = "File"


@sets_defaults("io.k8s.api.core.v1.Probe")
def probe(obj: JsonObject) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not obj.get(name):
            obj[name] = value


@sets_defaults("io.k8s.api.core.v1.HTTPGetAction")
def http_get_action(obj: JsonObject) -> None:
    if not obj.get("path"):
        obj["path"] = "/"
    if not obj.get("scheme"):
        obj["scheme"] = "HTTP"


@sets_defaults("io.k8s.api.core.v1.Volume")
def volume(obj: JsonObject) -> None:
    if not any(value is not None for name, value in obj.items() if name != VOLUME_SOURCES_APART_FROM):
        obj["emptyDir"] = {}
    image = obj.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference", ""))


@sets_defaults("io.k8s.api.core.v1.ConfigMapVolumeSource")
@sets_defaults("io.k8s.api.core.v1.SecretVolumeSource")
@sets_defaults("io.k8s.api.core.v1.DownwardAPIVolumeSource")
@sets_defaults("io.k8s.api.core.v1.ProjectedVolumeSource")
def file_mode(obj: JsonObject) -> None:
    obj.setdefault("defaultMode", DEFAULT_FILE_MODE)


@sets_defaults("io.k8s.api.core.v1.ServiceAccountTokenProjection")
def service_account_token_projection(obj: JsonObject) -> None:
    obj.setdefault("expirationSeconds", 3600)


@sets_defaults("io.k8s.api.core.v1.PodCertificateProjection")
def pod_certificate_projection(obj: JsonObject) -> None:
    obj.setdefault("maxExpirationSeconds", 86400)


@sets_defaults("io.k8s.api.core.v1.HostPathVolumeSource")
def host_path_volume_source(obj: JsonObject) -> None:
    obj.setdefault("type", "")


@sets_defaults("io.k8s.api.core.v1.ObjectFieldSelector")
def object_field_selector(obj: JsonObject) -> None:
    if not obj.get("apiVersion"):
        obj["apiVersion"] = "v1"
