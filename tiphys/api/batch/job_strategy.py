"""A new job gets a selector of its own, made from its uid, unless its creator manages that."""

from typing import Any

JsonObject = dict[str, Any]


def prepare_for_create(job: JsonObject) -> None:
    spec, metadata = job.setdefault("spec", {}), job.setdefault("metadata", {})
    if spec.get("manualSelector") or not metadata.get("uid"):
        return
    uid, name = metadata["uid"], metadata.get("name", "")
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = {
        **(template.get("labels") or {}),
        "job-name": name,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
    }
    if not metadata.get("labels"):
        metadata["labels"] = dict(template["labels"])
    selector = spec.setdefault("selector", {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), "batch.kubernetes.io/controller-uid": uid}


selectable_fields = {"status.successful": lambda job: str(job.get("status", {}).get("succeeded") or 0)}
