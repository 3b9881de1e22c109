"""What a suite is, what a run of it gave, and whether that is enough.  Pure: nothing is started here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree

Result = Literal["passed", "failed", "skipped"]
UNKNOWN = "NOT KNOWN: look at the log"


@dataclass(frozen=True)
class Suite:
    """A source distribution with tests in it.

    requirements: what its tests need, pinned.  alone: what is installed without its own requirements.
    tests: words for pytest.  floor: how many must pass.
    reasons: pattern of a test's name -> why it cannot pass on simulated nodes.  races: pattern -> what it may lose.
    """

    name: str
    version: str
    requirements: tuple[str, ...]
    tests: tuple[str, ...]
    floor: int
    reasons: Mapping[str, str] = field(default_factory=dict)
    races: Mapping[str, str] = field(default_factory=dict)
    alone: tuple[str, ...] = ()

    @property
    def sdist(self) -> str:
        return f"{self.name}=={self.version}"


def read_results(junit: str) -> dict[str, Result]:
    """Test name -> result, of pytest's XML report.  A test that failed in any phase has failed."""
    found: dict[str, Result] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        tags = {child.tag for child in case}
        result: Result = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        found[name] = "failed" if found.get(name) == "failed" else result
    return found


def reason_of(name: str, reasons: Mapping[str, str]) -> str:
    """Why the test cannot pass; UNKNOWN when nobody has looked."""
    return next((why for pattern, why in reasons.items() if re.search(pattern, name)), UNKNOWN)


def worth_another_try(results: Mapping[str, Result], suite: Suite) -> list[str]:
    """Functions, as pytest's -k wants them (without parameters), of failed tests that could have passed."""
    failed = [name for name, result in results.items() if result == "failed"]
    hopeful = [name for name in failed if reason_of(name, suite.reasons) is UNKNOWN]
    return sorted({name.rpartition("::")[2].partition("[")[0] for name in hopeful})


@dataclass(frozen=True)
class Verdict:
    good: bool
    text: str


def judge(name: str, floor: int, reasons: Mapping[str, str], results: Mapping[str, Result]) -> Verdict:
    """Passed tests against the floor, and every failed one with its reason."""
    failed = sorted(test for test, result in results.items() if result == "failed")
    passed = sum(result == "passed" for result in results.values())
    lines = [f"{name}: {passed} of {len(results)} passed, {floor} are asked for"]
    lines += [f"  failed {test}: {reason_of(test, reasons)}" for test in failed]
    return Verdict(passed >= floor, "\n".join(lines))
