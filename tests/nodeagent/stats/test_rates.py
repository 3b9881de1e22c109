"""CPU rates between two looks."""

from nodeagent.stats.rates import CpuRates


def test_a_rate_needs_two_looks_that_are_far_enough_apart() -> None:
    rates = CpuRates()
    assert rates.rate("a", 0, 100.0) is None
    assert rates.rate("a", 1_000_000_000, 101.0) is None  # too soon to say
    assert rates.rate("a", 5_000_000_000, 110.0) == 500_000_000
    assert rates.rate("a", 9_000_000_000, 111.0) == 500_000_000  # the last one stands
    assert rates.rate("a", 25_000_000_000, 120.0) == 2_000_000_000


def test_a_counter_that_went_back_begins_anew() -> None:
    rates = CpuRates()
    rates.rate("a", 100, 0.0)
    assert rates.rate("a", 50, 10.0) is None
    assert rates.rate("a", 50 + 10**9, 20.0) == 10**8


def test_what_is_not_asked_for_is_forgotten() -> None:
    rates = CpuRates()
    rates.rate("a", 0, 0.0)
    rates.rate("b", 0, 700.0)
    rates.forget_all_but(700.0)
    assert rates.rate("a", 10**9, 710.0) is None
    assert rates.rate("b", 10**9, 710.0) == 10**8
