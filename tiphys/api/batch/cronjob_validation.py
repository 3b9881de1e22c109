"""What a cron job may say: a schedule that can be read, a time zone that exists, a job template."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from tiphys.api import field_checks as check
from tiphys.api.batch.cron_schedule import ScheduleError, parse_schedule
from tiphys.api.batch.job_validation import job_spec_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid, not_supported

Object = Mapping[str, Any]
_MAX_NAME = 52  # the job's name has 11 characters more


def validate(obj: Object) -> Errors:
    name = (obj.get("metadata") or {}).get("name", "")
    errors = check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {}, {})
    if len(name) > _MAX_NAME:
        errors.append(invalid("metadata.name", name, f"must be no more than {_MAX_NAME} characters"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    return _spec(new.get("spec") or {}, old.get("spec") or {})


def _spec(spec: Object, before: Object) -> Errors:
    errors = _schedule(spec, before) + _time_zone(spec, before)
    errors += check.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    policies = ("Allow", "Forbid", "Replace")
    errors += check.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy", ""), policies, optional=False)
    errors += _template("spec.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {})
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors += check.not_negative(f"spec.{field}", spec.get(field))
    return errors


def _schedule(spec: Object, before: Object) -> Errors:
    path, schedule = "spec.schedule", spec.get("schedule", "")
    if not schedule:
        return check.one_of(path, "", (), optional=False)
    errors: Errors = []
    try:
        parse_schedule(schedule)
    except ScheduleError as error:
        errors.append(invalid(path, schedule, str(error)))
    had_zone = "TZ" in before.get("schedule", "")
    if "TZ" in schedule and not had_zone:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid(path, schedule, text))
    elif "TZ" in schedule and spec.get("timeZone") is not None:
        text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(invalid(path, schedule, text))
    return errors


def _time_zone(spec: Object, before: Object) -> Errors:
    zone, path = spec.get("timeZone"), "spec.timeZone"
    if zone is None or zone == before.get("timeZone"):
        return []
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.strip() != zone:
        return [invalid(path, zone, f"unknown time zone {zone}")]
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid(path, zone, text)]
    known = _zones()
    return [] if zone in known or not known else [invalid(path, zone, f"unknown time zone {zone}")]


@cache
def _zones() -> frozenset[str]:
    """Empty on a machine without a time zone database: there nothing can be refused."""
    return frozenset(available_timezones())


def _template(path: str, spec: Object) -> Errors:
    errors = job_spec_errors(path, spec)
    if spec.get("selector") is not None:
        errors.append(invalid(f"{path}.selector", spec["selector"], "`selector` will be auto-generated"))
    if spec.get("manualSelector"):
        errors.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    return errors
