"""PodSecurity: the labels of a namespace say which standard its pods must meet, and what only draws a warning.

What must stay true: a pod is judged again whenever its containers change, through whichever subresource; templates are
never refused, only warned about, because their pods will be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.admission.podsecurity_standards import LATEST, Violation, containers, violations
from apiserver.resources import Resources
from tiphys.api.status import FieldError, invalid, invalid_object

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
MODES = ("enforce", "audit", "warn")
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,3})\Z")
_NAMESPACES = "/registry/core/namespaces/"
_TEMPLATES = {
    ("apps", "deployments"), ("apps", "replicasets"), ("apps", "daemonsets"), ("apps", "statefulsets"),
    ("batch", "jobs"), ("batch", "cronjobs"), ("", "replicationcontrollers"), ("", "podtemplates"),
}  # fmt: skip
_PODS_LOOKED_AT = 3000


@dataclass(frozen=True, slots=True)
class Standard:
    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    def judge(self, metadata: Obj, spec: Obj) -> list[Violation]:
        minor = LATEST if self.version == "latest" else int(self.version.removeprefix("v1."))
        return violations(self.level, minor, metadata, spec)


def standard(labels: Mapping[str, str], mode: str) -> Standard:
    """What cannot be read counts as the strictest, as upstream."""
    level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version", "latest")
    if level is None:
        return Standard()
    if level not in LEVELS:
        level = "restricted"
    return Standard(level, version if version == "latest" or _VERSION.match(version) else "latest")


class PodSecurity(Plugin):
    kinds = frozenset({("", "pods"), ("", "namespaces"), *_TEMPLATES})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._namespaces = resources.cache.resource(_NAMESPACES)

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.obj is None:
            return
        group, plural = attributes.info.group, attributes.info.plural
        if (group, plural) == ("", "pods"):
            if attributes.subresource in ("", "ephemeralcontainers", "resize"):
                self._check_pod(attributes, attributes.obj)
        elif (group, plural) in _TEMPLATES:
            if not attributes.subresource:
                self._check_template(attributes, attributes.obj)
        elif (group, plural) == ("", "namespaces") and not attributes.subresource:
            self._check_namespace(attributes, attributes.obj)

    def _labels(self, namespace: str) -> Mapping[str, str]:
        item = self._namespaces.get(_NAMESPACES + namespace)
        labels = item.labels if item is not None else {}
        return labels if any(key.startswith(PREFIX) for key in labels) else {}

    def _check_pod(self, attributes: Attributes, pod: Obj) -> None:
        labels = self._labels(attributes.namespace)
        if not labels or (attributes.old is not None and not _is_significant(pod, attributes.old)):
            return
        metadata, spec = pod["metadata"], pod.get("spec") or {}
        enforced = standard(labels, "enforce")
        found = enforced.judge(metadata, spec)
        if found:
            raise attributes.refuse(f'violates PodSecurity "{enforced}": {", ".join(map(str, found))}')
        _warn(attributes, labels, metadata, spec)

    def _check_template(self, attributes: Attributes, obj: Obj) -> None:
        labels = self._labels(attributes.namespace)
        template = _template(obj) if labels else None
        if template is not None:
            _warn(attributes, labels, template.get("metadata") or {}, template.get("spec") or {})

    def _check_namespace(self, attributes: Attributes, namespace: Obj) -> None:
        labels = namespace["metadata"].get("labels") or {}
        old = (attributes.old or {}).get("metadata", {}).get("labels") or {}
        if not any(key.startswith(PREFIX) for key in labels):
            return
        errors = label_errors(labels)
        if errors and not label_errors(old):
            raise invalid_object("", "Namespace", attributes.name, errors)
        new, before = standard(labels, "enforce"), standard(old, "enforce")
        if attributes.operation == "UPDATE" and new != before and new.level != "privileged":
            self._warn_about_pods(attributes, new)

    def _warn_about_pods(self, attributes: Attributes, new: Standard) -> None:
        pods = self._resources.named("", "pods")
        assert pods is not None
        first: dict[str, str] = {}
        count: Counter[str] = Counter()
        for pod in pods.peek_all(attributes.name)[:_PODS_LOOKED_AT]:
            found = new.judge(pod["metadata"], pod.get("spec") or {})
            if found:
                reasons = ", ".join(one.reason for one in found)
                first.setdefault(reasons, pod["metadata"]["name"])
                count[reasons] += 1
        if count:
            level = f'"{attributes.name}" violate the new PodSecurity enforce level "{new}"'
            attributes.warn(f"existing pods in namespace {level}")
        for reasons, name in sorted(first.items(), key=lambda pair: pair[1]):
            others = count[reasons] - 1
            more = f" (and {others} other pod{'' if others == 1 else 's'})" if others else ""
            attributes.warn(f"{name}{more}: {reasons}")


def _warn(attributes: Attributes, labels: Mapping[str, str], metadata: Obj, spec: Obj) -> None:
    wanted = standard(labels, "warn")
    found = wanted.judge(metadata, spec)
    if found:
        attributes.warn(f'would violate PodSecurity "{wanted}": {", ".join(map(str, found))}')


def _template(obj: Obj) -> Obj | None:
    if "template" in obj:
        found: Obj = obj["template"]
        return found
    spec = obj.get("spec") or {}
    if "jobTemplate" in spec:
        spec = spec["jobTemplate"].get("spec") or {}
    template: Obj | None = spec.get("template")
    return template


def _is_significant(new: Obj, old: Obj) -> bool:
    """Whether an update changes what the standards look at: containers, or annotations of AppArmor."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if list(containers(before)) != list(containers(after)):
        return True
    return _apparmor(new) != _apparmor(old)


def _apparmor(pod: Obj) -> Obj:
    annotations = pod["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if "apparmor" in key}


def label_errors(labels: Mapping[str, str]) -> list[FieldError]:
    errors = []
    for mode in MODES:
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            text = f"must be one of {', '.join(LEVELS)}"
            errors.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, text))
        if version is not None and version != "latest" and not _VERSION.match(version):
            text = 'must be "latest" or "v1.x"'
            errors.append(invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, text))
    return errors
