"""Jobs end to end against a real API server; simulated nodes or the test itself play the kubelet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controllers.garbagecollector import GarbageCollector
from controllers.job import JobController
from controllers.job_pods import TRACKING_FINALIZER
from controllers.simulatednodes import SimulatedNodes
from controllers.ttlafterfinished import TTLAfterFinishedController
from tests.client.server import eventually
from tests.controllers.running import controllers, default_account, finish_deletions, make_ready, pods
from tests.controllers.test_small_controllers import exists
from tiphys.api.batch.job import Job
from tiphys.api.core.event import Event
from tiphys.api.core.pod import Pod
from tiphys.client.controller import Environment
from tiphys.client.rest import Client

ENDED = {"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "state": {"terminated": {"exitCode": 3}}}]}


def job(node: str = "", name: str = "work", template: dict[str, Any] | None = None, **spec: Any) -> Job:
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never", "nodeName": node, **(template or {})}
    wanted = {"template": {"spec": pod}, **spec}
    return Job.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": wanted})


def nodes(environment: Environment) -> SimulatedNodes:
    return SimulatedNodes(environment, 1)


async def wait_for(client: Client, what: str, holds: Callable[[Job], bool]) -> Job:
    async def there() -> bool:
        return holds(await client.get(Job, "work", "default"))

    await eventually(there, what)
    return await client.get(Job, "work", "default")


def says(type: str) -> Callable[[Job], bool]:
    return lambda now: any(one.type == type and one.status == "True" for one in now.status.conditions)


async def reasons(client: Client, wanted: set[str]) -> None:
    async def told() -> bool:
        return wanted <= {event.reason for event in (await client.list(Event, "default")).items}

    await eventually(told, f"events {wanted}")


async def fail(client: Client, pod: Pod, **status: Any) -> None:
    await client.patch(
        Pod, pod.metadata.name, "default", {"status": {"phase": "Failed", **ENDED, **status}}, subresource="status"
    )


async def running(client: Client, count: int) -> list[Pod]:
    async def there() -> bool:
        return len(await alive(client)) == count

    await eventually(there, f"{count} running pods")
    return await alive(client)


async def alive(client: Client) -> list[Pod]:
    return [one for one in await pods(client) if one.status.phase in ("", "Pending", "Running")]


async def test_a_job_completes_and_its_counts_are_exact(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController, nodes):
        made = await client.create(job("fake-node-0", completions=5, parallelism=2))
        assert made.status.to_dict() == {}
        done = await wait_for(client, "completion", says("Complete"))
        assert done.status.succeeded == 5 and done.status.failed == 0 and done.status.active == 0
        assert (done.status.ready, done.status.terminating) == (0, 0)
        assert done.status.startTime and done.status.completionTime
        assert [(one.type, one.reason) for one in done.status.conditions] == [
            ("SuccessCriteriaMet", "CompletionsReached"),
            ("Complete", "CompletionsReached"),
        ]
        found = await pods(client)
        assert len(found) == 5 and not any(pod.metadata.finalizers for pod in found)
        await reasons(client, {"SuccessfulCreate", "Completed"})


async def test_the_pods_of_an_indexed_job_know_their_index(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController, nodes):
        await client.create(job("fake-node-0", completions=4, parallelism=3, completionMode="Indexed"))
        done = await wait_for(client, "completion", says("Complete"))
        assert (done.status.completedIndexes, done.status.succeeded) == ("0-3", 4)
        key = "batch.kubernetes.io/job-completion-index"
        seen = set()
        for pod in await pods(client):
            index = pod.metadata.annotations[key]
            seen.add(index)
            assert pod.metadata.labels[key] == index and pod.spec.hostname == f"work-{index}"
            assert pod.metadata.name.startswith(f"work-{index}-")
            (variable,) = pod.spec.containers[0].env
            assert variable.name == "JOB_COMPLETION_INDEX"
        assert seen == {"0", "1", "2", "3"}


async def test_a_pod_is_tracked_from_its_creation(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController):
        await client.create(job())
        (pod,) = await running(client, 1)
        assert pod.metadata.finalizers == [TRACKING_FINALIZER]
        await make_ready(client, pod)
        await wait_for(client, "a ready pod", lambda now: now.status.active == 1 and now.status.ready == 1)


async def test_failed_pods_reach_the_backoff_limit(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController):
        await client.create(job(backoffLimit=1, completions=2, parallelism=2))
        for pod in await running(client, 2):
            await fail(client, pod)
        done = await wait_for(client, "failure", says("Failed"))
        assert (done.status.failed, done.status.active, done.status.completionTime) == (2, 0, None)
        assert [(one.type, one.reason) for one in done.status.conditions] == [
            ("FailureTarget", "BackoffLimitExceeded"),
            ("Failed", "BackoffLimitExceeded"),
        ]
        await reasons(client, {"BackoffLimitExceeded"})


async def test_a_failing_job_ends_its_running_pods_and_waits_for_them(client: Client) -> None:
    await default_account(client)
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}]}
    async with controllers(client, JobController):
        await client.create(job("elsewhere", completions=2, parallelism=2, podFailurePolicy=policy))
        first, _ = await running(client, 2)
        await fail(client, first)
        waiting = await wait_for(client, "the target", says("FailureTarget"))
        assert not says("Failed")(waiting)
        await wait_for(client, "one pod going", lambda now: now.status.terminating == 1)
        await finish_deletions(client)
        done = await wait_for(client, "failure", says("Failed"))
        name = f"default/{first.metadata.name}"
        assert done.status.conditions[-1].message == (
            f"Container c for pod {name} failed with exit code 3 matching FailJob rule at index 0"
        )
        assert done.status.failed == 2


async def test_a_suspended_job_has_no_pods_and_starts_anew_when_resumed(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController):
        await client.create(job(parallelism=2, completions=2))
        await running(client, 2)
        await client.patch(Job, "work", "default", {"spec": {"suspend": True}})
        held = await wait_for(client, "suspension", says("Suspended"))
        await running(client, 0)
        assert (await pods(client), held.status.failed) == ([], 0)
        await client.patch(Job, "work", "default", {"spec": {"suspend": False}})
        await running(client, 2)
        resumed = await wait_for(client, "resumption", lambda now: not says("Suspended")(now))
        assert [(one.type, one.status) for one in resumed.status.conditions] == [("Suspended", "False")]
        assert resumed.status.failed == 0
        await reasons(client, {"Suspended", "Resumed", "SuccessfulDelete"})


async def test_a_failed_index_is_made_again_until_its_limit_and_the_others_go_on(client: Client) -> None:
    await default_account(client)
    spec: dict[str, Any] = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0}
    async with controllers(client, JobController):
        await client.create(job(**spec))
        zero, one = sorted(await running(client, 2), key=lambda pod: pod.metadata.name)
        await fail(client, zero)
        now = await wait_for(client, "the failed index", lambda now: now.status.failedIndexes == "0")
        assert not says("FailureTarget")(now)
        await client.patch(Pod, one.metadata.name, "default", {"status": {"phase": "Succeeded"}}, subresource="status")
        done = await wait_for(client, "failure", says("Failed"))
        assert (done.status.completedIndexes, done.status.failedIndexes) == ("1", "0")
        assert done.status.conditions[-1].reason == "FailedIndexes"
        assert (done.status.succeeded, done.status.failed) == (1, 1)


async def test_a_success_policy_ends_the_pods_that_are_left(client: Client) -> None:
    await default_account(client)
    policy = {"rules": [{"succeededIndexes": "0"}]}
    async with controllers(client, JobController):
        await client.create(job(completionMode="Indexed", completions=3, parallelism=3, successPolicy=policy))
        leader = min(await running(client, 3), key=lambda pod: pod.metadata.name)
        succeeded = {"status": {"phase": "Succeeded"}}
        await client.patch(Pod, leader.metadata.name, "default", succeeded, subresource="status")
        done = await wait_for(client, "completion", says("Complete"))
        assert [one.reason for one in done.status.conditions] == ["SuccessPolicy", "SuccessPolicy"]
        assert done.status.completedIndexes == "0" and done.status.failed == 0
        assert [pod.metadata.name for pod in await pods(client)] == [leader.metadata.name]


async def test_a_job_past_its_deadline_fails(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController):
        await client.create(job(activeDeadlineSeconds=1))
        done = await wait_for(client, "failure", says("Failed"))
        assert done.status.conditions[-1].reason == "DeadlineExceeded"


async def test_the_ttl_takes_the_job_and_its_pods_away(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController, TTLAfterFinishedController, GarbageCollector, nodes):
        await client.create(job("fake-node-0", ttlSecondsAfterFinished=0))

        async def gone() -> bool:
            return not await exists(client, Job, "work", "default") and not await pods(client)

        await eventually(gone, "job and pods gone")


async def test_a_job_deleted_in_the_background_leaves_no_pod_behind(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController, GarbageCollector):
        await client.create(job(parallelism=2, completions=2))
        await running(client, 2)
        await client.delete(Job, "work", "default", propagation="Background")

        async def gone() -> bool:
            return not await pods(client)

        await eventually(gone, "no pod held by the finalizer")


async def test_orphaned_pods_lose_the_finalizer(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController, GarbageCollector):
        await client.create(job())
        await running(client, 1)
        await client.delete(Job, "work", "default", propagation="Orphan")

        async def free() -> bool:
            (pod,) = await pods(client)
            return not pod.metadata.finalizers and not pod.metadata.ownerReferences

        await eventually(free, "a free pod")


async def test_a_stripped_pod_is_adopted_again_and_a_relabelled_one_released(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController):
        await client.create(job())
        (pod,) = await running(client, 1)
        nothing = {"metadata": {"ownerReferences": None, "finalizers": None}}
        await client.patch(Pod, pod.metadata.name, "default", nothing)

        async def adopted() -> bool:
            meta = (await client.get(Pod, pod.metadata.name, "default")).metadata
            return bool(meta.ownerReferences) and meta.finalizers == [TRACKING_FINALIZER]

        await eventually(adopted, "the pod adopted and tracked")
        names = ("job-name", "controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid")
        await client.patch(Pod, pod.metadata.name, "default", {"metadata": {"labels": dict.fromkeys(names)}})

        async def released() -> bool:
            meta = (await client.get(Pod, pod.metadata.name, "default")).metadata
            return not meta.ownerReferences and not meta.finalizers

        await eventually(released, "the pod released")
        await running(client, 2)


async def test_a_job_managed_by_somebody_else_is_left_alone(client: Client) -> None:
    await default_account(client)
    async with controllers(client, JobController):
        await client.create(job(managedBy="example.com/other"))
        await client.create(job(name="ours"))
        (pod,) = await running(client, 1)
        assert pod.metadata.name.startswith("ours-")
        assert (await client.get(Job, "work", "default")).status.to_dict() == {}
