"""The cluster as its history tells it, write by write, and what must hold after each write.

The rules are said in terms of what is really there, not of what any cache shows.  A bound that a person changed holds
in its loosest recent form for GRACE_SECONDS, the longest that news take to arrive here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from apiserver.storage.store import Event

Obj = dict[str, Any]
POD_PREFIX = "/registry/core/pods/"
GRACE_SECONDS = 240.0
FOLLOWED = frozenset({
    "pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "poddisruptionbudgets",
    "serviceaccounts", "persistentvolumeclaims", "services", "namespaces", "customresourcedefinitions", "events",
})  # fmt: skip


class World:
    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Obj]] = {}
        self._bounds: dict[tuple[str, str], list[tuple[float, int]]] = {}
        self.complaints: list[str] = []
        self.lines: deque[str] = deque(maxlen=60)  # the newest writes, for whoever reads a failure
        self.listeners: list[Callable[[str, Obj | None, Obj | None], None]] = []
        self.ended: dict[str, dict[str, str]] = {}  # Job uid -> pod uid -> phase, of pods that ended with the finalizer
        self.made: dict[str, int] = {}  # Job uid -> how many pods it ever had
        self.started: set[str] = set()  # names of Jobs ever made by a CronJob
        self.guarded = True  # only controllers delete pods: then availability is their doing

    # Reading

    def all(self, plural: str) -> Mapping[str, Obj]:
        """By "namespace/name", or "/name"."""
        return self._objects.get(plural, {})

    def get(self, plural: str, name: str) -> Obj | None:
        return self.all(plural).get(f"default/{name}")

    def status(self, plural: str, name: str) -> Obj:
        found: Obj = (self.get(plural, name) or {}).get("status", {})
        return found

    def pods_of(self, uid: str) -> list[Obj]:
        return [pod for pod in self.all("pods").values() if (owner_of(pod) or {}).get("uid") == uid]

    def pods_of_deployment(self, uid: str) -> list[Obj]:
        sets = [rs["metadata"]["uid"] for rs in self.all("replicasets").values() if (owner_of(rs) or {})["uid"] == uid]
        return [pod for one in sets for pod in self.pods_of(one)]

    def keep_everything(self, wanted: bool) -> None:
        if wanted:
            self.lines = deque(self.lines)

    def describe(self) -> str:
        return "\n".join(self.lines)

    def check(self) -> None:
        if self.complaints:
            raise AssertionError("\n".join([*self.complaints[:5], "", self.describe()]))

    # Being told

    def see(self, event: Event) -> None:
        plural, _, name = event.entry.key.split("/", 3)[-1].partition("/")
        if plural not in FOLLOWED:
            return
        held = self._objects.setdefault(plural, {})
        key = name if "/" in name else f"/{name}"
        old = held.get(key)
        new: Obj | None = None if event.deleted else orjson.loads(event.entry.value)
        if new is None:
            held.pop(key, None)
        else:
            held[key] = new
        at = asyncio.get_running_loop().time()
        self.lines.append(f"{at:9.3f} {plural} {key} {summary(plural, old, new)}")
        self._check(plural, old, new)
        for listener in self.listeners:
            listener(plural, old, new)

    def _check(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        if plural == "pods":
            if old is None and new is not None:
                self._pod_came(new)
            elif old is not None and is_live(old) and (new is None or "deletionTimestamp" in new["metadata"]):
                self._pod_goes(old)
            if new is not None and old is not None:
                self._pod_changed(old, new)
        elif new is not None and plural == "jobs":
            self._job_changed(old, new)
        if new is not None and plural in ("replicasets", "deployments", "jobs"):
            for name, value in bounds(plural, new).items():
                self._note(new["metadata"]["uid"], name, value)

    # Bounds that people move

    def _note(self, uid: str, name: str, value: int) -> None:
        known, now = self._bounds.setdefault((uid, name), []), asyncio.get_running_loop().time()
        if not known or known[-1][1] != value:
            known.append((now, value))

    def _recent(self, uid: str, name: str, loosest: Callable[[Iterable[int]], int]) -> int:
        known, now = self._bounds[uid, name], asyncio.get_running_loop().time()
        ends = [at for at, _ in known[1:]] + [now]
        return loosest(value for (_, value), end in zip(known, ends, strict=True) if end >= now - GRACE_SECONDS)

    def _demand(self, holds: bool, text: str) -> None:
        if not holds:
            self.complaints.append(f"{asyncio.get_running_loop().time():.3f}: {text}")

    # The rules

    def _pod_came(self, pod: Obj) -> None:
        owner = owner_of(pod)
        if owner is None:
            return
        uid, live = owner["uid"], [one for one in self.pods_of(owner["uid"]) if is_live(one)]
        if owner["kind"] == "ReplicaSet":
            most = self._recent(uid, "replicas", max)
            self._demand(len(live) <= most, f"{owner['name']} has {len(live)} pods, more than {most}")
            self._deployment_grew(owner)
        elif owner["kind"] == "Job":
            self.made[uid] = self.made.get(uid, 0) + 1
            self._job_grew(owner, live)
        elif owner["kind"] == "DaemonSet":
            daemon_set = self.get("daemonsets", owner["name"])
            here = [one for one in live if node_of(one) == node_of(pod)]
            surge = bool(daemon_set and amount(rolling(daemon_set).get("maxSurge", 0), 10))
            self._demand(len(here) <= 1 + surge, f"{len(here)} pods of {owner['name']} on {node_of(pod)}")
        elif owner["kind"] == "StatefulSet":
            ordinals = [one["metadata"]["name"].rpartition("-")[2] for one in self.pods_of(uid)]
            self._demand(len(set(ordinals)) == len(ordinals), f"{owner['name']}: an identity twice in {ordinals}")

    def _deployment_grew(self, owner: Obj) -> None:
        replica_set = self.get("replicasets", owner["name"])
        above = owner_of(replica_set) if replica_set else None
        if above is not None and ("uid" in above) and (above["uid"], "most") in self._bounds:
            live = [one for one in self.pods_of_deployment(above["uid"]) if is_live(one)]
            most = self._recent(above["uid"], "most", max)
            self._demand(len(live) <= most, f"Deployment {above['name']} has {len(live)} pods, more than {most}")

    def _job_grew(self, owner: Obj, live: list[Obj]) -> None:
        job = self.get("jobs", owner["name"])
        if job is None:
            return
        most = self._recent(owner["uid"], "parallelism", max)
        self._demand(len(live) <= most, f"Job {owner['name']} has {len(live)} pods at once, more than {most}")
        done = list(self.ended.get(owner["uid"], {}).values()).count("Succeeded")
        completions = job["spec"].get("completions")
        if completions is not None:
            self._demand(len(live) + done <= completions, f"Job {owner['name']}: {done} succeeded and {len(live)} run")
        indexes = [index_of(one) for one in live]
        self._demand(None in indexes or len(set(indexes)) == len(indexes), f"indexes run twice: {indexes}")

    def _pod_goes(self, pod: Obj) -> None:
        """A pod that served is being deleted."""
        if not is_ready(pod):
            return
        self._budgets_hold(pod)
        owner = owner_of(pod)
        if owner is None or not self.guarded:
            return
        if owner["kind"] == "ReplicaSet":
            replica_set = self.get("replicasets", owner["name"])
            above = owner_of(replica_set) if replica_set else None
            if above is None or self.get("deployments", above["name"]) is None:
                return
            ready = sum(is_live(one) and is_ready(one) for one in self.pods_of_deployment(above["uid"]))
            least = self._recent(above["uid"], "least", min)
            self._demand(ready >= least, f"Deployment {above['name']} has {ready} available pods, fewer than {least}")
        elif owner["kind"] in ("StatefulSet", "DaemonSet"):
            workload = self.get(f"{owner['kind'].lower()}s", owner["name"])
            if workload is None or "deletionTimestamp" in workload["metadata"]:
                return
            wanted = workload["spec"].get("replicas", 3)
            ready = sum(is_live(one) and is_ready(one) for one in self.pods_of(owner["uid"]))
            away = amount(rolling(workload).get("maxUnavailable", 1), wanted)
            self._demand(ready >= wanted - max(1, away), f"{owner['name']}: only {ready} of {wanted} available")

    def _budgets_hold(self, pod: Obj) -> None:
        for budget in self.all("poddisruptionbudgets").values():
            if not matches(budget, pod) or not any(
                one["type"] == "DisruptionTarget" for one in pod.get("status", {}).get("conditions", ())
            ):
                continue
            healthy = sum(is_live(one) and is_ready(one) for one in self.all("pods").values() if matches(budget, one))
            least = budget["spec"]["minAvailable"]
            self._demand(healthy >= least, f"an eviction left {healthy} healthy pods, the budget wants {least}")

    def _pod_changed(self, old: Obj, new: Obj) -> None:
        owner, before = owner_of(new), old.get("status", {}).get("phase")
        phase = new.get("status", {}).get("phase")
        if owner is None or owner["kind"] != "Job" or phase not in ("Succeeded", "Failed") or phase == before:
            return
        uid = new["metadata"]["uid"]
        tracked = "batch.kubernetes.io/job-tracking" in new["metadata"].get("finalizers", ())
        known = self.ended.setdefault(owner["uid"], {})
        self._demand(before not in ("Succeeded", "Failed"), f"pod {new['metadata']['name']} ended twice")
        if tracked:
            known[uid] = phase

    def _job_changed(self, old: Obj | None, job: Obj) -> None:
        uid, name = job["metadata"]["uid"], job["metadata"]["name"]
        owner = owner_of(job)
        if old is None and owner is not None and owner["kind"] == "CronJob":
            self._demand(name not in self.started, f"Job {name} of a CronJob was started twice")
            self.started.add(name)
        status = job.get("status", {})
        ended = list(self.ended.get(uid, {}).values())
        for count, phase in (("succeeded", "Succeeded"), ("failed", "Failed")):
            before = (old or {}).get("status", {}).get(count, 0)
            counted = status.get(count, 0)
            self._demand(counted >= before, f"Job {name}: {count} went from {before} to {counted}")
            if phase == "Succeeded":
                real = ended.count(phase)
                self._demand(counted <= real, f"Job {name} counts {counted} {count}, but {real} pods did")
        over = [one["type"] for one in status.get("conditions", ()) if one["type"] in ("Complete", "Failed")]
        if over:
            text = f"Job {name} is over with {status}, but its {self.made.get(uid, 0)} pods ended {ended}"
            parked = status.get("uncountedTerminatedPods") or {}
            self._demand(not parked.get("succeeded") and not parked.get("failed"), text)
            good = ended.count("Succeeded")
            self._demand(status.get("succeeded", 0) == good, text)
            # A job that failed ends what still runs, and that counts as failed without being waited for.
            # Nor is one that was deleted before it had a node.
            self._demand(status.get("failed", 0) == self.made.get(uid, 0) - good, text)


def owner_of(obj: Obj) -> Obj | None:
    return next((one for one in obj["metadata"].get("ownerReferences", ()) if one.get("controller")), None)


def is_live(pod: Obj) -> bool:
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Obj) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def node_of(pod: Obj) -> str:
    """Where it is, or where it must go."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", ()):
        for one in term.get("matchFields", ()):
            return str(one["values"][0])
    return str(pod["spec"].get("nodeName", ""))


