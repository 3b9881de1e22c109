"""What a container may say (pkg/apis/core/validation): names, images, ports, environment, mounts, resources."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.probe_validation import lifecycle_errors, probe_errors
from tiphys.api.core.resources_validation import requirements_errors
from tiphys.api.core.security_validation import security_context_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import (
    is_config_map_key,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_env_var_name,
    is_port_name,
    is_valid_ip,
)
from tiphys.api.status import duplicate, forbidden_field, invalid, not_found_field, not_supported, required, too_many

Object = Mapping[str, Any]
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MAX_RESTART_RULES, MAX_EXIT_CODES = 20, 255
PROTOCOLS = ("SCTP", "TCP", "UDP")
FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
RESOURCE_FIELDS = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def containers_errors(
    path: str,
    containers: Sequence[Object],
    volumes: Collection[str],
    *,
    host_network: bool,
    taken: set[str],
    init: bool,
) -> Errors:
    """All of one list.  `taken` are the names of the lists before it; host ports clash within a list."""
    errors: Errors = []
    host_ports: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        errors += _name(here, container, taken)
        errors += container_errors(here, container, volumes, host_network=host_network)
        sidecar = container.get("restartPolicy") == "Always"
        if init and not sidecar:
            errors += _init_only(here, container)
        if not init or sidecar:
            errors += _ports_clash(f"{here}.ports", container.get("ports", ()), host_ports)
        errors += _restart_policy(here, container, init=init)
    return errors


def _name(path: str, container: Object, taken: set[str]) -> Errors:
    name = container.get("name", "")
    errors = check.name(f"{path}.name", name, is_dns1123_label)
    if name and name in taken:
        errors.append(duplicate(f"{path}.name", name))
    taken.add(name)
    return errors


def _init_only(path: str, container: Object) -> Errors:
    text = "may not be set for init containers without restartPolicy=Always"
    fields = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
    return [forbidden_field(f"{path}.{field}", text) for field in fields if container.get(field) is not None]


def _restart_policy(path: str, container: Object, *, init: bool) -> Errors:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    if policy is None:
        text = "must specify restartPolicy when restart rules are used"
        return [required(f"{path}.restartPolicy", text)] if rules else []
    errors = check.one_of(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"), optional=False)
    if rules and init and policy == "Always":
        text = "restartPolicyRules are not allowed for init containers with restartPolicy Always"
        errors.append(forbidden_field(f"{path}.restartPolicyRules", text))
    if len(rules) > MAX_RESTART_RULES:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), MAX_RESTART_RULES))
    return errors + check.each(f"{path}.restartPolicyRules", rules, _restart_rule)


def _restart_rule(path: str, rule: Object) -> Errors:
    errors = check.one_of(f"{path}.action", rule.get("action", ""), ("Restart",), optional=False)
    codes = rule.get("exitCodes")
    if codes is None:
        return [*errors, required(f"{path}.exitCodes", "must be specified")]
    errors += check.one_of(f"{path}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"), optional=False)
    if len(codes.get("values") or []) > MAX_EXIT_CODES:
        errors.append(too_many(f"{path}.exitCodes.values", len(codes["values"]), MAX_EXIT_CODES))
    return errors


def resize_policy_errors(path: str, policies: Sequence[Object], pod_restart_policy: str) -> Errors:
    """resizePolicy of a container in a pod with that restart policy."""
    errors: Errors = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        here = f"{path}[{index}]"
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in seen:
            errors.append(duplicate(here, resource))
        seen.add(resource)
        errors += check.one_of(f"{here}.resourceName", resource, ("cpu", "memory"), optional=False)
        errors += check.one_of(f"{here}.restartPolicy", restart, ("NotRequired", "RestartContainer"), optional=False)
        if pod_restart_policy == "Never" and restart == "RestartContainer":
            text = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.append(invalid(here, restart, text))
    return errors


def container_errors(path: str, container: Object, volumes: Collection[str], *, host_network: bool) -> Errors:
    """One container by itself."""
    errors: Errors = []
    image = container.get("image", "")
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    errors += check.one_of(
        f"{path}.terminationMessagePolicy",
        container.get("terminationMessagePolicy", ""),
        ("File", "FallbackToLogsOnError"),
    )
    errors += check.one_of(f"{path}.imagePullPolicy", container.get("imagePullPolicy", ""), PULL_POLICIES)
    errors += _ports(f"{path}.ports", container.get("ports", ()), host_network=host_network)
    errors += check.each(f"{path}.env", container.get("env"), env_errors)
    errors += check.each(f"{path}.envFrom", container.get("envFrom"), _env_from)
    errors += _mounts(path, container.get("volumeMounts", ()), volumes)
    for field in ("command", "args"):
        errors += check.each(f"{path}.{field}", container.get(field), check.no_null_byte)
    errors += check.no_null_byte(f"{path}.workingDir", container.get("workingDir", ""))
    errors += requirements_errors(f"{path}.resources", container.get("resources") or {})
    errors += lifecycle_errors(f"{path}.lifecycle", container.get("lifecycle") or {})
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(field) is not None:
            errors += probe_errors(f"{path}.{field}", container[field], once=field != "readinessProbe")
    return errors + security_context_errors(f"{path}.securityContext", container.get("securityContext") or {})


def _ports(path: str, ports: Sequence[Object], *, host_network: bool) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        name, number, host = port.get("name", ""), port.get("containerPort", 0), port.get("hostPort", 0)
        if name:
            problems = is_port_name(name)
            errors += [invalid(f"{here}.name", name, text) for text in problems]
            if not problems and name in names:
                errors.append(duplicate(f"{here}.name", name))
            names.add(name)
        errors += check.port_number(f"{here}.containerPort", number) if number else [required(f"{here}.containerPort")]
        if host:
            errors += check.port_number(f"{here}.hostPort", host)
            if host_network and host != number:
                text = "must match `hostPort` when `hostNetwork` is true"
                errors.append(invalid(f"{here}.containerPort", number, text))
        errors += check.one_of(f"{here}.protocol", port.get("protocol", ""), PROTOCOLS, optional=False)
        if port.get("hostIP"):
            errors += [invalid(f"{here}.hostIP", port["hostIP"], text) for text in is_valid_ip(port["hostIP"])]
    return errors


def _ports_clash(path: str, ports: Sequence[Object], taken: set[str]) -> Errors:
    errors = []
    for index, port in enumerate(ports):
        if not port.get("hostPort"):
            continue
        key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
        if key in taken:
            errors.append(duplicate(f"{path}[{index}].hostPort", key))
        taken.add(key)
    return errors


def env_errors(path: str, variable: Object) -> Errors:
    """One entry of env."""
    name = variable.get("name", "")
    errors = [invalid(f"{path}.name", name, text) for text in is_env_var_name(name)] if name else []
    if not name:
        errors.append(required(f"{path}.name"))
    errors += check.no_null_byte(f"{path}.value", variable.get("value", ""))
    source = variable.get("valueFrom")
    if source is None:
        return errors
    here = f"{path}.valueFrom"
    given = [field for field in _ENV_SOURCES if source.get(field) is not None]
    if variable.get("value"):
        return [*errors, invalid(here, "", "may not be specified when `value` is not empty")]
    if not given:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        return [*errors, invalid(here, "", text)]
    if len(given) > 1:
        return [*errors, invalid(here, "", "may not have more than one field specified at a time")]
    return errors + _env_source(f"{here}.{given[0]}", given[0], source[given[0]])


def _env_source(path: str, kind: str, source: Object) -> Errors:
    if kind == "fieldRef":
        return field_ref_errors(path, source, FIELD_PATHS, ("metadata.labels", "metadata.annotations"))
    if kind == "resourceFieldRef":
        return resource_field_errors(path, source, needs_container=False)
    if kind == "fileKeyRef":
        return [required(f"{path}.{key}") for key in ("volumeName", "path", "key") if not source.get(key)]
    return key_ref_errors(path, source)


def key_ref_errors(path: str, source: Object) -> Errors:
    """configMapKeyRef and secretKeyRef."""
    errors = [] if source.get("name") else [required(f"{path}.name")]
    key = source.get("key", "")
    if not key:
        return [*errors, required(f"{path}.key")]
    return errors + [invalid(f"{path}.key", key, text) for text in is_config_map_key(key)]


def field_ref_errors(path: str, source: Object, supported: Sequence[str], subscripts: Sequence[str]) -> Errors:
    """A reference to one of the pod's own fields; `subscripts` take a ['key']."""
    field = source.get("fieldPath", "")
    if not source.get("apiVersion"):
        return [required(f"{path}.apiVersion")]
    if not field:
        return [required(f"{path}.fieldPath")]
    base, bracket, rest = field.partition("[")
    if bracket and base in subscripts and rest.endswith("']") and rest.startswith("'"):
        return []
    return [] if field in supported else [not_supported(f"{path}.fieldPath", field, supported)]


