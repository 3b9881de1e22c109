"""Jobs: exact counts whatever pods do.  What a container would have answered is said by an annotation of its pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import (
    IMAGE,
    NEVER,
    SECONDS,
    condition,
    is_active,
    is_controlled_by,
    owners,
    path,
    pods,
    wait,
)

INDEX = "batch.kubernetes.io/job-completion-index"
EXIT = "tiphys.dev/simulated-exit"


def jobs(namespace: str, name: str = "") -> str:
    return path(namespace, "jobs", name, "batch")


def job(exits: str = "", *, name: str = "work", policy: str = "Never", **spec: Any) -> Object:
    """`exits`: the exit code of every pod, "never", or "" for what a simulated node does (0)."""
    annotations = {EXIT: exits} if exits else {}
    container = {"name": "c", "image": IMAGE}
    shape = {"metadata": {"annotations": annotations}, "spec": {"restartPolicy": policy, "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"template": shape, **spec}}


def pods_of(api: Api, namespace: str, name: str = "work") -> list[Object]:
    return pods(api, namespace, f"batch.kubernetes.io/job-name={name}")


def index_of(pod: Object) -> int:
    return int(pod["metadata"]["annotations"][INDEX])


def running(api: Api, namespace: str, count: int, name: str = "work") -> list[Object]:
    def probe() -> list[Object] | None:
        found = [p for p in pods_of(api, namespace, name) if is_active(p) and p["status"].get("phase") == "Running"]
        return found if len(found) == count else None

    return eventually(probe, f"{count} running pods of {name}", SECONDS)


def end(api: Api, pod: Object, code: int) -> None:
    one = path(pod["metadata"]["namespace"], "pods", pod["metadata"]["name"])
    api.call(
        "PATCH", one, {"metadata": {"annotations": {EXIT: str(code)}}}, content_type="application/merge-patch+json"
    )


def finished(api: Api, namespace: str, type: str, code_of: Callable[[int], int | None] | None = None) -> Object:
    """Wait until the Job is Complete or Failed; `code_of` says how pods of an index end (None: they go on)."""

    def probe() -> Object | None:
        for pod in pods_of(api, namespace) if code_of is not None else ():
            assert code_of is not None
            code = code_of(index_of(pod))
            if code is not None and is_active(pod) and pod["metadata"]["annotations"].get(EXIT) != str(code):
                end(api, pod, code)
        found = api.get(jobs(namespace, "work"))
        if condition(found, "Complete") or condition(found, "Failed"):
            return found
        return None

    found = eventually(probe, "the job has ended", SECONDS, 0.1)
    assert condition(found, type).get("status") == "True", found["status"]
    return found


@row(128, "Jobs, orphan pods, re-adoption")
def test_a_job_adopts_its_orphans_and_releases_strangers(api: Api, namespace: str) -> None:
    made = api.create(jobs(namespace), job("never", parallelism=2, completions=4))
    pod = running(api, namespace, 2)[0]
    one = path(namespace, "pods", pod["metadata"]["name"])
    api.patch(one, {"metadata": {"ownerReferences": None}})
    wait(api, one, lambda found: is_controlled_by(found, made), "is adopted again")
    api.patch(one, {"metadata": {"labels": dict.fromkeys(pod["metadata"]["labels"])}})
    wait(api, one, lambda found: not owners(found), "is released")


@row(129, "Ensure pod failure policy allows to ignore failure matching on the DisruptionTarget condition")
def test_a_disruption_can_be_ignored(api: Api, namespace: str) -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    spec = {"completionMode": "Indexed", "parallelism": 2, "completions": 2, "backoffLimit": 0}
    api.create(jobs(namespace), job("never", podFailurePolicy={"rules": [rule]}, **spec))
    evicted = {pod["metadata"]["uid"] for pod in running(api, namespace, 2)}
    for pod in running(api, namespace, 2):
        name = pod["metadata"]["name"]
        api.create(f"{path(namespace, 'pods', name)}/eviction", {"metadata": {"name": name}})

    def replaced() -> bool:
        found = [pod for pod in pods_of(api, namespace) if is_active(pod)]
        return len(found) == 2 and not evicted & {pod["metadata"]["uid"] for pod in found}

    eventually(replaced, "other pods", SECONDS)
    assert finished(api, namespace, "Complete", lambda index: 0)["status"]["succeeded"] == 2


@row(130, "Verify Pod Failure policy allows to fail job early on exit code.")
def test_an_exit_code_can_fail_a_job_at_once(api: Api, namespace: str) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}
    spec = {"parallelism": 2, "completions": 4, "backoffLimit": 9}
    api.create(jobs(namespace), job("never", podFailurePolicy={"rules": [rule]}, **spec))
    end(api, running(api, namespace, 2)[0], 42)
    assert condition(finished(api, namespace, "Failed"), "Failed")["reason"] == "PodFailurePolicy"


@row(131, "Jobs, apply changes to status")
def test_the_status_of_a_job(api: Api, namespace: str) -> None:
    one = jobs(namespace, "work")
    api.create(jobs(namespace), job("never", parallelism=2, completions=4))
    running(api, namespace, 2)
    wait(api, one, lambda obj: obj["status"].get("ready") == 2, "two ready pods")
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}}
    patched = api.patch(f"{one}/status", patch)
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    start = api.get(one)["status"]["startTime"]
    updated = api.update(f"{one}/status", lambda obj: obj["metadata"]["annotations"].update(updatedstatus="true"))
    assert updated["metadata"]["annotations"]["updatedstatus"] == "true"
    assert api.get(f"{one}/status")["status"]["startTime"] == start


@row(132, "Ensure Pods of an Indexed Job get a unique index.")
def test_the_pods_of_an_indexed_job_know_their_index(api: Api, namespace: str) -> None:
    api.create(jobs(namespace), job(completionMode="Indexed", parallelism=2, completions=4))
    found = finished(api, namespace, "Complete")
    assert found["status"]["completedIndexes"] == "0-3"
    made = {index_of(pod): pod for pod in pods_of(api, namespace)}
    assert sorted(made) == [0, 1, 2, 3]
    for index, pod in made.items():
        assert pod["spec"]["hostname"] == f"work-{index}" and pod["metadata"]["labels"][INDEX] == str(index)
        (variable,) = [v for v in pod["spec"]["containers"][0]["env"] if v["name"] == "JOB_COMPLETION_INDEX"]
        assert INDEX in variable["valueFrom"]["fieldRef"]["fieldPath"]


@row(133, "Jobs, active pods, graceful termination")
def test_a_job_that_is_deleted_takes_its_active_pods_along(api: Api, namespace: str) -> None:
    api.create(jobs(namespace), job("never", parallelism=2, completions=4))
    running(api, namespace, 2)
    policy = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    api.delete(jobs(namespace, "work"), policy)
    api.gone(jobs(namespace, "work"), SECONDS)
    assert not pods_of(api, namespace)


@row(134, "Ensure that all indexes are executed for an indexed job with backoffLimitPerIndex despite some failing")
def test_every_index_is_tried_although_some_fail(api: Api, namespace: str) -> None:
    spec = {"completionMode": "Indexed", "parallelism": 2, "completions": 4, "backoffLimitPerIndex": 1}
    api.create(jobs(namespace), job("never", **spec))
    status = finished(api, namespace, "Failed", lambda index: index % 2)["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1,3")
    assert (status["failed"], status["succeeded"]) == (4, 2)


@row(135, "Jobs, manage lifecycle")
def test_the_lifecycle_of_a_job(api: Api, namespace: str, unique: str) -> None:
    one, label = jobs(namespace, "work"), f"conformance-test={unique}"
    made = job(suspend=True, parallelism=1, completions=1)
    made["metadata"]["labels"] = {"conformance-test": unique}
    api.create(jobs(namespace), made)
    wait(api, one, lambda obj: condition(obj, "Suspended"), "is suspended")
    assert not pods_of(api, namespace)
    patched = api.patch(one, {"metadata": {"labels": {"patched": "yes"}}})
    assert patched["metadata"]["labels"]["patched"] == "yes"

    def change(obj: Object) -> None:
        obj["spec"]["suspend"] = False
        obj["metadata"]["annotations"] = {"updated": "yes"}

    assert api.update(one, change)["metadata"]["annotations"]["updated"] == "yes"
    finished(api, namespace, "Complete")
    assert [obj["metadata"]["name"] for obj in api.items(jobs(""), label)] == ["work"]
    api.delete(jobs(namespace), labelSelector=label, propagationPolicy="Background")
    eventually(lambda: not api.items(jobs(namespace), label), "the job is gone", SECONDS)


@row(136, "Mark indexes as failed when the FailIndex action is matched in podFailurePolicy")
def test_an_exit_code_can_fail_an_index_at_once(api: Api, namespace: str) -> None:
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}
    spec = {"completionMode": "Indexed", "parallelism": 2, "completions": 4, "backoffLimitPerIndex": 1}
    api.create(jobs(namespace), job("never", podFailurePolicy={"rules": [rule]}, **spec))
    status = finished(api, namespace, "Failed", lambda index: 42 if index in (0, 2) else 0)["status"]
    assert (status["failedIndexes"], status["completedIndexes"]) == ("0,2", "1,3")
    assert (status["failed"], status["succeeded"]) == (2, 2)


@row(138, "Terminate job execution when the maxFailedIndexes is exceeded")
def test_too_many_failed_indexes_end_a_job(api: Api, namespace: str) -> None:
    spec = {"completionMode": "Indexed", "parallelism": 3, "completions": 4, "backoffLimitPerIndex": 0}
    api.create(jobs(namespace), job("never", maxFailedIndexes=0, **spec))
    found = finished(api, namespace, "Failed", lambda index: 1 if index == 0 else None)
    assert condition(found, "Failed")["reason"] == "MaxFailedIndexesExceeded"
    assert found["status"]["failedIndexes"] == "0" and not found["status"].get("active")
    eventually(lambda: not [pod for pod in pods_of(api, namespace) if is_active(pod)], "no pod is left", SECONDS)


def check_success(api: Api, namespace: str, rules: list[Object], code_of: Callable[[int], int | None]) -> Object:
    policy = {"successPolicy": {"rules": rules}} if rules else {}
    spec = {"completionMode": "Indexed", "parallelism": 2, "completions": 5, "backoffLimitPerIndex": 1, **policy}
    api.create(jobs(namespace), job("never", **spec))
    found = finished(api, namespace, "Complete", code_of)
    assert condition(found, "SuccessCriteriaMet")["reason"] == "SuccessPolicy"
    eventually(lambda: not [pod for pod in pods_of(api, namespace) if is_active(pod)], "no pod is left", SECONDS)
    return found


@row(139, "Ensure that job with successPolicy succeeded when all indexes succeeded")
def test_a_success_policy_with_all_indexes(api: Api, namespace: str) -> None:
    found = check_success(api, namespace, [{"succeededIndexes": "0-4"}], lambda index: 0)
    assert found["status"]["completedIndexes"] == "0-4"


@row(140, "Ensure that job with successPolicy succeededCount rule succeeded even when some indexes remain pending")
def test_a_success_policy_with_a_count(api: Api, namespace: str) -> None:
    found = check_success(api, namespace, [{"succeededCount": 1}], lambda index: 0 if index == 0 else None)
    assert found["status"]["completedIndexes"] == "0"


@row(141, "Ensure that job with successPolicy succeededIndexes rule succeeded even when some indexes remain pending")
def test_a_success_policy_with_chosen_indexes(api: Api, namespace: str) -> None:
    found = check_success(api, namespace, [{"succeededIndexes": "0"}], lambda index: 0 if index == 0 else None)
    assert found["status"]["completedIndexes"] == "0"


def test_what_never_ends_says_so() -> None:
    assert NEVER == {EXIT: "never"}
