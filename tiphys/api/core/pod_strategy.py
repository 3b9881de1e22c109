"""What a write to a pod resets and what its deletion waits for."""

from typing import Any

from tiphys.api.core.pod_qos import qos_class

JsonObject = dict[str, Any]


def prepare_for_create(pod: JsonObject) -> None:
    spec = pod.setdefault("spec", {})
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if name := spec.get("serviceAccountName"):
        spec["serviceAccount"] = name
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": None,
            }
        ]


def prepare_for_update(new: JsonObject, old: JsonObject) -> None:
    spec = new.setdefault("spec", {})
    if name := spec.get("serviceAccountName"):
        spec["serviceAccount"] = name


def prepare_status_update(new: JsonObject, old: JsonObject) -> None:
    status, before = new.setdefault("status", {}), old.get("status", {})
    if not status.get("qosClass") and before.get("qosClass"):
        status["qosClass"] = before["qosClass"]


def grace_period_seconds(pod: JsonObject, asked: int | None) -> int:
    """A pod that never reached a node, or has ended, goes at once; no asked time is below a second otherwise."""
    spec = pod.get("spec", {})
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
    if not spec.get("nodeName") or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return 1 if period < 0 else int(period)


def _spec(name: str, default: str = "") -> Any:
    return lambda pod: str(pod.get("spec", {}).get(name) or default)


def _status(name: str) -> Any:
    return lambda pod: str(pod.get("status", {}).get(name) or "")


def _pod_ip(pod: JsonObject) -> str:
    status = pod.get("status", {})
    addresses = status.get("podIPs") or [{"ip": status.get("podIP", "")}]
    return str(addresses[0].get("ip", ""))


selectable_fields = {
    "spec.nodeName": _spec("nodeName"),
    "spec.restartPolicy": _spec("restartPolicy"),
    "spec.schedulerName": _spec("schedulerName"),
    "spec.serviceAccountName": _spec("serviceAccountName"),
    "spec.hostNetwork": lambda pod: "true" if pod.get("spec", {}).get("hostNetwork") else "false",
    "status.phase": _status("phase"),
    "status.podIP": _pod_ip,
    "status.nominatedNodeName": _status("nominatedNodeName"),
}
