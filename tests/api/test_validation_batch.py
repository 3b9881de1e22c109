"""Job and CronJob are refused in upstream's words; schedules are read as robfig/cron reads them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.good_objects import UID, changed, prepared, refused, refused_change
from tiphys.api.batch.cron_schedule import ScheduleError, parse_schedule

ON_CODES = {"onExitCodes": {"operator": "In", "values": [1]}}
CASES: list[tuple[str, list[tuple[str, Any]], str]] = [
    (
        "Job",
        [("spec/template/spec/restartPolicy", "Always")],
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ),
    ("Job", [("spec/parallelism", -1)], "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
    (
        "Job",
        [("spec/completionMode", "Indexed"), ("spec/parallelism", 2)],
        "spec.completions: Required value: when completion mode is Indexed",
    ),
    (
        "Job",
        [("spec/backoffLimitPerIndex", 1)],
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
    ),
    (
        "Job",
        [("spec/managedBy", "me")],
        'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")',
    ),
    (
        "Job",
        [("spec/podFailurePolicy", {"rules": [{"action": "Count"}]})],
        "spec.podFailurePolicy.rules[0]: Invalid value: null: specifying one of OnExitCodes and OnPodConditions is "
        "required",
    ),
    (
        "Job",
        [("spec/podFailurePolicy", {"rules": [{"action": "FailIndex", **ON_CODES}]})],
        'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be '
        "set",
    ),
    (
        "Job",
        [("spec/successPolicy", {"rules": []})],
        'spec.successPolicy: Invalid value: {"Rules":[]}: requires indexed completion mode',
    ),
    (
        "CronJob",
        [("spec/schedule", "whenever")],
        'spec.schedule: Invalid value: "whenever": expected exactly 5 fields, found 1: [whenever]',
    ),
    (
        "CronJob",
        [("spec/schedule", "TZ=UTC 0 0 * * *")],
        'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field '
        "instead",
    ),
    (
        "CronJob",
        [("spec/timeZone", "Nowhere/Land")],
        'spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land',
    ),
    (
        "CronJob",
        [("spec/timeZone", "Local")],
        'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in '
        "https://www.iana.org/time-zones",
    ),
    (
        "CronJob",
        [("metadata/name", "n" * 53)],
        f'metadata.name: Invalid value: "{"n" * 53}": must be no more than 52 characters',
    ),
    (
        "CronJob",
        [("spec/jobTemplate/spec/template/spec/containers", [])],
        "spec.jobTemplate.spec.template.spec.containers: Required value",
    ),
]


@pytest.mark.parametrize(("kind", "changes", "error"), CASES)
def test_a_bad_field_is_named(kind: str, changes: list[tuple[str, Any]], error: str) -> None:
    assert error in refused(kind, *changes)


def test_a_new_job_selects_its_own_pods() -> None:
    _, job = prepared(changed("Job"))
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
    assert job["spec"]["template"]["metadata"]["labels"]["job-name"] == "g"


def test_an_indexed_job_needs_a_name_its_pods_can_carry() -> None:
    errors = refused("Job", ("metadata/name", "a.b"), ("spec/completionMode", "Indexed"), ("spec/completions", 3))
    assert errors == [
        'metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label: must not contain dots'
    ]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ([("spec/completions", 5)], "spec.completions: Invalid value: 5: field is immutable"),
        ([("spec/template/spec/containers/0/image", "other")], "spec.template: Invalid value: "),
        ([("spec/completionMode", "Indexed")], 'spec.completionMode: Invalid value: "Indexed": field is immutable'),
    ],
)
def test_what_a_job_runs_cannot_change(changes: list[tuple[str, Any]], error: str) -> None:
    assert any(found.startswith(error) for found in refused_change("Job", *changes))


def test_the_number_of_pods_at_once_may_change() -> None:
    assert refused_change("Job", ("spec/parallelism", 5), ("spec/suspend", True)) == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@never", "unrecognized descriptor: @never"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ],
)
def test_a_bad_schedule_is_refused_as_robfig_cron_does(text: str, error: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(text)
    assert str(caught.value) == error


def test_a_schedule_is_the_numbers_it_fits() -> None:
    schedule = parse_schedule("*/20 1-3,22 ? jan,DEC 1-5/2")
    assert schedule.minutes == {0, 20, 40}
    assert schedule.hours == {1, 2, 3, 22}
    assert schedule.months == {1, 12}
    assert schedule.weekdays == {1, 3, 5}
    assert schedule.any_day and not schedule.any_weekday


def test_a_number_with_a_step_goes_to_the_end() -> None:
    assert parse_schedule("50/3 * * * *").minutes == {50, 53, 56, 59}


def test_names_stand_for_schedules() -> None:
    assert parse_schedule("@daily") == parse_schedule("0 0 * * *")
    assert parse_schedule("@every 1h30m").every_seconds == 5400
    assert parse_schedule("CRON_TZ=Europe/Berlin @hourly").zone == "Europe/Berlin"


@pytest.mark.parametrize("text", ["9" * 100000 + " * * * *", "@every " + "9" * 100000, "*/" + "9" * 99999 + " * * * *"])
def test_an_enormous_number_is_refused_at_once(text: str) -> None:
    with pytest.raises(ScheduleError):
        parse_schedule(text)


def test_a_long_list_is_read_in_one_go() -> None:
    assert parse_schedule("1," * 100000 + "2 * * * *").minutes == {1, 2}
