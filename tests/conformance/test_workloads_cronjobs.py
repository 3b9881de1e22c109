"""CronJobs: four of them share two minutes, because that is how long two runs of the shortest schedule take."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from tests.conformance.api import Api, eventually
from tests.conformance.cluster import Cluster
from tests.conformance.rows import row
from tests.conformance.test_workloads_jobs import job, jobs
from tests.conformance.workloads import owners, path

TICKS_SECONDS = 150.0
POLICIES = {"forbid": "Forbid", "replace": "Replace", "allow": "Allow", "suspended": "Allow"}


def cron_jobs(namespace: str, name: str = "") -> str:
    return path(namespace, "cronjobs", name, "batch")


def jobs_of(api: Api, namespace: str, name: str) -> list[str]:
    found = [one for one in api.items(jobs(namespace)) if [owner["name"] for owner in owners(one)] == [name]]
    return sorted(one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"])


def active(api: Api, namespace: str, name: str) -> list[str]:
    found = api.get(cron_jobs(namespace, name))["status"].get("active", [])
    return sorted(one["name"] for one in found)


@dataclass(frozen=True)
class Seen:
    """What the four CronJobs looked like after two ticks; `first` is each one's first run."""

    first: dict[str, str]
    jobs: dict[str, list[str]]
    active: dict[str, list[str]]


@pytest.fixture(scope="module")
def seen(cluster: Cluster) -> Seen:
    api, namespace = cluster.api, f"cron-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    for name, policy in POLICIES.items():
        template = {"spec": job("never")["spec"]}
        spec = {"schedule": "*/1 * * * *", "concurrencyPolicy": policy, "jobTemplate": template}
        spec["suspend"] = name == "suspended"
        api.create(cron_jobs(namespace), {"metadata": {"name": name}, "spec": spec})
    first = {}
    for name in ("forbid", "replace"):
        found = eventually(lambda name=name: jobs_of(api, namespace, name) or None, "a first run", TICKS_SECONDS, 0.5)
        first[name] = found[0]

    def ticked() -> bool:
        replaced = jobs_of(api, namespace, "replace")
        return len(active(api, namespace, "allow")) >= 2 and len(replaced) == 1 and replaced[0] != first["replace"]

    eventually(ticked, "a second tick", TICKS_SECONDS, 0.5)
    result = Seen(
        first,
        {name: jobs_of(api, namespace, name) for name in POLICIES},
        {name: active(api, namespace, name) for name in POLICIES},
    )
    api.call("DELETE", f"/api/v1/namespaces/{namespace}")
    return result


@pytest.mark.timeout(400)
@row(103, "CronJob Suspend")
def test_a_suspended_cronjob_runs_nothing(seen: Seen) -> None:
    assert seen.jobs["suspended"] == seen.active["suspended"] == []


@pytest.mark.timeout(400)
@row(104, "CronJob ForbidConcurrent")
def test_a_run_forbids_the_next(seen: Seen) -> None:
    assert seen.jobs["forbid"] == seen.active["forbid"] == [seen.first["forbid"]]


@pytest.mark.timeout(400)
@row(105, "CronJob ReplaceConcurrent")
def test_a_run_is_replaced_by_the_next(seen: Seen) -> None:
    assert seen.jobs["replace"] == seen.active["replace"] != [seen.first["replace"]]
    assert len(seen.jobs["replace"]) == 1


@pytest.mark.timeout(400)
@row(106, "CronJob AllowConcurrent")
def test_runs_go_on_beside_one_another(seen: Seen) -> None:
    assert len(seen.jobs["allow"]) >= 2 and seen.active["allow"] == seen.jobs["allow"]
