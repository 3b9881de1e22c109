"""The spec of a pod or of a pod template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.container_validation import containers_errors, resize_policy_errors
from tiphys.api.core.resources_validation import requirements_errors
from tiphys.api.core.scheduling_validation import affinity_errors, toleration_errors, topology_spread_errors
from tiphys.api.core.security_validation import pod_security_context_errors
from tiphys.api.core.volume_validation import volumes_errors
from tiphys.api.field_checks import MAX_INT32, Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name, is_valid_ip
from tiphys.api.status import duplicate, forbidden_field, invalid, not_supported, required, too_long

Object = Mapping[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_MAX_HOSTNAME = 64
_MAX_NAMESERVERS, _MAX_SEARCHES, _MAX_SEARCH_CHARS = 3, 32, 2048


def pod_spec_errors(path: str, spec: Object) -> Errors:
    """Everything that is wrong with the spec at `path`."""
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or []}
    host_network = bool(spec.get("hostNetwork"))
    errors = volumes_errors(f"{path}.volumes", spec.get("volumes") or [])
    containers = spec.get("containers") or []
    names: set[str] = set()
    if not containers:
        errors.append(required(f"{path}.containers"))
    for field, init in (("containers", False), ("initContainers", True)):
        here = f"{path}.{field}"
        errors += containers_errors(
            here, spec.get(field) or [], volumes, host_network=host_network, taken=names, init=init
        )
        for index, container in enumerate(spec.get(field) or []):
            policies = container.get("resizePolicy") or []
            errors += resize_policy_errors(f"{here}[{index}].resizePolicy", policies, spec.get("restartPolicy", ""))
    errors += _policies(path, spec)
    errors += check.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    errors += pod_security_context_errors(f"{path}.securityContext", spec.get("securityContext") or {}, spec)
    errors += check.each(f"{path}.imagePullSecrets", spec.get("imagePullSecrets"), _pull_secret)
    errors += affinity_errors(f"{path}.affinity", spec.get("affinity") or {})
    errors += _dns(path, spec)
    errors += check.each(f"{path}.readinessGates", spec.get("readinessGates"), _readiness_gate)
    errors += topology_spread_errors(f"{path}.topologySpreadConstraints", spec.get("topologySpreadConstraints") or [])
    errors += _names(path, spec)
    errors += check.each(f"{path}.tolerations", spec.get("tolerations"), toleration_errors)
    errors += check.each(f"{path}.hostAliases", spec.get("hostAliases"), _host_alias)
    if spec.get("resources"):
        errors += requirements_errors(f"{path}.resources", spec["resources"])
    return errors + _scheduling_gates(f"{path}.schedulingGates", spec.get("schedulingGates") or [])


def _policies(path: str, spec: Object) -> Errors:
    errors = check.one_of(f"{path}.restartPolicy", spec.get("restartPolicy", ""), RESTART_POLICIES, optional=False)
    errors += check.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy", ""), DNS_POLICIES, optional=False)
    if spec.get("preemptionPolicy") is not None:
        supported = ("Never", "PreemptLowerPriority")
        errors += check.one_of(f"{path}.preemptionPolicy", spec["preemptionPolicy"], supported, optional=False)
    if spec.get("os") is not None:
        errors += check.one_of(f"{path}.os.name", spec["os"].get("name", ""), ("linux", "windows"), optional=False)
    return errors + check.within(f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1, MAX_INT32)


def _names(path: str, spec: Object) -> Errors:
    subdomains = ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName")
    errors: Errors = []
    for field in subdomains:
        errors += check.optional_name(f"{path}.{field}", spec.get(field), is_dns1123_subdomain)
    for field in ("hostname", "subdomain"):
        errors += check.optional_name(f"{path}.{field}", spec.get(field), is_dns1123_label)
    return errors + _hostname_override(f"{path}.hostnameOverride", spec)


def _hostname_override(path: str, spec: Object) -> Errors:
    name = spec.get("hostnameOverride")
    if name is None:
        return []
    errors = [invalid(path, name, text) for text in is_dns1123_subdomain(name)]
    if len(name) > _MAX_HOSTNAME:
        errors.append(too_long(path, _MAX_HOSTNAME))
    for field in ("hostNetwork", "setHostnameAsFQDN"):
        if spec.get(field):
            errors.append(forbidden_field(path, f"may not be specified when {field} is true"))
    return errors


def _dns(path: str, spec: Object) -> Errors:
    config = spec.get("dnsConfig")
    here = f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(here, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{here}.nameservers", text)]
    errors: Errors = []
    servers, searches = (config or {}).get("nameservers") or [], (config or {}).get("searches") or []
    if len(servers) > _MAX_NAMESERVERS:
        text = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        errors.append(invalid(f"{here}.nameservers", servers, text))
    for index, server in enumerate(servers):
        errors += [invalid(f"{here}.nameservers[{index}]", server, text) for text in is_valid_ip(server)]
    if len(searches) > _MAX_SEARCHES:
        errors.append(invalid(f"{here}.searches", searches, f"must not have more than {_MAX_SEARCHES} search paths"))
    if len(" ".join(searches)) > _MAX_SEARCH_CHARS:
        text = f"must not have more than {_MAX_SEARCH_CHARS} characters (including spaces) in the search list"
        errors.append(invalid(f"{here}.searches", searches, text))
    for index, search in enumerate(searches):
        plain = search.removesuffix(".")
        problems = is_dns1123_subdomain(plain) if plain and search != "." else []
        errors += [invalid(f"{here}.searches[{index}]", search, text) for text in problems]
    for index, option in enumerate((config or {}).get("options") or []):
        if not option.get("name"):
            errors.append(required(f"{here}.options[{index}]"))
    return errors


def _pull_secret(path: str, reference: Object) -> Errors:
    return [] if reference.get("name") else [required(f"{path}.name")]


def _readiness_gate(path: str, gate: Object) -> Errors:
    name = gate.get("conditionType", "")
    return [invalid(f"{path}.conditionType", name, text) for text in is_qualified_name(name)]


def _host_alias(path: str, alias: Object) -> Errors:
    errors = [invalid(f"{path}.ip", alias.get("ip", ""), text) for text in is_valid_ip(alias.get("ip", ""))]
    for index, host in enumerate(alias.get("hostnames") or []):
        errors += [invalid(f"{path}.hostnames[{index}]", host, text) for text in is_dns1123_subdomain(host)]
    return errors


def _scheduling_gates(path: str, gates: list[Object]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        errors += [invalid(f"{path}[{index}]", name, text) for text in is_qualified_name(name)]
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return errors


def pod_template_errors(path: str, template: Object) -> Errors:
    """A pod template, whatever its pods are for."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    errors = check.labels(f"{path}.metadata.labels", metadata.get("labels"))
    errors += annotation_errors(f"{path}.metadata.annotations", metadata.get("annotations"))
    errors += pod_spec_errors(f"{path}.spec", spec)
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        errors.append(forbidden_field(f"{path}.spec.ephemeralContainers", text))
    return errors


def annotation_errors(path: str, annotations: Object | None) -> Errors:
    return [invalid(path, key, text) for key in annotations or {} for text in is_qualified_name(key.lower())]


def template_errors(path: str, template: Object, *, kind: str) -> Errors:
    """The pod template of a workload that keeps its pods running."""
    spec = template.get("spec") or {}
    errors = pod_template_errors(path, template)
    policy = spec.get("restartPolicy", "")
    if policy in RESTART_POLICIES and policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden_field(f"{path}.spec.activeDeadlineSeconds", text))
    return errors
