"""When images are removed, as an operator says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImagePolicy:
    """Above `high_percent` of the disk in use images go until `low_percent` is reached; none younger than the minimum
    age.  `maximum_age_seconds` > 0: those unused for longer go in any case."""

    high_percent: int = 85
    low_percent: int = 80
    minimum_age_seconds: float = 120.0
    maximum_age_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.low_percent <= self.high_percent <= 100:
            raise ValueError(f"image thresholds: 0 <= {self.low_percent} <= {self.high_percent} <= 100 does not hold")
