"""spec.conversion of a definition: none, or a webhook that says how it is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from tiphys.api.status import FieldError, forbidden_field, invalid, not_supported, required


def conversion_errors(conversion: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    strategy, webhook = conversion.get("strategy", ""), conversion.get("webhook")
    if not strategy:
        yield required(f"{path}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))
    if strategy == "None" and webhook is not None:
        text = "should not be set when strategy is not set to Webhook"
        yield forbidden_field(f"{path}.webhookClientConfig", text)
    if strategy == "Webhook":
        yield from _webhook(webhook or {}, path)


def _webhook(webhook: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    config = webhook.get("clientConfig")
    where = f"{path}.webhookClientConfig"
    if config is None:
        yield required(where, "required when strategy is set to Webhook")
    elif (config.get("url") is None) is (config.get("service") is None):
        yield required(where, "exactly one of url or service is required")
    elif config.get("url") is not None:
        yield from _url(config["url"], f"{where}.url")
    else:
        for name in ("namespace", "name"):
            if not config["service"].get(name):
                yield required(f"{where}.service.{name}", f"service {name} is required")
    versions = webhook.get("conversionReviewVersions") or ()
    if not versions:
        yield required(f"{path}.conversionReviewVersions")
    elif not {"v1", "v1beta1"} & set(versions):
        text = "must include at least one of v1, v1beta1"
        yield invalid(f"{path}.conversionReviewVersions", list(versions), text)


def _url(url: str, path: str) -> Iterator[FieldError]:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https":
        text = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        yield invalid(path, parts.scheme, text)
    if not parts.netloc:
        yield invalid(path, parts.netloc, "host must be specified; desired format: https://host[/path]")