def resource_field_errors(path: str, source: Object, *, needs_container: bool) -> Errors:
    resource = source.get("resource", "")
    if needs_container and not source.get("containerName"):
        return [required(f"{path}.containerName")]
    if not resource:
        return [required(f"{path}.resource")]
    if resource in RESOURCE_FIELDS or resource.partition(".")[2].startswith("hugepages-"):
        return []
    return [not_supported(f"{path}.resource", resource, RESOURCE_FIELDS)]


def _env_from(path: str, source: Object) -> Errors:
    errors: Errors = []
    prefix = source.get("prefix", "")
    if prefix:
        errors += [invalid(f"{path}.prefix", prefix, text) for text in is_env_var_name(prefix)]
    given = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
    if not given:
        return [*errors, invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")]
    if len(given) > 1:
        return [*errors, invalid(path, "", "may not have more than one field specified at a time")]
    here = f"{path}.{given[0]}.name"
    return errors + check.name(here, source[given[0]].get("name", ""), is_dns1123_subdomain)


def _mounts(container: str, mounts: Sequence[Object], volumes: Collection[str]) -> Errors:
    errors: Errors = []
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        here = f"{container}.volumeMounts[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{here}.name"))
        elif name not in volumes:
            errors.append(not_found_field(f"{here}.name", name))
        if not target:
            errors.append(required(f"{here}.mountPath"))
        if target in paths:
            errors.append(invalid(f"{here}.mountPath", target, "must be unique"))
        paths.add(target)
        errors += check.no_null_byte(f"{here}.mountPath", target)
        if ":" in target:
            errors.append(invalid(f"{here}.mountPath", target, "must not contain ':'"))
        # Upstream's path leaves out the index here, and clients compare it.
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                where = f"{container}.volumeMounts.{field}"
                errors += check.relative_path(where, mount[field]) + check.no_null_byte(where, mount[field])
        if mount.get("subPath") and mount.get("subPathExpr"):
            errors.append(
                invalid(f"{here}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")
            )
        if mount.get("mountPropagation") is not None:
            supported = ("Bidirectional", "HostToContainer", "None")
            errors += check.one_of(f"{here}.mountPropagation", mount["mountPropagation"], supported)
    return errors
