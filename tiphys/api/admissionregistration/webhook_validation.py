"""What every webhook must say: a name of its own, an address, rules, and what it understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tiphys.api import field_checks as check
from tiphys.api.admissionregistration.matching_validation import condition_errors, policy_errors, rule_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import duplicate, invalid, not_supported, required

Object = Mapping[str, Any]
REVIEW_VERSIONS = ("v1", "v1beta1")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_URL_FORM = "desired format: https://host[/path]"


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    seen: set[str] = set()
    for index, hook in enumerate(obj.get("webhooks") or []):
        path, name = f"webhooks[{index}]", hook.get("name", "")
        errors += _webhook(path, hook)
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _webhook(path: str, hook: Object) -> Errors:
    errors = full_name_errors(f"{path}.name", hook.get("name", ""))
    errors += check.each(f"{path}.rules", hook.get("rules"), rule_errors)
    errors += policy_errors(path, hook)
    effects = hook.get("sideEffects")
    if effects is None:
        errors.append(required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in _SIDE_EFFECTS:
        errors.append(not_supported(f"{path}.sideEffects", effects, _SIDE_EFFECTS))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", seconds, text))
    policy = hook.get("reinvocationPolicy")
    if policy is not None and policy not in ("IfNeeded", "Never"):
        errors.append(not_supported(f"{path}.reinvocationPolicy", policy, ("IfNeeded", "Never")))
    errors += client_config_errors(f"{path}.clientConfig", hook.get("clientConfig") or {})
    errors += _versions(f"{path}.admissionReviewVersions", hook.get("admissionReviewVersions") or [])
    return errors + condition_errors(f"{path}.matchConditions", hook.get("matchConditions") or [])


def full_name_errors(path: str, name: str) -> Errors:
    """A name with a domain of its own behind it."""
    if not name:
        return [required(path)]
    errors = [invalid(path, name, text) for text in is_dns1123_subdomain(name)]
    if not errors and len(name.split(".")) < 3:
        errors.append(invalid(path, name, "should be a domain with at least three segments separated by dots"))
    return errors


def client_config_errors(path: str, config: Object) -> Errors:
    """Exactly one of a URL and a service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if service is None:
        return _url(f"{path}.url", url or "")
    errors = [required(f"{path}.service.{field}") for field in ("name", "namespace") if not service.get(field)]
    if service.get("path") is not None and not service["path"].startswith("/"):
        errors.append(invalid(f"{path}.service.path", service["path"], "must start with a '/'"))
    return errors + check.port_number(f"{path}.service.port", service.get("port") or 0)


def _url(path: str, text: str) -> Errors:
    try:
        url = urlsplit(text)
        host = url.netloc
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}; {_URL_FORM}")]
    errors: Errors = []
    if url.scheme != "https":
        detail = f"'https' is the only allowed URL scheme; {_URL_FORM}"
        errors.append(invalid(path, url.scheme, detail))
    if not host:
        errors.append(invalid(path, host, f"host must be specified; {_URL_FORM}"))
    if "@" in host:
        user = host.partition("@")[0]
        errors.append(invalid(path, user, "user information is not permitted in the URL"))
    if url.fragment:
        errors.append(invalid(path, url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        errors.append(invalid(path, url.query, "query parameters are not permitted in the URL"))
    return errors


def _versions(path: str, versions: list[str]) -> Errors:
    if not versions:
        return [required(path, "must specify one of v1, v1beta1")]
    errors: Errors = []
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            errors.append(invalid(f"{path}[{index}]", version, "duplicate version"))
        seen.add(version)
    if not seen & set(REVIEW_VERSIONS):
        errors.append(invalid(path, versions, "must include at least one of v1, v1beta1"))
    return errors
