"""A service account's `secrets` are names in its own namespace and nothing else."""

from typing import Any

JsonObject = dict[str, Any]


def prepare_for_create(account: JsonObject) -> None:
    _clean(account)


def prepare_for_update(new: JsonObject, old: JsonObject) -> None:
    _clean(new)


def _clean(account: JsonObject) -> None:
    if secrets := account.get("secrets"):
        account["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in secrets]
