"""A deployment's generation counts changes of its annotations too: the controller copies them to its ReplicaSets."""

from typing import Any

generation_counts_annotations = True


def prepare_status_update(new: dict[str, Any], old: dict[str, Any]) -> None:
    metadata, before = new.setdefault("metadata", {}), old.get("metadata", {})
    metadata.pop("labels", None)
    if before.get("labels"):
        metadata["labels"] = before["labels"]
