"""CronJob: what starts when, what is forgotten, and the whole of it against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from controllers.cronjob import CronJobController, observed
from controllers.cronjob_plan import SCHEDULED_ANNOTATION, Plan, forgotten, job_for, job_name, plan
from controllers.garbagecollector import GarbageCollector
from tests.client.server import eventually
from tests.controllers.objects import NOW, ago
from tests.controllers.running import controllers
from tiphys.api.batch.cronjob import CronJob
from tiphys.api.batch.job import Job
from tiphys.api.core.event import Event
from tiphys.api.times import format_time
from tiphys.client.controller import Environment
from tiphys.client.rest import Client

MINUTE = NOW.replace(second=0)


def cron(schedule: str = "* * * * *", status: dict[str, Any] | None = None, age: float = 90, **spec: Any) -> CronJob:
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
    return CronJob.model_validate(
        {
            "metadata": {"name": "tick", "namespace": "default", "uid": "uid-tick", "creationTimestamp": ago(age)},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {"spec": pod}}}, **spec},
            "status": status or {},
        }
    )


def active(name: str) -> dict[str, str]:
    return {"apiVersion": "batch/v1", "kind": "Job", "namespace": "default", "name": name, "uid": f"uid-{name}"}


def job(name: str, end: str = "", started_ago: float = 100) -> Job:
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "uid-tick", "controller": True}
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "ownerReferences": [owner]}
    status: dict[str, Any] = {"startTime": ago(started_ago)}
    if end:
        status["conditions"] = [{"type": end, "status": "True"}]
    if end == "Complete":
        status["completionTime"] = ago(started_ago - 1)
    return Job.model_validate({"metadata": meta, "status": status})


@pytest.mark.parametrize(
    ("wanted", "start"),
    [
        (cron(), MINUTE),
        (cron(age=3), None),
        (cron(status={"lastScheduleTime": format_time(MINUTE)}), None),
        (cron(status={"lastScheduleTime": ago(3600)}), MINUTE),
        (cron(status={"lastScheduleTime": ago(-3600)}), None),
        (cron(suspend=True), None),
        (cron(startingDeadlineSeconds=10), MINUTE),
        (cron("0 * * * *", age=5000, startingDeadlineSeconds=60), None),
        (cron("0 * * * *", age=5000), MINUTE.replace(minute=0)),
        (cron("nonsense"), None),
        (cron(timeZone="Mars/Olympus"), None),
        (cron("TZ=Asia/Kolkata 34 8 * * *"), MINUTE),
        (cron(status={"active": [active("older")]}, concurrencyPolicy="Forbid"), None),
        (cron(status={"active": [active("older")]}, concurrencyPolicy="Replace"), MINUTE),
        (cron(status={"active": [active("older")]}), MINUTE),
        (cron("@every 80s"), NOW - timedelta(seconds=10)),
    ],
    ids=[
        *("due", "too young", "just ran", "missed some", "clock went back", "suspended", "in time", "too late"),
        *("late without deadline", "unparseable", "no such zone", "zone in schedule", "forbid", "replace", "allow"),
        "every",
    ],
)
def test_a_job_starts_when_its_time_has_come(wanted: CronJob, start: datetime | None) -> None:
    assert plan(wanted, NOW).start == start


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (cron("nonsense"), "UnparseableSchedule"),
        (cron(timeZone="Mars/Olympus"), "UnknownTimeZone"),
        (cron(age=100 * 61), "TooManyMissedTimes"),
        (cron("@every 1h", age=4000, startingDeadlineSeconds=10), "MissSchedule"),
        (cron(status={"active": [active("older")]}, concurrencyPolicy="Forbid"), "JobAlreadyActive"),
    ],
)
def test_what_is_odd_is_told(wanted: CronJob, reason: str) -> None:
    assert [one.reason for one in plan(wanted, NOW).happenings] == [reason]


def test_the_next_look_is_just_after_the_next_time_but_within_a_minute() -> None:
    seconds = [plan(wanted, NOW).wait_seconds for wanted in (cron(), cron("0 * * * *", age=3))]
    assert seconds == [pytest.approx(55.1), 60.0]


def test_jumping_clocks_run_no_time_twice() -> None:
    """Forth an hour, back two, and on: the scheduled times only grow, and their names are the minutes'."""
    now, wanted, names = NOW, cron(), list[str]()
    for jump in (0, 60, 3600, -7200, 60, 3600, 3540, 60, 60):
        now += timedelta(seconds=jump)
        todo: Plan = plan(wanted, now)
        if todo.start is not None:
            names.append(job_name(wanted, todo.start))
            wanted = cron(status={"lastScheduleTime": format_time(todo.start)})
    assert len(names) == len(set(names)) == 5 and names == sorted(names)


def test_the_job_carries_the_time_it_was_scheduled_for() -> None:
    made = job_for(cron(timeZone="Europe/Berlin"), MINUTE)
    assert made.metadata.name == f"tick-{int(MINUTE.timestamp()) // 60}"
    assert made.metadata.annotations[SCHEDULED_ANNOTATION] == "2026-01-02T04:04:00+01:00"
    assert job_for(cron(), MINUTE).metadata.annotations[SCHEDULED_ANNOTATION] == "2026-01-02T03:04:00Z"
    assert made.metadata.ownerReferences[0].uid == "uid-tick"


