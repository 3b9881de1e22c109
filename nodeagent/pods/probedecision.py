"""Probe thresholds: which result changes what.  Pure.

A probe result counts only when it has been seen `failureThreshold` (or `successThreshold`) times in a row; a startup
probe that has not succeeded holds back the others; a liveness or startup probe that fails asks for a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tiphys.api.core.probes import Probe

ProbeType = Literal["Startup", "Liveness", "Readiness"]


@dataclass(frozen=True)
class Streak:
    """The standing of one probe: its current verdict (None before the first), and the run of equal results."""

    verdict: bool | None = None
    last: bool | None = None
    length: int = 0


def observe(streak: Streak, success: bool, probe: Probe) -> Streak:
    """The standing after one more result."""
    length = streak.length + 1 if streak.last is success else 1
    new = replace(streak, last=success, length=length)
    needed = (probe.successThreshold or 1) if success else (probe.failureThreshold or 3)
    return replace(new, verdict=success) if length >= needed else new


def period_seconds(probe: Probe) -> float:
    """Seconds between two runs."""
    return float(probe.periodSeconds or 10)


def timeout_seconds(probe: Probe) -> float:
    """Seconds one run may take."""
    return float(probe.timeoutSeconds or 1)


def kill_message(container: str, kind: ProbeType) -> str:
    """The sentence of the Killing event when a probe wants a restart."""
    return f"Container {container} failed {kind.lower()} probe, will be restarted"
