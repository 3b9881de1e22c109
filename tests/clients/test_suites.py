"""How a run of somebody else's suite is judged.  The suites themselves run by `python -m tests.clients.suites`."""

from __future__ import annotations

from tests.clients.suites.known import SUITES
from tests.clients.suites.suite import UNKNOWN, Result, judge, read_results, reason_of, worth_another_try

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest">
  <testcase classname="t.test_a" name="test_good"/>
  <testcase classname="t.test_a" name="test_bad"><failure message="no">trace</failure></testcase>
  <testcase classname="t.test_a" name="test_left_out"><skipped type="pytest.xfail" message=""/></testcase>
  <testcase classname="t.test_a" name="test_torn"><error message="at teardown">trace</error></testcase>
  <testcase classname="t.test_a" name="test_torn"/>
</testsuite></testsuites>"""


def test_a_report_is_read_and_a_failure_in_any_phase_counts() -> None:
    assert read_results(REPORT) == {
        "t.test_a::test_good": "passed",
        "t.test_a::test_bad": "failed",
        "t.test_a::test_left_out": "skipped",
        "t.test_a::test_torn": "failed",
    }


def test_fewer_than_the_floor_is_a_failure_and_every_failure_has_its_reason() -> None:
    results = read_results(REPORT)
    enough = judge("x", 1, {r"test_torn$": "it is torn"}, results)
    assert enough.good
    assert enough.text.splitlines() == [
        "x: 1 of 4 passed, 1 are asked for",
        f"  failed t.test_a::test_bad: {UNKNOWN}",
        "  failed t.test_a::test_torn: it is torn",
    ]
    assert not judge("x", 2, {}, results).good


def test_reasons_name_tests_that_cannot_pass_and_no_others() -> None:
    reasons = SUITES["kr8s"].reasons
    assert "container" in reason_of("kr8s.tests.test_objects::test_pod_port_forward_start_stop", reasons)
    assert reason_of("kr8s.tests.test_objects::test_pod_create_and_delete", reasons) == UNKNOWN


def test_only_what_could_have_passed_is_tried_again() -> None:
    results: dict[str, Result] = {
        "kr8s.tests.test_api::test_api_timeout": "failed",
        "kr8s.tests.test_api::test_version[a=b]": "failed",
        "kr8s.tests.test_objects::test_pod_exec": "failed",
        "kr8s.tests.test_objects::test_pod_create": "passed",
    }
    assert worth_another_try(results, SUITES["kr8s"]) == ["test_api_timeout", "test_version"]