def test_the_oldest_finished_jobs_are_forgotten_each_kind_by_its_own_limit() -> None:
    jobs = [job(f"c{age}", "Complete", age) for age in (10, 30, 20)]
    jobs += [job("f1", "Failed", 40), job("f2", "Failed", 50), job("running", "", 999)]
    wanted = cron(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    assert {one.metadata.name for one in forgotten(wanted, jobs)} == {"c30", "f1", "f2"}
    assert forgotten(cron(), jobs) == []


def test_the_status_follows_the_jobs() -> None:
    before = cron(status={"active": [active("a"), active("b"), active("c")]})
    status, told = observed(before, [job("a", "Complete", 50), job("b"), job("stranger")], {"uid-c"})
    assert [one.name for one in status.active] == ["b"] and status.lastSuccessfulTime == ago(49)
    assert [one.reason for one in told] == ["SawCompletedJob", "UnexpectedJob", "MissingJob"]


def test_a_start_whose_status_was_lost_is_found_again() -> None:
    started = job_for(cron(), MINUTE).to_dict()
    started["metadata"]["uid"] = "uid-started"
    status, told = observed(cron(), [Job.model_validate(started)], set())
    assert [one.uid for one in status.active] == ["uid-started"] and told == []
    assert status.lastScheduleTime == format_time(MINUTE)


# Against a real server


class MovedClock:
    """A wall clock that stands where a test puts it."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def at(clock: MovedClock) -> Callable[[Environment], CronJobController]:
    def make(environment: Environment) -> CronJobController:
        environment.clock = clock
        return CronJobController(environment)

    return make


async def jobs(client: Client) -> list[str]:
    return sorted(one.metadata.name for one in (await client.list(Job, "default")).items)


async def wait_for_jobs(client: Client, *names: str) -> None:
    async def there() -> bool:
        return await jobs(client) == sorted(names)

    await eventually(there, f"jobs {names}")


async def created(client: Client, **spec: Any) -> tuple[CronJob, MovedClock]:
    """A cron job of every minute, and a clock five seconds into the next minute."""
    wanted = cron(**spec).to_dict()
    wanted["metadata"] = {"name": "tick", "namespace": "default"}
    made = await client.create(CronJob.model_validate(wanted))
    birth = datetime.fromisoformat((made.metadata.creationTimestamp or "").replace("Z", "+00:00"))
    return made, MovedClock(birth.replace(second=5) + timedelta(minutes=1))


async def poke(client: Client, text: str) -> None:
    """Have the controller look again."""
    await client.patch(CronJob, "tick", "default", {"metadata": {"annotations": {"poke": text}}})


async def test_a_cron_job_starts_a_job_each_minute_and_none_twice(client: Client) -> None:
    made, clock = await created(client)
    first = job_name(made, clock.at)
    async with controllers(client, at(clock)):
        await wait_for_jobs(client, first)
    forgotten_start = {"status": {"lastScheduleTime": None, "active": None}}
    await client.patch(CronJob, "tick", "default", forgotten_start, subresource="status")
    async with controllers(client, at(clock)):  # as after a crash before the status was written

        async def noted() -> bool:
            status = (await client.get(CronJob, "tick", "default")).status
            return status.lastScheduleTime is not None and [one.name for one in status.active] == [first]

        await eventually(noted, "the job in the status")
        assert await jobs(client) == [first]
        clock.at += timedelta(minutes=1)
        await poke(client, "a minute later")
        await wait_for_jobs(client, first, job_name(made, clock.at))


async def test_replace_deletes_the_running_job_and_forbid_waits_for_it(client: Client) -> None:
    made, clock = await created(client, concurrencyPolicy="Replace")
    first = job_name(made, clock.at)
    async with controllers(client, at(clock), GarbageCollector):
        await wait_for_jobs(client, first)
        clock.at += timedelta(minutes=1)
        second = job_name(made, clock.at)
        await poke(client, "replace")
        await wait_for_jobs(client, second)
        await client.patch(CronJob, "tick", "default", {"spec": {"concurrencyPolicy": "Forbid"}})
        clock.at += timedelta(minutes=1)
        await poke(client, "forbid")

        async def told() -> bool:
            return "JobAlreadyActive" in {one.reason for one in (await client.list(Event, "default")).items}

        await eventually(told, "the event")
        assert await jobs(client) == [second]


async def test_finished_jobs_go_beyond_the_history_limit(client: Client) -> None:
    made, clock = await created(client, successfulJobsHistoryLimit=0)
    first = job_name(made, clock.at)
    async with controllers(client, at(clock), GarbageCollector):
        await wait_for_jobs(client, first)
        now = format_time(clock.at)
        conditions = [
            {"type": type, "status": "True", "lastTransitionTime": now} for type in ("SuccessCriteriaMet", "Complete")
        ]
        done = {"conditions": conditions, "startTime": now, "completionTime": now, "succeeded": 1}
        await client.patch(Job, first, "default", {"status": done}, subresource="status")
        await wait_for_jobs(client)

        async def noted() -> bool:
            status = (await client.get(CronJob, "tick", "default")).status
            return status.lastSuccessfulTime == now and not status.active

        await eventually(noted, "the success in the status")