def index_of(pod: Obj) -> str | None:
    return pod["metadata"].get("annotations", {}).get("batch.kubernetes.io/job-completion-index")  # type: ignore[no-any-return]


def matches(budget: Obj, pod: Obj) -> bool:
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in budget["spec"]["selector"]["matchLabels"].items())


def rolling(workload: Obj) -> Obj:
    strategy = workload["spec"].get("strategy") or workload["spec"].get("updateStrategy") or {}
    found: Obj = strategy.get("rollingUpdate") or {}
    return found


def amount(value: Any, of: int, *, up: bool = False) -> int:
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * of
    return -(-share // 100) if up else share // 100


def bounds(plural: str, obj: Obj) -> dict[str, int]:
    """What the object allows: "most" pods, "least" available ones, and so on."""
    spec = obj["spec"]
    if plural == "jobs":
        return {"parallelism": spec.get("parallelism", 1)}
    replicas = spec.get("replicas", 1)
    if plural == "replicasets":
        return {"replicas": replicas}
    if spec.get("strategy", {}).get("type") == "Recreate":
        return {"most": replicas, "least": 0}
    surge = amount(rolling(obj).get("maxSurge", "25%"), replicas, up=True)
    away = amount(rolling(obj).get("maxUnavailable", "25%"), replicas)
    return {"most": replicas + surge, "least": replicas - (away if surge or away else 1)}


def summary(plural: str, old: Obj | None, new: Obj | None) -> str:
    if new is None:
        return "gone"
    spec, status = new.get("spec", {}), new.get("status", {})
    words = ["new" if old is None else "deleting" if "deletionTimestamp" in new["metadata"] else ""]
    if plural == "pods":
        words += [status.get("phase", ""), "ready" if is_ready(new) else "", spec.get("nodeName", "")]
    elif plural == "events":
        words = [new.get("reason", ""), new.get("message", ""), f"x{new['count']}" if new.get("count", 1) > 1 else ""]
    else:
        words.append(f"replicas={spec['replicas']}" if "replicas" in spec else "")
        numbers = {
            key: value for key, value in status.items() if isinstance(value, int) and key != "observedGeneration"
        }
        words.append(" ".join(f"{key}={value}" for key, value in numbers.items()))
    return " ".join(word for word in words if word)
