"""How nodes are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, UNKNOWN, age_of, name_of

JsonObject = dict[str, Any]

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"

columns = (
    NAME,
    Column("Status", description="Whether the node is ready and takes new pods."),
    Column("Roles", description="What the node's labels say it is for."),
    AGE,
    Column("Version", description="The version its agent reports."),
    Column("Internal-IP", priority=1, description="Its address inside the cluster."),
    Column("External-IP", priority=1, description="Its address outside the cluster."),
    Column("OS-Image", priority=1, description="The operating system it runs."),
    Column("Kernel-Version", priority=1, description="The kernel it runs."),
    Column("Container-Runtime", priority=1, description="What runs its containers."),
)


def cells(node: JsonObject, now: datetime) -> list[Any]:
    status = node.get("status", {})
    facts = status.get("nodeInfo") or {}
    return [
        name_of(node),
        status_text(node),
        ",".join(roles(node)) or NONE,
        age_of(node, now),
        facts.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        facts.get("osImage") or UNKNOWN,
        facts.get("kernelVersion") or UNKNOWN,
        facts.get("containerRuntimeVersion") or UNKNOWN,
    ]


def status_text(node: JsonObject) -> str:
    """Ready, NotReady or Unknown, and SchedulingDisabled on a cordoned node."""
    words = [
        "Ready" if condition.get("status") == "True" else "NotReady"
        for condition in node.get("status", {}).get("conditions") or ()
        if condition.get("type") == "Ready"
    ][-1:] or ["Unknown"]
    if node.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def roles(node: JsonObject) -> list[str]:
    labels = node.get("metadata", {}).get("labels") or {}
    found = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)} - {""}
    if labels.get(ROLE_LABEL):
        found.add(labels[ROLE_LABEL])
    return sorted(found)


def _address(status: JsonObject, type_: str) -> str:
    matching = (item.get("address", "") for item in status.get("addresses") or () if item.get("type") == type_)
    return next(matching, NONE)
